//! How a terminal of a point-to-multipoint line comes by its identifier (Q.921 5.3.2 to 5.3.5).
//!
//! It asks until it has one and for as long as the line lives: a terminal without an identifier
//! is a station nobody can call. Invariant: without an identifier there is always a deadline.

use std::time::Instant;

use chance::Chance;

use super::Config;
use super::address::Tei;
use super::management::{Message, What};

#[derive(Debug)]
pub(super) struct Terminal {
    state: State,
    chance: Chance,
}

#[derive(Debug)]
enum State {
    /// Asked with this Ri, so many times.
    Requesting {
        reference: u16,
        attempts: u8,
        again_at: Instant,
    },
    /// Nobody answered, or was denied.
    Pausing {
        until: Instant,
    },
    Assigned(Tei),
    /// In doubt whether it is ours alone; the network was asked to check, so many times.
    Verifying {
        tei: Tei,
        attempts: u8,
        again_at: Instant,
    },
}

/// What became of the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Assigned(Tei),
    Lost(Tei),
    Denied,
}

/// Said to the network, and changed.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) message: Option<Message>,
    pub(super) change: Option<Change>,
}

impl Terminal {
    /// It asks at once.
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        Self {
            state: State::Pausing { until: now },
            chance: Chance::new(seed),
        }
    }

    pub(super) fn tei(&self) -> Option<Tei> {
        match self.state {
            State::Assigned(tei) | State::Verifying { tei, .. } => Some(tei),
            State::Requesting { .. } | State::Pausing { .. } => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Requesting { again_at, .. } | State::Verifying { again_at, .. } => {
                Some(again_at)
            }
            State::Pausing { until } => Some(until),
            State::Assigned(_) => None,
        }
    }

    pub(super) fn receive(&mut self, message: Message, config: &Config, now: Instant) -> Said {
        let Message {
            what,
            reference: heard,
            tei,
        } = message;
        match (what, &self.state) {
            (What::Assigned, State::Requesting { reference, .. }) if heard == *reference => {
                // Q.921 table 8: 127 is no identifier to have.
                if tei == Tei::BROADCAST {
                    return Said::default();
                }
                self.state = State::Assigned(tei);
                Said::change(Change::Assigned(tei))
            }
            // Q.921 5.3.2: somebody else was given ours; it cannot be both's.
            (What::Assigned, State::Assigned(own) | State::Verifying { tei: own, .. })
                if tei == *own =>
            {
                self.lose(tei, config, now)
            }
            (What::Denied, State::Requesting { reference, .. }) if heard == *reference => {
                self.pause(config, now);
                Said::change(Change::Denied)
            }
            (What::CheckRequest, State::Assigned(own) | State::Verifying { tei: own, .. })
                if tei == *own || tei == Tei::BROADCAST =>
            {
                let own = *own;
                self.state = State::Assigned(own);
                Said::message(What::CheckResponse, self.reference(), own)
            }
            (What::Remove, State::Assigned(own) | State::Verifying { tei: own, .. })
                if tei == *own || tei == Tei::BROADCAST =>
            {
                let own = *own;
                self.lose(own, config, now)
            }
            (
                What::Request
                | What::Assigned
                | What::Denied
                | What::CheckRequest
                | What::CheckResponse
                | What::Remove
                | What::Verify,
                _,
            ) => Said::default(),
        }
    }

    /// Somebody seems to use the same identifier: the network is asked to check.
    pub(super) fn doubt(&mut self, config: &Config, now: Instant) -> Said {
        let State::Assigned(tei) = self.state else {
            return Said::default();
        };
        self.state = State::Verifying {
            tei,
            attempts: 1,
            again_at: now + config.assign_within,
        };
        Said::message(What::Verify, 0, tei)
    }

    pub(super) fn handle_timeout(&mut self, config: &Config, now: Instant) -> Said {
        match self.state {
            State::Pausing { until } if until <= now => self.request(1, config, now),
            State::Requesting {
                attempts, again_at, ..
            } if again_at <= now => {
                if attempts < config.assign_attempts {
                    self.request(attempts + 1, config, now)
                } else {
                    self.pause(config, now);
                    Said::default()
                }
            }
            // Q.921 5.3.5.3: asked twice; a network that does not check does not know us.
            State::Verifying {
                tei,
                attempts,
                again_at,
            } if again_at <= now => {
                if attempts > 1 {
                    return self.lose(tei, config, now);
                }
                self.state = State::Verifying {
                    tei,
                    attempts: attempts + 1,
                    again_at: now + config.assign_within,
                };
                Said::message(What::Verify, 0, tei)
            }
            State::Pausing { .. }
            | State::Requesting { .. }
            | State::Verifying { .. }
            | State::Assigned(_) => Said::default(),
        }
    }

    /// Each attempt has its own reference (Q.921 5.3.2.1).
    fn request(&mut self, attempts: u8, config: &Config, now: Instant) -> Said {
        let reference = self.reference();
        self.state = State::Requesting {
            reference,
            attempts,
            again_at: now + config.assign_within,
        };
        Said::message(What::Request, reference, Tei::BROADCAST)
    }

    fn lose(&mut self, tei: Tei, config: &Config, now: Instant) -> Said {
        // Two that lost the same identifier shall not ask at the same moment.
        let part = self.chance.below(1000);
        self.state = State::Pausing {
            until: now + config.assign_within * (part + 1) / 1000,
        };
        Said::change(Change::Lost(tei))
    }

    fn pause(&mut self, config: &Config, now: Instant) {
        let part = 500 + self.chance.below(1000);
        self.state = State::Pausing {
            until: now + config.assign_pause * part / 1000,
        };
    }

    /// An Ri of management messages.
    const fn reference(&mut self) -> u16 {
        (self.chance.draw() >> 48) as u16
    }
}

impl Said {
    fn message(what: What, reference: u16, tei: Tei) -> Self {
        let message = Message {
            what,
            reference,
            tei,
        };
        Self {
            message: Some(message),
            change: None,
        }
    }

    fn change(change: Change) -> Self {
        Self {
            message: None,
            change: Some(change),
        }
    }
}
