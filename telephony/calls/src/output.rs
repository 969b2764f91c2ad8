//! What the engine wants done, and what it tells.

use std::time::{Duration, Instant};

use model::{
    Address, CallId, CallRecord, CommandId, DeskId, DoorId, DoorOutput, DoorRecord, DoorResult,
    EarlyMedia, EndCause, Faults, ForwardWhen, LegId, NodeId, Party, Priority, RequestId,
    StationId, StationState, TalkMode,
};

use crate::input::{Claimant, Video};

/// Drained with `Engine::poll_output` after each input until `Timeout` comes.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Call somebody.
    StartLeg(Box<StartLeg>),
    /// Tell a caller how it stands.
    ShowProgress {
        leg: LegId,
        progress: CallerProgress,
    },
    /// Answer a leg that arrived. `Connect`, `Mix` or `Echo` follows in the same drain.
    AnswerLeg { leg: LegId },
    /// Refuse a leg that arrived and was not answered. The leg is over.
    RefuseLeg {
        leg: LegId,
        cause: EndCause,
        retry_after: Option<Duration>,
    },
    /// End a leg, in whatever state it is. The leg is over; what it still says is not heard.
    EndLeg { leg: LegId, cause: EndCause },
    /// Join the sound and picture of two answered legs.
    Connect { a: LegId, b: LegId, mode: TalkMode },
    /// Another direction for two connected legs.
    SetTalkMode { a: LegId, b: LegId, mode: TalkMode },
    /// Part them again; the legs stay.
    Disconnect { a: LegId, b: LegId },
    /// Let `to`, who still rings, see and hear `from`; or a caller hear the one who rings.
    /// `Connect` or the end of either leg closes it.
    EarlyMedia { from: LegId, to: LegId },
    /// Put a leg into the room of a call, or change its part there.
    Mix {
        call: CallId,
        leg: LegId,
        part: Part,
    },
    /// Let a leg alone in its room hear itself.
    Echo { leg: LegId },
    /// Let a leg hear what `Command::Play` has called its station for.
    Play { call: CallId, leg: LegId },
    /// It is out of its room: it hears nobody there, nor itself.
    Unmix { call: CallId, leg: LegId },
    /// Play to a leg. Another tone ends it; one without an end of its own (ring-back, hold) is
    /// ended by `Connect`, `Mix`, `Echo` and `EarlyMedia` as well.
    Tone { leg: LegId, tone: Tone },
    /// Pass a dialled key on to the other side, where sound alone does not carry it.
    SendDigit { leg: LegId, digit: model::Digit },
    /// How a transfer stands, for the leg that asked for it.
    TransferStatus { leg: LegId, status: TransferStatus },
    /// Close the output of a door for a moment. Once per command id, ever.
    PulseDoor(Box<PulseDoor>),
    /// Ask the server at home of a mirrored request whether `by` may have it.
    ClaimAtHome {
        node: NodeId,
        request: RequestId,
        by: Claimant,
    },
    /// A leg came to its end. Exactly one for each leg.
    Record(Box<CallRecord>),
    /// A door command came to its end. Exactly one for each command id.
    DoorRecord(Box<DoorRecord>),
    /// For the live view, and for whoever follows requests.
    Event(Event),
    /// Nothing more to do until then.
    Timeout(Option<Instant>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct StartLeg {
    pub leg: LegId,
    pub call: CallId,
    pub to: Target,
    /// Who is shown as calling.
    pub caller: Party,
    /// Whom the caller wanted, where it is not `to` itself.
    pub dialled: Option<Address>,
    pub alert: Alert,
    pub priority: Priority,
    pub video: Video,
    /// The leg whose offer is passed on; None where nobody waits yet and the offer is our own.
    pub offer_of: Option<LegId>,
    /// Whether the caller's picture and sound shall be seen before the answer.
    pub early_media: EarlyMedia,
}

/// The device at the end of a leg to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Station(StationId),
    /// Not in the directory: another node, SIP, the cloud.
    Elsewhere(Address),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    Ring,
    /// A waiting call at a station in a call.
    Wait,
    /// The station opens by itself, with an announcing tone.
    AutoAnswer,
    /// The one who is called asked for this leg (took a request, dialled on a screen).
    Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerProgress {
    /// It is being tried; nothing rings yet.
    Trying,
    Ringing,
    /// The call waits at a desk.
    Queued,
    /// Sound and picture of this leg come before the answer.
    EarlyMedia {
        from: LegId,
    },
}

/// What a leg does in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    TalkAndListen,
    Talk,
    Listen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// To a leg that is answered while somebody is being called for it.
    Ringback,
    Hold,
    /// The conversation ends in half a minute.
    LimitWarning,
    /// The microphone was opened by a call, not by hand.
    Announce,
    DoorSent,
    DoorRefused,
    /// The leg is about to hear itself.
    EchoTest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStatus {
    Trying,
    Ringing,
    Done,
    Failed(EndCause),
}

#[derive(Clone, Debug, PartialEq)]
pub struct PulseDoor {
    pub command: CommandId,
    pub door: DoorId,
    pub station: StationId,
    pub output: DoorOutput,
    pub pulse: Duration,
    /// The station's leg, where it is in a conversation: its signalling path.
    pub leg: Option<LegId>,
    /// Later than this the pulse is not sent any more.
    pub valid_until: Instant,
}

/// Something changed. Nothing needs to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It rings, unless `CallChanged` says otherwise.
    CallStarted {
        call: CallId,
        from: Party,
        dialled: Address,
        priority: Priority,
    },
    CallChanged {
        call: CallId,
        phase: Phase,
    },
    CallEnded {
        call: CallId,
    },
    /// A rule of the station, or what follows a group, sends the call on.
    Forwarded {
        call: CallId,
        to: Address,
        why: ForwardWhen,
    },
    /// A member of a group or list that could not be called at all.
    Skipped {
        call: CallId,
        whom: Address,
        cause: EndCause,
    },
    /// This call makes way for a more urgent one.
    PreEmpted {
        call: CallId,
        by: CallId,
    },
    /// An alarm has found nobody yet and goes on.
    AlarmEscalated {
        call: CallId,
        to: Address,
    },
    StationChanged {
        station: StationId,
        state: StationState,
        faults: Faults,
    },
    Request {
        request: RequestId,
        change: RequestChange,
    },
    Door {
        command: CommandId,
        door: DoorId,
        stage: DoorStage,
    },
    /// Too many wrong door codes; the digits of this leg open nothing any more.
    DoorCodesLocked {
        leg: LegId,
    },
    /// Stopping, and the last call has ended.
    Drained,
}

/// What a call is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The first leg of a call by command is being called.
    Summoning,
    Ringing,
    Queued,
    Talking,
    Held,
    Transferring,
    Conference,
    GroupCall,
    EchoTest,
    /// A station hears a message or a programme.
    Playback,
    /// An alarm between two rounds.
    Escalating,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestChange {
    Queued {
        desk: DeskId,
        from: Box<Party>,
        priority: Priority,
    },
    /// Nobody took it yet.
    Reminder,
    Taken {
        by: Claimant,
    },
    /// The claim came to nothing; it waits again.
    Returned {
        cause: EndCause,
    },
    /// It is now also seen at this desk.
    AlsoAt {
        desk: DeskId,
    },
    Closed {
        why: Closure,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closure {
    /// The one who took it and the one who asked talk with each other.
    Connected,
    Withdrawn,
    TakenElsewhere,
    Dismissed {
        by: Claimant,
    },
    Expired,
    /// It became a call to somebody else.
    Escalated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorStage {
    Sent,
    Concluded(DoorResult),
}
