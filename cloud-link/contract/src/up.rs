//! What a device says: `hello`, `reported`, `event`, `result`, `hb`, and the will `lwt`.
//!
//! `reported` and `event` are ordered streams out of the device's outbox: each message
//! carries the boot it was made in and a sequence number, and (boot, seq) only grows.
//! `hello`, `result`, `hb` and `lwt` are statements about now and carry what fences them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{Counter, Document, Moment, Text, is_object};
use crate::limits;

/// Sent first on each connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Grows with each start of the device.
    pub boot: Counter,
    /// Grows with each connection of this boot.
    pub conn: Counter,
    /// Firmware version, four numeric fields.
    pub fw: Text<32>,
    /// Hardware revision, two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<Text<2>>,
    pub mode: Mode,
    pub have: Have,
    pub outbox: Outbox,
}

/// How the device is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Bridge,
    Cloud,
    Managed,
    Mesh,
    OnPrem,
    /// A mode this end does not know yet.
    #[serde(other)]
    Other,
}

/// What the device has stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// Revision of the desired settings, 0 for none.
    pub desired: Counter,
}

/// What the device has to say still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// Sequence number of the oldest message.
    pub from: Counter,
    /// How many there are.
    pub n: Counter,
}

/// What the device is and how it is set, whole or as a change (RFC 7396).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    pub seq: Counter,
    pub boot: Counter,
    pub ts: Moment,
    /// `patch` is the whole document; what it does not name is gone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub full: bool,
    pub patch: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// What became of desired settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The revision that was applied.
    pub desired: Counter,
    pub ok: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ApplyError>,
}

/// A setting that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyError {
    /// RFC 6901, into the desired document.
    pub pointer: Text<256>,
    pub code: Text<64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<256>>,
}

impl Document for Reported {
    fn check(&self) -> Result<(), &'static str> {
        if !is_object(&self.patch) {
            return Err("`patch` is an object");
        }
        match &self.applied {
            Some(applied) if applied.errors.len() > limits::APPLY_ERRORS => {
                Err("at most 32 errors are told at once")
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub seq: Counter,
    pub boot: Counter,
    pub ts: Moment,
    /// `call.ended`, `door.opened`, ...
    #[serde(rename = "type")]
    pub kind: Text<64>,
    /// ULID made when it happened; both ends of a call may report the same one.
    pub id: Text<40>,
    pub data: Value,
    /// After so many days it is worth nothing; call data at most 180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_days: Option<u16>,
}

impl Document for Event {
    fn check(&self) -> Result<(), &'static str> {
        if !is_object(&self.data) {
            return Err("`data` is an object");
        }
        match self.ttl_days {
            Some(0) => Err("`ttl_days` is at least 1"),
            Some(days) if days > limits::CALL_DATA_DAYS => Err("`ttl_days` is at most 180"),
            Some(_) | None => Ok(()),
        }
    }
}

/// What became of a command, so far or finally.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command's id.
    pub cmd: Text<40>,
    /// 1 for the first try.
    #[serde(rename = "try", default = "first_try")]
    pub attempt: u8,
    pub state: OutcomeState,
    /// `unsupported`, `unknown-outcome`, ... : a word to translate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Text<64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

fn first_try() -> u8 {
    1
}

/// What a device can say of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeState {
    Running,
    Done,
    Failed,
    Rejected,
    Expired,
}

impl Document for Outcome {
    fn check(&self) -> Result<(), &'static str> {
        match (self.attempt, self.state, &self.code) {
            (0, _, _) => Err("`try` counts from 1"),
            (_, OutcomeState::Failed | OutcomeState::Rejected, None) => {
                Err("`failed` and `rejected` say why in `code`")
            }
            (_, OutcomeState::Running | OutcomeState::Done | OutcomeState::Expired, _)
            | (_, OutcomeState::Failed | OutcomeState::Rejected, Some(_)) => Ok(()),
        }
    }
}

/// A sign of life, QoS 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Seconds since the start.
    pub up: Counter,
    /// Load of the machine, 0 to 1 and above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f32>,
    /// Calls now.
    #[serde(default)]
    pub calls: u16,
    /// Runs without the core at the moment.
    #[serde(default)]
    pub mesh: bool,
}

/// The will: this connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Will {
    pub boot: Counter,
    pub conn: Counter,
}

impl Document for Heartbeat {
    fn check(&self) -> Result<(), &'static str> {
        match self.load {
            Some(load) if !(load.is_finite() && load >= 0.0) => Err("`load` is 0 or more"),
            Some(_) | None => Ok(()),
        }
    }
}

impl Document for Hello {}
impl Document for Will {}
