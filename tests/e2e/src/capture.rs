//! What was on the wire, as tshark understands it.
//!
//! tshark is the judge: it decodes SIP, SDP and RTP with code that shares
//! nothing with ours. This module only asks it questions.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::network::{self, SWITCH};
use crate::{PATIENCE, Program, wait};

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    tshark: Program,
    file: PathBuf,
}

/// A finished capture.
#[derive(Debug)]
pub struct Wire {
    file: PathBuf,
    /// A script with dissectors of our own.
    dissectors: Option<PathBuf>,
}

/// Loss and the like of one RTP stream, as tshark counted it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    pub from: IpAddr,
    pub from_port: u16,
    pub to: IpAddr,
    pub to_port: u16,
    pub payload: String,
    pub packets: u64,
    pub lost: i64,
    pub max_jitter_ms: f64,
}

/// Where the capture's last packet goes: to everybody at the switch, to a port
/// on which nobody listens.
const EVERYBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);
const DISCARD: u16 = 9;

impl Capture {
    /// Starts to capture what passes the switch into `folder`; returns once it
    /// is under way.
    pub fn start(folder: &Path) -> Result<Self> {
        let file = folder.join("wire.pcapng");
        let mut command = Command::new("tshark");
        command
            .args(["-i", SWITCH, "-s", "2048", "-B", "16", "-w"])
            .arg(&file);
        let tshark = Program::start("tshark", network::ipv4(1).into(), &command)?;
        tshark.wait_for("Capture started")?;
        Ok(Self { tshark, file })
    }

    /// Ends the capture once everything sent before has been seen.
    pub fn stop(mut self) -> Result<Wire> {
        self.see_everything()?;
        self.tshark.signal(Signal::SIGINT)?;
        self.tshark.finish(PATIENCE)?;
        Ok(Wire::open(&self.file))
    }

    /// Sends a packet with a mark and waits until it stands in the file.
    fn see_everything(&self) -> Result<()> {
        let mark = format!("end of capture {}", std::process::id());
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_broadcast(true)?;
        socket.send_to(mark.as_bytes(), (EVERYBODY, DISCARD))?;
        wait::until_true("the capture's last packet", || {
            let bytes = std::fs::read(&self.file).unwrap_or_default();
            let tail = &bytes[bytes.len().saturating_sub(64 * 1024)..];
            Ok(tail
                .windows(mark.len())
                .any(|window| window == mark.as_bytes()))
        })
    }
}

impl Wire {
    /// A capture that was made by somebody else.
    pub fn open(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            dissectors: None,
        }
    }

    #[must_use]
    pub fn with_dissectors(self, script: &Path) -> Self {
        Self {
            dissectors: Some(script.to_owned()),
            ..self
        }
    }

    /// The capture file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The named fields of each packet that `filter` selects.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let mut arguments = vec!["-Y", filter, "-T", "fields", "-E", "separator=\x1f"];
        for field in fields {
            arguments.extend(["-e", field]);
        }
        let text = self.tshark(&arguments)?;
        Ok(text
            .lines()
            .map(|line| line.split('\x1f').map(str::to_owned).collect())
            .collect())
    }

    /// How many packets `filter` selects.
    pub fn count(&self, filter: &str) -> Result<usize> {
        Ok(self.fields(filter, &["frame.number"])?.len())
    }

    /// The request lines and status codes that `from` sent, in order.
    pub fn sip_from(&self, from: IpAddr) -> Result<Vec<String>> {
        let filter = format!("sip && {}", source(from));
        let rows = self.fields(&filter, &["sip.Method", "sip.Status-Code"])?;
        Ok(rows.into_iter().map(|row| row.concat()).collect())
    }

    /// Fails if tshark finds anything malformed, or an error in a protocol, in
    /// what `from` sent.
    pub fn must_be_well_formed(&self, from: IpAddr) -> Result<()> {
        let severe = "(_ws.malformed || _ws.expert.severity == error)";
        let filter = format!("{} && {severe}", source(from));
        let bad = self.fields(
            &filter,
            &["frame.number", "_ws.col.Info", "_ws.expert.message"],
        )?;
        ensure!(
            bad.is_empty(),
            "tshark objects to what {from} sent: {bad:#?}"
        );
        Ok(())
    }

    /// The RTP streams of the capture.
    pub fn rtp_streams(&self) -> Result<Vec<Stream>> {
        let table = self.tshark(&["-q", "-z", "rtp,streams"])?;
        let is_row = |line: &&str| {
            line.split_whitespace()
                .next()
                .is_some_and(|word| word.parse::<f64>().is_ok())
        };
        table.lines().filter(is_row).map(stream).collect()
    }

    /// Fails unless each RTP packet from `from` carries this mark for routers.
    pub fn must_have_dscp(&self, from: IpAddr, dscp: u8) -> Result<()> {
        let rtp = format!("rtp && {}", source(from));
        ensure!(self.count(&rtp)? > 0, "{from} sent no RTP");
        let wrong = self.count(&format!("{rtp} && ip.dsfield.dscp != {dscp}"))?;
        ensure!(
            wrong == 0,
            "{wrong} RTP packets of {from} without DSCP {dscp}"
        );
        Ok(())
    }

    fn tshark(&self, arguments: &[&str]) -> Result<String> {
        let mut tshark = Command::new("tshark");
        if let Some(script) = &self.dissectors {
            tshark
                .arg("-X")
                .arg(format!("lua_script:{}", script.display()));
        }
        let output = tshark
            .arg("-n")
            .arg("-r")
            .arg(&self.file)
            // What stations put into video is theirs to answer for; it passes untouched.
            .args(["--disable-protocol", "vp8"])
            // RTP behind encrypted signalling is found by its looks.
            .args(["--enable-heuristic", "rtp_udp"])
            .args(arguments)
            .output()
            .context("could not run tshark")?;
        if !output.status.success() {
            bail!(
                "tshark {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Stream {
    /// Fails if a packet was lost, or there were fewer than `packets`.
    pub fn must_be_complete(&self, packets: u64) -> Result<()> {
        ensure!(self.lost == 0, "packets were lost: {self:?}");
        ensure!(
            self.packets >= packets,
            "fewer than {packets} packets: {self:?}"
        );
        Ok(())
    }
}

fn source(from: IpAddr) -> String {
    match from {
        IpAddr::V4(from) => format!("ip.src == {from}"),
        IpAddr::V6(from) => format!("ipv6.src == {from}"),
    }
}

/// A row such as
/// `0.05 9.1 127.0.0.2 40000 127.0.0.3 40010 0x5F7A g711A 441 0 (0.0%) 19.9 20.0 20.1 0.0 0.1 0.2`.
fn stream(row: &str) -> Result<Stream> {
    let words: Vec<&str> = row.split_whitespace().collect();
    let loss = words
        .iter()
        .rposition(|word| word.starts_with('('))
        .context("a loss in per cent")?;
    let word = |at: usize| {
        words
            .get(at)
            .copied()
            .with_context(|| format!("a short row: {row}"))
    };
    Ok(Stream {
        from: word(2)?.parse()?,
        from_port: word(3)?.parse()?,
        to: word(4)?.parse()?,
        to_port: word(5)?.parse()?,
        payload: words[7..loss - 2].join(" "),
        packets: word(loss - 2)?.parse()?,
        lost: word(loss - 1)?.parse()?,
        max_jitter_ms: word(loss + 6)?.parse()?,
    })
}
