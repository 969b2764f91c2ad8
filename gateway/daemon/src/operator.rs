//! What people at the command line ask, in the machine's words, and its answers in theirs.
//!
//! Whoever reaches the control socket may see numbers and names, so they are revealed here.

mod audio;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use contract::document::Text;
use exchange::{Answer, CallShown, OperatorError, OrderError, StationView as MachineStation};
use model::{
    Address, CommandId, DoorResult, ForwardWhen, ForwardingRule, GainError, Party, Timestamp,
};
use tokio::sync::oneshot;

use crate::control::protocol::{
    CallView, Done, LegView, LineBrief, ListenerView, Refusal, RefusalCode, Reply, RunState,
    StationView, StatusView, StoreState, StoreView,
};
use crate::orders;
use crate::store::StoreFigures;

/// Somebody who waits for an answer.
#[derive(Debug)]
pub(crate) enum Asker {
    Once {
        reply: oneshot::Sender<Reply>,
    },
    /// The cloud core wants a door, and waits until it is known what became of it.
    Cloud {
        command: CommandId,
        asked: Text<40>,
        by: Text<64>,
    },
    /// The cloud core is told what the gateway is.
    Report,
    /// Waits until it is known what became of the door.
    Door {
        command: CommandId,
        reply: oneshot::Sender<Reply>,
    },
}

/// What the machine does not know of the process around it.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) started: Instant,
    pub(crate) state: RunState,
    pub(crate) listeners: Vec<ListenerView>,
    pub(crate) metrics: Option<SocketAddr>,
    /// The folder of the timeline.
    pub(crate) timeline: Option<PathBuf>,
    pub(crate) directory_read: Timestamp,
}

/// The machine's answer as people read it.
pub(crate) fn reply(
    answer: Answer,
    about: &About,
    store: &StoreFigures,
    lines: Vec<LineBrief>,
) -> Reply {
    match answer {
        Answer::Calls(calls) => Reply::Calls(calls.iter().map(call).collect()),
        Answer::Stations(stations) => Reply::Stations(stations.iter().map(station).collect()),
        Answer::Status(status) => Reply::Status(Box::new(StatusView {
            name: about.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: about.started.elapsed().as_secs(),
            state: about.state,
            listeners: about.listeners.clone(),
            metrics: about.metrics,
            stations: status.stations,
            stations_registered: status.registered,
            doors: status.doors,
            calls: status.calls,
            lines,
            store: store_views(store),
            timeline: about.timeline.clone(),
            directory_read_ms: about.directory_read.unix_ms(),
        })),
        Answer::Done => done("done"),
        Answer::OfLine(answer) => orders::reply(&answer),
        Answer::Refused(error) => Reply::Error(refusal(error)),
    }
}

/// What became of a door.
pub(crate) fn door_reply(result: DoorResult) -> Reply {
    match result {
        DoorResult::Opened => done("opened"),
        DoorResult::SentNotConfirmed => done("sent, not confirmed"),
        DoorResult::Failed => Reply::Error(Refusal {
            code: RefusalCode::NotAllowed,
            text: "the door's station or device did not carry it out".to_owned(),
            remedy: "look whether it is reachable with `stations`".to_owned(),
        }),
        DoorResult::Denied(denial) => Reply::Error(refusal(denial.into())),
    }
}

/// There is no door of this key.
pub(crate) fn no_such_door(key: &str) -> Reply {
    Reply::Error(Refusal {
        code: RefusalCode::NotFound,
        text: format!("there is no door with the key \"{key}\""),
        remedy: "the keys stand in the directory as `key` of [[stations.doors]]".to_owned(),
    })
}

/// A station's page was asked and has not done it.
pub(crate) fn page_refused(why: &str) -> Reply {
    Reply::Error(Refusal {
        code: RefusalCode::NotAllowed,
        text: format!("the station's page was not reached or has refused: {why}"),
        remedy: "compare its `remote` and the device profile with the manual of the station"
            .to_owned(),
    })
}

/// The station has no page for this.
pub(crate) fn no_page(station: &str) -> Reply {
    Reply::Error(Refusal {
        code: RefusalCode::NotFound,
        text: format!("station {station} has no page for this in the directory"),
        remedy: "give it `remote` with a device profile that says the path".to_owned(),
    })
}

pub(crate) fn bad_gain(error: GainError) -> Reply {
    Reply::Error(Refusal {
        code: RefusalCode::BadRequest,
        text: error.to_string(),
        remedy: "set the rest at the station itself".to_owned(),
    })
}

pub(crate) fn done(text: &str) -> Reply {
    Reply::Done(Done {
        text: text.to_owned(),
    })
}

fn refusal(error: OperatorError) -> Refusal {
    use calls::CommandError;
    use model::DoorDenial;
    let code = match &error {
        OperatorError::Command(CommandError::NoSuchCall | CommandError::NoSuchLeg)
        | OperatorError::Order(OrderError::NoSuchStation(_))
        | OperatorError::Door(DoorDenial::UnknownDoor) => RefusalCode::NotFound,
        OperatorError::Command(CommandError::Overload)
        | OperatorError::Door(DoorDenial::Busy | DoorDenial::Overload) => RefusalCode::Busy,
        OperatorError::Command(_)
        | OperatorError::Door(_)
        | OperatorError::Order(_)
        | OperatorError::RecordedAlready
        | OperatorError::NotRecorded
        | OperatorError::NoCodecOfOurs => RefusalCode::NotAllowed,
    };
    // The text of these errors ends with what to do.
    let text = error.to_string();
    let (text, remedy) = text
        .split_once("; ")
        .unwrap_or((&text, "look with `calls`"));
    Refusal {
        code,
        text: text.to_owned(),
        remedy: remedy.to_owned(),
    }
}

fn call(shown: &CallShown) -> CallView {
    let call = &shown.call;
    CallView {
        call: call.call.get(),
        from: party(&call.from),
        to: address(&call.dialled),
        state: format!("{:?}", call.phase).to_lowercase(),
        priority: call.priority.get(),
        seconds: call.running_for.as_secs(),
        legs: call
            .legs
            .iter()
            .map(|leg| LegView {
                leg: leg.leg.get(),
                party: party(&leg.party),
                state: format!("{:?}", leg.answer).to_lowercase(),
                encryption: shown
                    .encryption
                    .get(&leg.leg)
                    .map(|suite| suite.to_string()),
                audio: shown.audio.get(&leg.leg).map(audio::view),
            })
            .collect(),
    }
}

fn station(station: &MachineStation) -> StationView {
    StationView {
        number: station.number.to_string(),
        name: station.name.reveal().clone(),
        state: station.state.to_string(),
        faults: station.faults.names().map(str::to_owned).collect(),
        contacts: station
            .contacts
            .iter()
            .map(|contact| format!("{}:{}", contact.transport, contact.address))
            .collect(),
        programme: station.programme,
        diverted: station.diversion.as_ref().map(diversion),
    }
}

fn diversion(rule: &ForwardingRule) -> String {
    let when = match rule.when {
        ForwardWhen::Always => "always",
        ForwardWhen::Busy => "when busy",
        ForwardWhen::NoAnswer { .. } => "without reply",
        ForwardWhen::Unreachable => "when not there",
    };
    format!("{when} to {}", address(&rule.to))
}

pub(crate) fn party(party: &Party) -> String {
    let name = party.name.reveal();
    match (&party.address, name.as_str()) {
        (Some(of), "") => address(of),
        (Some(of), name) => format!("{} ({name})", address(of)),
        (None, "") => "unknown".to_owned(),
        (None, name) => name.to_owned(),
    }
}

fn address(address: &Address) -> String {
    match address {
        Address::Local(number) => number.to_string(),
        Address::Remote { node, number } => format!("{node}/{number}"),
        Address::Sip(uri) => uri.as_str().to_owned(),
        Address::CloudUser(user) => user.to_string(),
        Address::Group(group) => group.to_string(),
        Address::Desk(desk) => desk.to_string(),
    }
}

fn store_views(store: &StoreFigures) -> Vec<StoreView> {
    let view = |(name, lane): (&str, &crate::store::LaneFigures)| StoreView {
        name: name.to_owned(),
        state: match lane.degraded.load(Ordering::Relaxed) {
            true => StoreState::Degraded,
            false => StoreState::Written,
        },
        waiting: lane.waiting.load(Ordering::Relaxed),
        lost: lane.lost_writes.load(Ordering::Relaxed),
    };
    store.lanes().into_iter().map(view).collect()
}
