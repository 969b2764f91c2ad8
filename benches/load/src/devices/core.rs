//! The cloud core with its store: made, filled before it starts, asked beside it.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::rows::{COMPANY, Rows};
use super::web::Web;
use crate::report::Samples;

const OWNER: &str = "anna@example.com";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Ended when it is dropped.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) company: String,
    program: PathBuf,
    folder: PathBuf,
    /// Of the server, where there is one.
    address: Option<String>,
    api: SocketAddr,
    password: String,
    running: Option<Child>,
}

impl Core {
    /// Makes folder, tables, company and owner.
    pub(super) fn prepare(program: &Path, folder: &Path, engine: Engine) -> Result<Self> {
        let address = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(test_postgres::database()?),
        };
        let ports: Vec<u16> = (0..4).map(|_| free_port()).collect::<Result<_>>()?;
        let store = address.as_ref().map_or_else(String::new, |address| {
            format!("[store]\npostgres = \"{address}\"\n")
        });
        let text = format!(
            "folder = \"data\"\nurl = \"https://localhost\"\n\
             [listen]\napi = \"127.0.0.1:{}\"\napi_tls = \"off\"\ndevices = \"127.0.0.1:{}\"\n\
             revocation = \"127.0.0.1:{}\"\nmetrics = \"127.0.0.1:{}\"\n\
             [limits]\nrequests_per_caller = 1000000\nrequests_per_address = 1000000\n\
             [log]\nlevel = \"warn\"\n{store}",
            ports[0], ports[1], ports[2], ports[3],
        );
        fs::write(folder.join("core.toml"), text)?;
        let mut core = Self {
            engine,
            company: String::new(),
            program: program.to_owned(),
            folder: folder.to_owned(),
            address,
            api: SocketAddr::from(([127, 0, 0, 1], ports[0])),
            password: String::new(),
            running: None,
        };
        let made = core
            .command("init")
            .args(["--company", "Load", "--owner", OWNER])
            .output()
            .with_context(|| format!("{} does not start", program.display()))?;
        let told = String::from_utf8_lossy(&made.stdout).into_owned();
        let failed = String::from_utf8_lossy(&made.stderr).into_owned();
        ensure!(made.status.success(), "{told}{failed}");
        let password = told
            .lines()
            .find_map(|line| line.trim().strip_prefix("password, shown only now: "));
        password
            .context("init tells no password")?
            .clone_into(&mut core.password);
        core.company = core.first_company()?;
        Ok(core)
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args([what, "--config"])
            .arg(self.folder.join("core.toml"))
            .stdin(Stdio::null());
        command
    }

    fn first_company(&self) -> Result<String> {
        let statement = "SELECT id FROM company";
        match &self.address {
            None => Ok(self.file()?.query_row(statement, [], |row| row.get(0))?),
            Some(address) => Ok(psql(address, &["-tAc", statement], None)?.trim().to_owned()),
        }
    }

    fn file(&self) -> Result<rusqlite::Connection> {
        Ok(rusqlite::Connection::open(
            self.folder.join("data/core.db"),
        )?)
    }

    /// Puts the company's rows into the store.
    pub(super) fn fill(&self, rows: &Rows) -> Result<()> {
        for (table, columns, text) in &rows.tables {
            let text = text.replace(COMPANY, &self.company);
            match &self.address {
                None => self.fill_file(table, columns, &text)?,
                Some(address) => {
                    let copy = format!("COPY {table} ({columns}) FROM STDIN");
                    psql(address, &["-c", &copy], Some(&text))?;
                }
            }
        }
        match &self.address {
            // As its own housekeeping leaves it.
            Some(address) => psql(address, &["-c", "VACUUM ANALYZE"], None).map(|_| ()),
            None => Ok(()),
        }
    }

    fn fill_file(&self, table: &str, columns: &str, text: &str) -> Result<()> {
        let mut file = self.file()?;
        let tx = file.transaction()?;
        let count = columns.split(',').count();
        let places: Vec<_> = (1..=count).map(|place| format!("?{place}")).collect();
        let places = places.join(", ");
        let mut insert = tx.prepare(&format!(
            "INSERT INTO {table} ({columns}) VALUES ({places})"
        ))?;
        for line in text.lines() {
            insert.execute(rusqlite::params_from_iter(line.split('\t')))?;
        }
        drop(insert);
        Ok(tx.commit()?)
    }

    /// Starts it, and signs in.
    pub(super) fn serve(&mut self) -> Result<Web> {
        let log = File::create(self.folder.join("log"))?;
        let started = self
            .command("serve")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.running = Some(started);
        let begun = Instant::now();
        while TcpStream::connect(self.api).is_err() {
            if begun.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("the core does not listen: {log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut web = Web::open(self.api)?;
        web.sign_in(OWNER, &self.password)?;
        Ok(web)
    }

    /// What the engine alone takes for a statement that is prepared once.
    pub(super) fn bare(&self, statement: &str, times: u32) -> Result<Samples> {
        match &self.address {
            None => self.bare_file(statement, times),
            Some(address) => bare_server(address, &self.company, statement, times),
        }
    }

    fn bare_file(&self, statement: &str, times: u32) -> Result<Samples> {
        let file = self.file()?;
        let mut prepared = file.prepare(statement)?;
        let mut samples = Samples::default();
        for round in 0..=times {
            let begun = Instant::now();
            let mut rows = prepared.query([&self.company])?;
            let mut octets = 0;
            while let Some(row) = rows.next()? {
                octets += row.get_ref(0)?.as_str().map_or(0, str::len);
            }
            std::hint::black_box(octets);
            if round > 0 {
                samples.push(begun.elapsed());
            }
        }
        Ok(samples)
    }
}

/// By `psql`, which tells how long each answer took.
fn bare_server(address: &str, company: &str, statement: &str, times: u32) -> Result<Samples> {
    let mut script =
        format!("PREPARE question (text) AS {statement};\n\\timing on\n\\o /dev/null\n");
    for _ in 0..=times {
        script += &format!("EXECUTE question ('{company}');\n");
    }
    let told = psql(address, &["-q"], Some(&script))?;
    let mut samples = Samples::default();
    let times = told.lines().filter_map(|line| {
        let ms = line.strip_prefix("Time: ")?.split(' ').next()?;
        ms.parse::<f64>().ok()
    });
    for ms in times.skip(1) {
        samples.push(Duration::from_secs_f64(ms / 1000.0));
    }
    ensure!(samples.len() > 0, "psql told no times: {told}");
    Ok(samples)
}

fn psql(address: &str, words: &[&str], input: Option<&str>) -> Result<String> {
    let mut child = Command::new("psql")
        .arg(address)
        .args(["-v", "ON_ERROR_STOP=1", "--no-psqlrc"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("psql")?;
    let mut stdin = child.stdin.take().context("its input")?;
    let input = input.unwrap_or_default().to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let written = writer.join().map_err(|_| anyhow::anyhow!("psql's input"))?;
    let failed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "psql: {failed}");
    written?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            crate::compare::end(running);
        }
    }
}
