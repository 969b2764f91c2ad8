//! Everything that goes into the exchange and comes out of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use legacy_protocols::command::Command;
use legacy_protocols::event::{Event as LineFact, Provenance};
use legacy_protocols::port::{LinkState, Reference};
use media::SoundKey;
use model::{
    CallId, CallRecord, CommandId, Digit, Directory, DoorRecord, LegAudio, LegId, NodeId, Timestamp,
};
use sip::flow::{ConnectionId, Destination, Flow, Hop};
use sip::registrar::{Account, Store, StoreToken};

use crate::keys::KeyForm;
use crate::lines::LineId;
use crate::operator::{Answer, OperatorCommand};
use crate::plan::{FreePort, MediaCommand};
use crate::recording::RecordingCommand;
use crate::standing::Standing;
use crate::web::{WebCommand, WebEvent, WebParty};

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// A datagram, or a piece of a stream as it was read.
    Received {
        flow: Flow,
        bytes: Bytes,
    },
    FlowOpened(Flow),
    FlowClosed(Flow),
    Unreachable(Destination),
    /// Ports that the media threads have bound and that no call uses.
    PortsFree(Vec<FreePort>),
    Media(MediaEvent),
    /// A change of registrations is on disk.
    Stored(StoreToken),
    /// It could not be written; the station is told so.
    StoreFailed(StoreToken),
    DirectoryChanged(Arc<Directory>, Vec<Account>),
    /// `asker` comes back with the answer.
    Operator {
        asker: u64,
        command: OperatorCommand,
    },
    UrlAnswered {
        command: CommandId,
        reply: UrlReply,
    },
    ClockSet(Timestamp),
    /// Something happened to the transport of a line to an older server.
    Line {
        line: LineId,
        event: LineEvent,
    },
    /// A neighbour is there by this flow, whose other end the shell has checked; or it is gone.
    Neighbour {
        node: NodeId,
        flow: Option<Flow>,
    },
    /// Something a browser wants.
    Web {
        party: WebParty,
        event: WebEvent,
    },
    /// No new calls but alarms.
    Drain,
    /// All calls end now.
    Stop,
}

/// What the media threads tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// A key of the telephone, in its packets or in its sound.
    Digit {
        leg: LegId,
        digit: Digit,
        form: KeyForm,
    },
    /// A sound that the leg was played is over.
    SoundOver { leg: LegId, sound: SoundKey },
    /// Nothing came from this leg for long, though it should.
    Silent { leg: LegId },
    /// How the legs of a thread sound, every few seconds.
    Figures(Vec<(LegId, LegAudio)>),
    /// The leg's media are closed, with its last figures; said once for each
    /// [`MediaCommand::Close`].
    Closed { leg: LegId, audio: Option<LegAudio> },
}

/// What the shell tells of the transport of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineEvent {
    Opened,
    /// It is gone, or could not be opened.
    Closed,
    /// Octets of a stream; where the transport keeps frames, one frame.
    Received(Bytes),
    /// Where the shell gives and takes the sound of each B channel: RTP, PCMA, 20 ms a packet.
    Channels(Vec<(u8, SocketAddr)>),
}

/// What the shell does for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineCommand {
    /// `Opened` or `Closed` tells what came of it.
    Open,
    /// For the line; a whole frame where the transport keeps frames.
    Send(Vec<u8>),
    Close {
        why: &'static str,
    },
    /// The sound of this B channel goes to and comes from this port of ours.
    Join {
        channel: u8,
        ours: SocketAddr,
    },
    Leave {
        channel: u8,
    },
}

/// What became of a request to a device that opens a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlReply {
    /// Answered 2xx.
    Accepted,
    Refused,
}

/// One step of the drain after each input.
#[derive(Debug)]
pub enum Output {
    Transmit {
        to: Hop,
        bytes: Bytes,
    },
    CloseFlow(ConnectionId),
    Media(MediaCommand),
    Recording(RecordingCommand),
    Store(StoreWrite),
    OpenUrl(UrlRequest),
    Answer {
        asker: u64,
        answer: Answer,
    },
    /// For the log and the live view.
    Event(calls::Event),
    Registrar(sip::registrar::Event),
    /// For the edge that speaks for browsers.
    Web {
        party: WebParty,
        command: WebCommand,
    },
    Line {
        line: LineId,
        command: LineCommand,
    },
    /// What a line says and is told, for the timeline and the live view.
    LineState {
        line: LineId,
        state: LinkState,
    },
    LineHappened {
        line: LineId,
        event: LineFact,
        from: Provenance,
    },
    /// The other end asked something.
    LineAsked {
        line: LineId,
        command: Command,
        from: Provenance,
    },
    /// We asked something.
    LineCommanded {
        line: LineId,
        reference: Reference,
        command: Command,
    },
    /// What became of it.
    LineDone {
        line: LineId,
        reference: Reference,
        answer: legacy_protocols::command::Answer,
    },
    /// We told something that happened here.
    LineTold {
        line: LineId,
        event: LineFact,
    },
    /// This leg is, on the wire, the SIP dialog of this Call-ID: for whoever follows a call there.
    LegNamed {
        leg: LegId,
        call: Option<CallId>,
        call_id: Box<str>,
    },
    Timeout(Option<Instant>),
}

/// What must survive a restart.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreWrite {
    /// Answer with `Input::Stored` when it is on disk; a station waits for it.
    Bindings(Store),
    CallRecord(Box<CallRecord>),
    DoorRecord(Box<DoorRecord>),
    Standing(Standing),
}

/// Ask a device in the local segment to open a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlRequest {
    pub command: CommandId,
    pub url: model::HttpUrl,
    /// Later than this it must not be sent.
    pub within: Duration,
}
