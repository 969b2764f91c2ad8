//! Pure media: RTP and RTCP relay sessions, latching, quality figures.
//!
//! A [`relay::Relay`] holds the media sessions of one media thread. A session
//! is one media line (audio or video) of one call; its legs are opened,
//! connected and closed by the owner's commands, packets flow between them
//! without a jitter buffer, and each receiver hears one continuous stream.
//! Knows no sockets, no clock, no SIP and no calls; the owner's keys stand for
//! all of these.
//!
//! It keeps the contract of all machines here (inputs with their time,
//! `handle_timeout`, `poll_output` until `Timeout`), with one addition: packets
//! leave through a [`relay::Sink`] while they are received, because a packet
//! waits in no queue and costs no allocation.

mod decoded;
mod emodel;
mod format;
mod guard;
mod latch;
mod lead;
mod leg;
mod limiter;
mod measure;
mod observe;
mod pitch;
mod player;
mod pressing;
mod program;
mod quality;
mod rate;
mod relay;
mod reporting;
mod seed;
mod session;
mod sine;
mod source;
mod stream;
mod tap;
mod telephone_event;
mod traffic;
mod translate;

pub mod codec;
pub mod conceal;
pub mod dtmf;
pub mod echo;
pub mod jitter;
pub mod level;
pub mod mixer;
pub mod noise;
pub mod recording;
pub mod resample;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
pub mod tones;
pub mod voice;

pub use decoded::Decoded;
pub use format::{Codec, Format, FormatError, MAX_FORMATS};
pub use guard::Protection;
pub use latch::{LatchPolicy, LatchWindow, Network};
pub use leg::{
    Direction, LegKey, LegSetup, LegUpdate, Medium, PortKey, Remote, RtcpAddress, SessionId,
};
pub use limiter::Rate;
pub use observe::{Observed, Observer};
pub use player::{Recording, Repeat, Sound, SoundKey};
pub use quality::{Drops, FarReport, Quality, Reason};
pub use rate::{FRAME, MAX_FRAME, SampleRate};
pub use relay::{
    Arrival, CommandError, Config, Event, KeyForm, MoveError, Moving, OpenError, Output, Relay,
    Sink, Totals,
};
pub use session::MAX_LEGS;
pub use session::room::{Part, RoomKey};
pub use tap::{Overheard, Tap};
pub use telephone_event::{Digit, Press};
