//! The program, its commands, and a client of few words for its interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Core {
    _folder: TempDir,
    config: PathBuf,
    port: u16,
    running: Option<Child>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What the answer gives to be sent back.
    pub(crate) cookie: String,
}

impl Core {
    pub(crate) fn with_file() -> Self {
        Self::new("")
    }

    pub(crate) fn with_server() -> Self {
        let address = test_postgres::database().expect("a PostgreSQL server for the tests");
        Self::new(&format!("[store]\npostgres = \"{address}\"\n"))
    }

    /// A core with a company and its owner.
    fn new(store: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("core.toml");
        let ports = free_ports();
        let text = format!(
            "folder = \"data\"\nurl = \"http://localhost:{}\"\n[listen]\n\
             api = \"127.0.0.1:{}\"\napi_tls = \"off\"\ndevices = \"127.0.0.1:{}\"\n\
             revocation = \"127.0.0.1:{}\"\nmetrics = \"127.0.0.1:{}\"\n{store}",
            ports[0], ports[0], ports[1], ports[2], ports[3]
        );
        std::fs::write(&config, text).expect("the configuration is written");
        let core = Self {
            _folder: folder,
            config,
            port: ports[0],
            running: None,
        };
        core.does(&["init", "--company", "Clinics", "--owner", super::OWNER]);
        core
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon-cloud"));
        command.args(words).arg("--config").arg(&self.config);
        command.output().expect("the program is there")
    }

    /// What the command says.
    pub(crate) fn does(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {told}");
        String::from_utf8(output.stdout).expect("it says text")
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let said = self.does(&[words, &["--json"]].concat());
        serde_json::from_str(&said).expect("it says JSON")
    }

    /// Why the command did nothing.
    pub(crate) fn fails(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?} should fail");
        assert!(output.stdout.is_empty(), "{words:?} said something");
        String::from_utf8(output.stderr).expect("it says text")
    }

    pub(crate) fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon-cloud"));
        command.arg("serve").arg("--config").arg(&self.config);
        let started = command.stderr(Stdio::piped()).spawn();
        let mut running = started.expect("the program is there");
        let said = running.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let serves = lines.by_ref().any(|line| line.contains("the core serves"));
        self.running = Some(running);
        assert!(serves, "the core ended before it served");
        // Whoever writes into a pipe that nobody reads stops at some time.
        std::thread::spawn(move || lines.for_each(drop));
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let headers = format!(
            "sec-fetch-site: same-origin\r\ncontent-type: application/json\r\ncontent-length: {}",
            body.len()
        );
        self.ask(&format!("POST {path} HTTP/1.1\r\n{headers}"), &body)
    }

    pub(crate) fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\ncookie: {cookie}"), "")
    }

    fn ask(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let request = format!("{head}\r\nhost: localhost\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let cookie = answer.lines().find_map(|line| {
            let value = line.strip_prefix("set-cookie: ")?;
            value.split(';').next()
        });
        Answer {
            status: status.expect("an answer of HTTP"),
            cookie: cookie.unwrap_or_default().to_owned(),
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}

/// Held all at once, so that they differ.
fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}
