//! Plain data of the intercom world: ids, call numbers, stations, doors, ring groups, the directory.
//!
//! The words that every other crate speaks. Values are checked where they are made: a `CallNumber`
//! in hand has 1 to 8 digits, a `Directory` in hand has no unknown references, no duplicate numbers
//! and no loops. Whoever reads a file or a message makes these types at its edge and reports what
//! the constructors say.
//!
//! Deliberately absent: serde (each edge has its own documents), behaviour over time (that is
//! `calls`), SIP, SDP, sockets, a clock. Time is an argument.

mod address;
mod audio;
mod cause;
mod desk;
mod directory;
mod door;
mod explain;
mod forwarding;
mod group;
mod id;
mod limits;
mod loudness;
mod number;
mod pii;
mod priority;
mod record;
mod room;
mod schedule;
mod site;
mod state;
mod station;
mod talk;
mod time;

pub use address::{AccountUser, Address, SipUri, TextError};
pub use audio::{
    AudioCodec, Bandwidth, Carried, Decoded, FarEnd, LegAudio, Level, Mos, Received, Sent,
};
pub use cause::EndCause;
pub use desk::{Desk, Escalation};
pub use directory::{Destination, Directory, Fault, Lists, Problem, Problems};
pub use door::{Authority, DoorDenial, Feedback, InCallRight, Pulse, PulseError};
pub use door::{CodeError, Digit, Door, DoorCode, DoorOutput, DoorRecord, DoorResult, HttpUrl};
pub use explain::{Explanation, Step, What};
pub use forwarding::{ForwardWhen, ForwardingRule};
pub use group::{EarlyMedia, RingGroup};
pub use id::{
    CallId, CloudUserId, CommandId, ConferenceId, DeskId, DoorId, GroupCallId, LegId, NodeId,
    RecordId, RequestId, RingGroupId, StationId,
};
pub use limits::*;
pub use loudness::{Gain, GainError, Loudness, Mute};
pub use number::{CallNumber, NumberError};
pub use pii::Pii;
pub use priority::{Band, Priority, PriorityError};
pub use record::{CallRecord, DialStatus, LegRole, Party};
pub use room::{AnswerBack, Conference, GroupCall, RoomTalk};
pub use schedule::{DateRange, DayPeriod, Schedule, ScheduleError, Weekdays};
pub use site::{Site, ZoneError};
pub use state::{Faults, StationState};
pub use station::{
    AutoAnswer, BusyPolicy, CallButton, Condition, Echo, Encryption, KeyWay, NoiseAround,
    PrivacyRight, Reach, Station, StationKind, TalkStyle,
};
pub use talk::{TalkMode, Talker};
pub use time::Timestamp;
