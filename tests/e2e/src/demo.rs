//! A gateway, a door station and a desk station that call each other, a legacy site
//! on a line, and an office phone for its calls: what `make run` shows and
//! `make smoke` judges.
//!
//! Uses fixed ports of one address, and says clearly when one is taken.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::baresip::{Answers, Setup};
use crate::gateway::{self, password};
use crate::legacy_site::LegacySite;
use crate::{Baresip, DoorDevice, Gateway, sound, wait};

/// Numbers of the stations, and their ports as an offset to the gateway's.
const DOOR_STATION: (&str, u16) = ("101", 10);
const DESK: (&str, u16) = ("102", 20);
/// Whom the buttons of the legacy site call.
const OFFICE: (&str, u16) = ("104", 50);
/// For a phone of the user's own.
pub const YOURS: &str = "103";
const DOOR_DEVICE: u16 = 30;
const SITE_LINE: u16 = 40;
const SITE_PAGE: u16 = 41;

#[derive(Debug)]
pub struct Demo {
    pub gateway: Gateway,
    door_station: Baresip,
    desk: Baresip,
    office: Baresip,
    legacy: LegacySite,
    door: Option<DoorDevice>,
}

impl Demo {
    /// Starts everything; `folder` keeps the gateway's state.
    pub fn start(at: SocketAddr, folder: &Path) -> Result<Self> {
        ports_must_be_free(at)?;
        let address = at.ip();
        let door_address = SocketAddr::new(address, at.port() + DOOR_DEVICE);
        let door = DoorDevice::start(door_address)?;
        let legacy = LegacySite::start_demo(page(at), line(at), folder)?;
        let gateway = Gateway::start(&house(at, door_address), folder)?;
        let station = |(number, port), hertz, answers| Setup {
            registrar: Some(at.to_string()),
            password: password(number),
            port: at.port() + port,
            hertz,
            answers,
            ..Setup::new(number, address)
        };
        let desk = station(DESK, 1000, Answers::ByItself);
        let desk = Baresip::start(&desk, folder)?;
        let door_station = station(DOOR_STATION, 440, Answers::WhenTold);
        let door_station = Baresip::start(&door_station, folder)?;
        let office = Setup {
            codecs: "G722/16000/1",
            ..station(OFFICE, 620, Answers::ByItself)
        };
        let office = Baresip::start(&office, folder)?;
        Ok(Self {
            gateway,
            door_station,
            desk,
            office,
            legacy,
            door: Some(door),
        })
    }

    /// The call button is pressed; the desk answers.
    pub fn call(&mut self) -> Result<()> {
        self.door_station.dial(&self.gateway.uri(DESK.0))?;
        self.desk.event("CALL_ESTABLISHED")?;
        self.door_station.event("CALL_ESTABLISHED").map(|_| ())
    }

    /// The desk dials the code that opens the gate.
    pub fn open_gate(&mut self) -> Result<()> {
        self.desk.digit('#')?;
        self.desk.digit('1')
    }

    /// A button of the legacy site is pressed, the office answers and opens the door there.
    pub fn legacy_call(&mut self) -> Result<()> {
        self.legacy.order("wait line gateway up within 20")?;
        self.legacy.order("press gate 1")?;
        self.office.event("CALL_ESTABLISHED")?;
        self.legacy.order("wait call gate talking")?;
        self.office.digit('#')?;
        self.office.digit('1')?;
        self.legacy.order("wait door gate 1 open")?;
        self.legacy.order("hangup gate")?;
        self.office.event("CALL_CLOSED").map(|_| ())
    }

    pub fn hang_up(&mut self) -> Result<()> {
        self.desk.hang_up()?;
        self.door_station.event("CALL_CLOSED").map(|_| ())
    }

    /// The device at the gate; it can be taken once.
    pub fn take_door(&mut self) -> Result<DoorDevice> {
        self.door.take().context("the door was taken before")
    }

    /// Fails unless both stations heard each other's tone in the last call.
    pub fn must_have_been_heard(&self) -> Result<()> {
        sound::measure(&self.desk.heard()?, 0.3)?.must_be_tone(440.0, 1.0)?;
        sound::measure(&self.door_station.heard()?, 0.3)?.must_be_tone(1000.0, 1.0)
    }

    /// Waits until both have recorded this much.
    pub fn wait_until_heard(&self, seconds: f64) -> Result<()> {
        self.desk.wait_until_heard(seconds)?;
        self.door_station.wait_until_heard(seconds)
    }

    /// Fails if one of the programs has ended.
    pub fn must_run(&mut self) -> Result<()> {
        for (name, program) in [
            ("the gateway", self.gateway.program()),
            ("the door station", self.door_station.program()),
            ("the desk station", self.desk.program()),
            ("the office phone", self.office.program()),
            ("the legacy site", self.legacy.program()),
        ] {
            if !program.runs()? {
                bail!("{name} has ended:\n{}", program.said().join("\n"));
            }
        }
        Ok(())
    }

    /// Ends the stations, then the gateway, which says good-bye in order.
    pub fn stop(mut self) -> Result<()> {
        self.door_station.program().end()?;
        self.desk.program().end()?;
        self.office.program().end()?;
        self.legacy.program().end()?;
        self.gateway.program().end()
    }
}

fn house(at: SocketAddr, door: SocketAddr) -> gateway::Setup<'static> {
    gateway::Setup {
        port: at.port(),
        ..gateway::Setup::new(at.ip())
    }
    .station(
        DOOR_STATION.0,
        &format!(
            "name = \"Main gate\"\nkind = \"door_station\"\n\
                 [[stations.doors]]\nkey = \"gate\"\nurl = \"http://{door}/open\"\ncode = \"#1\"\n"
        ),
    )
    .station(DESK.0, "name = \"Reception\"\nkind = \"desk_station\"\n")
    .station(YOURS, "name = \"Your phone\"\nkind = \"sip_phone\"\n")
    .station(OFFICE.0, "name = \"Office\"\nkind = \"desk_station\"\n")
    .directory(
        "[[ring_groups]]\nnumber = \"200\"\nname = \"Everybody\"\nmembers = [\"102\", \"103\", \"104\"]\n",
    )
    .directory(LEGACY_STATIONS)
    .more(&format!(
        "[[line]]\nname = \"works\"\nkind = \"LAN\"\ndriver = \"versicle\"\nsystem = 1\n\
         own_system = 2\nauthority = \"the gateway of the demo\"\n\
         tcp = {{ connect = \"{}\", plain = true }}\n\
         [[line.further_servers]]\nname = \"hall-2\"\nsystem = 3\n",
        line(at)
    ))
}

/// Those of the site that is built into `antiphon-site`.
const LEGACY_STATIONS: &str = r##"
[[stations]]
number = "2001"
name = "Porter"
kind = "desk_station"
behind = "works"
[[stations]]
number = "2101"
name = "Gate East"
kind = "door_station"
behind = "works"
[[stations.doors]]
key = "gate-east"
output = 1
code = "#1"
station_confirms = true
[[stations.doors]]
key = "wicket"
output = 2
code = "#2"
[[stations]]
number = "2102"
name = "Yard"
kind = "door_station"
behind = "works"
[[stations.doors]]
key = "barrier"
output = 1
code = "#1"
station_confirms = true
[[stations]]
number = "2190"
name = "Emergency Point"
kind = "emergency_point"
behind = "works"
[[stations]]
number = "3101"
name = "Workshop"
behind = "hall-2"
[[stations]]
number = "3112"
name = "Room 12"
behind = "hall-2"
"##;

/// On this machine only: the line is not encrypted, and browsers give a page from elsewhere no
/// microphone.
fn line(at: SocketAddr) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, at.port() + SITE_LINE).into()
}

/// Where the page of the legacy site is.
pub fn page(at: SocketAddr) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, at.port() + SITE_PAGE).into()
}

fn ports_must_be_free(at: SocketAddr) -> Result<()> {
    let port = |offset: u16| (at.ip(), at.port() + offset);
    let sip = [0, DOOR_STATION.1, DESK.1, OFFICE.1];
    let udp = sip.map(|offset| ("UDP", port(offset), UdpSocket::bind(port(offset)).err()));
    let others = [
        gateway::METRICS,
        DOOR_STATION.1 + 2,
        DESK.1 + 2,
        OFFICE.1 + 2,
        DOOR_DEVICE,
    ];
    let here = |place: SocketAddr| (place.ip(), place.port());
    let tcp = sip.into_iter().chain(others).map(port);
    let tcp = tcp.chain([here(line(at)), here(page(at))]);
    let tcp = tcp.map(|place| ("TCP", place, TcpListener::bind(place).err()));
    let taken = udp
        .into_iter()
        .chain(tcp)
        .find_map(|(transport, at, error)| Some((transport, at, error?)));
    let Some((transport, (address, port), error)) = taken else {
        return Ok(());
    };
    match error.kind() {
        std::io::ErrorKind::AddrInUse => bail!(
            "{transport} port {port} of {address} is in use (`ss -lntup` tells by whom). Stop that \
             program, or move the demo: ANTIPHON_DEMO={}:{} make run",
            at.ip(),
            at.port() + 100
        ),
        std::io::ErrorKind::AddrNotAvailable => {
            bail!("{address} is no address of this machine (`ip address` lists them)")
        }
        _ => bail!("{transport} port {port} of {address} cannot be used: {error}"),
    }
}

/// Where the demo keeps its state.
pub fn folder() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.antiphon");
    let state = std::env::var_os("ANTIPHON_STATE").map_or(root, PathBuf::from);
    let folder = state.join("demo");
    std::fs::create_dir_all(&folder).with_context(|| {
        format!(
            "cannot write to {}; set ANTIPHON_STATE to a folder of yours",
            folder.display()
        )
    })?;
    std::fs::canonicalize(&folder).context("the demo's folder")
}

/// One call, both directions heard, the gate opened; one of the legacy site, its gate opened.
pub fn smoke(at: SocketAddr, folder: &Path) -> Result<()> {
    let mut demo = Demo::start(at, folder)?;
    let door = demo.take_door()?;
    demo.call()?;
    demo.wait_until_heard(2.0)?;
    demo.open_gate()?;
    door.must_open()?;
    demo.hang_up()?;
    demo.must_have_been_heard()?;
    demo.legacy_call()?;
    let gateway = &demo.gateway;
    wait::until_true("the call to be over", || Ok(gateway.calls()?.is_empty()))?;
    demo.stop()
}
