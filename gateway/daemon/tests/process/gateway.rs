//! A running gateway in a folder of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// For whatever should happen at once on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_antiphon-gateway");

pub(crate) const PASSWORD: &str = "open sesame 4711";

/// The program with these arguments, run to its end.
pub(crate) fn run<const N: usize>(arguments: [&str; N]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// A site with these stations, each with the same password.
pub(crate) fn directory(numbers: &[&str]) -> String {
    numbers
        .iter()
        .map(|number| {
            format!("[[stations]]\nnumber = \"{number}\"\nname = \"Maria Gruber\"\npassword = \"{PASSWORD}\"\n")
        })
        .collect()
}

/// A folder with a configuration.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new(directory: &str) -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let configuration = "
            name = \"house\"
            state_folder = \"state\"
            control_socket = \"control.sock\"
            directory = \"directory.toml\"
            [[sip.listen]]
            transport = \"udp\"
            address = \"127.0.0.1:0\"
            [[sip.listen]]
            transport = \"tcp\"
            address = \"127.0.0.1:0\"
            [media]
            ports = \"20000-29999\"
            [metrics]
            listen = \"127.0.0.1:0\"
            [log]
            level = \"debug\"
            [stop]
            grace = \"10m\"
        ";
        std::fs::write(site.path("gateway.toml"), configuration).unwrap();
        site.write_directory(directory);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write_directory(&self, directory: &str) {
        // At once, so that the gateway never reads half of it.
        std::fs::write(self.path("new"), directory).unwrap();
        std::fs::rename(self.path("new"), self.path("directory.toml")).unwrap();
    }

    pub(crate) fn start(&self) -> Gateway {
        self.start_by(&mut Command::new(PROGRAM))
    }

    /// Starts it by a command that ends with running the program.
    pub(crate) fn start_by(&self, command: &mut Command) -> Gateway {
        let _ = std::fs::remove_file(self.path("ready.json"));
        let mut child = command
            .args(["serve", "--config"])
            .arg(self.path("gateway.toml"))
            .arg("--ready-file")
            .arg(self.path("ready.json"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut gateway = Gateway {
            child,
            socket: self.path("control.sock"),
            lines,
            log: String::new(),
            ready: Value::Null,
        };
        gateway.wait_for(" ready ");
        gateway.ready = json(&std::fs::read(self.path("ready.json")).unwrap());
        gateway
    }
}

/// The running process; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    socket: PathBuf,
    lines: Receiver<String>,
    /// Everything logged so far.
    pub(crate) log: String,
    ready: Value,
}

impl Gateway {
    pub(crate) fn sip(&self, transport: &str) -> SocketAddr {
        let listeners = self.ready["listeners"].as_array().unwrap();
        let found = listeners
            .iter()
            .find(|at| at["transport"] == transport)
            .unwrap();
        found["address"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn metrics(&self) -> SocketAddr {
        self.ready["metrics"].as_str().unwrap().parse().unwrap()
    }

    /// Runs a command of the program against this gateway.
    pub(crate) fn command<const N: usize>(&self, arguments: [&str; N]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .arg("--socket")
            .arg(&self.socket)
            .output()
            .unwrap()
    }

    pub(crate) fn json<const N: usize>(&self, arguments: [&str; N]) -> Value {
        let mut all: Vec<&str> = arguments.to_vec();
        all.push("--json");
        let output = Command::new(PROGRAM)
            .args(all)
            .arg("--socket")
            .arg(&self.socket)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        json(&output.stdout)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Reads the log until a line holds `part`.
    pub(crate) fn wait_for(&mut self, part: &str) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let found = line.contains(part);
                    self.log += &line;
                    self.log.push('\n');
                    if found {
                        return;
                    }
                }
                Err(error) => panic!("no {part:?} in the log ({error}):\n{}", self.log),
            }
        }
    }

    /// Waits for the end; answers the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.log += &line;
        }
        code
    }

    /// Ends the process as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", text(bytes)))
}
