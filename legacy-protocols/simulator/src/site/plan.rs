//! What a site is made of: servers, stations, doors, groups. Plain data; nothing moves here.

use std::time::Duration;

use legacy_protocols::number::{Node, Party};
use legacy_protocols::port;
use legacy_protocols::priority::Priority;
use legacy_protocols::text::Text;

use super::kept::Keeps;

/// The most stations that one call, conference or group reaches.
pub const MOST_MEMBERS: usize = 100;

#[derive(Debug)]
pub struct Plan {
    pub name: String,
    /// The servers of the site. The first stands at the lines, the others behind it.
    pub nodes: Vec<(Node, String)>,
    pub stations: Vec<StationPlan>,
    pub groups: Vec<GroupPlan>,
    pub lines: Vec<LinePlan>,
    /// Whom nobody answers hears an end after so long.
    pub answer_within: Duration,
    pub longest_call: Duration,
    /// Which calls wait for a line that is down.
    pub keeps: Keeps,
    /// Ends of the site's sound on the network; each call over a line needs one.
    pub sound_ends: Vec<std::net::SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationPlan {
    /// One word, for scripts: `gate`.
    pub id: String,
    /// As it is written on the station: `Gate East`.
    pub name: String,
    pub party: Party,
    pub kind: StationKind,
    pub buttons: Vec<Button>,
    pub doors: Vec<DoorPlan>,
    pub inputs: Vec<String>,
    pub answers: Answers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StationKind {
    Door,
    /// Requests queue here.
    Desk,
    /// Its button is an alarm.
    Emergency,
    /// In a room.
    Room,
}

/// How a station takes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    ByHand,
    /// The microphone opens by itself.
    AtOnce,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    pub label: String,
    pub to: Party,
    pub priority: Priority,
    pub wish: Wish,
    /// Shown where it arrives.
    pub text: Option<Text>,
}

/// What a button begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Call,
    /// To be called, by whoever takes it at a desk.
    Request,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorPlan {
    pub name: String,
    pub contact: Contact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    Fitted,
    None,
}

/// Whoever hears a group call, or a conference of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    pub number: u16,
    pub name: String,
    pub members: Vec<Party>,
}

#[derive(Debug)]
pub struct LinePlan {
    pub name: String,
    /// Who is at the other end.
    pub gateway: Node,
    pub protocol: port::Protocol,
    pub port: port::Config,
    pub seed: u64,
    /// Where the sound of its B channels is, as RTP of A-law, on a line that has some.
    pub channels: Option<std::net::SocketAddr>,
}
