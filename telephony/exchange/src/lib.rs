//! An exchange as one pure machine: SIP, the call engine and the media plan put together. A gateway
//! owns one for its site, the cloud core one for each company.
//!
//! `route` tells the call engine what SIP says, `carry` does what the call engine wants, `plan`
//! derives session descriptions and tells the media threads who hears whom; `lines` does for older
//! servers what the first two do for SIP, `web` for browsers; `neighbours` are others of its kind. Each of the crates below knows nothing of the others; here
//! and only here their words are translated.
//!
//! Deliberately absent: sockets, clock, disk, randomness, configuration files. [`Exchange`] is
//! a machine: [`Exchange::handle`] and [`Exchange::handle_timeout`] take what happened and
//! the time; after each of them the owner drains [`Exchange::poll_output`] until
//! `Output::Timeout`. Invariant: after a drain neither SIP nor calls nor plan hold anything back.

mod carry;
mod causes;
mod config;
mod counters;
mod doors;
mod emergency;
mod farewell;
mod figures;
mod io;
mod keys;
mod legs;
mod lines;
mod neighbours;
mod operator;
mod parties;
mod plan;
mod playback;
mod recording;
mod registrations;
mod route;
mod sounds;
mod standing;
mod state;
mod view;
mod watchers;
mod web;

pub use causes::Causes;
pub use config::Config;
pub use counters::Counters;
pub use figures::AudioView;
pub use io::{Input, LineCommand, LineEvent, MediaEvent, Output, StoreWrite, UrlReply, UrlRequest};
pub use keys::KeyForm;
pub use lines::{
    ChannelTarget, Diversion, Driver, LineConfig, LineId, LineSound, LineTotals, LineView,
    LinkKind, Numbering, OrderError, PrefixError, PrefixMap, Room, Server, StationOrder, Trunk,
    Trusted,
};
pub use neighbours::Neighbour;
pub use operator::{Answer, OperatorCommand, OperatorError, Status};
pub use plan::{
    FreePort, FreePorts, MediaCommand, Medium, Protection, Remote, SoundWish, StreamIndex,
    Treatment, Unplayed,
};
pub use playback::PlaybackError;
pub use recording::{CallSide, RecordPolicy, RecordingCommand};
pub use sounds::{Announcements, Sounds};
pub use standing::{Standing, StandingOrder};
pub use state::Exchange;
pub use view::{CallShown, ContactView, StationView};
pub use web::{WebArrival, WebCommand, WebEvent, WebParty, WebProgress, WebRing};
