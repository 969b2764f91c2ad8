//! The picture of this side that the other end of a line asks for.
//!
//! Facts, never orders: what stations of ours do, what waits at its desks, the calls of this line.

use std::time::Instant;

use legacy_protocols::command::Verdict;
use legacy_protocols::event::{CallConnected, CallProgress, Event, Progress};
use legacy_protocols::port::{self, AskId};
use model::StationId;

use super::LineId;
use super::legs::{LineLeg, Talk};
use crate::state::Exchange;

impl Exchange {
    pub(super) fn picture_asked(&mut self, line: LineId, ask: Option<AskId>, now: Instant) {
        let Some(ask) = ask else { return };
        let stations = self.directory.stations().iter();
        let stations: Vec<StationId> = stations.map(|station| station.id).collect();
        let mut facts: Vec<Event> = Vec::new();
        for station in stations {
            let (state, faults) = (
                self.calls.station_state(station),
                self.calls.faults(station),
            );
            facts.extend(self.station_facts(line, station, state, faults));
        }
        facts.extend(self.requests_for_picture(line));
        let legs = self.lines.legs.of_line(line);
        facts.extend(legs.map(|(_, leg)| call_fact(leg)));
        for event in facts {
            self.lines.tell(line, port::Input::Item { ask, event }, now);
        }
        self.answer_line(line, Some(ask), Verdict::Done.into(), now);
    }
}

fn call_fact(leg: &LineLeg) -> Event {
    let (from, to) = leg.ends();
    let progress = match leg.talk {
        Talk::Answered => {
            return Event::CallConnected(CallConnected {
                call: leg.call,
                from: Some(from),
                to: Some(to),
                mode: Some(leg.mode),
                sound: None,
            });
        }
        Talk::Not => Progress::Ringing,
        Talk::Held => Progress::Held,
    };
    Event::CallProgress(CallProgress {
        call: leg.call,
        progress,
        from: Some(from),
        to: Some(to),
        priority: None,
        sound: None,
    })
}
