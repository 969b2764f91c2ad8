//! The pure call engine: legs, call requests, ring groups, forwarding, pre-emption, doors, call records.
//!
//! It decides who talks with whom. It knows stations, desks, doors and rooms (`model`), and legs as
//! opaque ids; it knows no SIP, no SDP, no packets, no bus, no sockets, no clock and no random
//! numbers. Its owner turns legs into sessions of some protocol and media into packets.
//!
//! It is a machine: `handle`, `command` and `open_door` take what happened and the time, and after
//! each of them, and after `handle_timeout`, the owner calls `poll_output` until `Output::Timeout`.
//!
//! - Ids of legs are given out by `Engine::next_leg`: the owner takes one for each arriving call,
//!   the engine for each leg it starts.
//! - A leg is over with `RefuseLeg`, `EndLeg`, `LegRefused` or `LegEnded`, whichever comes first;
//!   exactly one `Record` tells of it. What is said about it later is counted and ignored, but an
//!   answer of a leg that the engine does not know brings another `EndLeg`, so that none hangs.
//! - When somebody answers, one drain holds `Connect`, `AnswerLeg` of the caller and `EndLeg` of
//!   all who rang besides, with `AnsweredElsewhere`.
//! - `RefuseLeg` is for arrived legs that were never answered, `EndLeg` for all others.
//! - Hold is `Disconnect`, resume is `Connect` again; who hears music on hold is told by `Tone`.
//! - Who waits may change while others ring (an attended transfer to somebody who has not answered):
//!   `Connect` names the two that count, whatever leg the offer of the ringing one came from.
//! - Commands of people and programs (`command`, `open_door`) are answered at once; what follows comes
//!   as outputs. A claim is a compare-and-set: the error says who was faster.
//! - An alarm never ends by itself before it was answered: see `escalate`. It is bounded by the
//!   reserve of places for alarms, and ends when its caller's leg does.
//! - Each output takes effect in its order. `Disconnect` and `Unmix` come before the end of a leg.

mod admission;
mod call;
mod command;
mod config;
mod counters;
mod digits;
mod door;
mod engine;
mod escalate;
mod hold;
mod ids;
mod input;
mod leg;
mod output;
mod playback;
mod preempt;
mod record;
mod request;
mod ring;
mod room;
mod route;
mod station;
mod takeover;
mod talk;
mod timer;
mod transfer;
mod view;

pub use admission::Prospect;
pub use config::Config;
pub use counters::Counters;
pub use engine::Engine;
pub use input::{
    Arrival, ClaimVerdict, Claimant, Command, CommandError, Done, DoorReply, FileRequest, Home,
    Input, Key, OpenDoor, Origin, Playback, Privacy, Progress, Takeover, Video, Withdrawal,
};
pub use output::{
    Alert, CallerProgress, Closure, DoorStage, Event, Output, Part, Phase, PulseDoor,
    RequestChange, StartLeg, Target, Tone, TransferStatus,
};
pub use view::{AnswerView, CallView, Gauges, LegView, RequestStatus, RequestView};
