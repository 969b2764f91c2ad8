//! The cloud core under test: a real `antiphon-cloud serve` with a company and its owner.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, ensure};

use crate::{PATIENCE, Program, gateway};

/// Mail address of the owner.
pub const OWNER: &str = "owner@example.com";

#[derive(Debug)]
pub struct Cloud {
    /// Where browsers find it: at the name that browsers trust without TLS.
    pub url: String,
    pub password: String,
    program: Program,
}

impl Cloud {
    /// Starts it at a host; it is reached from there alone.
    pub fn start(at: IpAddr, folder: &Path) -> Result<Self> {
        let url = format!("http://localhost:{API}");
        let config = folder.join("core.toml");
        std::fs::write(&config, configuration(&url))?;
        let mut init = Command::new(binary()?);
        init.arg("init").arg("--config").arg(&config);
        init.args(["--company", "Clinics", "--owner", OWNER]);
        let mut init = Program::start("antiphon-cloud init", at, &init)?;
        let shown = "shown only now: ";
        let password = init.wait_where(0, "a password", |line| {
            line.split_once(shown)
                .map(|(_, password)| password.to_owned())
        })?;
        ensure!(init.finish(PATIENCE)?.success(), "init failed");
        let mut serve = Command::new(binary()?);
        serve.arg("serve").arg("--config").arg(&config);
        let program = Program::start("antiphon-cloud", at, &serve)?;
        program.wait_for("the core serves")?;
        Ok(Self {
            url,
            password,
            program,
        })
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }
}

// The host is this test's alone.
const API: u16 = 18_500;

fn configuration(url: &str) -> String {
    format!(
        "folder = \"core\"\nurl = \"{url}\"\n\
         [listen]\napi = \"127.0.0.1:{API}\"\napi_tls = \"off\"\n\
         devices = \"127.0.0.1:18501\"\nrevocation = \"127.0.0.1:18502\"\n\
         metrics = \"127.0.0.1:18503\"\n"
    )
}

fn binary() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || gateway::build("cloud-daemon", "antiphon-cloud");
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}
