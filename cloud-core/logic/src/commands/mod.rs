//! What becomes of a command to a device: from queued to an end that is told honestly.
//!
//! The core's clock judges; a `once` command leaves the core one time and is never sent
//! again, whatever becomes of the connection, and when no answer comes its outcome is
//! unknown, not failed. Deliberately not here: rows, MQTT, who may command what.
//! Invariant: no way leads back from an end, but that a late answer replaces "unknown".

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use contract::down::{Operation, Repeat};
use contract::limits;
use contract::up::OutcomeState;
use model::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for the device.
    Queued,
    /// Has left for the device.
    Sent,
    /// The device works on it.
    Running,
    Done,
    Failed,
    /// The device does not do it: unsupported, or not now.
    Rejected,
    /// Its time was over before it was sent, or before the device could begin.
    Expired,
    /// Taken back before it was sent.
    Cancelled,
    /// Sent, and no answer came: it may have been done.
    Unknown,
}

/// What happens to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is about to be put on the wire.
    Send,
    /// The connection it was put on ended before the device acknowledged it.
    Lost,
    /// The device says something of it.
    Told(OutcomeState),
    /// The moment of `due` is there.
    Due,
    /// Somebody takes it back.
    Cancel,
}

impl State {
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Sent,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Rejected,
        Self::Expired,
        Self::Cancelled,
        Self::Unknown,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// Nothing more is waited for.
    #[must_use]
    pub fn is_end(self) -> bool {
        match self {
            Self::Queued | Self::Sent | Self::Running => false,
            Self::Done
            | Self::Failed
            | Self::Rejected
            | Self::Expired
            | Self::Cancelled
            | Self::Unknown => true,
        }
    }

    /// The state after `event`, `None` where it changes nothing.
    #[must_use]
    pub fn after(self, event: Event, repeat: Repeat) -> Option<Self> {
        match (self, event) {
            (Self::Queued, Event::Send) => Some(Self::Sent),
            (Self::Queued, Event::Cancel) => Some(Self::Cancelled),
            (Self::Queued, Event::Due) => Some(Self::Expired),
            (Self::Sent, Event::Lost) if repeat == Repeat::Repeatable => Some(Self::Queued),
            (Self::Sent | Self::Running, Event::Due) => Some(Self::Unknown),
            // A repeatable one may be queued again when the answer to its first way comes.
            (Self::Queued | Self::Sent, Event::Told(told)) => Some(told_state(told)),
            (Self::Running, Event::Told(told)) => Some(told_state(told)).filter(|s| *s != self),
            (Self::Unknown, Event::Told(told)) => {
                Some(told_state(told)).filter(|state| state.is_end())
            }
            (
                Self::Done | Self::Failed | Self::Rejected | Self::Expired | Self::Cancelled,
                Event::Send | Event::Lost | Event::Told(_) | Event::Due | Event::Cancel,
            )
            | (Self::Queued, Event::Lost)
            | (Self::Sent | Self::Running | Self::Unknown, Event::Send | Event::Cancel)
            | (Self::Sent | Self::Running | Self::Unknown, Event::Lost)
            | (Self::Unknown, Event::Due) => None,
        }
    }
}

fn told_state(told: OutcomeState) -> State {
    match told {
        OutcomeState::Running => State::Running,
        OutcomeState::Done => State::Done,
        OutcomeState::Failed => State::Failed,
        OutcomeState::Rejected => State::Rejected,
        OutcomeState::Expired => State::Expired,
    }
}

impl fmt::Display for State {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

/// A text that names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such state of a command")]
pub struct NoSuchState;

impl FromStr for State {
    type Err = NoSuchState;

    fn from_str(text: &str) -> Result<Self, NoSuchState> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or(NoSuchState)
    }
}

/// When `Event::Due` happens: at its expiry as long as it waits here, and once it has
/// left, when no answer is to be expected any more.
#[must_use]
pub fn due(state: State, operation: Operation, expires: Timestamp) -> Option<Timestamp> {
    match state {
        State::Queued => Some(expires),
        State::Sent | State::Running => Some(expires.saturating_add(answer_time(operation))),
        State::Done
        | State::Failed
        | State::Rejected
        | State::Expired
        | State::Cancelled
        | State::Unknown => None,
    }
}

/// How long a device that began at the last moment may take to answer.
fn answer_time(operation: Operation) -> Duration {
    match operation {
        Operation::OpenDoor => Duration::from_secs(10),
        // A device that starts anew answers when it is back.
        Operation::Reboot => Duration::from_secs(10 * 60),
        Operation::Identify => Duration::from_secs(60),
        Operation::UploadLogs => Duration::from_secs(30 * 60),
    }
}

/// Why a command is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a command lives at least one second")]
    TooShort,
    #[error("this command lives at most {} s", .0.as_secs())]
    TooLong(Duration),
}

/// How long a command lives: what was asked for, or what is usual.
///
/// # Errors
/// When that is longer than the operation may wait, or nothing at all.
pub fn life(operation: Operation, asked: Option<Duration>) -> Result<Duration, Refusal> {
    let longest = operation.longest_life();
    let life = asked.unwrap_or(USUAL_LIFE.min(longest));
    if life < Duration::from_secs(1) {
        Err(Refusal::TooShort)
    } else if life > longest {
        Err(Refusal::TooLong(longest))
    } else {
        Ok(life)
    }
}

const USUAL_LIFE: Duration = Duration::from_secs(5 * 60);
const _: () = assert!(USUAL_LIFE.as_secs() <= limits::COMMAND_LIFE.as_secs());

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn walk(repeat: Repeat, events: &[Event]) -> State {
        events.iter().fold(State::Queued, |state, event| {
            state.after(*event, repeat).unwrap_or(state)
        })
    }

    #[test]
    fn a_command_goes_its_way() {
        let told = |state| Event::Told(state);
        for (events, end) in [
            (vec![Event::Send, told(OutcomeState::Done)], State::Done),
            (
                vec![
                    Event::Send,
                    told(OutcomeState::Running),
                    told(OutcomeState::Failed),
                ],
                State::Failed,
            ),
            (vec![Event::Cancel, Event::Send], State::Cancelled),
            (vec![Event::Due, Event::Send], State::Expired),
            (vec![Event::Send, Event::Cancel], State::Sent),
            (vec![Event::Send, Event::Due], State::Unknown),
            (
                vec![Event::Send, told(OutcomeState::Running), Event::Due],
                State::Unknown,
            ),
            (
                vec![Event::Send, Event::Due, told(OutcomeState::Done)],
                State::Done,
            ),
            (
                vec![Event::Send, Event::Due, told(OutcomeState::Running)],
                State::Unknown,
            ),
            (
                vec![
                    Event::Send,
                    told(OutcomeState::Done),
                    told(OutcomeState::Failed),
                ],
                State::Done,
            ),
        ] {
            assert_eq!(walk(Repeat::Once, &events), end, "{events:?}");
        }
    }

    #[test]
    fn only_a_repeatable_command_is_queued_again_b9() {
        let lost = [Event::Send, Event::Lost];
        assert_eq!(walk(Repeat::Repeatable, &lost), State::Queued);
        assert_eq!(walk(Repeat::Once, &lost), State::Sent);
    }

    #[test]
    fn a_door_does_not_open_late_c4() {
        assert_eq!(life(Operation::OpenDoor, None), Ok(limits::DOOR_LIFE));
        let long = Some(limits::DOOR_LIFE + Duration::from_millis(1));
        assert_eq!(
            life(Operation::OpenDoor, long),
            Err(Refusal::TooLong(limits::DOOR_LIFE))
        );
        assert_eq!(
            life(Operation::Reboot, Some(Duration::ZERO)),
            Err(Refusal::TooShort)
        );
    }

    #[test]
    fn each_state_is_read_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
            assert_eq!(
                serde_json::to_value(state).expect("a word"),
                serde_json::Value::from(state.name()),
            );
        }
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop::sample::select(vec![
            Event::Send,
            Event::Lost,
            Event::Due,
            Event::Cancel,
            Event::Told(OutcomeState::Running),
            Event::Told(OutcomeState::Done),
            Event::Told(OutcomeState::Failed),
            Event::Told(OutcomeState::Rejected),
            Event::Told(OutcomeState::Expired),
        ])
    }

    proptest! {
        #[test]
        fn a_once_command_leaves_at_most_once(
            events in prop::collection::vec(any_event(), 0..40),
        ) {
            let mut state = State::Queued;
            let mut sent = 0;
            for event in events {
                if let Some(next) = state.after(event, Repeat::Once) {
                    sent += usize::from(event == Event::Send);
                    let late_answer = state == State::Unknown && next.is_end();
                    prop_assert!(!state.is_end() || late_answer, "{} to {}", state, next);
                    prop_assert!(next != State::Queued);
                    state = next;
                }
            }
            prop_assert!(sent <= 1);
        }
    }
}
