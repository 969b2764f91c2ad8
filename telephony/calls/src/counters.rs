//! What happened so far, in numbers, for metrics.

use model::{DialStatus, DoorResult};

/// Counts since the start. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub calls: u64,
    pub alarms: u64,
    pub legs_arrived: u64,
    pub legs_started: u64,
    pub records: u64,
    pub answered: u64,
    pub no_answer: u64,
    pub busy: u64,
    pub declined: u64,
    pub cancelled: u64,
    pub answered_elsewhere: u64,
    pub unreachable: u64,
    pub refused: u64,
    pub failed: u64,
    /// Calls refused because there were too many, or too many of one station.
    pub overload: u64,
    /// Calls refused because the machine is stopping.
    pub stopping: u64,
    pub forwarded: u64,
    pub forwarding_loops: u64,
    pub pre_empted: u64,
    pub time_limit: u64,
    pub alarms_escalated: u64,
    pub transfers: u64,
    pub transfers_failed: u64,
    pub takeovers: u64,
    pub requests: u64,
    pub requests_connected: u64,
    pub requests_expired: u64,
    pub claims_lost: u64,
    pub door_pulses: u64,
    pub doors_opened: u64,
    pub doors_not_confirmed: u64,
    pub doors_failed: u64,
    pub doors_denied: u64,
    /// Ids of door commands that came again.
    pub doors_repeated: u64,
    pub door_codes_wrong: u64,
    /// Inputs about legs, requests, stations or commands that are not, or no longer, known.
    pub stale_inputs: u64,
    /// Inputs that do not fit the state of what they are about.
    pub unfit_inputs: u64,
}

impl Counters {
    pub(crate) fn leg_ended(&mut self, status: DialStatus) {
        self.records += 1;
        match status {
            DialStatus::Answered => self.answered += 1,
            DialStatus::NoAnswer => self.no_answer += 1,
            DialStatus::Busy => self.busy += 1,
            DialStatus::Declined => self.declined += 1,
            DialStatus::Cancelled => self.cancelled += 1,
            DialStatus::AnsweredElsewhere => self.answered_elsewhere += 1,
            DialStatus::Unreachable => self.unreachable += 1,
            DialStatus::Refused => self.refused += 1,
            DialStatus::Failed => self.failed += 1,
        }
    }

    pub(crate) fn door_concluded(&mut self, result: DoorResult) {
        match result {
            DoorResult::Opened => self.doors_opened += 1,
            DoorResult::SentNotConfirmed => self.doors_not_confirmed += 1,
            DoorResult::Failed => self.doors_failed += 1,
            DoorResult::Denied(_) => self.doors_denied += 1,
        }
    }

    /// Name and value of each, for whoever exports them.
    pub fn each(&self) -> [(&'static str, u64); 37] {
        [
            ("calls", self.calls),
            ("alarms", self.alarms),
            ("legs_arrived", self.legs_arrived),
            ("legs_started", self.legs_started),
            ("records", self.records),
            ("answered", self.answered),
            ("no_answer", self.no_answer),
            ("busy", self.busy),
            ("declined", self.declined),
            ("cancelled", self.cancelled),
            ("answered_elsewhere", self.answered_elsewhere),
            ("unreachable", self.unreachable),
            ("refused", self.refused),
            ("failed", self.failed),
            ("overload", self.overload),
            ("stopping", self.stopping),
            ("forwarded", self.forwarded),
            ("forwarding_loops", self.forwarding_loops),
            ("pre_empted", self.pre_empted),
            ("time_limit", self.time_limit),
            ("alarms_escalated", self.alarms_escalated),
            ("transfers", self.transfers),
            ("transfers_failed", self.transfers_failed),
            ("takeovers", self.takeovers),
            ("requests", self.requests),
            ("requests_connected", self.requests_connected),
            ("requests_expired", self.requests_expired),
            ("claims_lost", self.claims_lost),
            ("door_pulses", self.door_pulses),
            ("doors_opened", self.doors_opened),
            ("doors_not_confirmed", self.doors_not_confirmed),
            ("doors_failed", self.doors_failed),
            ("doors_denied", self.doors_denied),
            ("doors_repeated", self.doors_repeated),
            ("door_codes_wrong", self.door_codes_wrong),
            ("stale_inputs", self.stale_inputs),
            ("unfit_inputs", self.unfit_inputs),
        ]
    }
}
