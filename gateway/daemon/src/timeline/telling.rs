//! Events in the words of the timeline.
//!
//! Whoever may read the timeline may see numbers and names, so they are revealed here; keys, codes
//! and passwords never come this far. Matches are closed: a new event of the engine does not compile
//! before it is told here.

mod lines;

use std::collections::BTreeMap;

use calls::{Claimant, Closure, DoorStage, Event, RequestChange};
use exchange::{KeyForm, OperatorCommand, UrlReply, UrlRequest};
use model::{
    Address, Authority, CallRecord, CommandId, Directory, DoorId, DoorRecord, DoorResult, HttpUrl,
    LegId, LegRole, Party, StationId,
};
use sip::registrar;

pub(crate) use self::lines::LineSaid;
pub(super) use self::lines::{of_line, unnamed};

use super::entry::Happened;
use super::mask;
use crate::control::protocol::RemoteAction;

/// What ids are called in the directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    stations: BTreeMap<StationId, String>,
    doors: BTreeMap<DoorId, String>,
}

impl Names {
    pub(crate) fn of(directory: &Directory, doors: &BTreeMap<String, DoorId>) -> Self {
        let stations = directory.stations().iter();
        Self {
            stations: stations
                .map(|station| (station.id, station.number.to_string()))
                .collect(),
            doors: doors.iter().map(|(key, id)| (*id, key.clone())).collect(),
        }
    }

    fn station(&self, id: StationId) -> String {
        let known = self.stations.get(&id).cloned();
        known.unwrap_or_else(|| id.to_string())
    }

    fn door(&self, id: DoorId) -> String {
        let known = self.doors.get(&id).cloned();
        known.unwrap_or_else(|| id.to_string())
    }

    fn address(&self, address: &Address) -> String {
        match address {
            Address::Local(number) => number.to_string(),
            Address::Remote { node, number } => format!("{node}/{number}"),
            Address::Sip(uri) => uri.as_str().to_owned(),
            Address::CloudUser(user) => user.to_string(),
            Address::Group(group) => group.to_string(),
            Address::Desk(desk) => desk.to_string(),
        }
    }

    /// The number of a party, if it has one.
    fn number(&self, party: &Party) -> Option<String> {
        let station = party.station.map(|station| self.station(station));
        station.or_else(|| party.address.as_ref().map(|address| self.address(address)))
    }

    fn claimant(&self, claimant: Claimant) -> String {
        match claimant {
            Claimant::Station(station) => self.station(station),
            Claimant::CloudUser(user) => user.to_string(),
        }
    }
}

fn happened(event: &str) -> Happened {
    Happened {
        event: event.to_owned(),
        ..Happened::default()
    }
}

impl Happened {
    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.details.insert(name.to_owned(), value.to_string());
        self
    }

    fn station(mut self, number: impl Into<Option<String>>) -> Self {
        let number = number.into();
        self.stations
            .extend(number.filter(|number| !self.stations.contains(number)));
        self
    }

    fn party(self, name: &str, party: &Party, names: &Names) -> Self {
        let number = names.number(party);
        let called = party.name.reveal();
        let text = match (&number, called.as_str()) {
            (Some(number), "") => number.clone(),
            (Some(number), called) => format!("{number} ({called})"),
            (None, called) => called.to_owned(),
        };
        self.station(number).with(name, text)
    }
}

/// What people and devices do, of which not all is kept.
impl Happened {
    /// Keys may be the code of a door: which one it was is not kept.
    pub(super) fn of_key(leg: LegId, form: KeyForm) -> Self {
        let told = Self {
            leg: Some(leg.get()),
            ..happened("key_pressed")
        };
        told.with("form", word(form))
    }

    pub(super) fn of_silence(leg: LegId) -> Self {
        Self {
            leg: Some(leg.get()),
            ..happened("leg_silent")
        }
    }

    pub(super) fn of_page(station: &str, action: RemoteAction, url: &HttpUrl) -> Self {
        happened("operator_asks_page")
            .station(station.to_owned())
            .with("action", word(action))
            .with("url", mask::url(url.as_str()))
    }

    /// Nothing of those who only look.
    pub(super) fn of_operator(command: &OperatorCommand) -> Option<Self> {
        Some(match command {
            OperatorCommand::End(call) => Self {
                call: Some(call.get()),
                ..happened("operator_ends_call")
            },
            OperatorCommand::Record(call) => Self {
                call: Some(call.get()),
                ..happened("operator_records_call")
            },
            OperatorCommand::StopRecording(call) => Self {
                call: Some(call.get()),
                ..happened("operator_stops_recording")
            },
            OperatorCommand::Play(leg, _) => Self {
                leg: Some(leg.get()),
                ..happened("operator_plays_to_leg")
            },
            OperatorCommand::Sound(leg, _) => Self {
                leg: Some(leg.get()),
                ..happened("operator_changes_sound")
            },
            OperatorCommand::Open(command, _) => Self {
                command: Some(command.to_string()),
                ..happened("operator_opens_door")
            },
            // What it says, the line's own entry tells.
            OperatorCommand::Order(station, order) => happened("operator_orders")
                .station(station.to_string())
                .with("order", order.name()),
            OperatorCommand::Status | OperatorCommand::Calls | OperatorCommand::Stations => {
                return None;
            }
        })
    }
}

/// An event of the call engine.
pub(super) fn of_calls(event: &Event, names: &Names) -> Happened {
    match event {
        Event::CallStarted {
            call,
            from,
            dialled,
            priority,
        } => Happened {
            call: Some(call.get()),
            ..happened("call_started")
        }
        .party("from", from, names)
        .station(names.address(dialled))
        .with("dialled", names.address(dialled))
        .with("priority", priority.get()),
        Event::CallChanged { call, phase } => Happened {
            call: Some(call.get()),
            ..happened("call_changed")
        }
        .with("phase", word(phase)),
        Event::CallEnded { call } => Happened {
            call: Some(call.get()),
            ..happened("call_ended")
        },
        Event::Forwarded { call, to, why } => Happened {
            call: Some(call.get()),
            ..happened("call_forwarded")
        }
        .station(names.address(to))
        .with("to", names.address(to))
        .with("why", word(why)),
        Event::Skipped { call, whom, cause } => Happened {
            call: Some(call.get()),
            ..happened("member_skipped")
        }
        .station(names.address(whom))
        .with("whom", names.address(whom))
        .with("cause", cause),
        Event::PreEmpted { call, by } => Happened {
            call: Some(call.get()),
            ..happened("call_pre_empted")
        }
        .with("by", by),
        Event::AlarmEscalated { call, to } => Happened {
            call: Some(call.get()),
            ..happened("alarm_escalated")
        }
        .station(names.address(to))
        .with("to", names.address(to)),
        Event::StationChanged {
            station,
            state,
            faults,
        } => {
            let faults: Vec<_> = faults.names().collect();
            let told = happened("station_changed")
                .station(names.station(*station))
                .with("state", state);
            match faults.is_empty() {
                true => told,
                false => told.with("faults", faults.join(", ")),
            }
        }
        Event::Request { request, change } => {
            let told = Happened {
                request: Some(request.get()),
                ..happened("")
            };
            of_request(told, change, names)
        }
        Event::Door {
            command,
            door,
            stage,
        } => {
            let told = of_door(*command, *door, names);
            match stage {
                DoorStage::Sent => Happened {
                    event: "door_command_sent".to_owned(),
                    ..told
                },
                DoorStage::Concluded(result) => Happened {
                    event: "door_command_concluded".to_owned(),
                    ..told
                }
                .with("result", door_result(*result)),
            }
        }
        Event::DoorCodesLocked { leg } => Happened {
            leg: Some(leg.get()),
            ..happened("door_codes_locked")
        },
        Event::Drained => happened("drained"),
    }
}

fn of_request(told: Happened, change: &RequestChange, names: &Names) -> Happened {
    let named = |event: &str| Happened {
        event: event.to_owned(),
        ..told
    };
    match change {
        RequestChange::Queued {
            desk,
            from,
            priority,
        } => named("request_queued")
            .party("from", from, names)
            .with("desk", desk)
            .with("priority", priority.get()),
        RequestChange::Reminder => named("request_reminder"),
        RequestChange::Taken { by } => named("request_taken")
            .station(names.claimant(*by))
            .with("by", names.claimant(*by)),
        RequestChange::Returned { cause } => named("request_returned").with("cause", cause),
        RequestChange::AlsoAt { desk } => named("request_also_at").with("desk", desk),
        RequestChange::Closed { why } => {
            let closed = named("request_closed");
            match why {
                Closure::Connected => closed.with("why", "connected"),
                Closure::Withdrawn => closed.with("why", "withdrawn"),
                Closure::TakenElsewhere => closed.with("why", "taken_elsewhere"),
                Closure::Dismissed { by } => closed
                    .with("why", "dismissed")
                    .with("by", names.claimant(*by)),
                Closure::Expired => closed.with("why", "expired"),
                Closure::Escalated => closed.with("why", "escalated"),
            }
        }
    }
}

fn of_door(command: CommandId, door: DoorId, names: &Names) -> Happened {
    Happened {
        command: Some(command.to_string()),
        door: Some(names.door(door)),
        ..Happened::default()
    }
}

/// Who had a door opened, and what became of it.
pub(super) fn of_door_record(record: &DoorRecord, names: &Names) -> Happened {
    let told = Happened {
        event: "door_recorded".to_owned(),
        call: record.call.map(|call| call.get()),
        ..of_door(record.command, record.door, names)
    };
    let told = told.station(record.station.map(|station| names.station(station)));
    let told = match record.authority {
        Authority::Leg(leg) => Happened {
            leg: Some(leg.get()),
            ..told
        }
        .with("by", leg),
        Authority::Station(station) => told
            .station(names.station(station))
            .with("by", names.station(station)),
        Authority::CloudUser(user) => told.with("by", user),
        Authority::Operator => told.with("by", "operator"),
    };
    told.with("result", door_result(record.result))
}

/// A device is asked to open a door.
pub(super) fn of_url(request: &UrlRequest) -> Happened {
    Happened {
        command: Some(request.command.to_string()),
        ..happened("door_url_asked")
    }
    .with("url", mask::url(request.url.as_str()))
}

pub(super) fn of_url_reply(command: CommandId, reply: UrlReply) -> Happened {
    let reply = match reply {
        UrlReply::Accepted => "accepted",
        UrlReply::Refused => "refused",
    };
    Happened {
        command: Some(command.to_string()),
        ..happened("door_url_answered")
    }
    .with("reply", reply)
}

/// A leg came to its end.
pub(super) fn of_record(record: &CallRecord, names: &Names) -> Happened {
    let role = match record.role {
        LegRole::Caller => "caller",
        LegRole::Callee => "callee",
    };
    let told = Happened {
        call: Some(record.call.get()),
        leg: Some(record.leg.get()),
        ..happened("leg_ended")
    };
    told.party("party", &record.party, names)
        .with("role", role)
        .with("status", record.status.name())
        .with("cause", record.cause.name())
        .with("talked_ms", record.talked_for.as_millis())
}

pub(super) fn of_registrar(event: &registrar::Event) -> Happened {
    match event {
        registrar::Event::StationUp { aor, by } => happened("registered")
            .station(aor.to_string())
            .with("by", word(by)),
        registrar::Event::StationDown { aor, cause } => happened("unregistered")
            .station(aor.to_string())
            .with("cause", word(cause)),
        registrar::Event::SourceBarred {
            source,
            failures,
            duration,
        } => happened("address_barred")
            .with("address", source)
            .with("failures", failures)
            .with("seconds", duration.as_secs()),
        registrar::Event::AccountBarred {
            aor,
            failures,
            duration,
        } => happened("account_barred")
            .station(aor.to_string())
            .with("failures", failures)
            .with("seconds", duration.as_secs()),
    }
}

fn door_result(result: DoorResult) -> String {
    match result {
        DoorResult::Opened => "opened".to_owned(),
        DoorResult::SentNotConfirmed => "sent_not_confirmed".to_owned(),
        DoorResult::Failed => "failed".to_owned(),
        DoorResult::Denied(why) => format!("denied: {why}"),
    }
}

/// A word of ours, as it is written in files: `GroupCall` is `group_call`.
fn word(word: impl std::fmt::Debug) -> String {
    let mut text = String::new();
    for letter in format!("{word:?}").chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() && text.ends_with(char::is_alphanumeric)
        {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use model::{CallId, Priority};

    use super::*;

    #[test]
    fn a_call_is_told_with_numbers_that_can_be_searched_for() {
        let event = Event::CallStarted {
            call: CallId::new(17),
            from: Party {
                station: Some(StationId::new(1)),
                address: None,
                name: model::Pii::new("Gate".to_owned()),
            },
            dialled: Address::Local("103".parse().unwrap()),
            priority: Priority::DEFAULT_ALARM,
        };
        let names = Names {
            stations: BTreeMap::from([(StationId::new(1), "101".to_owned())]),
            doors: BTreeMap::new(),
        };
        let told = of_calls(&event, &names);
        assert_eq!((told.event.as_str(), told.call), ("call_started", Some(17)));
        assert_eq!(told.stations, ["101", "103"]);
        assert_eq!(told.details["from"], "101 (Gate)");
    }

    #[test]
    fn words_of_the_program_are_written_as_in_files() {
        assert_eq!(word(calls::Phase::GroupCall), "group_call");
        assert_eq!(word(calls::Phase::Talking), "talking");
    }
}
