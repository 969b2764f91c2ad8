//! What the media threads are told. Plain data: the shell hands it over, media carry it out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use calls::Part;
use media::{Sound, SoundKey};
use model::{CallId, Digit, LegId};
use sip::sdp::Format;

use super::listening::Treatment;
use super::protection::Protection;

/// A pair of sockets that is bound, for whichever media thread gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FreePort {
    pub rtp: SocketAddr,
    pub rtcp: SocketAddr,
}

/// The position of a stream in the description of its leg.
pub type StreamIndex = u8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaCommand {
    /// The leg uses this port for one stream from now on.
    Open {
        leg: LegId,
        stream: StreamIndex,
        medium: Medium,
        port: FreePort,
        /// Which thread shall have it, counted from 0; the same for all streams of a leg.
        thread: u16,
    },
    /// These legs, and who hears whom among them, go on at another thread.
    Move {
        legs: Vec<LegId>,
        thread: u16,
    },
    /// Where the other end of a stream is, what it speaks, and what it sends and takes.
    Remote {
        leg: LegId,
        stream: StreamIndex,
        remote: Remote,
    },
    /// What comes from one leg goes to another, or back to itself: these streams of it, to these.
    /// Both legs are at the same thread.
    Route {
        from: LegId,
        to: LegId,
        streams: Vec<(StreamIndex, StreamIndex)>,
    },
    Unroute {
        from: LegId,
        to: LegId,
    },
    /// The leg hears all others in the room of this call that talk, and is heard by all that
    /// listen, as its part is; it leaves any other room. Video goes by routes.
    Mix {
        room: CallId,
        leg: LegId,
        stream: StreamIndex,
        part: Part,
    },
    /// The leg leaves its room.
    Unmix {
        leg: LegId,
    },
    /// Whether keys are listened for in the sound of the leg.
    KeyTones {
        leg: LegId,
        listen: bool,
    },
    /// The leg hears this sound, over what it hears otherwise and in place of another sound. Its
    /// end is told, unless another one took its place.
    Play {
        leg: LegId,
        stream: StreamIndex,
        key: SoundKey,
        sound: Sound,
    },
    /// The sound fades away.
    StopSound {
        leg: LegId,
        stream: StreamIndex,
    },
    /// A key for whoever is at the leg, told by events (RFC 4733).
    Press {
        leg: LegId,
        stream: StreamIndex,
        digit: Digit,
        lasting: Duration,
    },
    /// What is done to the sound of the leg from now on.
    Treat {
        leg: LegId,
        treatment: Treatment,
    },
    /// The leg is over; its ports go back to the pool.
    Close {
        leg: LegId,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    Audio,
    Video,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub rtp: SocketAddr,
    pub rtcp: Option<SocketAddr>,
    /// The host that signals for it: media that come from there are its own (symmetric RTP).
    pub signalling: IpAddr,
    pub sends: bool,
    pub receives: bool,
    /// With the numbers of the other end.
    pub formats: Vec<Format>,
    pub protection: Protection,
}
