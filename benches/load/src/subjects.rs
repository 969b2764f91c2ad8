//! The programs under load: the gateway with a configuration of its own, and the peers that
//! Debian packages. All on loopback, all with state in one temporary folder.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::compare::end;

pub(crate) const GATEWAY_PORT: u16 = 5070;
pub(crate) const KAMAILIO_PORT: u16 = 5080;
pub(crate) const RTPENGINE_PORT: u16 = 2223;
pub(crate) const FLOOR_PORT: u16 = 41_000;

const KAMAILIO_CONFIGURATION: &str = include_str!("../../peers/kamailio.cfg");
const EMERGENCY_POINTS: usize = 50;
const RING_MEMBERS: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Gateway,
    Kamailio,
    Rtpengine,
    Floor,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "antiphon",
            Self::Kamailio => "kamailio",
            Self::Rtpengine => "rtpengine",
            Self::Floor => "floor",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Gateway | Self::Floor => "this repository",
            Self::Kamailio => "Debian's kamailio and kamailio-extra-modules",
            Self::Rtpengine => "Debian's rtpengine-daemon",
        }
    }
}

/// How large the gateway's world is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    /// Callers, and as many who answer.
    pub(crate) pairs: usize,
    /// Stations that only register.
    pub(crate) stations: usize,
    /// Calls that the gateway takes at once.
    pub(crate) calls_at_once: usize,
    /// Media threads, where the machine's number of cores shall not say how many.
    pub(crate) media_threads: Option<u16>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            pairs: 500,
            stations: 5_000,
            calls_at_once: 400,
            media_threads: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Subjects {
    folder: tempfile::TempDir,
    gateway: PathBuf,
    prefix: Vec<String>,
    running: Vec<(Subject, Child)>,
}

impl Subjects {
    pub(crate) fn new(gateway: &Path, prefix: &[&str], world: World) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("kamailio.cfg"), KAMAILIO_CONFIGURATION)?;
        fs::write(
            folder.path().join("gateway.toml"),
            gateway_configuration(folder.path(), world)?,
        )?;
        Ok(Self {
            folder,
            gateway: gateway.to_owned(),
            prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
            running: Vec::new(),
        })
    }

    pub(crate) fn start(&mut self, subjects: &[Subject]) -> Result<()> {
        for subject in subjects {
            let words: Vec<String> = self
                .prefix
                .iter()
                .cloned()
                .chain(self.command(*subject))
                .collect();
            let log = File::create(self.folder.path().join(format!("{}.log", subject.name())))?;
            let child = Command::new(&words[0])
                .args(&words[1..])
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .with_context(|| {
                    format!(
                        "{} does not start: it comes with {}",
                        words[0],
                        subject.package()
                    )
                })?;
            self.running.push((*subject, child));
            self.answers(*subject)?;
        }
        Ok(())
    }

    pub(crate) fn end_all(&mut self) {
        for (_, child) in &mut self.running {
            end(child);
        }
        self.running.clear();
    }

    pub(crate) fn pid(&self, subject: Subject) -> Option<u32> {
        let running = self.running.iter().find(|(running, _)| *running == subject);
        running.map(|(_, child)| child.id())
    }

    pub(crate) fn command(&self, subject: Subject) -> Vec<String> {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let text = match subject {
            Subject::Gateway => {
                format!(
                    "{} serve --config {}",
                    self.gateway.display(),
                    file("gateway.toml")
                )
            }
            Subject::Kamailio => {
                format!("kamailio -DD -E -f {} -m 1024 -M 16", file("kamailio.cfg"))
            }
            Subject::Rtpengine => format!(
                "rtpengine --config-file=none --foreground --table=-1 --interface=127.0.0.1 \
                 --listen-ng=127.0.0.1:{RTPENGINE_PORT} --port-min=10000 --port-max=19999 \
                 --delete-delay=0 --log-stderr --log-level=3 --num-threads=2"
            ),
            Subject::Floor => {
                let tool = std::env::current_exe().unwrap_or_else(|_| "bench-load".into());
                format!(
                    "{} floor --calls 100 --port {FLOOR_PORT} --secs 300",
                    tool.display()
                )
            }
        };
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Waits until the program answers on its own protocol, or has died.
    fn answers(&mut self, subject: Subject) -> Result<()> {
        let (port, question) = match subject {
            Subject::Gateway => (GATEWAY_PORT, options(GATEWAY_PORT)),
            Subject::Kamailio => (KAMAILIO_PORT, options(KAMAILIO_PORT)),
            Subject::Rtpengine => (RTPENGINE_PORT, "1 d7:command4:pinge".to_owned()),
            Subject::Floor => {
                // It says nothing by itself; its sockets are there when its ports are taken.
                let end = Instant::now() + Duration::from_secs(5);
                while UdpSocket::bind(("127.0.0.1", FLOOR_PORT + 199)).is_ok()
                    && Instant::now() < end
                {
                    std::thread::yield_now();
                }
                return Ok(());
            }
        };
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let end = Instant::now() + Duration::from_secs(15);
        let mut buffer = [0; 4096];
        while Instant::now() < end {
            // Refused until it listens.
            let _ = socket.send_to(question.as_bytes(), ("127.0.0.1", port));
            if socket.recv(&mut buffer).is_ok() {
                return Ok(());
            }
            let dead = self.running.last_mut().map(|(_, child)| child.try_wait());
            if let Some(Ok(Some(status))) = dead {
                bail!(
                    "{} ended with {status}:\n{}",
                    subject.name(),
                    self.log(subject)
                );
            }
        }
        bail!("{} does not answer:\n{}", subject.name(), self.log(subject))
    }

    fn log(&self, subject: Subject) -> String {
        let path = self.folder.path().join(format!("{}.log", subject.name()));
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Subjects {
    fn drop(&mut self) {
        self.end_all();
    }
}

fn options(port: u16) -> String {
    format!(
        "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKstart;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:load@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1:{port}>\r\n\
         Call-ID: start@127.0.0.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Stations for every scenario: callers and answerers, a ring group of 32, emergency points and
/// the 32 whom they call, and many that register. MD5 is what the load tool and its peers speak; the peers ask no password of
/// a caller, so here callers are trusted.
fn gateway_configuration(folder: &Path, world: World) -> Result<String> {
    let folder = folder.display();
    let World {
        pairs,
        stations,
        calls_at_once,
        media_threads,
    } = world;
    let threads = media_threads.map_or(String::new(), |threads| format!("threads = {threads}\n"));
    let mut text = format!(
        "name = \"bench\"\nstate_folder = \"{folder}/state\"\ncontrol_socket = \"{folder}/control.sock\"\n\
         [sip]\nrealm = \"127.0.0.1\"\ntrusted_peers = [\"127.0.0.1\"]\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:{GATEWAY_PORT}\"\n\
         [sip.limits]\nrequests_per_source = 1000000\ncalls_per_source = 1000000\n\
         [calls]\nat_once = {calls_at_once}\n[media]\nports = \"20000-29999\"\n{threads}[metrics]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n"
    );
    let mut station = |number: usize, account: &str, rest: &str| {
        write!(
            text,
            "[[directory.stations]]\nnumber = \"{number}\"\naccount = \"{account}\"\n\
             password = \"pw\"\nallow_md5 = true\n{rest}"
        )
    };
    for index in 1..=pairs {
        station(10_000 + index, &format!("uac{index}"), "")?;
        station(20_000 + index, &format!("uas{index}"), "")?;
    }
    for member in 1..=RING_MEMBERS {
        station(8000 + member, &format!("ring{member:02}"), "")?;
        station(7000 + member, &format!("desk{member}"), "")?;
    }
    let button =
        "kind = \"emergency_point\"\n[[directory.stations.buttons]]\nkey = 1\ntarget = \"112\"\n";
    for index in 1..=EMERGENCY_POINTS {
        station(30_000 + index, &format!("sos{index}"), button)?;
    }
    for index in 1..=stations {
        station(40_000 + index, &format!("u{index}"), "")?;
    }
    let quoted = |numbers: &mut dyn Iterator<Item = usize>| {
        numbers
            .map(|number| format!("\"{number}\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let ring = quoted(&mut (1..=RING_MEMBERS).map(|member| 8000 + member));
    let desk = quoted(&mut (1..=RING_MEMBERS).map(|member| 7000 + member));
    write!(
        text,
        "[[directory.ring_groups]]\nnumber = \"9000\"\nmembers = [{ring}]\n\
         [[directory.ring_groups]]\nnumber = \"112\"\nmembers = [{desk}]\n"
    )?;
    Ok(text)
}
