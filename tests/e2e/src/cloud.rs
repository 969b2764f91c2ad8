//! The cloud core under test: a real `antiphon-cloud serve` with a company and its owner.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::{PATIENCE, Program, gateway};

/// Mail address of the owner.
pub const OWNER: &str = "owner@example.com";

#[derive(Debug)]
pub struct Cloud {
    /// Where browsers find it: at the name that browsers trust without TLS.
    pub url: String,
    pub password: String,
    program: Program,
    at: IpAddr,
    config: PathBuf,
    /// Of its own authority, where it speaks TLS.
    root: Option<PathBuf>,
}

impl Cloud {
    /// Starts it at a host; it is reached from there alone.
    pub fn start(at: IpAddr, folder: &Path) -> Result<Self> {
        let url = format!("http://localhost:{API}");
        Self::start_as(at, folder, &url, &configuration(&url))
    }

    /// Starts it with its doors open to all hosts of the test, at the ports of the product.
    pub fn start_for_devices(at: IpAddr, folder: &Path) -> Result<Self> {
        let url = format!("https://{at}");
        let text = format!(
            "folder = \"core\"\nurl = \"{url}\"\n\
             [listen]\napi = \"{at}:443\"\ndevices = \"{at}:8883\"\n\
             revocation = \"{at}:80\"\nmetrics = \"127.0.0.1:18503\"\n\
             [calls]\nlisten = \"{at}:5061\"\nmedia_addresses = [\"{at}\"]\n"
        );
        let mut cloud = Self::start_as(at, folder, &url, &text)?;
        let root = Command::new(binary()?)
            .args(["admin", "root", "--config"])
            .arg(&cloud.config)
            .output()?;
        ensure!(root.status.success(), "no root: {root:?}");
        let file = folder.join("core-root.pem");
        std::fs::write(&file, root.stdout)?;
        cloud.root = Some(file);
        Ok(cloud)
    }

    fn start_as(at: IpAddr, folder: &Path, url: &str, configuration: &str) -> Result<Self> {
        let config = folder.join("core.toml");
        std::fs::write(&config, configuration)?;
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
        Ok(Self {
            url: url.to_owned(),
            password,
            program: serve(at, &config)?,
            at,
            config,
            root: None,
        })
    }

    /// Ends it as a power cut would, and starts it again on the same store.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.program.signal(Signal::SIGKILL)?;
        self.program.finish(PATIENCE)?;
        self.program = serve(self.at, &self.config)?;
        Ok(())
    }

    /// The file with the authority that it is believed by.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
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

fn serve(at: IpAddr, config: &Path) -> Result<Program> {
    let mut serve = Command::new(binary()?);
    serve.arg("serve").arg("--config").arg(config);
    let program = Program::start("antiphon-cloud", at, &serve)?;
    program.wait_for("the core serves")?;
    Ok(program)
}

fn binary() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || gateway::build("cloud-daemon", "antiphon-cloud");
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}
