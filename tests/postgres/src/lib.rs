//! A PostgreSQL server of its own for each test process, a database for each test.
//!
//! The first `database()` starts a server in a folder of its own, reachable by a Unix socket only;
//! it ends, and its folder goes, when the process ends, however it ends: a shell beside it waits for
//! the pipe to close. Needs Debian's `postgresql`. Invariant: no two calls give the same database.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

/// Makes the cluster, starts it, says so, waits for the end of its input, and clears up.
const LIFE: &str = r#"
set -e
"$BIN/initdb" --pgdata="$DIR/data" --username=postgres --auth=trust --encoding=UTF8 \
    --locale=C.UTF-8 --no-sync >"$DIR/log" 2>&1
"$BIN/pg_ctl" --pgdata="$DIR/data" --wait --log="$DIR/log" --options="\
    -c listen_addresses= -c unix_socket_directories=$DIR -c max_connections=300 \
    -c shared_buffers=32MB -c fsync=$FSYNC" start >/dev/null
echo ready
cat >/dev/null
"$BIN/pg_ctl" --pgdata="$DIR/data" --mode=immediate stop >/dev/null
rm -rf "$DIR"
"#;

/// The server of this process.
#[derive(Debug)]
struct Server {
    folder: PathBuf,
    programs: PathBuf,
    /// Its standard input is the sign of life.
    _keeper: Child,
}

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Ignored,
    Awaited,
}

type Started = OnceLock<Result<Server, String>>;

/// The address of an empty database that nobody else uses.
pub fn database() -> Result<String> {
    static SERVER: Started = OnceLock::new();
    database_of(&SERVER, Disk::Ignored)
}

/// As `database`, on a server whose commits survive a power cut: for measuring.
pub fn durable_database() -> Result<String> {
    static SERVER: Started = OnceLock::new();
    database_of(&SERVER, Disk::Awaited)
}

fn database_of(server: &'static Started, disk: Disk) -> Result<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = server.get_or_init(|| Server::start(disk).map_err(|error| format!("{error:#}")));
    let server = match server {
        Ok(server) => server,
        Err(why) => bail!("{why}"),
    };
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let made = Command::new(server.programs.join("createdb"))
        .args(["--username=postgres", "--template=template0", &name])
        .arg("--host")
        .arg(&server.folder)
        .output()
        .context("createdb")?;
    if !made.status.success() {
        bail!("createdb: {}", String::from_utf8_lossy(&made.stderr));
    }
    let host = server.folder.display().to_string().replace('/', "%2F");
    Ok(format!("postgres://postgres@localhost/{name}?host={host}"))
}

impl Server {
    fn start(disk: Disk) -> Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new()
            .prefix("antiphon-postgres-")
            .tempdir()
            .context("a folder for PostgreSQL")?
            .keep();
        let mut keeper = as_server_user(&folder)?
            .env("BIN", &programs)
            .env("DIR", &folder)
            .env(
                "FSYNC",
                match disk {
                    Disk::Ignored => "off",
                    Disk::Awaited => "on",
                },
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("starting PostgreSQL")?;
        let mut line = String::new();
        let out = keeper.stdout.take().context("its output")?;
        BufReader::new(out).read_line(&mut line)?;
        if line.trim() != "ready" {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            bail!("PostgreSQL did not start:\n{log}");
        }
        Ok(Self {
            folder,
            programs,
            _keeper: keeper,
        })
    }
}

/// PostgreSQL refuses to run as root; Debian's package brings a user for it.
fn as_server_user(folder: &Path) -> Result<Command> {
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder)?) == 0;
    if !root {
        let mut command = Command::new("sh");
        command.args(["-c", LIFE]);
        return Ok(command);
    }
    let given = Command::new("chown").arg("postgres").arg(folder).status()?;
    if !given.success() {
        bail!("there is no user postgres; `scripts/setup.sh test` installs PostgreSQL");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    command.args(["sh", "-c", LIFE]).current_dir(folder);
    Ok(command)
}

/// Where Debian keeps the programs of the newest version.
fn programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = versions
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs
                .join("initdb")
                .exists()
                .then_some((version, programs))
        })
        .max();
    let (_, programs) =
        newest.context("PostgreSQL is not installed; `scripts/setup.sh test` does it")?;
    Ok(programs)
}
