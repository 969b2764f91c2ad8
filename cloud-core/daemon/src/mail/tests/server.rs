//! The foreign mail server as a process, and a foreign reader of what it took.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use settings::values::Secret;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::{Mail as Settings, MailEncryption};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mail/tests/server.py");

const SOON: Duration = Duration::from_secs(20);

/// How the server behaves.
pub(super) struct Mood {
    pub(super) tls: &'static str,
    pub(super) user: Option<(&'static str, &'static str)>,
    pub(super) refuse: Option<&'static str>,
    pub(super) grey: u32,
    pub(super) drop: u32,
    pub(super) port: u16,
}

impl Default for Mood {
    fn default() -> Self {
        Self {
            tls: "none",
            user: None,
            refuse: None,
            grey: 0,
            drop: 0,
            port: 0,
        }
    }
}

pub(super) struct Server {
    pub(super) port: u16,
    mood: Mood,
    process: Child,
    said: mpsc::UnboundedReceiver<String>,
    authority: Option<String>,
    _folder: TempDir,
}

impl Server {
    pub(super) async fn start(mood: Mood) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Debian's, with Debian's packages.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(PROGRAM).args(["--tls", mood.tls]);
        let mut authority = None;
        if mood.tls != "none" {
            let (certificate, key) = (folder.path().join("cert"), folder.path().join("key"));
            let made = certificates();
            std::fs::write(&certificate, made.server).unwrap();
            std::fs::write(&key, made.key).unwrap();
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
            authority = Some(made.authority);
        }
        if let Some((user, password)) = mood.user {
            command.args(["--user", user, "--password", password]);
        }
        if let Some(refuse) = mood.refuse {
            command.args(["--refuse", refuse]);
        }
        command.args(["--grey", &mood.grey.to_string()]);
        command.args(["--drop", &mood.drop.to_string()]);
        command.args(["--port", &mood.port.to_string()]);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // It tells of each refused handshake at length.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (says, said) = mpsc::unbounded_channel();
        spawn_blocking(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody listens any more when the test is over.
                let _ = says.send(line);
            }
        });
        let mut server = Self {
            port: 0,
            mood,
            process,
            said,
            authority,
            _folder: folder,
        };
        let told = server.letter().await;
        server.port = u16::try_from(told["port"].as_u64().unwrap()).unwrap();
        server
    }

    /// As a core is told to use it.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            // The name in its certificate.
            host: "localhost".to_owned(),
            port: self.port,
            encryption: match self.mood.tls {
                "none" => MailEncryption::Off,
                "starttls" => MailEncryption::Starttls,
                _ => MailEncryption::Tls,
            },
            user: self.mood.user.map(|(user, _)| user.to_owned()),
            password: self.mood.user.map(|(_, password)| Secret::new(password)),
            authority: self.authority.clone(),
            from: "Antiphon <no-reply@example.com>".to_owned(),
        }
    }

    /// The next letter it took.
    pub(super) async fn letter(&mut self) -> Value {
        let line = timeout(SOON, self.said.recv()).await;
        let line = line.expect("a letter in time");
        let line = line.expect("a server that lives; is python3-aiosmtpd installed?");
        serde_json::from_str(&line).unwrap()
    }

    /// It took nothing that was not asked for: what it took, it has said before it answered.
    pub(super) async fn has_no_more(&mut self) {
        self.end();
        let rest = timeout(SOON, self.said.recv()).await;
        assert_eq!(rest.expect("it ends"), None);
    }

    /// At once, and it is gone afterwards.
    pub(super) fn end(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already over where the test ended it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Certificates {
    authority: String,
    server: String,
    key: String,
}

fn certificates() -> Certificates {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = params.signed_by(&key, &authority).unwrap();
    Certificates {
        authority: authority.pem(),
        server: server.pem(),
        key: key.serialize_pem(),
    }
}

/// A message as Python's own reader of mail understands it.
pub(super) async fn parsed(message: &str) -> Value {
    const READER: &str = "
import email, email.policy, json, sys
message = email.message_from_string(sys.stdin.read(), policy=email.policy.default)
parts = [part for part in message.walk() if not part.is_multipart()]
print(json.dumps({
    'subject': message['subject'],
    'headers': [name.lower() for name in message.keys()],
    'types': [part.get_content_type() for part in parts],
    'bodies': [part.get_content() for part in parts],
}))";
    let message = message.to_owned();
    let read = spawn_blocking(move || {
        let mut process = Command::new("/usr/bin/python3")
            .args(["-c", READER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(message.as_bytes()).unwrap();
        drop(stdin);
        process.wait_with_output().unwrap()
    });
    let output = timeout(SOON, read).await.unwrap().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}
