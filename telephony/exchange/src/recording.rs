//! Which calls are recorded: by policy of the site, or because an operator asked.
//!
//! Says when a recording begins, which legs are heard in it and on which side, and when it ends.
//! Writes nothing and hears nothing. Invariant: legs join between `Begin` and `End` of their call,
//! each once.

use std::collections::{BTreeMap, BTreeSet};

use calls::{AnswerView, CommandError};
use model::{CallId, LegId, LegRole};

use crate::io::Output;
use crate::operator::{Answer, OperatorError};
use crate::state::Exchange;

/// Which calls are recorded without being asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordPolicy {
    #[default]
    Never,
    /// Calls of alarm priority.
    Alarms,
    All,
}

/// On whose side a leg is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSide {
    Caller,
    Called,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingCommand {
    Begin {
        call: CallId,
    },
    /// The leg is heard until it is closed.
    Join {
        call: CallId,
        leg: LegId,
        side: CallSide,
    },
    End {
        call: CallId,
    },
}

/// The legs in the recordings of this moment.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    calls: BTreeMap<CallId, BTreeSet<LegId>>,
}

impl Recordings {
    fn has(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }
}

impl Exchange {
    /// These legs hear somebody from now on.
    pub(crate) fn record_if_wanted(&mut self, legs: &[LegId]) {
        for leg in legs {
            let Some(call) = self.calls.call_of_leg(*leg) else {
                continue;
            };
            if !self.recordings.has(call) {
                let Some(view) = self.calls.call(call) else {
                    continue;
                };
                match self.config.record {
                    RecordPolicy::All => {}
                    RecordPolicy::Alarms if view.priority.is_alarm() => {}
                    RecordPolicy::Alarms | RecordPolicy::Never => continue,
                }
                self.begin_recording(call);
            }
            self.join_recording(call, *leg);
        }
    }

    /// An operator wants this call recorded, from now on.
    pub(crate) fn record_call(&mut self, call: CallId) -> Answer {
        let Some(view) = self.calls.call(call) else {
            return Answer::Refused(OperatorError::Command(CommandError::NoSuchCall));
        };
        if self.recordings.has(call) {
            return Answer::Refused(OperatorError::RecordedAlready);
        }
        self.begin_recording(call);
        for leg in view.legs {
            if leg.answer == AnswerView::Answered || leg.role == LegRole::Caller {
                self.join_recording(call, leg.leg);
            }
        }
        Answer::Done
    }

    /// The recording of this call ends; the call goes on.
    pub(crate) fn stop_recording(&mut self, call: CallId) -> Answer {
        match self.end_recording(call) {
            true => Answer::Done,
            false => Answer::Refused(OperatorError::NotRecorded),
        }
    }

    pub(crate) fn end_recording(&mut self, call: CallId) -> bool {
        let found = self.recordings.calls.remove(&call).is_some();
        if found {
            self.out(Output::Recording(RecordingCommand::End { call }));
        }
        found
    }

    fn begin_recording(&mut self, call: CallId) {
        self.recordings.calls.insert(call, BTreeSet::new());
        self.out(Output::Recording(RecordingCommand::Begin { call }));
    }

    fn join_recording(&mut self, call: CallId, leg: LegId) {
        let role = self.calls.call(call).and_then(|view| {
            let found = view.legs.iter().find(|known| known.leg == leg);
            found.map(|leg| leg.role)
        });
        let Some(legs) = self.recordings.calls.get_mut(&call) else {
            return;
        };
        let first = legs.is_empty();
        if !legs.insert(leg) {
            return;
        }
        // Of a call that was begun for both, the one who was called first takes the caller's side.
        let side = match role {
            Some(LegRole::Caller) => CallSide::Caller,
            Some(LegRole::Callee) | None if first => CallSide::Caller,
            Some(LegRole::Callee) | None => CallSide::Called,
        };
        self.out(Output::Recording(RecordingCommand::Join {
            call,
            leg,
            side,
        }));
    }
}
