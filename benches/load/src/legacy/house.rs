//! The gateway under load: its configuration, its process.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// System numbers.
pub(super) const SERVER: u16 = 1;
pub(super) const GATEWAY: u16 = 2;
/// The first numbers of stations and of phones.
pub(super) const STATIONS: usize = 30_000;
pub(super) const PHONES: usize = 20_000;
pub(super) const PASSWORD: &str = "pw";

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct House {
    folder: TempDir,
    line: TcpListener,
    sip: SocketAddrV4,
    child: Child,
}

impl House {
    pub(super) fn start(gateway: &Path, stations: usize, phones: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let line = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let sip = free_port()?;
        let path = folder.path().join("gateway.toml");
        let line_at = line.local_addr()?.to_string();
        fs::write(
            &path,
            configuration(folder.path(), sip, &line_at, stations, phones)?,
        )?;
        let ready = folder.path().join("ready.json");
        let log = File::create(folder.path().join("log"))?;
        let mut child = Command::new(gateway)
            .args(["serve", "--config"])
            .arg(&path)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", gateway.display()))?;
        let end = Instant::now() + PATIENCE;
        while !ready.exists() {
            let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            ensure!(child.try_wait()?.is_none(), "the gateway ended:\n{}", log());
            ensure!(
                Instant::now() < end,
                "the gateway does not serve:\n{}",
                log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self {
            folder,
            line,
            sip,
            child,
        })
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(super) const fn sip(&self) -> SocketAddrV4 {
        self.sip
    }

    /// Where the gateway connects to.
    pub(super) const fn line(&self) -> &TcpListener {
        &self.line
    }

    pub(super) fn end(&mut self) -> Result<()> {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM)?;
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < end, "the gateway does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!("{}", log.unwrap_or_default());
        }
    }
}

fn free_port() -> Result<SocketAddrV4> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(SocketAddrV4::new(
        Ipv4Addr::LOCALHOST,
        socket.local_addr()?.port(),
    ))
}

fn configuration(
    folder: &Path,
    sip: SocketAddrV4,
    line: &str,
    stations: usize,
    phones: usize,
) -> Result<String> {
    let folder = folder.display();
    let mut text = format!(
        "name = \"bench\"\nstate_folder = \"{folder}/state\"\ncontrol_socket = \"{folder}/control.sock\"\n\
         [sip]\nrealm = \"127.0.0.1\"\ntrusted_peers = [\"127.0.0.1\"]\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"{sip}\"\n\
         [sip.limits]\nrequests_per_source = 1000000\ncalls_per_source = 1000000\n\
         [calls]\nat_once = 1000\n[media]\nports = \"20000-29999\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
         [log]\nlevel = \"warn\"\n\
         [[line]]\nname = \"load\"\nkind = \"LAN\"\ndriver = \"versicle\"\nserver = \"gateway_side\"\n\
         version = \"11.1.6\"\nsystem = {SERVER}\nown_system = {GATEWAY}\ncards = 14\n\
         tcp = {{ connect = \"{line}\", plain = true }}\n"
    );
    for index in 0..stations {
        write!(
            text,
            "[[directory.stations]]\nnumber = \"{}\"\nbehind = \"load\"\n",
            STATIONS + index
        )?;
    }
    for index in 1..=phones {
        write!(
            text,
            "[[directory.stations]]\nnumber = \"{}\"\naccount = \"uas{index}\"\n\
             password = \"{PASSWORD}\"\nallow_md5 = true\n",
            PHONES + index
        )?;
    }
    Ok(text)
}
