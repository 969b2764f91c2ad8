//! Transactions (RFC 3261 17, RFC 6026): four machines, one file each, and the table that drives them.

mod timer;

pub use timer::Timers;
