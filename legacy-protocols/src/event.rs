//! What a line tells: facts about stations, calls, requests, outputs and inputs.
//!
//! Nobody has to answer an event. Each comes with where it came from.

use std::sync::Arc;
use std::time::Instant;

use crate::command::{CallRef, Cause, GroupRef, OutputId, Purpose, RequestRef, Switch};
use crate::number::Party;
use crate::priority::Priority;
use crate::sound::SoundEnd;
use crate::text::Text;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    StationState {
        station: Party,
        state: StationState,
    },
    /// All its faults; none means that it is well again.
    StationFaults {
        station: Party,
        faults: Faults,
    },
    LineTested {
        station: Party,
        result: LineTest,
    },
    /// Somebody wishes to be called. It is not a call: there is no audio, and it may wait for long.
    RequestNew(CallRequest),
    RequestUpdated(CallRequest),
    /// Whoever asked took it back.
    RequestCancelled {
        request: RequestRef,
    },
    /// It is over at the end where it lives.
    RequestClosed {
        request: RequestRef,
        cause: Cause,
        by: Option<Party>,
    },
    CallProgress(CallProgress),
    CallConnected(CallConnected),
    CallReleased {
        call: CallRef,
        cause: Cause,
    },
    OutputState {
        station: Party,
        output: u16,
        state: Switch,
    },
    InputState {
        station: Party,
        input: u16,
        state: Switch,
    },
    /// `command` names the one that it answers, where the line can.
    DoorState {
        station: Party,
        output: u16,
        state: Door,
        command: Option<OutputId>,
    },
    /// A telegram that this protocol does not know; its octets stand in the provenance.
    Opaque {
        kind: Option<u16>,
    },
}

/// Where an event or command came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The telegram as it came from the line, without framing that a link engine has undone; empty
    /// where the machine concluded it by itself. Events of one telegram share it.
    pub raw: Arc<[u8]>,
    pub at: Instant,
    pub origin: Origin,
    pub purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It just happened.
    Live,
    /// It holds since some time: an item of a picture that was asked for.
    Snapshot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRequest {
    pub request: RequestRef,
    pub from: Party,
    /// The number that the wish goes to: a desk, a group, a station.
    pub to: Option<Party>,
    pub priority: Priority,
    pub text: Option<Text>,
}

/// Both parties are told in a picture, and where the call was not set up over this line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallProgress {
    pub call: CallRef,
    pub progress: Progress,
    pub from: Option<Party>,
    pub to: Option<Party>,
    pub priority: Option<Priority>,
    /// Sound before the call is taken goes here, on lines that tell it.
    pub sound: Option<SoundEnd>,
}

/// Both parties are told as in `CallProgress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallConnected {
    pub call: CallRef,
    pub from: Option<Party>,
    pub to: Option<Party>,
    pub mode: Option<TalkMode>,
    /// Where the called end takes sound, on lines that tell it.
    pub sound: Option<SoundEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StationState {
    /// Nothing is known; never to be shown as idle.
    Unknown,
    Idle,
    Ringing,
    /// It waits for somebody to take its request.
    Requesting,
    InCall,
    InConference(Option<GroupRef>),
    /// It hears a group call.
    Listening(Option<GroupRef>),
    Privacy,
    OutOfService,
}

/// A set of faults of a station, one bit each, as the open link profile numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults(pub u16);

impl Faults {
    pub const NONE: Self = Self(0);
    pub const LINE_OPEN: Self = Self(1);
    pub const LINE_SHORT: Self = Self(1 << 1);
    pub const NO_REPLY: Self = Self(1 << 2);
    pub const MICROPHONE: Self = Self(1 << 3);
    pub const SPEAKER: Self = Self(1 << 4);
    pub const TAMPER: Self = Self(1 << 5);
    pub const POWER: Self = Self(1 << 6);
    pub const DEGRADED: Self = Self(1 << 7);
    pub const TEST_OVERDUE: Self = Self(1 << 8);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTest {
    Passed,
    Failed(Faults),
    /// The station was in a call; a test never disturbs one.
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Trying,
    Ringing,
    /// It waits at a desk.
    Queued,
    Held,
    /// Tones or words of the called end can be heard on the call's channel before it is answered,
    /// on lines that have channels.
    Audible,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The command reached the output; whether the door moved is not known.
    Sent,
    /// A contact or the station says so.
    Opened,
    Closed,
    Failed,
}

/// Who hears whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TalkMode {
    OpenDuplex,
    VoiceSwitched,
    Simplex(Talker),
    ListenOnly,
    TalkOnly,
}

/// Who talks in a simplex conversation just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Talker {
    Caller,
    Called,
    Nobody,
}
