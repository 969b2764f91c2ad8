//! Forwarding: where a station's calls go instead (C6).

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::{Address, Schedule, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingRule {
    pub when: ForwardWhen,
    /// The rule holds only at these times; without it always.
    pub schedule: Option<Schedule>,
    pub to: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardWhen {
    Always,
    Busy,
    NoAnswer {
        after: Duration,
    },
    /// The station is not there: not registered, link lost, no reply.
    Unreachable,
}

impl ForwardingRule {
    pub fn new(when: ForwardWhen, to: Address) -> Self {
        Self {
            when,
            schedule: None,
            to,
        }
    }

    /// True where neither a condition nor a schedule stands between the call and the target.
    pub fn is_unconditional(&self) -> bool {
        self.when == ForwardWhen::Always && self.schedule.is_none()
    }

    pub fn holds(&self, at: Timestamp, zone: &TimeZone) -> bool {
        self.schedule.as_ref().is_none_or(|s| s.is_active(at, zone))
    }
}
