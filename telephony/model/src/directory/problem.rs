//! What can be wrong with a directory: where, what, and what to do about it.

use std::fmt;

use crate::{CallNumber, limits};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `stations[3].doors[0].code`. Positions count from 0, in the lists as they were given.
    pub path: String,
    pub fault: Fault,
}

/// Everything that is wrong, in the order of the lists. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the number {number} is already used by {by}")]
    NumberTaken { number: CallNumber, by: String },
    #[error("the same id is already used by {by}")]
    IdTaken { by: String },
    #[error("the SIP account is already used by {by}")]
    AccountTaken { by: String },
    #[error("nothing in the directory has the number {0}")]
    UnknownNumber(CallNumber),
    #[error("no such ring group")]
    UnknownGroup,
    #[error("no such desk")]
    UnknownDesk,
    #[error("no such door")]
    UnknownDoor,
    #[error("a group, desk or room cannot stand here, only a single device or user")]
    NotASingleDevice,
    #[error(
        "a conference, group call or echo test cannot stand here: nobody may be there to answer"
    )]
    ARoom,
    #[error("the echo test cannot stand here: nobody is there but whoever calls it")]
    AnEcho,
    #[error("the same entry is there twice, first at {first}")]
    Twice { first: String },
    #[error("{count} entries, {min} to {max} are possible")]
    Count {
        count: usize,
        min: usize,
        max: usize,
    },
    #[error("the code begins with the code of {other}, so that one of them could never be dialled")]
    CodeHidden { other: String },
    #[error("calls would go round in a circle: {way}")]
    Loop { way: String },
    #[error("the name has {0} bytes, at most {max} are possible", max = limits::MAX_NAME_BYTES)]
    NameTooLong(usize),
    #[error("the name has control characters in it")]
    NameWithControl,
    #[error("{ms} ms, from {min_ms} to {max_ms} ms are possible")]
    Duration {
        ms: u128,
        min_ms: u128,
        max_ms: u128,
    },
    #[error("a door with the right \"listed\" has nobody on its list")]
    NobodyPermitted,
    #[error("the door counts on a contact or the station, but is opened through a URL")]
    FeedbackOfUrl,
    #[error("outputs and inputs count from 1")]
    OutputZero,
}

impl Fault {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NumberTaken { .. } => "give one of the two another number",
            Self::IdTaken { .. } => "give one of the two another id",
            Self::AccountTaken { .. } => "give each station an account of its own",
            Self::UnknownNumber(_) => "correct the number or add what it belongs to",
            Self::UnknownGroup => "correct the id or add the ring group",
            Self::UnknownDesk => "correct the id or add the desk",
            Self::UnknownDoor => "correct the id or add the door to its station",
            Self::NotASingleDevice => "name the devices one by one",
            Self::AnEcho => "name whoever shall be called; only a button may lead to the echo test",
            Self::ARoom => "name a device, a user, a ring group or a desk",
            Self::Twice { .. } => "remove one of the two",
            Self::Count { .. } => "remove or add entries; for more devices chain a second group",
            Self::CodeHidden { .. } => "choose codes of which none begins with another",
            Self::Loop { .. } => "let one of them lead elsewhere or end",
            Self::NameTooLong(_) => "shorten it",
            Self::NameWithControl => "write it in one line of plain text",
            Self::Duration { .. } => "choose a duration within these bounds",
            Self::NobodyPermitted => "add those who may open, or choose \"nobody\"",
            Self::FeedbackOfUrl => "choose no feedback, or an output of the station",
            Self::OutputZero => "write 1 for the first one",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.fault, self.fault.hint())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let line_end = if i == 0 { "" } else { "\n" };
            write!(f, "{line_end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
