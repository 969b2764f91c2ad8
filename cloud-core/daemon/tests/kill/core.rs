//! The program under test: set up, started, killed, and its tables read while it is dead.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::Stored;

#[derive(Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Server(String),
}

pub(crate) struct Core {
    place: Place,
    folder: PathBuf,
    config: PathBuf,
    log: PathBuf,
    /// Of the listener for tests.
    pub(crate) port: u16,
    /// Of the interface for people.
    pub(crate) api: u16,
    running: Option<Child>,
}

/// What a browser writes to reach it; several nodes have one.
pub(crate) const URL: &str = "http://localhost";

const STORED: &str = "SELECT device_id, count(*) AS n, count(DISTINCT seq) AS different,
    max(seq) AS last FROM device_event GROUP BY device_id";

impl Core {
    pub(crate) fn new(folder: &Path, place: Place) -> Self {
        let ports: Vec<_> = (0..5).map(|_| free_port()).collect();
        let store = match &place {
            Place::File(_) => String::new(),
            Place::Server(address) => format!("[store]\npostgres = \"{address}\"\n"),
        };
        let config = folder.join("core.toml");
        let text = format!(
            "folder = \"data\"\nurl = \"{URL}\"\n\
             [listen]\napi = \"127.0.0.1:{}\"\napi_tls = \"off\"\ndevices = \"127.0.0.1:{}\"\n\
             revocation = \"127.0.0.1:{}\"\ndevices_plain = \"127.0.0.1:{}\"\n\
             metrics = \"127.0.0.1:{}\"\n[log]\nlevel = \"warn\"\n{store}",
            ports[0], ports[1], ports[2], ports[3], ports[4],
        );
        std::fs::write(&config, text).expect("the configuration is written");
        let log = folder.join("log");
        Self {
            place,
            folder: folder.to_owned(),
            config,
            log,
            port: ports[3],
            api: ports[0],
            running: None,
        }
    }

    /// Another node of the same core: the same tables, the same keys.
    pub(crate) fn another(&self, folder: &Path) -> Self {
        let other = Self::new(folder, self.place.clone());
        let data = folder.join("data");
        std::fs::create_dir(&data).expect("a folder for its keys");
        let keys = self.folder.join("data/keys");
        std::fs::copy(keys, data.join("keys")).expect("the keys are there");
        other
    }

    /// The password of the owner of the company that it makes.
    pub(crate) fn init(&self, owner: &str) -> String {
        let mut command = self.command("init");
        command.args(["--company", "Clinics", "--owner", owner]);
        let output = command.output().expect("the program is there");
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "init: {failed}");
        let told = String::from_utf8_lossy(&output.stdout);
        let password = told
            .lines()
            .find_map(|line| line.trim().strip_prefix("password, shown only now: "));
        password.expect("it tells the password").to_owned()
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon-cloud"));
        command
            .args([what, "--config"])
            .arg(&self.config)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn start(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log);
        let log = log.expect("a file for the log");
        let started = self
            .command("serve")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.running = Some(started.expect("the program is there"));
    }

    /// SIGKILL: no farewell, nothing flushed.
    pub(crate) fn kill(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let ended = running.try_wait().expect("it can be asked");
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        assert!(ended.is_none(), "it had ended by itself: {log}");
        running.kill().expect("it runs");
        running.wait().expect("it ends");
    }

    /// Devices of the company, as a claim leaves them.
    pub(crate) async fn register(&self, names: &[String]) {
        let rows: Vec<_> = names
            .iter()
            .map(|name| format!("('{name}', (SELECT id FROM company), 1, 1)"))
            .collect();
        let rows = rows.join(", ");
        self.execute(format!(
            "INSERT INTO device (id, company_id, version, created) VALUES {rows}"
        ))
        .await;
    }

    async fn execute(&self, statement: String) {
        let statement = AssertSqlSafe(statement);
        match &self.place {
            Place::File(_) => {
                let done = sqlx::query(statement).execute(&mut self.file().await).await;
                done.map(|done| done.rows_affected())
            }
            Place::Server(address) => {
                let mut server = PgConnection::connect(address)
                    .await
                    .expect("the server is there");
                let done = sqlx::query(statement).execute(&mut server).await;
                done.map(|done| done.rows_affected())
            }
        }
        .expect("the statement is carried out");
    }

    async fn file(&self) -> SqliteConnection {
        let Place::File(file) = &self.place else {
            panic!("this core has a server")
        };
        let address = format!("sqlite://{}", file.display());
        SqliteConnection::connect(&address)
            .await
            .expect("the database is there")
    }

    pub(crate) async fn stored(&self) -> HashMap<String, Stored> {
        match &self.place {
            Place::File(_) => {
                let rows = sqlx::query(STORED).fetch_all(&mut self.file().await).await;
                let rows = rows.expect("the tables are there");
                rows.iter()
                    .map(|row| {
                        let (count, different) = (row.get("n"), row.get("different"));
                        let last = row.get("last");
                        (
                            row.get("device_id"),
                            Stored {
                                count,
                                different,
                                last,
                            },
                        )
                    })
                    .collect()
            }
            Place::Server(address) => {
                let mut server = PgConnection::connect(address)
                    .await
                    .expect("the server is there");
                let rows = sqlx::query(STORED).fetch_all(&mut server).await;
                let rows = rows.expect("the tables are there");
                rows.iter()
                    .map(|row| {
                        let (count, different) = (row.get("n"), row.get("different"));
                        let last = row.get("last");
                        (
                            row.get("device_id"),
                            Stored {
                                count,
                                different,
                                last,
                            },
                        )
                    })
                    .collect()
            }
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

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
