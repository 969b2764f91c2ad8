//! sipp: scripted SIP peers, well-behaved and hostile, and load.
//!
//! The scripts are the XML files below `scenarios`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::{PATIENCE, Program};

#[derive(Debug)]
pub struct Sipp {
    program: Program,
    scenario: String,
    folder: PathBuf,
}

/// How often and how fast a scenario is played.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub calls: u32,
    pub per_second: u32,
    /// Calls at the same time, at most.
    pub at_once: u32,
}

/// One end of the wire, as sipp sees it.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    pub address: IpAddr,
    /// The interface that a link-local address belongs to, at sipp's host.
    pub interface: Option<&'static str>,
    pub port: u16,
}

impl Load {
    pub const ONCE: Self = Self {
        calls: 1,
        per_second: 10,
        at_once: 10,
    };
}

impl Sipp {
    /// Plays `scenarios/NAME.xml` from `local`, towards `remote` if the scenario
    /// begins by sending. `keys` fill `[name]` in the scenario;
    /// `user`, `password` and `uri` are for its `[authentication]`.
    pub fn start(
        scenario: &str,
        local: Side,
        remote: Option<Side>,
        load: Load,
        keys: &[(&str, &str)],
        folder: &Path,
    ) -> Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{scenario}.xml"));
        let mut command = Command::new("sipp");
        command.current_dir(folder).arg("-sf").arg(file);
        command.args(["-i", &local.host(), "-p", &local.port.to_string()]);
        command.args([
            "-m",
            &load.calls.to_string(),
            "-r",
            &load.per_second.to_string(),
        ]);
        command.args(["-nostdin", "-trace_err", "-error_file"]);
        command.arg(folder.join(format!("{scenario}-{}.err", local.port)));
        command.args(["-l", &load.at_once.to_string()]);
        for (name, value) in keys {
            match *name {
                // What `[authentication]` in a scenario is made from.
                "user" => command.args(["-au", value]),
                "password" => command.args(["-ap", value]),
                "uri" => command.args(["-auth_uri", value]),
                name => command.args(["-key", name, value]),
            };
        }
        if let Some(remote) = remote {
            command.arg(format!("{}:{}", remote.host(), remote.port));
        }
        let program = Program::start(&format!("sipp {scenario}"), local.address, &command)?;
        Ok(Self {
            program,
            scenario: scenario.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// Waits for its end; an error unless every call went as the scenario says.
    pub fn must_succeed(mut self) -> Result<()> {
        let status = self.program.finish(2 * PATIENCE)?;
        if !status.success() {
            bail!("sipp {}: {status}; {}", self.scenario, self.complaints());
        }
        Ok(())
    }

    /// Waits for its end, however it went; returns the calls that went well.
    pub fn finish(mut self) -> Result<bool> {
        Ok(self.program.finish(2 * PATIENCE)?.success())
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    fn complaints(&self) -> String {
        let is_ours = |name: &str| name.starts_with(&self.scenario) && name.ends_with(".err");
        let entries = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten();
        let ours = entries.filter(|entry| is_ours(&entry.file_name().to_string_lossy()));
        ours.filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .collect()
    }
}

impl Side {
    /// With brackets and the interface, as sipp wants IPv6.
    fn host(&self) -> String {
        match (self.address, self.interface) {
            (IpAddr::V4(v4), _) => v4.to_string(),
            (IpAddr::V6(v6), Some(interface)) => format!("[{v6}%{interface}]"),
            (IpAddr::V6(v6), None) => format!("[{v6}]"),
        }
    }
}

impl From<SocketAddr> for Side {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.ip(),
            interface: None,
            port: address.port(),
        }
    }
}
