//! What can be waited for: something that is so, or is not yet.

use legacy_protocols::command::Switch;
use legacy_protocols::event::StationState;
use legacy_protocols::number::Party;

use super::ScriptError;
use super::order::Words;
use crate::site::{Leaf, Phase, Site};

/// A condition of one station or line of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Station(Party, Lamp),
    Call(Party, Option<Phase>),
    With(Party, Party),
    Door(Party, u16, Leaf),
    Relay(Party, u16, Switch),
    Text(Party, String),
    Queue(Party, u16),
    Line(usize, Switch),
    Theirs(Party, Lamp),
}

/// A lamp, without the number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lamp {
    Idle,
    Ringing,
    Requesting,
    Busy,
    Conference,
    Listening,
    Privacy,
    Broken,
    Unknown,
}

const LAMPS: [(&str, Lamp); 9] = [
    ("idle", Lamp::Idle),
    ("ringing", Lamp::Ringing),
    ("requesting", Lamp::Requesting),
    ("busy", Lamp::Busy),
    ("conference", Lamp::Conference),
    ("listening", Lamp::Listening),
    ("privacy", Lamp::Privacy),
    ("broken", Lamp::Broken),
    ("unknown", Lamp::Unknown),
];

const LAMP: &str = "idle, ringing, requesting, busy, conference, listening, privacy or broken";

impl Lamp {
    pub const fn of(state: StationState) -> Self {
        match state {
            StationState::Unknown => Self::Unknown,
            StationState::Idle => Self::Idle,
            StationState::Ringing => Self::Ringing,
            StationState::Requesting => Self::Requesting,
            StationState::InCall => Self::Busy,
            StationState::InConference(_) => Self::Conference,
            StationState::Listening(_) => Self::Listening,
            StationState::Privacy => Self::Privacy,
            StationState::OutOfService => Self::Broken,
        }
    }

    /// As scripts and the page name it.
    pub fn name(self) -> &'static str {
        let found = LAMPS.iter().find(|(_, lamp)| *lamp == self);
        found.map_or("unknown", |(name, _)| name)
    }
}

pub(super) fn condition(words: &mut Words<'_>) -> Result<Condition, ScriptError> {
    let kind = words.need("what to wait for")?;
    let switch = [("on", Switch::On), ("off", Switch::Off)];
    let condition = match kind {
        "station" => Condition::Station(words.station()?, words.choose(LAMP, &LAMPS)?),
        "call" => {
            let phases = [
                ("ringing", Some(Phase::Ringing)),
                ("talking", Some(Phase::Connected)),
                ("held", Some(Phase::Held)),
                ("none", None),
            ];
            let station = words.station()?;
            let phase = words.choose("ringing, talking, held or none", &phases)?;
            Condition::Call(station, phase)
        }
        "with" => Condition::With(words.station()?, words.party()?),
        "door" => {
            let leaves = [("open", Leaf::Open), ("closed", Leaf::Closed)];
            let (station, door) = (words.station()?, words.number("a door")?);
            Condition::Door(station, door, words.choose("open or closed", &leaves)?)
        }
        "relay" => {
            let (station, door) = (words.station()?, words.number("a door")?);
            Condition::Relay(station, door, words.choose("on or off", &switch)?)
        }
        "text" => {
            let station = words.station()?;
            let text = words.left.join(" ");
            words.left.clear();
            Condition::Text(station, text)
        }
        "queue" => Condition::Queue(words.station()?, words.number("a count")?),
        "line" => {
            let states = [("up", Switch::On), ("down", Switch::Off)];
            Condition::Line(words.line()?, words.choose("up or down", &states)?)
        }
        "theirs" => Condition::Theirs(words.party()?, words.choose(LAMP, &LAMPS)?),
        other => {
            return Err(ScriptError::Wrong {
                word: other.to_owned(),
                wanted: "something to wait for; `help` lists them",
            });
        }
    };
    words.end()?;
    Ok(condition)
}

impl Condition {
    pub fn holds(&self, site: &Site) -> bool {
        let lamp = |party| site.station(party).map(|station| Lamp::of(station.state()));
        let call = |party| site.station(party)?.call().and_then(|call| site.call(call));
        let door = |party, door: u16| {
            let doors = site.station(party)?.doors();
            doors.get(usize::from(door).checked_sub(1)?)
        };
        match self {
            Condition::Station(party, wanted) => lamp(*party) == Some(*wanted),
            Condition::Call(party, phase) => call(*party).map(|call| call.phase) == *phase,
            Condition::With(party, other) => call(*party)
                .is_some_and(|call| call.phase == Phase::Connected && call.other(*party) == *other),
            Condition::Door(party, number, leaf) => {
                door(*party, *number).is_some_and(|door| door.leaf == *leaf)
            }
            Condition::Relay(party, number, relay) => {
                door(*party, *number).is_some_and(|door| door.relay == *relay)
            }
            Condition::Text(party, words) => {
                let text = site.station(*party).and_then(|station| station.text());
                text.is_some_and(|text| text.as_str().contains(words))
            }
            Condition::Queue(desk, count) => site.queue(*desk).len() == usize::from(*count),
            Condition::Line(line, up) => {
                let line = site.lines().get(*line);
                line.is_some_and(|line| line.is_up() == (*up == Switch::On))
            }
            Condition::Theirs(party, wanted) => {
                let lines = site.lines().iter();
                let mut theirs = lines.flat_map(|line| line.theirs());
                theirs.any(|(known, state)| known == *party && Lamp::of(state) == *wanted)
            }
        }
    }
}
