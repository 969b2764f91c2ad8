//! INVITE sessions: from the first INVITE to the last BYE, in both directions.
//!
//! A session is in one of four states, a file each: `outgoing` and `arriving` before the final
//! response, `confirmed` after a 2xx, `leaving` when its owner is done with it. What travels
//! in a dialog whatever the state is in `usage`. It knows SDP as bytes only, asks nobody for
//! credentials and resolves no names. Invariant: one `Rejected` or `Ended` per session, as the
//! last event of its id.

mod arriving;
mod command;
mod confirmed;
mod digits;
mod event;
mod exchange;
mod leaving;
mod offers;
mod outgoing;
mod owner;
mod refer;
mod refresh;
mod sessions;
mod step;
mod stray;
mod usage;

pub use command::{
    CommandError, Delivery, ForkId, Invite, Progress, Refer, ReferAnswer, ReferId, Reject,
    ReliableProvisional, Sdp, SessionId, SessionTimerWish,
};
pub use event::{EndCause, Incoming, ReferState, RejectedBy, Rejection, SessionEvent, Urgency};
pub(crate) use outgoing::append_owners;
pub(crate) use sessions::{Arrival, Inbound, Sessions};
pub(crate) use stray::end_if_answer;
pub(crate) use usage::Outcome;
