//! sipp: scripted SIP peers, well-behaved and hostile, and load.
//!
//! The scripts are the XML files below `scenarios`.

use std::net::SocketAddr;
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
}

impl Load {
    pub const ONCE: Self = Self {
        calls: 1,
        per_second: 10,
    };
}

impl Sipp {
    /// Plays `scenarios/NAME.xml` from `local`, towards `remote` if the scenario
    /// begins by sending. `keys` fill `[name]` in the scenario.
    pub fn start(
        scenario: &str,
        local: SocketAddr,
        remote: Option<SocketAddr>,
        load: Load,
        keys: &[(&str, &str)],
        folder: &Path,
    ) -> Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{scenario}.xml"));
        let mut command = Command::new("sipp");
        command.current_dir(folder).arg("-sf").arg(file);
        command.args(["-i", &host(local), "-p", &local.port().to_string()]);
        command.args([
            "-m",
            &load.calls.to_string(),
            "-r",
            &load.per_second.to_string(),
        ]);
        command.args(["-nostdin", "-trace_err", "-error_file"]);
        command.arg(folder.join(format!("{scenario}-{}.err", local.port())));
        for (name, value) in keys {
            command.args(["-key", name, value]);
        }
        if let Some(remote) = remote {
            command.arg(format!("{}:{}", host(remote), remote.port()));
        }
        let program = Program::start(&format!("sipp {scenario}"), &command)?;
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

/// With brackets and the interface, as sipp wants IPv6.
fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) if v6.scope_id() == 0 => format!("[{}]", v6.ip()),
        SocketAddr::V6(v6) => {
            let interface = nix::net::if_::if_indextoname(v6.scope_id());
            let interface = interface.map(|name| name.to_string_lossy().into_owned());
            format!(
                "[{}%{}]",
                v6.ip(),
                interface.unwrap_or_else(|_| v6.scope_id().to_string())
            )
        }
    }
}
