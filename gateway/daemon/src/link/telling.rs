//! What the cloud core is told of what happened: records of calls and doors, faults, alarms.
//!
//! From the model's words to a document, and from the journal's row to what the link takes. Names and
//! numbers of people travel in it as they do in the journal: to the company that owns the gateway, and
//! there to those who may see who called. Invariant: one record makes one document, and the same one
//! again.

use contract::document::{Counter, Moment, Text};
use model::{
    Address, Authority, CallRecord, Carried, DoorRecord, DoorResult, Faults, LegAudio, LegRole,
    StationId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use session::Happened;
use session::outbox::Class;

use crate::store::Telling;

/// Call data is nobody's after so long, in the box too.
const CALL_DAYS: u16 = contract::limits::CALL_DATA_DAYS;

/// What is to be told, before it has a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tale {
    class: String,
    kind: String,
    id: String,
    at: i64,
    data: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_days: Option<u16>,
}

impl Tale {
    fn new(class: Class, kind: &str, id: String, at: Timestamp, data: Value) -> Self {
        Self {
            class: class.name().to_owned(),
            kind: kind.to_owned(),
            id,
            at: at.unix_ms(),
            data,
            ttl_days: None,
        }
    }

    /// As the journal keeps it.
    pub(crate) fn numbered(&self, number: u64) -> Telling {
        Telling {
            number,
            at_ms: self.at,
            document: serde_json::to_string(self).expect("texts and numbers are JSON"),
        }
    }

    /// As the link takes it; nothing for a row that is damaged.
    pub(crate) fn happened(telling: &Telling) -> Option<Happened> {
        let tale: Self = serde_json::from_str(&telling.document).ok()?;
        let class = Class::ALL
            .into_iter()
            .find(|class| class.name() == tale.class)?;
        Some(Happened {
            class,
            kind: Text::new(tale.kind).ok()?,
            id: Text::new(tale.id).ok()?,
            at: Moment(Counter::new(tale.at).ok()?),
            data: tale.data,
            ttl_days: tale.ttl_days,
        })
    }
}

/// A leg has ended; a call with many legs has one record for each.
pub(crate) fn call(record: &CallRecord) -> Tale {
    let data = filled([
        ("call", json!(record.call.get().to_string())),
        ("leg", json!(record.leg.get().to_string())),
        (
            "role",
            json!(match record.role {
                LegRole::Caller => "caller",
                LegRole::Callee => "callee",
            }),
        ),
        ("number", json!(record.party.address.as_ref().map(address))),
        ("name", json!(named(record.party.name.reveal()))),
        ("dialled", json!(record.dialled.as_ref().map(address))),
        ("by_way_of", json!(record.by_way_of.as_ref().map(address))),
        ("priority", json!(record.priority.get())),
        ("started", json!(record.started.unix_ms())),
        ("answered", json!(record.answered.map(Timestamp::unix_ms))),
        ("ended", json!(record.ended.unix_ms())),
        ("rang_ms", json!(milliseconds(record.rang_for))),
        ("talked_ms", json!(milliseconds(record.talked_for))),
        (
            "talked_with",
            json!(record.talked_with.map(|leg| leg.get().to_string())),
        ),
        ("status", json!(record.status.name())),
        ("cause", json!(record.cause.name())),
        ("audio", record.audio.as_ref().map_or(Value::Null, audio)),
    ]);
    let id = format!("call-{:016x}", record.id.get());
    Tale {
        ttl_days: Some(CALL_DAYS),
        ..Tale::new(Class::Call, "call.ended", id, record.ended, data)
    }
}

/// A door command is concluded; `by`: who wanted it in the cloud.
pub(crate) fn door(record: &DoorRecord, key: &str, by: Option<&str>) -> Tale {
    let (kind, reason) = match record.result {
        DoorResult::Opened => ("door.opened", None),
        DoorResult::SentNotConfirmed => ("door.sent", None),
        DoorResult::Failed => ("door.failed", None),
        DoorResult::Denied(why) => ("door.denied", Some(why.to_string())),
    };
    let data = filled([
        ("door", json!(key)),
        ("command", json!(record.command.to_string())),
        (
            "by",
            json!(by.map_or_else(|| authority(record.authority), str::to_owned)),
        ),
        (
            "call",
            json!(record.call.map(|call| call.get().to_string())),
        ),
        ("asked", json!(record.asked.unix_ms())),
        ("concluded", json!(record.concluded.unix_ms())),
        ("reason", json!(reason)),
    ]);
    let id = format!("door-{}", record.command);
    let id = id.chars().take(40).collect();
    Tale::new(Class::Safety, kind, id, record.concluded, data)
}

/// The faults of a station have become others.
pub(crate) fn faults((station, number): (StationId, &str), faults: Faults, at: Timestamp) -> Tale {
    let names: Vec<_> = faults.names().collect();
    let kind = match names.is_empty() {
        true => "fault.cleared",
        false => "fault.raised",
    };
    let id = format!("fault-{:x}-{:x}", station.get(), at.unix_ms());
    let data = json!({"station": number, "faults": names});
    Tale::new(Class::Safety, kind, id, at, data)
}

/// A line to an older server has come up or gone.
pub(crate) fn line(name: &str, is_up: bool, at: Timestamp) -> Tale {
    let kind = match is_up {
        true => "line.up",
        false => "line.down",
    };
    let of_name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    let id = format!("line-{of_name}-{:x}", at.unix_ms());
    Tale::new(Class::Safety, kind, id, at, json!({"line": name}))
}

/// An alarm has found nobody yet and goes on.
pub(crate) fn alarm_goes_on(call: u64, to: &Address, at: Timestamp) -> Tale {
    let id = format!("alarm-{call:x}-{:x}", at.unix_ms());
    let data = json!({"call": call.to_string(), "to": address(to)});
    Tale::new(Class::Safety, "alarm.escalated", id, at, data)
}

/// Without what is not known.
fn filled<const N: usize>(members: [(&str, Value); N]) -> Value {
    let known = members.into_iter().filter(|(_, value)| !value.is_null());
    let known: Map<_, _> = known
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Value::Object(known)
}

fn named(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

fn milliseconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn audio(audio: &LegAudio) -> Value {
    filled([
        ("codec", json!(audio.codec.map(|codec| codec.name()))),
        ("transcoded", json!(audio.carried == Carried::Transcoded)),
        ("encryption", json!(audio.encryption)),
        ("packets", json!(audio.received.packets)),
        ("lost", json!(audio.received.lost)),
        ("jitter_ms", json!(milliseconds(audio.received.jitter))),
        (
            "mos_hundredths",
            json!(audio.received.mos.map(|mos| mos.hundredths())),
        ),
    ])
}

pub(crate) fn address(address: &Address) -> String {
    match address {
        Address::Local(number) => number.to_string(),
        Address::Remote { node, number } => format!("{node}/{number}"),
        Address::Sip(uri) => uri.as_str().to_owned(),
        Address::CloudUser(user) => user.to_string(),
        Address::Group(group) => group.to_string(),
        Address::Desk(desk) => desk.to_string(),
    }
}

fn authority(authority: Authority) -> String {
    match authority {
        Authority::Leg(leg) => leg.to_string(),
        Authority::Station(station) => station.to_string(),
        Authority::CloudUser(user) => user.to_string(),
        Authority::Operator => "operator".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_tale_is_what_the_link_takes() {
        let at = Timestamp::from_unix_ms(1_800_000_000_000);
        let tale = line("north wing", false, at);
        let happened = Tale::happened(&tale.numbered(7)).unwrap();
        assert_eq!(happened.kind.as_str(), "line.down");
        assert_eq!(happened.data, json!({"line": "north wing"}));
        assert_eq!(happened.at.0.get(), at.unix_ms());
        let damaged = Telling {
            document: "{".to_owned(),
            ..tale.numbered(7)
        };
        assert!(Tale::happened(&damaged).is_none());
    }

    #[test]
    fn m4_a_fault_and_its_end_are_told_apart() {
        let at = Timestamp::from_unix_ms(5);
        let station = (StationId::new(3), "2101");
        let cleared = faults(station, Faults::default(), at);
        assert_eq!(cleared.kind, "fault.cleared");
        assert_eq!(cleared.data["station"], "2101");
    }
}
