//! pjsua2: the third independent client (pjsip), driven over the standard input
//! of `clients/pjsua2_station.py`.
//!
//! `scripts/setup.sh test` installs it where a ready-made package exists;
//! elsewhere [`Pjsua2::missing`] says why not.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::encrypted::Encrypted;
use crate::{Codec, Program};

#[derive(Debug)]
pub struct Pjsua2 {
    program: Program,
    recording: PathBuf,
    /// Where in what it said to look for the next event.
    mark: usize,
}

impl Pjsua2 {
    /// Why it is not there; `None` when it is.
    pub fn missing() -> Option<String> {
        let python = python();
        (!python.exists()).then(|| {
            "no ready-made package for this Python and processor, or setup was not run".to_owned()
        })
    }

    /// Starts it at `address`, SIP over UDP on port 5060, a-law; says 800 Hz.
    pub fn start(address: IpAddr, folder: &Path) -> Result<Self> {
        Self::start_with(address, folder, None)
    }

    /// Starts it with SIP over TLS and SRTP only.
    pub fn start_encrypted(address: IpAddr, folder: &Path, how: &Encrypted<'_>) -> Result<Self> {
        Self::start_with(address, folder, Some(how))
    }

    fn start_with(address: IpAddr, folder: &Path, how: Option<&Encrypted<'_>>) -> Result<Self> {
        let recording = folder.join(format!("pjsua2-{address}.wav"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/pjsua2_station.py");
        let mut command = Command::new(python());
        command.arg(script).arg(address.to_string()).arg(&recording);
        if let Some(how) = how {
            command.arg(how.authority).arg(how.suites);
        }
        let program = Program::start_listening("pjsua2", address, &command)?;
        let mut station = Self {
            program,
            recording,
            mark: 0,
        };
        station.event("ready")?;
        Ok(station)
    }

    /// Registers, and waits for it.
    pub fn register(&mut self, user: &str, password: &str, registrar: &str) -> Result<()> {
        let password = if password.is_empty() { "-" } else { password };
        self.command(&format!("register {user} {password} {registrar}"))?;
        let code = self.event("registration ")?;
        if !code.ends_with(" 200") {
            bail!("pjsua2: {code}");
        }
        Ok(())
    }

    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.command(&format!("call {uri}"))
    }

    /// From the next call on, it has this codec and no other, if it has it at all.
    pub fn speak_only(&mut self, codec: Codec) -> Result<()> {
        let name = codec.in_pjsua2().context("pjsua2 lacks this codec")?;
        self.command(&format!("codec {name}"))
    }

    /// Runs a command of the script: `answer`, `digit 5`, `hold`, `resume`,
    /// `transfer URI`, `hangup`.
    pub fn command(&mut self, line: &str) -> Result<()> {
        self.program.say(line)
    }

    /// Waits for the next line that begins with `name`: `call CONFIRMED`,
    /// `incoming`, `digit 5`, `transfer 200`, `media 1`...
    pub fn event(&mut self, name: &str) -> Result<String> {
        let found = self.program.wait_where(self.mark, name, |line| {
            if line.starts_with("refused") {
                return Some(Err(line.to_owned()));
            }
            line.starts_with(name).then(|| Ok(line.to_owned()))
        })?;
        let line = found.map_err(anyhow::Error::msg)?;
        let said = self.program.said();
        let from = said[self.mark..]
            .iter()
            .position(|said| *said == line)
            .unwrap_or(0);
        self.mark += from + 1;
        Ok(line)
    }

    /// What it heard; grows while it runs.
    pub fn heard(&self) -> &Path {
        &self.recording
    }
}

fn python() -> PathBuf {
    let state = std::env::var_os("ANTIPHON_STATE").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.antiphon");
    state.unwrap_or(root).join("pjsua2/bin/python")
}
