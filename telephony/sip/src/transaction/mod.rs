//! Transactions (RFC 3261 17, RFC 6026): four machines, one file each, and the table that drives
//! them.
//!
//! The machines know no message beyond its code; the table matches messages to them, sends what
//! they say and keeps one deadline for each. Who started a transaction hears of it through its
//! `User`. Invariant: the table never holds more than its capacity, and each transaction of ours
//! reports one end: a final response, a time-out or a transport failure.

mod client;
mod client_invite;
mod derived;
mod key;
mod machine;
mod server;
mod server_invite;
mod table;
mod timer;

pub(crate) use key::{Envelope, MergeKey, ServerKey};
pub(crate) use machine::Repeat;
pub(crate) use table::{
    Answered, Arriving, Due, Failed, Found, Outbox, Outgoing, Table, TransactionId, User,
};
pub use timer::Timers;

/// The same request for another transport.
pub(crate) fn over(
    request: &[u8],
    from: crate::flow::Transport,
    to: crate::flow::Transport,
) -> bytes::Bytes {
    derived::over(request, from.via_name(), to.via_name())
}
