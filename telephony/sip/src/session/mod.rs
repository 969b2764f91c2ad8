//! INVITE sessions: from the first INVITE to the last BYE, in both directions.

mod command;
mod event;

pub use command::{
    CommandError, Credentials, Delivery, ForkId, Invite, Progress, Refer, ReferAnswer, ReferId,
    Reject, ReliableProvisional, Sdp, SessionId, SessionTimerWish,
};
pub use event::{EndCause, Incoming, ReferState, RejectedBy, Rejection, SessionEvent, Urgency};
