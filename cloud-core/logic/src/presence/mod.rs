//! Whether a device is online: one small machine per device.
//!
//! A connection that ends is no news yet: a device that is back within its grace has never
//! been away. Who ended is told by `Epoch`, which the core counts per connection, and by
//! the device's own boot and connection numbers (from its hello), so that an end or a will
//! that comes late cannot end what came after it. Deliberately not here: notices about it
//! (they wait longer), sockets, rows. Invariant: at most one `Change` per input, and
//! changes alternate.

use std::time::Duration;

use contract::document::Counter;
use contract::limits;
use model::Timestamp;

/// A number of the core's for each connection of a device; a later one is higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// What the device calls its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbers {
    pub boot: Counter,
    pub conn: Counter,
}

/// What happens to a device's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A connection was accepted.
    Opened { epoch: Epoch, grace: Grace },
    /// The device named it.
    Hello { epoch: Epoch, numbers: Numbers },
    /// Anything else came on it.
    Heard { epoch: Epoch },
    /// It ended, whoever ended it.
    Ended { epoch: Epoch },
    /// A will was published, by a broker that waited its delay.
    Will { numbers: Numbers },
    /// The device is no longer ours: nothing it does counts from here on.
    Removed,
}

/// What everybody else is to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Online,
    Offline,
}

/// How long a silence is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    silence: Duration,
    absence: Duration,
}

impl Grace {
    /// By what was agreed on in CONNECT.
    #[must_use]
    pub fn of(keep_alive: Duration, will_delay: Duration) -> Self {
        // As MQTT's servers wait (3.1.2.10): one and a half keep-alives.
        let silence = keep_alive + keep_alive / 2;
        // A device may ask for a longer delay than anybody wants to wait for.
        let absence = will_delay.min(limits::KEEP_ALIVE_LONGEST);
        Self { silence, absence }
    }

    fn after_silence(self) -> Duration {
        self.silence.max(self.absence)
    }
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presence {
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum State {
    #[default]
    Offline,
    Connected(Connection),
    /// The connection is gone, the device is not yet.
    Absent {
        connection: Connection,
        until: Timestamp,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Connection {
    epoch: Epoch,
    numbers: Option<Numbers>,
    grace: Grace,
    heard: Timestamp,
}

impl Connection {
    fn silent_at(&self) -> Timestamp {
        self.heard.saturating_add(self.grace.after_silence())
    }
}

impl Presence {
    #[must_use]
    pub fn is_online(&self) -> bool {
        !matches!(self.state, State::Offline)
    }

    /// The connection that is current, or was last while the device is held for online.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        match &self.state {
            State::Offline => None,
            State::Connected(connection) | State::Absent { connection, .. } => {
                Some(connection.epoch)
            }
        }
    }

    /// When to call `handle_timeout`.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Offline => None,
            State::Connected(connection) => Some(connection.silent_at()),
            State::Absent { until, .. } => Some(*until),
        }
    }

    pub fn handle(&mut self, input: Input, now: Timestamp) -> Option<Change> {
        match input {
            Input::Opened { epoch, grace } => self.opened(epoch, grace, now),
            Input::Hello { epoch, numbers } => {
                if let State::Connected(connection) = &mut self.state
                    && connection.epoch == epoch
                {
                    connection.numbers = Some(numbers);
                    connection.heard = connection.heard.max(now);
                }
                None
            }
            Input::Heard { epoch } => {
                if let State::Connected(connection) = &mut self.state
                    && connection.epoch == epoch
                {
                    connection.heard = connection.heard.max(now);
                }
                None
            }
            Input::Ended { epoch } => {
                if let State::Connected(connection) = self.state
                    && connection.epoch == epoch
                {
                    let left = now.saturating_add(connection.grace.absence);
                    let until = connection.silent_at().max(left);
                    self.state = State::Absent { connection, until };
                }
                None
            }
            Input::Will { numbers } => {
                // Sparkplug's bdSeq: a will speaks of one connection only.
                let current = match &self.state {
                    State::Offline => None,
                    State::Connected(connection) | State::Absent { connection, .. } => {
                        connection.numbers
                    }
                };
                if current == Some(numbers) {
                    self.offline()
                } else {
                    None
                }
            }
            Input::Removed => self.offline(),
        }
    }

    pub fn handle_timeout(&mut self, now: Timestamp) -> Option<Change> {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.offline()
        } else {
            None
        }
    }

    fn opened(&mut self, epoch: Epoch, grace: Grace, now: Timestamp) -> Option<Change> {
        if self.epoch().is_some_and(|current| current >= epoch) {
            return None;
        }
        let was_online = self.is_online();
        self.state = State::Connected(Connection {
            epoch,
            numbers: None,
            grace,
            heard: now,
        });
        if was_online {
            None
        } else {
            Some(Change::Online)
        }
    }

    fn offline(&mut self) -> Option<Change> {
        if !self.is_online() {
            return None;
        }
        self.state = State::Offline;
        Some(Change::Offline)
    }
}

#[cfg(test)]
mod tests;
