//! `bench-load`: bounded loads on loopback for a SIP and RTP gateway and its peers.
//!
//! Each run prints one JSON line; `benches/compare.py` puts the lines of one run side by side.
//! It does not judge: ratios are taken by the caller. Invariant: no packet leaves 127.0.0.0/8,
//! and every run ends by itself.
#![expect(
    clippy::print_stdout,
    reason = "the JSON line on stdout is the product"
)]

mod agent;
mod alignment;
mod bare;
mod compare;
mod conversations;
mod core;
mod devices;
mod floor;
mod legacy;
mod material;
mod process;
mod report;
mod secure;
mod signalling;
mod start;
mod stream;
mod subjects;
mod text;

use std::net::SocketAddrV4;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

/// Bounded SIP and RTP load on loopback; prints one JSON line per run.
#[derive(Parser, Debug)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// All of it on the gateway and its peers in turn, with ratios.
    Compare(compare::Compare),
    /// Devices at the cloud core and at a broker, with ratios.
    Core(core::Core),
    /// SIP calls without media through a back-to-back user agent or proxy.
    Calls(signalling::Calls),
    /// Digest registrations.
    Register(signalling::Register),
    /// One call to an address with many registered contacts.
    Ring(signalling::Ring),
    /// Concurrent calls with RTP both ways.
    Media(conversations::Media),
    /// The reference relay: what this machine allows, one socket per leg.
    Floor(floor::Floor),
    /// A legacy server's line with all channels busy and stations that report their states.
    Legacy(legacy::Legacy),
    /// The codecs of a transcoded call and nothing else.
    Bare(bare::Bare),
    /// CPU and memory of a process at rest.
    Idle(process::Idle),
    /// A company of 100,000 devices in the cloud core: list, search, overview.
    Devices(devices::Devices),
    /// Time from starting a program until it answers a REGISTER.
    Start(start::Start),
}

/// What every measurement of a peer needs.
#[derive(Args, Debug, Clone)]
pub(crate) struct Peer {
    /// Name in the result line.
    #[arg(long, default_value = "")]
    name: String,
    /// Root process ids of the peer, whose CPU and memory are counted with their children.
    #[arg(long, value_delimiter = ',')]
    pid: Vec<i32>,
}

/// Who calls, who answers, and how they authenticate.
#[derive(Args, Debug, Clone)]
pub(crate) struct Parties {
    /// The peer's SIP address.
    #[arg(long, default_value = "127.0.0.1:5060", value_parser = loopback)]
    target: SocketAddrV4,
    /// Domain in the From and To headers; the target's address when absent.
    #[arg(long)]
    domain: Option<String>,
    #[arg(long, default_value = "uac")]
    from: String,
    #[arg(long, default_value = "uas")]
    callee: String,
    /// So many callers and callees: their names get a number from 1. An intercom station has one
    /// conversation at a time, so calls at once need stations.
    #[arg(long, default_value_t = 1)]
    spread: usize,
    /// `user:password` that the answering side registers with.
    #[arg(long)]
    register: Option<String>,
    /// `user:password` the caller answers a challenge with.
    #[arg(long)]
    auth: Option<String>,
}

impl Parties {
    /// Name number `index` of a family of names.
    fn numbered(&self, name: &str, index: usize) -> String {
        match self.spread {
            0 | 1 => name.to_owned(),
            spread => format!("{name}{}", index % spread + 1),
        }
    }

    fn domain(&self) -> String {
        self.domain
            .clone()
            .unwrap_or_else(|| self.target.ip().to_string())
    }
}

/// Only loopback may be loaded.
pub(crate) fn loopback(text: &str) -> Result<SocketAddrV4> {
    let address: SocketAddrV4 = text.parse()?;
    ensure!(
        address.ip().is_loopback(),
        "{address} is not on loopback: only 127.0.0.0/8 is ever loaded"
    );
    Ok(address)
}

pub(crate) fn user_and_password(text: &str) -> (String, String) {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    (user.into(), password.into())
}

fn main() -> Result<()> {
    process::raise_open_files();
    match Cli::parse().command {
        Command::Compare(run) => run.run(),
        Command::Core(run) => run.run(),
        Command::Calls(run) => run.run(),
        Command::Register(run) => run.run(),
        Command::Ring(run) => run.run(),
        Command::Media(run) => run.run(),
        Command::Floor(run) => run.run(),
        Command::Legacy(run) => run.run(),
        Command::Bare(run) => run.run(),
        Command::Idle(run) => run.run(),
        Command::Devices(run) => run.run(),
        Command::Start(run) => run.run(),
    }
}
