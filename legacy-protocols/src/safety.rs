//! When a command may drive an output: one place for all protocols and both directions.
//!
//! It judges what a line shows: authority present, an id never seen, not expired, meant and no test,
//! not too often, a sane pulse. Whether the authority is *good* for this door the owner decides.
//!
//! Invariant: an id that was admitted is refused for as long as its command could still be valid,
//! whatever happened to the line in between; with no room left to remember ids, nothing is admitted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::command::{OutputAction, OutputCommand, OutputId, Purpose, Verdict};
use crate::number::Party;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The same id is ignored for so long; a longer validity than this is refused.
    pub remember_ids: Duration,
    /// One output is not driven again before.
    pub between: Duration,
    pub shortest_pulse: Duration,
    pub longest_pulse: Duration,
    /// Ids, and outputs, kept in mind at most.
    pub most_remembered: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            remember_ids: Duration::from_secs(60),
            between: Duration::from_secs(1),
            shortest_pulse: Duration::from_millis(100),
            longest_pulse: Duration::from_secs(60),
            most_remembered: 4096,
        }
    }
}

/// Why an output was not driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("a test never drives an output")]
    Test,
    #[error("no authority; send the token of whoever allows it")]
    NoAuthority,
    #[error("expired; ask again with a fresh id")]
    Expired,
    #[error("valid for too long; a command is valid for seconds")]
    ValidTooLong,
    #[error("a pulse lasts 0.1 to 60 seconds")]
    Pulse,
    #[error("this command id was used already; every attempt has an id of its own")]
    Repeated,
    #[error("this output was driven less than a second ago; wait")]
    TooSoon,
    #[error("too many outputs were driven within a minute; wait")]
    TooMany,
    #[error("the line is not up; nothing is kept for later")]
    LineNotUp,
}

impl Refusal {
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Test => Verdict::TestRefused,
            Self::NoAuthority | Self::ValidTooLong | Self::Pulse => Verdict::NotAllowed,
            Self::Expired => Verdict::Expired,
            Self::Repeated => Verdict::AlreadyTaken,
            Self::TooSoon | Self::TooMany => Verdict::RateLimited,
            Self::LineNotUp => Verdict::NotConnected,
        }
    }
}

/// Remembers what was driven. It outlives connections.
#[derive(Debug)]
pub struct OutputGuard {
    limits: Limits,
    /// Until when each admitted id is refused.
    ids: BTreeMap<OutputId, Instant>,
    /// From when on each output may be driven again.
    outputs: BTreeMap<(Party, u16), Instant>,
}

impl OutputGuard {
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            ids: BTreeMap::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// Admits it once. A refused command leaves no trace.
    pub fn admit(
        &mut self,
        command: &OutputCommand,
        purpose: Purpose,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.check(command, purpose, now)?;
        self.forget(now);
        if self.ids.contains_key(&command.id) {
            return Err(Refusal::Repeated);
        }
        let output = (command.station, command.output);
        if self.outputs.contains_key(&output) {
            return Err(Refusal::TooSoon);
        }
        let most = self.limits.most_remembered;
        if self.ids.len() >= most || self.outputs.len() >= most {
            return Err(Refusal::TooMany);
        }
        // `check` holds `valid_until` within this time.
        self.ids.insert(command.id, now + self.limits.remember_ids);
        self.outputs.insert(output, now + self.limits.between);
        Ok(())
    }

    fn check(
        &self,
        command: &OutputCommand,
        purpose: Purpose,
        now: Instant,
    ) -> Result<(), Refusal> {
        if purpose == Purpose::Test {
            return Err(Refusal::Test);
        }
        if command.authority.is_missing() {
            return Err(Refusal::NoAuthority);
        }
        if command.valid_until <= now {
            return Err(Refusal::Expired);
        }
        if command.valid_until > now + self.limits.remember_ids {
            return Err(Refusal::ValidTooLong);
        }
        match command.action {
            OutputAction::Pulse(pulse)
                if pulse < self.limits.shortest_pulse || pulse > self.limits.longest_pulse =>
            {
                Err(Refusal::Pulse)
            }
            OutputAction::Pulse(_) | OutputAction::Set(_) => Ok(()),
        }
    }

    fn forget(&mut self, now: Instant) {
        self.ids.retain(|_, until| *until > now);
        self.outputs.retain(|_, until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Authority, Switch};
    use crate::number::{Node, Number};

    fn door(id: u64, now: Instant) -> OutputCommand {
        OutputCommand {
            id: OutputId(id),
            station: Party {
                node: Node(1),
                number: Number::new("2101").unwrap(),
            },
            output: 1,
            action: OutputAction::Pulse(Duration::from_secs(3)),
            authority: Authority::new(b"token").unwrap(),
            valid_until: now + Duration::from_secs(10),
        }
    }

    fn guard() -> OutputGuard {
        OutputGuard::new(Limits::default())
    }

    #[test]
    fn b9_the_same_id_never_drives_twice_while_it_could_be_valid() {
        let now = Instant::now();
        let mut guard = guard();
        let mut longest = door(7, now);
        longest.valid_until = now + Duration::from_secs(60);
        assert_eq!(guard.admit(&longest, Purpose::Live, now), Ok(()));
        for after in [0, 1, 10, 59] {
            let later = now + Duration::from_secs(after);
            assert_eq!(
                guard.admit(&longest, Purpose::Live, later),
                Err(Refusal::Repeated)
            );
        }
        let forgotten = now + Duration::from_secs(60);
        assert_eq!(
            guard.admit(&longest, Purpose::Live, forgotten),
            Err(Refusal::Expired)
        );
    }

    #[test]
    fn a_command_without_authority_time_or_sense_is_refused() {
        let now = Instant::now();
        let refused = |change: &dyn Fn(&mut OutputCommand), purpose| {
            let mut command = door(1, now);
            change(&mut command);
            guard().admit(&command, purpose, now).unwrap_err()
        };
        assert_eq!(refused(&|_| (), Purpose::Test), Refusal::Test);
        let none = |c: &mut OutputCommand| c.authority = Authority::default();
        assert_eq!(refused(&none, Purpose::Live), Refusal::NoAuthority);
        let late = |c: &mut OutputCommand| c.valid_until = now;
        assert_eq!(refused(&late, Purpose::Live), Refusal::Expired);
        let for_ever = |c: &mut OutputCommand| c.valid_until = now + Duration::from_secs(61);
        assert_eq!(refused(&for_ever, Purpose::Live), Refusal::ValidTooLong);
        let long = |c: &mut OutputCommand| c.action = OutputAction::Pulse(Duration::from_secs(61));
        assert_eq!(refused(&long, Purpose::Live), Refusal::Pulse);
    }

    #[test]
    fn an_output_is_driven_once_a_second_others_at_once() {
        let now = Instant::now();
        let mut guard = guard();
        assert_eq!(guard.admit(&door(1, now), Purpose::Live, now), Ok(()));
        assert_eq!(
            guard.admit(&door(2, now), Purpose::Live, now),
            Err(Refusal::TooSoon)
        );
        let mut other = door(3, now);
        other.output = 2;
        other.action = OutputAction::Set(Switch::On);
        assert_eq!(guard.admit(&other, Purpose::Live, now), Ok(()));
        // What was refused did not use its id up.
        let later = now + Duration::from_secs(1);
        assert_eq!(guard.admit(&door(2, now), Purpose::Live, later), Ok(()));
    }

    #[test]
    fn with_no_room_to_remember_nothing_is_driven() {
        let now = Instant::now();
        let mut guard = OutputGuard::new(Limits {
            most_remembered: 2,
            ..Limits::default()
        });
        for id in 0..3 {
            let at = now + Duration::from_secs(2 * id);
            let verdict = guard.admit(&door(id, at), Purpose::Live, at);
            assert_eq!(verdict.is_ok(), id < 2, "{id}: {verdict:?}");
        }
    }
}
