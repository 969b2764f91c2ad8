//! Devices by the thousand at the cloud core's front door, and at a broker beside it.
//!
//! The same clients, with the same certificates, towards each. What is measured of the core is
//! committed (SQLite with fsync) and in its audit log; a broker keeps messages in memory.
//! Invariant: all that was started is ended, and everything stays on loopback.

mod commands;
mod fleet;
mod memory;
mod messages;
mod portal;
mod subjects;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use subjects::{Cloud, Mosquitto, Start};

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// Memory of a connected device that says nothing.
    Memory,
    /// Committed messages per second, and a change at a page meanwhile.
    Messages,
    /// Commands per second and core, time to the answer.
    Commands,
}

#[derive(Args, Debug)]
pub(crate) struct Core {
    /// The core's program; without it, the one that was built beside this tool.
    #[arg(long)]
    program: Option<PathBuf>,
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    #[arg(long, default_value_t = 2000)]
    devices: usize,
    #[arg(long, default_value_t = 10)]
    secs: u64,
    /// In place of a file, a PostgreSQL server of its own, whose CPU time is not in the figures; or one
    /// with an empty database, by its address.
    #[arg(long, num_args = 0..=1, default_missing_value = "")]
    postgres: Option<String>,
    /// Messages per second; without it, as many as can be.
    #[arg(long)]
    rate: Option<u32>,
    /// Put in front of every program, for a machine with other work on it: "chrt -f 5".
    #[arg(long, default_value = "")]
    run_with: String,
}

impl Core {
    pub(crate) fn run(self) -> Result<()> {
        // Fails only when there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.compare())
    }

    async fn compare(self) -> Result<()> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("antiphon-cloud"),
        };
        ensure!(
            program.is_file(),
            "{} is not there: build it with cargo build --release -p cloud-daemon",
            program.display()
        );
        let folder = tempfile::tempdir()?;
        let words = self.run_with.split_whitespace();
        let run_with: Vec<_> = words.map(str::to_owned).collect();
        let postgres = match self.postgres.as_deref() {
            Some("") => Some(test_postgres::durable_database()?),
            other => other.map(str::to_owned),
        };
        let cloud = Cloud::start(Start {
            program: &program,
            folder: folder.path(),
            postgres,
            run_with: &run_with,
            devices: self.devices,
        })
        .await?;
        let mosquitto = Mosquitto::start(folder.path(), &cloud.root, &run_with).await?;
        let chosen = match self.only.as_slice() {
            [] => Scenario::value_variants(),
            some => some,
        };
        for scenario in chosen {
            match scenario {
                Scenario::Memory => memory::run(&cloud, &mosquitto).await?,
                Scenario::Messages => {
                    let load = (self.secs, self.rate);
                    messages::run(&cloud, folder.path(), load).await?;
                }
                Scenario::Commands => commands::run(&cloud, &mosquitto, self.secs).await?,
            }
        }
        Ok(())
    }
}

/// One line of the table: what, ours, the peer's, the goal.
fn tell(what: &str, ours: f64, peer: Option<(&str, f64)>, goal: &str) {
    let ratio = peer.map_or(String::new(), |(name, value)| {
        format!("{name} {value:.1}, {:.2}x", ours / value)
    });
    println!("{what:<46} {ours:>10.1}   {ratio:<30} goal {goal}");
}
