//! What lines are told of the site: the picture that they ask for, and calls that are not theirs.

use std::time::Instant;

use legacy_protocols::command::{Cause, Verdict};
use legacy_protocols::event::{CallConnected, CallProgress, Event, Progress};
use legacy_protocols::port::AskId;

use super::Site;
use super::calls::{Call, Phase};
use super::doors::{door_event, number};
use super::station::CallId;

impl Site {
    pub(super) fn tell_picture(&mut self, line: usize, ask: AskId, now: Instant) {
        for event in self.picture(line) {
            self.lines[line].item(ask, event, now);
        }
        self.lines[line].answer(Some(ask), Verdict::Done.into(), now);
    }

    fn picture(&self, line: usize) -> Vec<Event> {
        let mut items = Vec::new();
        for (&party, known) in &self.stations {
            let station = party;
            let state = known.told;
            items.push(Event::StationState { station, state });
            if known.faults.0 != 0 {
                let faults = known.faults;
                items.push(Event::StationFaults { station, faults });
            }
            for (index, door) in known.doors.iter().enumerate() {
                let output = number(index);
                let state = door.relay;
                items.push(Event::OutputState {
                    station,
                    output,
                    state,
                });
                let felt = door.felt();
                items.extend(felt.map(|leaf| door_event(station, index, leaf, None)));
            }
            let inputs = known.inputs.iter().enumerate();
            items.extend(inputs.map(|(index, state)| Event::InputState {
                station,
                input: number(index),
                state: *state,
            }));
        }
        items.extend(self.requests.ours().map(|r| Event::RequestNew(r.told())));
        let calls = self.calls.iter();
        items.extend(calls.map(|(id, call)| call_item(*id, call, line)));
        items
    }

    /// What the lines that do not carry it are told of a call.
    pub(super) fn tell_call(&mut self, id: CallId, now: Instant) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        for (index, line) in self.lines.iter_mut().enumerate() {
            if !call.is_over(index) {
                line.tell(call_item(id, call, index), now);
            }
        }
    }

    pub(super) fn tell_call_ended(&mut self, id: CallId, call: &Call, cause: Cause, now: Instant) {
        for (index, line) in self.lines.iter_mut().enumerate() {
            if !call.is_over(index) {
                let call = call.number_on(index, id);
                line.tell(Event::CallReleased { call, cause }, now);
            }
        }
    }
}

/// With both parties, as whoever hears it may know nothing of it.
fn call_item(id: CallId, call: &Call, line: usize) -> Event {
    let number = call.number_on(line, id);
    let (from, to) = (Some(call.from.party()), Some(call.to.party()));
    let progress = |progress| {
        Event::CallProgress(CallProgress {
            call: number,
            progress,
            from,
            to,
            priority: Some(call.priority),
            sound: None,
        })
    };
    match call.phase {
        Phase::Ringing => progress(Progress::Ringing),
        Phase::Held => progress(Progress::Held),
        Phase::Connected => Event::CallConnected(CallConnected {
            call: number,
            from,
            to,
            mode: Some(call.mode),
            sound: None,
        }),
    }
}
