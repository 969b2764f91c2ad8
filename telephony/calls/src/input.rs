//! What the engine is told: by the legs, the stations, people and the owner.

use std::sync::Arc;
use std::time::Instant;

use model::{
    Address, Authority, CallId, CloudUserId, CommandId, DeskId, Digit, Directory, DoorId, EndCause,
    Faults, ForwardingRule, LegId, NodeId, Party, Pii, Priority, RequestId, StationId,
    StationState, TalkMode, Timestamp,
};

/// Something happened. Inputs about legs that the engine does not know (any more) are counted and
/// change nothing: an answer may well cross our hanging up.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody calls. The leg's id comes from `Engine::next_leg`.
    LegArrived(Arrival),
    /// The one to whom a request was promised calls whoever asked: it is fulfilled with this leg.
    LegFulfils {
        arrival: Arrival,
        request: RequestId,
    },
    /// A device of a station arrives to take the place of another one, after
    /// `Engine::may_take_over` has said that it may. It is answered at once.
    LegTakesOver(Takeover),
    /// A started leg rings, or sends sound and picture before its answer.
    LegProgress {
        leg: LegId,
        progress: Progress,
    },
    LegAnswered {
        leg: LegId,
    },
    /// A started leg was refused. The leg is over.
    LegRefused {
        leg: LegId,
        cause: EndCause,
    },
    /// A started leg answered that its calls go elsewhere: a diversion set at the device. The leg is
    /// over. The owner has checked that the device may send calls there.
    LegRedirected {
        leg: LegId,
        to: Address,
    },
    /// The other end hung up, gave up or is gone. The leg is over.
    LegEnded {
        leg: LegId,
        cause: EndCause,
    },
    LegHeld {
        leg: LegId,
    },
    LegResumed {
        leg: LegId,
    },
    /// A key of the telephone during a conversation (RFC 4733 event, INFO, key telegram).
    Digit {
        leg: LegId,
        digit: Digit,
    },
    /// The talk key of a simplex conversation.
    TalkKey {
        leg: LegId,
        key: Key,
    },
    /// Hand the other side over to somebody (blind).
    Transfer {
        leg: LegId,
        to: Address,
    },
    /// Join the other side of this leg with the other side of `with`; both are of one station.
    TransferAttended {
        leg: LegId,
        with: LegId,
    },
    /// The station registered, or its link says that it is there.
    StationSeen {
        station: StationId,
    },
    /// The registration ran out, or the link to it broke: its state is unknown from now on.
    StationLost {
        station: StationId,
    },
    /// What a station does, as the server says at which it is at home: it may be in a call of which
    /// nothing is known here. `Unknown`: it may be there, or not.
    StationDoes {
        station: StationId,
        state: StationState,
    },
    StationFaults {
        station: StationId,
        faults: Faults,
    },
    SetPrivacy {
        station: StationId,
        privacy: Privacy,
    },
    /// Where the calls of a station go until it is taken away again, whatever the directory says. It
    /// outlives a change of the directory, not a restart.
    Divert {
        station: StationId,
        rule: Option<ForwardingRule>,
    },
    /// Who hears whom in the conversation of a leg, by the word of its other end: `A` is this leg.
    SetTalkMode {
        leg: LegId,
        mode: TalkMode,
    },
    /// What became of a pulse.
    DoorReply {
        command: CommandId,
        reply: DoorReply,
    },
    /// The verdict of the server at home of a mirrored request, after `Output::ClaimAtHome`.
    ClaimVerdict {
        request: RequestId,
        verdict: ClaimVerdict,
    },
    /// Another directory holds from now on. Calls in progress go on.
    DirectoryChanged(Arc<Directory>),
    /// The wall clock, at the first start and whenever it was corrected.
    ClockSet(Timestamp),
    /// No new calls but alarms; `Event::Drained` tells when the last one ended.
    Drain,
}

#[derive(Clone, Debug)]
pub struct Arrival {
    pub leg: LegId,
    pub from: Origin,
    pub dialled: Address,
    /// What the button or the message says; a caller gets no more than is its right.
    pub priority: Option<Priority>,
    pub video: Video,
}

/// A leg that takes the place of another of the same station.
#[derive(Clone, Debug)]
pub struct Takeover {
    pub leg: LegId,
    /// Proved at the edge.
    pub station: StationId,
    pub replaced: LegId,
    pub video: Video,
}

/// Who calls, proved at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Station(StationId),
    CloudUser {
        user: CloudUserId,
        name: Pii<String>,
    },
    /// Somebody who is not in the directory. Never more urgent than the normal band.
    Outside {
        address: Option<Address>,
        name: Pii<String>,
    },
    /// A station behind another server.
    Node {
        node: NodeId,
        party: Party,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Ringing,
    /// Ringing, and sound or picture already comes.
    EarlyMedia,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Video {
    None,
    Offered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Pressed,
    Released,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    On,
    Off,
}

/// What a station, device or contact says about a pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorReply {
    /// The command reached the output; whether the door moved is not known.
    Sent,
    /// The contact or the station says that it opened.
    Opened,
    /// It was refused or could not be delivered.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimVerdict {
    Granted,
    TakenElsewhere,
    /// The server cannot say now; the request waits again.
    Unreachable,
}

/// What a person or program wants. The answer comes at once, from `Engine::command`.
#[derive(Clone, Debug)]
pub enum Command {
    /// Call `from`, and when it answers, `to`.
    Dial {
        from: Address,
        to: Address,
        priority: Option<Priority>,
    },
    /// A wish to be called, from a station that is not on the line.
    FileRequest(FileRequest),
    /// Take this request, or be told who was faster.
    Claim {
        request: RequestId,
        by: Claimant,
    },
    /// Take this request; the one who takes it will call by itself, from behind another server.
    /// Until then it is promised.
    ClaimToCall {
        request: RequestId,
        by: Claimant,
    },
    /// Take the most urgent, longest waiting request of the desk.
    TakeNext {
        desk: DeskId,
        by: Claimant,
    },
    /// Close a request without calling back.
    Dismiss {
        request: RequestId,
        by: Claimant,
    },
    /// The station that asked, or the server at home of a mirrored request, took it back.
    Withdraw {
        request: RequestId,
        why: Withdrawal,
    },
    /// Call this station, which opens by itself, and let it hear something.
    Play {
        to: StationId,
        playback: Playback,
        /// Of a message; a programme is below every call.
        priority: Priority,
    },
    EndCall {
        call: CallId,
    },
    EndLeg {
        leg: LegId,
    },
}

/// What a station alone is played; which one the owner knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playback {
    /// It has an end, and is a call like any other.
    Message,
    /// Any call ends it.
    Programme,
}

#[derive(Clone, Debug)]
pub struct FileRequest {
    /// Whom to call back; a station, or somebody behind another server.
    pub from: Address,
    pub name: Pii<String>,
    pub desk: DeskId,
    pub priority: Option<Priority>,
    pub home: Home,
}

/// Where a request lives: who decides which claim was first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Here,
    /// It is mirrored from another server's queue; a claim is decided there.
    Node(NodeId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    ByRequester,
    TakenElsewhere,
}

/// Who takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claimant {
    Station(StationId),
    CloudUser(CloudUserId),
}

/// A command that was carried out, or begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Call(CallId),
    Request(RequestId),
    /// The server at home of the request decides; an event tells how.
    Asked(RequestId),
    Ended,
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("no such request; it was taken, withdrawn or expired")]
    NoSuchRequest,
    #[error("the request was already taken by {0}; take the next one")]
    TakenBy(Claimant),
    #[error("somebody is just taking the request; take the next one")]
    BeingTaken,
    #[error("not a position of a desk where this request waits; have it added to the desk")]
    NotAPosition,
    #[error("nobody waits at this desk")]
    NothingWaiting,
    #[error("no such desk; choose one of the directory")]
    NoSuchDesk,
    #[error("no such call; `calls` shows those of this moment")]
    NoSuchCall,
    #[error("no such leg; `calls` shows those of this moment")]
    NoSuchLeg,
    #[error("nobody has this address; choose a station of the directory")]
    NoSuchAddress,
    #[error("this address is not a single device; name one")]
    NotASingleDevice,
    #[error("the station is in a call; end it first or wait")]
    StationBusy,
    #[error("no more calls or requests can be taken now; try again in a few seconds")]
    Overload,
    #[error("this machine is about to stop and takes no new calls; wait until it is back")]
    Stopping,
}

/// A command to open a door, for `Engine::open_door`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenDoor {
    /// Unique for all time; the same id never opens twice.
    pub id: CommandId,
    pub door: DoorId,
    pub authority: Authority,
    /// After this moment it opens nothing. Remote commands carry 10 seconds from their issue.
    pub valid_until: Instant,
}

impl std::fmt::Display for Claimant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Station(station) => station.fmt(f),
            Self::CloudUser(user) => user.fmt(f),
        }
    }
}
