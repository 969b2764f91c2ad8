//! The file that describes a site, and the site that is built in.
//!
//! Reads and checks; what is wrong is said with its place, before anything is opened.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use legacy_protocols::acdp;
use legacy_protocols::isdn::link::{Side, Topology};
use legacy_protocols::isdn::session::{self, Dialect};
use legacy_protocols::isdn::{self, codec::Interface};
use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::open_link::{self, Role};
use legacy_protocols::port::{self, Opening, Protocol};
use legacy_protocols::priority::{Priority, Scale};
use legacy_protocols::text::Text;
use legacy_protocols::text_servers::{McIpServer, OpenWebNetServer};
use serde::Deserialize;

use crate::site::{
    Answers, Button, Contact, DoorPlan, GroupPlan, Keeps, LinePlan, Plan, StationKind, StationPlan,
    Wish,
};

/// A site to begin with: a works with gates, a porter and an alarm.
pub const DEMO: &str = include_str!("demo.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteFile {
    name: String,
    /// The server at the lines.
    node: NodeEntry,
    /// Servers behind it.
    #[serde(default)]
    further_node: Vec<NodeEntry>,
    #[serde(default)]
    station: Vec<StationEntry>,
    #[serde(default)]
    group: Vec<GroupEntry>,
    #[serde(default)]
    line: Vec<LineEntry>,
    #[serde(default)]
    sound: SoundEntry,
    #[serde(default = "half_a_minute")]
    answer_within_s: u64,
    #[serde(default = "ten_minutes")]
    longest_call_s: u64,
    #[serde(default)]
    keeps: KeepsEntry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeEntry {
    number: u16,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StationEntry {
    id: String,
    name: String,
    number: String,
    node: Option<u16>,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    answers: AnswersEntry,
    #[serde(default)]
    button: Vec<ButtonEntry>,
    #[serde(default)]
    door: Vec<DoorEntry>,
    #[serde(default)]
    inputs: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Door,
    Desk,
    Emergency,
    #[default]
    Room,
}

/// Calls that wait for a line that is down.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeepsEntry {
    Nothing,
    #[default]
    Alarms,
    Everything,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AnswersEntry {
    #[default]
    ByHand,
    AtOnce,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ButtonEntry {
    label: String,
    /// Call this number.
    calls: Option<String>,
    /// Ask to be called by this desk.
    asks: Option<String>,
    priority: Option<u8>,
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DoorEntry {
    name: String,
    #[serde(default)]
    contact: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    number: u16,
    name: String,
    members: Vec<String>,
}

/// One line: its protocol, who is at the other end, and how it gets there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineEntry {
    pub name: String,
    gateway: u16,
    protocol: ProtocolName,
    pub listen: Option<SocketAddr>,
    pub unix: Option<PathBuf>,
    /// A serial device, or a name for a pseudo-terminal that is made: `pty:/run/site/line`.
    pub serial: Option<String>,
    #[serde(default = "usual_speed")]
    pub baud: u32,
    pub tls: Option<TlsEntry>,
    /// ISDN in UDP.
    pub l1oip: Option<L1oipEntry>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProtocolName {
    Versicle,
    Acdp,
    Isdn,
    McIp,
    /// One connection at a time, for events or for commands.
    OpenWebNet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SideName {
    /// The exchange.
    #[default]
    Network,
    /// A terminal at an exchange: at the gateway, then.
    User,
}

/// A line of ISDN: our end and the gateway's.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1oipEntry {
    pub bind: SocketAddr,
    pub peer: SocketAddr,
    pub identity: Option<u32>,
    /// Two B channels in place of thirty.
    #[serde(default)]
    basic: bool,
    #[serde(default)]
    qsig: bool,
    #[serde(default)]
    side: SideName,
    /// Several terminals on one basic rate.
    #[serde(default)]
    bus: bool,
}

impl L1oipEntry {
    pub(super) const fn interface(&self) -> Interface {
        match self.basic {
            true => Interface::BasicRate,
            false => Interface::PrimaryRate,
        }
    }

    fn line(&self) -> session::Config {
        let side = match self.side {
            SideName::Network => Side::Network,
            SideName::User => Side::User,
        };
        let dialect = match self.qsig {
            true => Dialect::Qsig,
            false => Dialect::Dss1,
        };
        let topology = match self.bus {
            true => Topology::PointToMultipoint,
            false => Topology::PointToPoint,
        };
        match self.interface() {
            Interface::BasicRate => session::Config {
                dialect,
                ..session::Config::basic_rate(side, topology)
            },
            Interface::PrimaryRate => session::Config::primary_rate(side, dialect),
        }
    }
}

/// Certificates of both ends (PEM).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsEntry {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who has signed the gateway's certificate.
    pub trust: PathBuf,
}

/// Ends of sound on the network.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoundEntry {
    pub address: IpAddr,
    /// Calls over lines at the same time.
    pub ends: u16,
}

impl Default for SoundEntry {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            ends: 16,
        }
    }
}

const fn usual_speed() -> u32 {
    115_200
}

const fn half_a_minute() -> u64 {
    30
}

const fn ten_minutes() -> u64 {
    600
}

impl SiteFile {
    pub fn read(text: &str) -> Result<Self> {
        let file: Self = toml::from_str(text)?;
        for line in &file.line {
            let ways = [
                line.listen.is_some(),
                line.unix.is_some(),
                line.serial.is_some(),
                line.l1oip.is_some(),
            ];
            if ways.into_iter().filter(|way| *way).count() != 1 {
                bail!(
                    "line {}: exactly one of listen, unix, serial and l1oip says how it gets there",
                    line.name
                );
            }
            let is_isdn = matches!(line.protocol, ProtocolName::Isdn);
            if is_isdn != line.l1oip.is_some() {
                bail!("line {}: l1oip is for isdn, and isdn needs it", line.name);
            }
            let l1oip = line.l1oip.as_ref();
            if l1oip.is_some_and(|l1oip| l1oip.bus && (!l1oip.basic || l1oip.qsig)) {
                bail!(
                    "line {}: a bus is basic rate, and speaks no qsig",
                    line.name
                );
            }
            if line.tls.is_some() && line.listen.is_none() {
                bail!("line {}: tls is for lines that listen on TCP", line.name);
            }
        }
        Ok(file)
    }

    pub fn lines(&self) -> &[LineEntry] {
        &self.line
    }

    pub const fn sound(&self) -> SoundEntry {
        self.sound
    }

    /// Moves a listening line, so that it meets whoever wants it.
    pub fn set_listen(&mut self, line: &str, to: SocketAddr) -> Result<()> {
        let entry = self.line.iter_mut().find(|entry| entry.name == line);
        let entry = entry.with_context(|| format!("there is no line {line} to listen on {to}"))?;
        (entry.listen, entry.unix, entry.serial) = (Some(to), None, None);
        entry.l1oip = None;
        Ok(())
    }

    /// What the site is made of. Ends of sound are open by now.
    ///
    /// `channels` is where the sound of each line's B channels is.
    pub fn plan(
        &self,
        sound_ends: Vec<SocketAddr>,
        channels: &[Option<SocketAddr>],
        seed: u64,
        now: Instant,
    ) -> Result<Plan> {
        let own = Node(self.node.number);
        let further = self.further_node.iter();
        let nodes = std::iter::once(&self.node).chain(further);
        let nodes: Vec<_> = nodes.map(|n| (Node(n.number), n.name.clone())).collect();
        let mut ids = BTreeMap::new();
        for station in &self.station {
            let node = station.node.map_or(own, Node);
            if !nodes.iter().any(|(known, _)| *known == node) {
                bail!("station {}: there is no node {}", station.id, node.0);
            }
            let number = Number::new(&station.number)
                .with_context(|| format!("station {}: number {}", station.id, station.number))?;
            let party = Party { node, number };
            if ids.values().any(|known| *known == party) {
                bail!("station {}: number {} is taken", station.id, station.number);
            }
            if ids.insert(station.id.clone(), party).is_some() {
                bail!("station {}: this id is taken", station.id);
            }
        }
        let book = Book { own, ids };
        let stations = self.station.iter().map(|s| station_plan(s, &book));
        let groups = self.group.iter().map(|g| group_plan(g, &book));
        let lines = self.line.iter().zip(seed..);
        let channels = channels.iter().copied().chain(std::iter::repeat(None));
        let lines = lines
            .zip(channels)
            .map(|((entry, seed), channels)| LinePlan {
                channels,
                ..self.line_plan(entry, seed, now)
            });
        Ok(Plan {
            name: self.name.clone(),
            stations: stations.collect::<Result<_>>()?,
            groups: groups.collect::<Result<_>>()?,
            lines: lines.collect(),
            nodes,
            answer_within: Duration::from_secs(self.answer_within_s),
            longest_call: Duration::from_secs(self.longest_call_s),
            keeps: match self.keeps {
                KeepsEntry::Nothing => Keeps::Nothing,
                KeepsEntry::Alarms => Keeps::Alarms,
                KeepsEntry::Everything => Keeps::Everything,
            },
            sound_ends,
        })
    }

    fn line_plan(&self, line: &LineEntry, seed: u64, now: Instant) -> LinePlan {
        let (own, gateway) = (Node(self.node.number), Node(line.gateway));
        let protocol = match line.protocol {
            ProtocolName::Versicle => {
                let config = match line.serial {
                    Some(_) => open_link::Config::serial,
                    None => open_link::Config::tcp,
                };
                let config = config(Role::Server, own, gateway, &self.name);
                Protocol::OpenLink(Box::new(open_link::Session::new(config, now)))
            }
            ProtocolName::Isdn => {
                let usual = || session::Config::primary_rate(Side::Network, Dialect::Dss1);
                let config = isdn::port::Config {
                    line: line.l1oip.as_ref().map_or_else(usual, L1oipEntry::line),
                    own,
                    other: gateway,
                    whole_number: None,
                    seed,
                };
                Protocol::Isdn(Box::new(isdn::port::Session::new(config)))
            }
            ProtocolName::McIp => Protocol::McIpServer(Box::new(McIpServer::new(own, gateway))),
            ProtocolName::OpenWebNet => {
                Protocol::OpenWebNetServer(Box::new(OpenWebNetServer::new(own)))
            }
            ProtocolName::Acdp => {
                let config = acdp::Config {
                    own: device(own),
                    server: device(gateway),
                    checksum: acdp::Checksum::Optional,
                    hops: 1,
                };
                Protocol::AcdpServer(Box::new(acdp::Server::new(config)))
            }
        };
        LinePlan {
            name: line.name.clone(),
            gateway,
            protocol,
            port: port::Config {
                // The gateway connects; a serial device is there, and opened by us.
                opening: match line.serial.is_some() || line.l1oip.is_some() {
                    true => Opening::Ours,
                    false => Opening::Theirs,
                },
                ..port::Config::default()
            },
            seed,
            channels: None,
        }
    }
}

/// Its nodes are 1 to 254; a site whose servers have other numbers says nothing about them there.
fn device(node: Node) -> acdp::Device {
    acdp::Device {
        node: node.0 as u8,
        device: SERVER,
    }
}

/// A server itself, as in the published lines.
const SERVER: u8 = 0x41;

struct Book {
    own: Node,
    ids: BTreeMap<String, Party>,
}

impl Book {
    /// An id of a station, a number of this server, or `node/number`.
    fn find(&self, word: &str) -> Result<Party> {
        if let Some(party) = self.ids.get(word) {
            return Ok(*party);
        }
        let (node, number) = match word.split_once('/') {
            Some((node, number)) => (Node(node.parse().with_context(|| word.to_owned())?), number),
            None => (self.own, word),
        };
        let number = Number::new(number)
            .with_context(|| format!("{word} is no station, number or node/number"))?;
        Ok(Party { node, number })
    }
}

fn station_plan(entry: &StationEntry, book: &Book) -> Result<StationPlan> {
    let buttons = entry.button.iter().map(|b| button(b, book));
    let buttons: Result<_> = buttons.collect();
    Ok(StationPlan {
        id: entry.id.clone(),
        name: entry.name.clone(),
        party: book.find(&entry.id)?,
        kind: match entry.kind {
            Kind::Door => StationKind::Door,
            Kind::Desk => StationKind::Desk,
            Kind::Emergency => StationKind::Emergency,
            Kind::Room => StationKind::Room,
        },
        buttons: buttons.with_context(|| format!("station {}", entry.id))?,
        doors: entry.door.iter().map(door_plan).collect(),
        inputs: entry.inputs.clone(),
        answers: match entry.answers {
            AnswersEntry::ByHand => Answers::ByHand,
            AnswersEntry::AtOnce => Answers::AtOnce,
        },
    })
}

fn button(entry: &ButtonEntry, book: &Book) -> Result<Button> {
    let (wish, to) = match (&entry.calls, &entry.asks) {
        (Some(to), None) => (Wish::Call, to),
        (None, Some(to)) => (Wish::Request, to),
        _ => bail!("button {}: either calls or asks somebody", entry.label),
    };
    let priority = match entry.priority {
        None => Priority::NORMAL,
        Some(value) => Priority::new(value, Scale::OneIsHighest)
            .with_context(|| format!("button {}: priorities are 1 to 250", entry.label))?,
    };
    Ok(Button {
        label: entry.label.clone(),
        to: book.find(to)?,
        priority,
        wish,
        text: entry.text.as_deref().map(Text::clip),
    })
}

fn door_plan(entry: &DoorEntry) -> DoorPlan {
    DoorPlan {
        name: entry.name.clone(),
        contact: match entry.contact {
            true => Contact::Fitted,
            false => Contact::None,
        },
    }
}

fn group_plan(entry: &GroupEntry, book: &Book) -> Result<GroupPlan> {
    let members = entry.members.iter().map(|word| book.find(word));
    Ok(GroupPlan {
        number: entry.number,
        name: entry.name.clone(),
        members: members.collect::<Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_that_is_built_in_is_right() {
        let file = SiteFile::read(DEMO).unwrap();
        let plan = file.plan(Vec::new(), &[], 1, Instant::now()).unwrap();
        assert!(plan.stations.len() > 4);
        assert_eq!(plan.lines.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let site = |more: &str| {
            let text = format!("name = 'A'\nnode = {{ number = 1, name = 'B' }}\n{more}");
            let file = SiteFile::read(&text);
            let plan = file.and_then(|file| file.plan(Vec::new(), &[], 1, Instant::now()));
            format!("{:#}", plan.unwrap_err())
        };
        let gate = "[[station]]\nid = 'gate'\nname = 'Gate'\nnumber = '1'\n";
        assert_eq!(
            site(&format!("{gate}{gate}")),
            "station gate: number 1 is taken"
        );
        assert_eq!(
            site(&format!("{gate}[[station.button]]\nlabel = 'Bell'\n")),
            "station gate: button Bell: either calls or asks somebody"
        );
        assert_eq!(
            site("[[line]]\nname = 'a'\ngateway = 2\nprotocol = 'versicle'\n"),
            "line a: exactly one of listen, unix, serial and l1oip says how it gets there"
        );
        assert!(site("colour = 'red'\n").contains("colour"));
        let isdn = "[[line]]\nname = 'a'\ngateway = 2\nprotocol = 'isdn'\n";
        let span = "bind = '127.0.0.1:1', peer = '127.0.0.1:2'";
        assert_eq!(
            site(&format!("{isdn}l1oip = {{ {span}, bus = true }}\n")),
            "line a: a bus is basic rate, and speaks no qsig"
        );
    }
}
