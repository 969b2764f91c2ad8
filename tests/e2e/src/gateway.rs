//! The gateway under test: a real `antiphon-gateway serve` with a configuration
//! of the test's own.
//!
//! Seen only from outside: its command line, its metrics page, its log, the
//! memory of its process.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::certificates::Identity;
use crate::{PATIENCE, Program, wait};

/// A gateway to be. Stations and the like stand in `directory`, as TOML.
#[derive(Debug)]
pub struct Setup<'a> {
    pub address: IpAddr,
    /// SIP over UDP and TCP; with `tls`, that is on the next port.
    pub port: u16,
    pub tls: Option<&'a Identity>,
    /// Whose certificates stations must show, over TLS.
    pub client_authorities: Option<PathBuf>,
    pub directory: String,
    /// Whether calls are encrypted, in the words of the configuration.
    pub srtp: &'a str,
    /// Addresses that call without a password.
    pub trusted: Vec<String>,
    /// More tables of the configuration.
    pub more: String,
}

impl Setup<'_> {
    pub fn new(address: IpAddr) -> Self {
        Self {
            address,
            port: 5060,
            tls: None,
            client_authorities: None,
            directory: String::new(),
            srtp: "preferred",
            trusted: Vec::new(),
            more: String::new(),
        }
    }

    /// Adds a station that registers with a password, and what else is known of it.
    #[must_use]
    pub fn station(mut self, number: &str, more: &str) -> Self {
        self.directory += &format!(
            "[[stations]]\nnumber = \"{number}\"\npassword = \"{}\"\nallow_md5 = true\n{more}\n",
            password(number)
        );
        self
    }

    #[must_use]
    pub fn directory(mut self, more: &str) -> Self {
        self.directory += more;
        self
    }

    #[must_use]
    pub fn trusted(mut self, address: &str) -> Self {
        self.trusted.push(address.to_owned());
        self
    }

    #[must_use]
    pub fn more(mut self, more: &str) -> Self {
        self.more += more;
        self
    }
}

/// The password of each station in these tests.
pub fn password(number: &str) -> String {
    format!("correct-horse-{number}")
}

/// From the port of SIP to that of the metrics.
pub const METRICS: u16 = 4400;

/// The SIP realm of the gateway in these tests.
pub const REALM: &str = "e2e";

#[derive(Debug)]
pub struct Gateway {
    program: Program,
    pub address: IpAddr,
    port: u16,
    folder: PathBuf,
    metrics: SocketAddr,
}

impl Gateway {
    /// Starts it; returns once it serves.
    pub fn start(setup: &Setup<'_>, folder: &Path) -> Result<Self> {
        let folder = folder.join("gateway");
        std::fs::create_dir_all(folder.join("state"))?;
        std::fs::write(folder.join("gateway.toml"), configuration(setup, &folder))?;
        std::fs::write(folder.join("directory.toml"), &setup.directory)?;
        let metrics = SocketAddr::new(setup.address, setup.port + METRICS);
        let program = serve(setup.address, &folder)?;
        Ok(Self {
            program,
            address: setup.address,
            port: setup.port,
            folder,
            metrics,
        })
    }

    /// Ends it as a power cut would, and starts it again on the same state.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.program.signal(Signal::SIGKILL)?;
        self.program.finish(PATIENCE)?;
        self.program = serve(self.address, &self.folder)?;
        Ok(())
    }

    /// Asks it to stop; an error unless it ends well.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.program.stop()?;
        ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    }

    /// `user` at this gateway, as a SIP URI.
    pub fn uri(&self, user: &str) -> String {
        match self.port {
            5060 => format!("sip:{user}@{}", self.address),
            port => format!("sip:{user}@{}", SocketAddr::new(self.address, port)),
        }
    }

    pub fn sip(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    pub fn sips(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port + 1)
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Writes the directory anew and has it read.
    pub fn change_directory(&self, directory: &str) -> Result<()> {
        std::fs::write(self.folder.join("directory.toml"), directory)?;
        self.ask(&["reload"]).map(|_| ())
    }

    /// Runs a command of the command line against it, with `--json`.
    pub fn ask(&self, words: &[&str]) -> Result<Value> {
        let said = self.run(&[words, &["--json"]].concat())?;
        serde_json::from_str(&said).context(said)
    }

    /// Runs a command of the command line against it; what it prints.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let output = Command::new(binary()?)
            .args(words)
            .arg("--socket")
            .arg(socket_in(&self.folder))
            .output()?;
        if !output.status.success() {
            bail!("{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The calls of this moment.
    pub fn calls(&self) -> Result<Vec<Value>> {
        let calls = self.ask(&["calls"])?;
        let list = calls.as_array().or_else(|| calls["calls"].as_array());
        Ok(list.with_context(|| format!("no list: {calls}"))?.clone())
    }

    /// Waits until there are `number` calls.
    pub fn wait_for_calls(&self, number: usize) -> Result<()> {
        let mut last = Vec::new();
        let reached = wait::until_true("the right number of calls", || {
            last = self.calls()?;
            Ok(last.len() == number)
        });
        reached.with_context(|| format!("{number} calls wanted, there are {last:#?}"))
    }

    /// Waits until the only call is in this state: `ringing`, `talking`, `held`...
    pub fn wait_for_state(&self, state: &str) -> Result<()> {
        let mut last = Vec::new();
        let reached = wait::until_true("a state of the call", || {
            last = self.calls()?;
            Ok(last.len() == 1 && last[0]["state"] == state)
        });
        reached.with_context(|| format!("'{state}' wanted, there is {last:#?}"))
    }

    /// Where a station's devices are registered.
    pub fn contacts(&self, number: &str) -> Result<Vec<String>> {
        let stations = self.ask(&["stations"])?;
        let list = stations
            .as_array()
            .or_else(|| stations["stations"].as_array());
        let list = list.with_context(|| format!("no list: {stations}"))?;
        let station = list.iter().find(|station| station["number"] == number);
        let station = station.with_context(|| format!("no station {number}: {stations}"))?;
        let contacts = station["contacts"].as_array().context("contacts")?;
        Ok(contacts
            .iter()
            .filter_map(|contact| contact.as_str().map(str::to_owned))
            .collect())
    }

    /// All figures of the metrics page, by name with labels.
    pub fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let mut stream = TcpStream::connect(self.metrics).context("the metrics page")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        ensure!(
            text.starts_with("HTTP/1.1 200"),
            "the metrics page says: {text}"
        );
        let figure = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        Ok(text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(figure)
            .collect())
    }

    /// The sum of all figures whose name (with labels) contains each of `parts`.
    pub fn metric(&self, parts: &[&str]) -> Result<f64> {
        let metrics = self.metrics()?;
        let fits = |name: &str| parts.iter().all(|part| name.contains(part));
        let fitting: Vec<f64> = metrics
            .iter()
            .filter(|(name, _)| fits(name))
            .map(|(_, value)| *value)
            .collect();
        if fitting.is_empty() {
            let names: Vec<&String> = metrics.keys().collect();
            bail!("no metric with {parts:?} among {names:#?}");
        }
        Ok(fitting.iter().sum())
    }

    /// Waits until [`Gateway::metric`] has grown to `least`.
    pub fn wait_for_metric(&self, parts: &[&str], least: f64) -> Result<()> {
        wait::until_true(&format!("{parts:?} of the gateway to be {least}"), || {
            Ok(self.metric(parts)? >= least)
        })
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        self.program.resident_kib()
    }
}

fn serve(address: IpAddr, folder: &Path) -> Result<Program> {
    let ready = folder.join("ready.json");
    if ready.exists() {
        std::fs::remove_file(&ready)?;
    }
    let mut command = Command::new(binary()?);
    command
        .arg("serve")
        .arg("--config")
        .arg(folder.join("gateway.toml"));
    command.arg("--ready-file").arg(&ready);
    let mut program = Program::start("the gateway", address, &command)?;
    wait::until_true("the gateway to serve", || {
        ensure!(program.runs()?, "the gateway ended; its words are above");
        Ok(ready.exists())
    })?;
    Ok(program)
}

/// The control socket of a gateway that was started in `folder`.
pub fn control_socket(folder: &Path) -> PathBuf {
    socket_in(&folder.join("gateway"))
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// The program, built once per test run so that it is never an old one.
pub fn binary() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || build("gateway-daemon", "antiphon-gateway");
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Builds a program of this workspace, which is quick where nothing has changed.
pub fn build(package: &str, program: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo told this test about itself would make build scripts run again.
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy();
        if ours.starts_with("CARGO_PKG_") || ours.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&name);
        }
    }
    let output = build
        .args(["build", "--locked", "--package", package, "--bin", program])
        .args(["--message-format", "json"])
        .output()
        .context("could not run cargo build")?;
    ensure!(
        output.status.success(),
        "{program} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == program;
        message["executable"]
            .as_str()
            .filter(|_| ours)
            .map(PathBuf::from)
    });
    executable.context("cargo build named no executable")
}

fn configuration(setup: &Setup<'_>, folder: &Path) -> String {
    let at = |offset: u16| SocketAddr::new(setup.address, setup.port + offset);
    let folder = folder.display();
    let mut text = format!(
        "name = \"{REALM}\"\n\
         state_folder = \"{folder}/state\"\n\
         control_socket = \"{folder}/control.sock\"\n\
         directory = \"directory.toml\"\n\
         [sip]\ntrusted_peers = {:?}\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"{}\"\n\
         [[sip.listen]]\ntransport = \"tcp\"\naddress = \"{}\"\n",
        setup.trusted,
        at(0),
        at(0)
    );
    if let Some(identity) = setup.tls {
        text += &format!(
            "[[sip.listen]]\ntransport = \"tls\"\naddress = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
            at(1),
            identity.certificate.display(),
            identity.key.display()
        );
        if let Some(authorities) = &setup.client_authorities {
            text += &format!("client_authorities = \"{}\"\n", authorities.display());
        }
    }
    text += &format!(
        "[media]\nports = \"20000-20199\"\nthreads = 2\nsrtp = \"{}\"\n[metrics]\nlisten = \"{}\"\n",
        setup.srtp,
        at(METRICS)
    );
    text + &setup.more
}
