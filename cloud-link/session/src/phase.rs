//! What the gateway may count on: is the core there?
//!
//! A short gap changes nothing for anybody; a long one makes the site an island, which goes on by
//! itself. A core that comes back must stay for a minute before calls depend on it again, so that a
//! link that flaps does not flap its users (M4). Calls that run are no business of this machine.

use std::time::{Duration, Instant};

/// A gap so short is no island.
const SUSPECT_FOR: Duration = Duration::from_secs(30);
/// The link holds for so long before anybody depends on it again.
const STEADY_AFTER: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The core is there.
    Online,
    /// It was there a moment ago.
    Suspect,
    /// It is not there: the site serves itself.
    Island,
    /// It is back, and what was kept goes up; the site still serves itself.
    Recover,
}

#[derive(Debug)]
pub(crate) struct Phases {
    phase: Phase,
    /// When the phase is over, if nothing happens.
    until: Option<Instant>,
    /// Whether it was ever online since the start.
    known: Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    NotYet,
    WasOnline,
}

impl Phases {
    /// At the start the site serves itself.
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Island,
            until: None,
            known: Known::NotYet,
        }
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// The core has answered the greeting.
    pub(crate) fn settled(&mut self, now: Instant) {
        match (self.phase, self.known) {
            (Phase::Online | Phase::Recover, _) => {}
            // Nobody has come to live without it yet.
            (Phase::Island, Known::NotYet) | (Phase::Suspect, _) => self.online(),
            (Phase::Island, Known::WasOnline) => {
                self.enter(Phase::Recover, Some(now + STEADY_AFTER));
            }
        }
    }

    pub(crate) fn lost(&mut self, now: Instant) {
        match self.phase {
            Phase::Online => self.enter(Phase::Suspect, Some(now + SUSPECT_FOR)),
            Phase::Recover => self.enter(Phase::Island, None),
            Phase::Suspect | Phase::Island => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.until.is_none_or(|until| until > now) {
            return;
        }
        match self.phase {
            Phase::Suspect => self.enter(Phase::Island, None),
            Phase::Recover => self.online(),
            Phase::Online | Phase::Island => self.until = None,
        }
    }

    fn online(&mut self) {
        self.known = Known::WasOnline;
        self.enter(Phase::Online, None);
    }

    const fn enter(&mut self, phase: Phase, until: Option<Instant>) {
        self.phase = phase;
        self.until = until;
    }
}

impl Phase {
    pub const ALL: [Self; 4] = [Self::Online, Self::Suspect, Self::Island, Self::Recover];

    /// The name in status, journal and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Suspect => "suspect",
            Self::Island => "island",
            Self::Recover => "recover",
        }
    }

    /// Whether new calls may depend on the core.
    pub const fn is_served_by_core(self) -> bool {
        matches!(self, Self::Online | Self::Suspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Step {
        Settled,
        Lost,
        Nothing,
    }

    /// (seconds, what happens, the phase after it)
    fn check(steps: &[(u64, Step, Phase)]) {
        let start = Instant::now();
        let mut phases = Phases::new();
        for (at, step, expected) in steps {
            let now = start + Duration::from_secs(*at);
            phases.handle_timeout(now);
            match step {
                Step::Settled => phases.settled(now),
                Step::Lost => phases.lost(now),
                Step::Nothing => {}
            }
            assert_eq!(phases.phase(), *expected, "at {at} s");
        }
    }

    #[test]
    fn m4_a_short_gap_changes_nothing() {
        check(&[
            (0, Step::Settled, Phase::Online),
            (10, Step::Lost, Phase::Suspect),
            (39, Step::Settled, Phase::Online),
        ]);
    }

    #[test]
    fn m4_a_long_gap_makes_an_island_and_a_steady_link_ends_it() {
        check(&[
            (0, Step::Settled, Phase::Online),
            (10, Step::Lost, Phase::Suspect),
            (40, Step::Nothing, Phase::Island),
            (50, Step::Settled, Phase::Recover),
            (109, Step::Nothing, Phase::Recover),
            (110, Step::Nothing, Phase::Online),
        ]);
    }

    #[test]
    fn m4_a_link_that_flaps_leaves_the_island_alone() {
        check(&[
            (0, Step::Settled, Phase::Online),
            (10, Step::Lost, Phase::Suspect),
            (40, Step::Nothing, Phase::Island),
            (50, Step::Settled, Phase::Recover),
            (60, Step::Lost, Phase::Island),
            (70, Step::Settled, Phase::Recover),
            (129, Step::Nothing, Phase::Recover),
            (130, Step::Nothing, Phase::Online),
        ]);
    }

    #[test]
    fn before_the_first_contact_the_site_serves_itself() {
        check(&[
            (0, Step::Nothing, Phase::Island),
            (900, Step::Lost, Phase::Island),
            (901, Step::Settled, Phase::Online),
        ]);
    }
}
