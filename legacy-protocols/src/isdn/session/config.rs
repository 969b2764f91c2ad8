//! What a line's call control is told; the times' defaults are Q.931's (table 9-1 and 9-2).

use std::time::Duration;

use crate::isdn::codec::{Binding, Interface};
use crate::isdn::link::{self, Side, Topology};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Euro-ISDN.
    Dss1,
    /// Between private exchanges (ECMA-143): symmetrical, CONNECT is always acknowledged, no
    /// sending complete, no keypad.
    Qsig,
}

/// From which end free B channels are taken. Ends that hunt towards each other seldom collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hunt {
    FromFirst,
    FromLast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// No answer to the caller's patience.
    pub t301: Duration,
    /// Between digits that arrive.
    pub t302: Duration,
    /// SETUP unanswered; once more, then given up.
    pub t303: Duration,
    /// Between digits that we send.
    pub t304: Duration,
    /// DISCONNECT unanswered.
    pub t305: Duration,
    /// RELEASE unanswered; once more, then forgotten.
    pub t308: Duration,
    /// A call bears the loss of its link so long.
    pub t309: Duration,
    /// CALL PROCEEDING, and nothing after it.
    pub t310: Duration,
    /// CONNECT unacknowledged.
    pub t313: Duration,
    /// RESTART unacknowledged; once more, then out of service.
    pub t316: Duration,
    /// STATUS ENQUIRY unanswered; once more, then cleared.
    pub t322: Duration,
    /// Before a link that went down is established again, give or take a half.
    pub establish_pause: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t301: Duration::from_secs(180),
            t302: Duration::from_secs(15),
            t303: Duration::from_secs(4),
            t304: Duration::from_secs(30),
            t305: Duration::from_secs(30),
            t308: Duration::from_secs(4),
            t309: Duration::from_secs(6),
            t310: Duration::from_secs(40),
            t313: Duration::from_secs(4),
            t316: Duration::from_secs(120),
            t322: Duration::from_secs(4),
            establish_pause: Duration::from_secs(2),
        }
    }
}

impl Timers {
    /// A timer of no length would be due for ever.
    pub(super) fn checked(mut self) -> Self {
        for time in [
            &mut self.t301,
            &mut self.t302,
            &mut self.t303,
            &mut self.t304,
            &mut self.t305,
            &mut self.t308,
            &mut self.t309,
            &mut self.t310,
            &mut self.t313,
            &mut self.t316,
            &mut self.t322,
            &mut self.establish_pause,
        ] {
            *time = (*time).max(Duration::from_millis(10));
        }
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub dialect: Dialect,
    pub interface: Interface,
    pub link: link::Config,
    pub timers: Timers,
    pub hunt: Hunt,
    /// What our calls ask for.
    pub binding: Binding,
    /// Calls at once, those without a channel included.
    pub calls: usize,
}

impl Config {
    pub fn primary_rate(side: Side, dialect: Dialect) -> Self {
        Self {
            dialect,
            interface: Interface::PrimaryRate,
            link: link::Config::primary_rate(side),
            timers: Timers {
                // ECMA-143 7: calls may cross several exchanges.
                t310: match dialect {
                    Dialect::Dss1 => Timers::default().t310,
                    Dialect::Qsig => Duration::from_secs(115),
                },
                ..Timers::default()
            },
            hunt: match side {
                Side::User => Hunt::FromFirst,
                Side::Network => Hunt::FromLast,
            },
            binding: Binding::Exclusive,
            calls: 60,
        }
    }

    pub fn basic_rate(side: Side, topology: Topology) -> Self {
        Self {
            interface: Interface::BasicRate,
            link: link::Config::basic_rate(side, topology),
            calls: 16,
            ..Self::primary_rate(side, Dialect::Dss1)
        }
    }

    pub(super) fn side(&self) -> Side {
        self.link.side
    }

    /// Whether the answering end waits for CONNECT ACKNOWLEDGE. Q.931 5.2.8: the user does; in
    /// QSIG both.
    pub(super) fn awaits_connect_acknowledge(&self) -> bool {
        self.side() == Side::User || self.dialect == Dialect::Qsig
    }
}
