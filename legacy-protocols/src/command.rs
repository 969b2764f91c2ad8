//! What one end of a line asks of the other, and how it is answered.
//!
//! The same words serve both directions: the gateway asks an intercom server to open a door, a desk
//! of that server asks the gateway. Facts that nobody has to answer are `Event`s.

use std::fmt;
use std::time::{Duration, Instant};

use crate::event::{CallRequest, TalkMode};
use crate::number::Party;
use crate::priority::Priority;
use crate::sound::SoundEnd;
use crate::text::Text;

/// A call, as both ends of one line name it. Whoever sets it up chooses the number: the owner of the
/// port without the top bit, the other end with it, so that the two never choose the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallRef(pub u64);

impl CallRef {
    /// The bit of numbers that were chosen at the other end, or by the port in its place.
    pub const OF_PORT: u64 = 1 << 63;
}

/// A call request, as both ends of one line name it; numbered as calls are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestRef(pub u64);

/// A group that a group call reaches, or a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupRef(pub u16);

/// Unique for all time; the same id never drives an output twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    CallSetup(CallSetup),
    CallRelease {
        call: CallRef,
        cause: Cause,
    },
    Hold {
        call: CallRef,
    },
    Retrieve {
        call: CallRef,
    },
    Transfer {
        call: CallRef,
        to: Party,
    },
    SetTalkMode {
        call: CallRef,
        mode: TalkMode,
    },
    /// The talk key of a simplex conversation.
    TalkKey {
        station: Party,
        key: Key,
    },
    Keys {
        station: Party,
        keys: Keys,
    },
    GroupStart {
        group: GroupRef,
        talker: Party,
        priority: Priority,
    },
    GroupStop {
        group: GroupRef,
        talker: Party,
    },
    ConferenceJoin {
        conference: GroupRef,
        station: Party,
        mode: TalkMode,
    },
    ConferenceLeave {
        conference: GroupRef,
        station: Party,
    },
    ConferenceTalk {
        conference: GroupRef,
        station: Party,
        key: Key,
    },
    /// Queue this request at the other end.
    RequestFile(CallRequest),
    RequestWithdraw {
        request: RequestRef,
    },
    /// Compare and set at the end where the request lives: exactly one claim is answered `Done`, the
    /// others `AlreadyTaken` with the one who was faster.
    RequestClaim {
        request: RequestRef,
        by: Party,
    },
    OutputSet(OutputCommand),
    DoorOpen(OutputCommand),
    ShowText {
        station: Party,
        text: Text,
    },
    Programme {
        station: Party,
        programme: Programme,
    },
    Announce {
        station: Party,
        message: u8,
        priority: Priority,
    },
    Divert {
        station: Party,
        divert: Divert,
    },
    SetPrivacy {
        station: Party,
        privacy: Switch,
    },
    /// Listen to the station's microphone and loudspeaker; `Event::LineTested` tells the result.
    LineTest {
        station: Party,
    },
    /// Tell all that is: stations, requests, calls, outputs. The answer ends the picture.
    Snapshot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSetup {
    pub call: CallRef,
    pub from: Party,
    pub to: Party,
    pub priority: Priority,
    pub mode: TalkMode,
    pub text: Option<Text>,
    /// Where the caller's end takes sound, on lines that tell it.
    pub sound: Option<SoundEnd>,
}

/// What drives something in the world. `safety` says when it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputCommand {
    pub id: OutputId,
    pub station: Party,
    pub output: u16,
    pub action: OutputAction,
    pub authority: Authority,
    /// After this moment it drives nothing.
    pub valid_until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputAction {
    Pulse(Duration),
    Set(Switch),
}

/// Who allows it: a signed token that only its issuer and its judge can read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authority(Vec<u8>);

/// Whether a command is meant. One that is a test never drives an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    #[default]
    Live,
    Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Pressed,
    Released,
}

/// Keys of a telephone: 1 to 16 of `0-9`, `*`, `#`, `A-D`.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(String);

/// Sound to a station, below every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programme {
    Off,
    Channel(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divert {
    Off,
    Always(Party),
    Busy(Party),
    NoReply(Party),
}

/// Why something ended, by the numbers of Q.850.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cause(pub u8);

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub verdict: Verdict,
    pub cause: Option<Cause>,
    pub text: Option<Text>,
    /// Who was faster, with `AlreadyTaken`.
    pub by: Option<Party>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Done,
    /// It is begun; events tell the rest.
    Accepted,
    Busy,
    NoSuchNumber,
    NotAllowed,
    AlreadyTaken,
    Expired,
    Unsupported,
    Loop,
    NodeUnreachable,
    TestRefused,
    RateLimited,
    /// It left; this protocol confirms nothing.
    Sent,
    /// It never left: the line was not up.
    NotConnected,
    /// The line broke before an answer came. Whether it was carried out is not known.
    LineLost,
    /// No answer in time. Whether it was carried out is not known.
    NoAnswer,
}

impl Command {
    /// What it would drive, if it drives anything.
    pub const fn output(&self) -> Option<&OutputCommand> {
        match self {
            Self::OutputSet(output) | Self::DoorOpen(output) => Some(output),
            Self::CallSetup(_)
            | Self::CallRelease { .. }
            | Self::Hold { .. }
            | Self::Retrieve { .. }
            | Self::Transfer { .. }
            | Self::SetTalkMode { .. }
            | Self::TalkKey { .. }
            | Self::Keys { .. }
            | Self::GroupStart { .. }
            | Self::GroupStop { .. }
            | Self::ConferenceJoin { .. }
            | Self::ConferenceLeave { .. }
            | Self::ConferenceTalk { .. }
            | Self::RequestFile(_)
            | Self::RequestWithdraw { .. }
            | Self::RequestClaim { .. }
            | Self::ShowText { .. }
            | Self::Programme { .. }
            | Self::Announce { .. }
            | Self::Divert { .. }
            | Self::SetPrivacy { .. }
            | Self::LineTest { .. }
            | Self::Snapshot => None,
        }
    }
}

impl Authority {
    pub const MOST_OCTETS: usize = 200;

    /// None where it is longer than any line carries.
    pub fn new(token: &[u8]) -> Option<Self> {
        (token.len() <= Self::MOST_OCTETS).then(|| Self(token.to_vec()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_missing(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({} octets)", self.0.len())
    }
}

impl Keys {
    pub const MOST: usize = 16;

    pub fn new(keys: &str) -> Option<Self> {
        let known = |key| matches!(key, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D');
        let fits = !keys.is_empty() && keys.len() <= Self::MOST && keys.bytes().all(known);
        fits.then(|| Self(keys.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Keys may be a door code.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} of them)", self.0.len())
    }
}

impl Cause {
    pub const NORMAL: Self = Self(16);
    pub const BUSY: Self = Self(17);
    pub const NO_ANSWER: Self = Self(19);
    pub const REJECTED: Self = Self(21);
    pub const OUT_OF_ORDER: Self = Self(27);
    pub const UNSPECIFIED: Self = Self(31);
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            cause: None,
            text: None,
            by: None,
        }
    }
}
