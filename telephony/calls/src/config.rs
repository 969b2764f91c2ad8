//! The settings of the engine, with the product's defaults.

use std::time::Duration;

/// Everything that can be set. The defaults are those of the requirements.
#[derive(Clone, Debug)]
pub struct Config {
    /// A number that grows by one with each start of the machine, so that ids of calls, legs,
    /// requests, records and door commands are never used twice. Its lower 24 bits are used.
    pub start_count: u32,
    /// Calls at once. Alarms are let in beyond it, up to `alarm_reserve` more.
    pub max_calls: usize,
    pub alarm_reserve: usize,
    /// Call requests waiting at once. Alarms are let in beyond it, up to `alarm_reserve` more.
    pub max_requests: usize,
    /// Legs that one station may have at once, waiting calls included.
    pub max_legs_per_station: usize,
    /// A conversation lasts at most this long (C8)...
    pub conversation_limit: Duration,
    /// ...and is told so this long before.
    pub warning_before: Duration,
    /// How long a single station rings when no rule of its own says otherwise.
    pub answer_timeout: Duration,
    /// How long the station of somebody who took a request, or dials by command, has to answer.
    pub claim_timeout: Duration,
    /// How long another server has to say who won a claim of one of its requests.
    pub claim_verdict_timeout: Duration,
    /// The pause before an alarm that reached nobody starts another round.
    pub alarm_pause: Duration,
    /// How long an alarm waits at a desk without an escalation of its own before it goes on.
    pub alarm_at_desk: Duration,
    /// The pause between two digits after which a door code begins anew.
    pub inter_digit: Duration,
    /// Wrong door codes on one leg after which its digits open nothing any more.
    pub wrong_codes: u8,
    /// The longest validity that a door command may have.
    pub door_validity: Duration,
    /// How long one waits for the confirmation of a door.
    pub door_confirm: Duration,
    /// What callers who are refused for load are told to wait, at least; up to twice as long, so
    /// that they do not all come back at once.
    pub retry_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_count: 0,
            max_calls: 1_000,
            alarm_reserve: 100,
            max_requests: 1_000,
            max_legs_per_station: 24,
            conversation_limit: Duration::from_secs(600),
            warning_before: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(30),
            claim_timeout: Duration::from_secs(15),
            claim_verdict_timeout: Duration::from_secs(2),
            alarm_pause: Duration::from_secs(5),
            alarm_at_desk: Duration::from_secs(60),
            inter_digit: Duration::from_secs(3),
            wrong_codes: 5,
            door_validity: Duration::from_secs(10),
            door_confirm: Duration::from_secs(2),
            retry_after: Duration::from_secs(5),
        }
    }
}
