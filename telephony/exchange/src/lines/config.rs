//! What each line to an older intercom server is told at its birth. Checked by whoever read it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use legacy_protocols::command::{Authority, GroupRef};
use legacy_protocols::coverage::{CommandKind, Coverage, EventKind};
use legacy_protocols::{acdp, isdn, open_link, port, table};
use model::{Address, CallNumber, DeskId, StationId};

use super::numbering::{Numbering, Server};

/// A line of the configuration, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineId(pub u16);

#[derive(Clone, Debug)]
pub struct LineConfig {
    /// As configuration, metrics and timeline call it.
    pub name: String,
    pub kind: LinkKind,
    pub driver: Driver,
    pub port: port::Config,
    /// The server at the other end.
    pub node: Server,
    /// Networked servers that are reached through it (B2).
    pub further_nodes: Vec<Server>,
    pub numbering: Numbering,
    pub sound: LineSound,
    /// Where the other end is, if that is known: it is given an address of ours of the same family.
    pub peer: Option<IpAddr>,
    /// B6: whom the call number of a bridge channel reaches.
    pub targets: Vec<ChannelTarget>,
    /// Where call requests of the other end are shown that name no desk of ours.
    pub desk: Option<DeskId>,
    /// By which the other end knows that we may drive its outputs. Empty: we drive none.
    pub authority: Authority,
    /// Whose commands may open doors of ours; what each may open the directory says.
    pub trusted: Vec<Trusted>,
    /// Groups and conferences that the other end may command stations of ours into.
    pub rooms: Vec<Room>,
    /// Each station behind the line is tested once in this time, unless it is in a call.
    pub surveillance: Option<Duration>,
}

/// How the line is built, as the label of the older server says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkKind {
    Net,
    Lan,
    Gev,
    CnetW,
    CnetE1,
    S0,
    Other,
}

/// Who speaks on the line.
#[derive(Clone, Debug)]
pub enum Driver {
    /// The open link profile.
    Versicle(open_link::Config),
    Acdp(acdp::Config),
    /// The seed in it is replaced by one of ours.
    Isdn(Box<isdn::port::Config>),
    Table(Arc<table::Manifest>),
    /// There is none for this line; everybody who asks is told why.
    Missing {
        why: String,
    },
}

/// How calls over the line are heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineSound {
    /// Its protocol tells where: RTP.
    Rtp,
    /// B channels, which the shell gives as ends of RTP.
    Channels,
    /// The line controls; calls go by SIP.
    Sip(Trunk),
    /// Not at all.
    None,
}

/// The SIP side of an older server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Calls go to `sip:NUMBER@` this host; those that come from it are its stations'.
    pub host: SocketAddr,
    pub transport: sip::flow::Transport,
}

/// One station or ring group for each channel (B6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelTarget {
    /// As the other end dials it.
    pub number: CallNumber,
    pub to: Address,
}

/// Whoever shows this token acts as this station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    pub authority: Authority,
    pub station: StationId,
}

/// A group call or conference of ours, by the number that the line knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub group: GroupRef,
    pub number: CallNumber,
}

impl LinkKind {
    pub const ALL: [Self; 7] = [
        Self::Net,
        Self::Lan,
        Self::Gev,
        Self::CnetW,
        Self::CnetE1,
        Self::S0,
        Self::Other,
    ];

    /// The name in configuration, status and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Net => "NET",
            Self::Lan => "LAN",
            Self::Gev => "GEV",
            Self::CnetW => "CNET-W",
            Self::CnetE1 => "CNET-E1",
            Self::S0 => "S0",
            Self::Other => "other",
        }
    }
}

impl Driver {
    /// The name in status and metrics.
    pub fn name(&self) -> &str {
        match self {
            Self::Versicle(_) => "versicle",
            Self::Acdp(_) => "acdp",
            Self::Isdn(_) => "isdn",
            Self::Table(manifest) => &manifest.name,
            Self::Missing { .. } => "missing",
        }
    }

    /// Whether stations can be tested, and the result be heard.
    pub fn can_test(&self) -> bool {
        match self {
            Self::Versicle(_) => true,
            Self::Table(manifest) => tests(manifest.coverage()),
            Self::Acdp(_) | Self::Isdn(_) | Self::Missing { .. } => false,
        }
    }
}

pub(super) const fn tests(coverage: Coverage) -> bool {
    coverage.can_command(CommandKind::LineTest) && coverage.can_hear(EventKind::LineTested)
}

impl LineConfig {
    /// A line with nothing but what it cannot do without.
    pub fn new(name: &str, driver: Driver, node: Server, numbering: Numbering) -> Self {
        Self {
            name: name.to_owned(),
            kind: LinkKind::Other,
            driver,
            port: port::Config::default(),
            node,
            further_nodes: Vec::new(),
            numbering,
            sound: LineSound::None,
            peer: None,
            targets: Vec::new(),
            desk: None,
            authority: Authority::default(),
            trusted: Vec::new(),
            rooms: Vec::new(),
            surveillance: None,
        }
    }

    /// All servers behind the line, the one at its end first.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.node).chain(&self.further_nodes)
    }
}
