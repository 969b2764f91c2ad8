//! What lines to older servers say and are told, in the words of the timeline.

use exchange::LineId;
use legacy_protocols::command::{Answer, Command, Purpose};
use legacy_protocols::event::{Event, Origin, Provenance};
use legacy_protocols::port::{LinkState, Reference};

use super::{happened, word};
use crate::timeline::entry::Happened;

/// What the gateway's machine says of a line.
#[derive(Debug)]
pub(crate) enum LineSaid {
    State(LinkState),
    Happened(Event, Provenance),
    Asked(Command, Provenance),
    Commanded(Reference, Command),
    Done(Reference, Answer),
    Told(Event),
}

/// `line` is its name in the configuration.
pub(in crate::timeline) fn of_line(line: &str, said: &LineSaid) -> Happened {
    let told = match said {
        LineSaid::State(state) => happened("line_state").with("state", word(state)),
        LineSaid::Happened(event, from) => {
            let told = happened(&format!("line_{}", event.kind().name()));
            came(told.with("says", plain(event)), from)
        }
        LineSaid::Asked(command, from) => {
            let told = happened(&format!("line_asks_{}", command.kind().name()));
            came(told.with("asks", plain(command)), from)
        }
        LineSaid::Commanded(reference, command) => {
            happened(&format!("line_commanded_{}", command.kind().name()))
                .with("reference", reference.0)
                .with("asks", plain(command))
        }
        LineSaid::Done(reference, answer) => happened("line_answered")
            .with("reference", reference.0)
            .with("verdict", word(answer.verdict))
            .with("answer", plain(answer)),
        LineSaid::Told(event) => {
            let told = happened(&format!("line_told_{}", event.kind().name()));
            told.with("says", plain(event))
        }
    };
    let told = match said {
        LineSaid::Happened(event, _) | LineSaid::Told(event) => told.station(station(event)),
        LineSaid::State(_) | LineSaid::Asked(..) | LineSaid::Commanded(..) | LineSaid::Done(..) => {
            told
        }
    };
    Happened {
        line: Some(line.to_owned()),
        ..told
    }
}

/// Where it came from, as far as that is not the usual.
fn came(told: Happened, from: &Provenance) -> Happened {
    let told = match from.origin {
        Origin::Live => told,
        Origin::Snapshot => told.with("origin", "snapshot"),
    };
    match from.purpose {
        Purpose::Live => told,
        Purpose::Test => told.with("purpose", "test"),
    }
}

/// The station that an event is about, by its number there.
fn station(event: &Event) -> Option<String> {
    let party = match event {
        Event::StationState { station, .. }
        | Event::StationFaults { station, .. }
        | Event::LineTested { station, .. }
        | Event::OutputState { station, .. }
        | Event::InputState { station, .. }
        | Event::DoorState { station, .. } => Some(station),
        Event::RequestNew(request) | Event::RequestUpdated(request) => Some(&request.from),
        Event::CallProgress(progress) => progress.from.as_ref(),
        Event::CallConnected(connected) => connected.from.as_ref(),
        Event::RequestCancelled { .. }
        | Event::RequestClosed { .. }
        | Event::CallReleased { .. }
        | Event::Opaque { .. } => None,
    };
    party.map(|party| party.number.to_string())
}

/// As the program prints it: keys, tokens and texts print as how long they are.
fn plain(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

/// The name of a line that the configuration no longer has.
pub(in crate::timeline) fn unnamed(line: LineId) -> String {
    format!("line {}", line.0)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use legacy_protocols::command::Keys;
    use legacy_protocols::event::StationState;
    use legacy_protocols::number::{Node, Number, Party};

    use super::*;

    fn party() -> Party {
        Party {
            node: Node(2),
            number: Number::new("201").unwrap(),
        }
    }

    fn provenance() -> Provenance {
        Provenance {
            raw: [][..].into(),
            at: Instant::now(),
            origin: Origin::Live,
            purpose: Purpose::Live,
        }
    }

    #[test]
    fn an_event_of_a_line_is_told_with_its_station() {
        let event = Event::StationState {
            station: party(),
            state: StationState::Idle,
        };
        let told = of_line("hall", &LineSaid::Happened(event, provenance()));
        assert_eq!(told.event, "line_station_state");
        assert_eq!(told.stations, ["201"]);
        assert_eq!(told.line.as_deref(), Some("hall"));
    }

    #[test]
    fn keys_are_not_told() {
        let command = Command::Keys {
            station: party(),
            keys: Keys::new("4711").unwrap(),
        };
        let told = of_line("hall", &LineSaid::Asked(command, provenance()));
        assert_eq!(told.event, "line_asks_keys");
        assert!(!format!("{told:?}").contains("4711"), "{told:?}");
    }
}
