//! What the core says: `desired`, `cmd`, `ack` and `poke`.
//!
//! `desired` and `cmd` are rows of the core's database and sent until they are
//! acknowledged; `ack` and `poke` are hints whose loss costs time and nothing else.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{Counter, Document, Moment, Text, is_object};
use crate::limits;

/// Settings the device shall have: a change since `base`, or the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// Counted by the core, one counter per device. Only a higher one is applied.
    pub rev: Counter,
    /// What `patch` starts from; a device that has another revision fetches the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Counter>,
    /// RFC 7396.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<Value>,
    /// `sha256:` and the hex digest of the whole document in canonical form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Text<80>>,
}

impl Document for Desired {
    fn check(&self) -> Result<(), &'static str> {
        match (&self.base, &self.patch, &self.full) {
            (Some(base), Some(patch), None) if is_object(patch) => {
                if *base < self.rev {
                    Ok(())
                } else {
                    Err("`base` lies before `rev`")
                }
            }
            (None, None, Some(full)) if is_object(full) => Ok(()),
            // Too large for a packet: only the revision, the device fetches the rest.
            (None, None, None) => Ok(()),
            (Some(_) | None, Some(_) | None, Some(_) | None) => {
                Err("`base` with `patch`, or `full`, or neither; both are objects")
            }
        }
    }
}

/// Something the device shall do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Its id; answers name it.
    pub cmd: Text<40>,
    /// See [`Operation`]; an unknown one is answered `rejected` with code `unsupported`.
    pub op: Text<64>,
    #[serde(default)]
    pub args: Value,
    /// By the core's clock, as is `expires`.
    pub issued: Moment,
    pub expires: Moment,
    pub idem: Repeat,
    /// Who wants it, for the device's own journal.
    pub by: Text<64>,
}

/// Whether doing it twice is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Never a second time, not even when nobody knows how the first one ended.
    Once,
    Repeatable,
}

/// What version 1 of the link can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Reboot,
    OpenDoor,
    UploadLogs,
    /// Shows or sounds where the device is.
    Identify,
}

impl Operation {
    pub const ALL: [Self; 4] = [
        Self::Reboot,
        Self::OpenDoor,
        Self::UploadLogs,
        Self::Identify,
    ];

    /// `None` for what this end does not know.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::OpenDoor => "door.open",
            Self::UploadLogs => "logs.upload",
            Self::Identify => "identify",
        }
    }

    #[must_use]
    pub fn repeat(self) -> Repeat {
        match self {
            Self::Reboot | Self::OpenDoor => Repeat::Once,
            Self::UploadLogs | Self::Identify => Repeat::Repeatable,
        }
    }

    /// How long such a command may wait at most.
    #[must_use]
    pub fn longest_life(self) -> std::time::Duration {
        match self {
            Self::OpenDoor => limits::DOOR_LIFE,
            Self::Reboot | Self::UploadLogs | Self::Identify => limits::COMMAND_LIFE,
        }
    }
}

impl Document for Command {
    fn check(&self) -> Result<(), &'static str> {
        if !(self.args.is_null() || is_object(&self.args)) {
            return Err("`args` is an object");
        }
        let life = self.expires.0.get() - self.issued.0.get();
        let operation = Operation::named(self.op.as_str());
        let longest = operation.map_or(limits::COMMAND_LIFE, Operation::longest_life);
        if life <= 0 || life.unsigned_abs() > longest.as_secs() * 1000 {
            return Err("a command lives at most 24 h, one for a door 10 s, and not backwards");
        }
        if self.idem == Repeat::Repeatable
            && operation.is_some_and(|operation| operation.repeat() == Repeat::Once)
        {
            return Err("this operation is never repeated: `idem` is `once`");
        }
        Ok(())
    }
}

/// The core's durable high-water mark of one stream: rows up to here may be forgotten.
///
/// Also the answer to `hello`, and the clock a device judges `expires` by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub stream: Stream,
    pub boot: Counter,
    pub upto: Counter,
    pub now: Moment,
}

/// An ordered stream of the device's outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Reported,
    Event,
}

/// A hint to look for something over HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poke {
    pub what: Errand,
}

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    Update,
    Crl,
    Time,
    Logs,
    /// Something this end does not know yet: nothing is done.
    #[serde(other)]
    Other,
}

impl Document for Ack {}
impl Document for Poke {}
