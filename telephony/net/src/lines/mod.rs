//! Lines: one link each to another machine, over a serial device, TCP, TLS or a Unix socket.
//!
//! A line is opened and closed many times in its life; one task serves it. It moves octets and
//! knows no protocol: when to open again is for the owner to say. Everything between the owner and
//! the task is bounded (see `order`): a slow owner makes the task stop reading, a peer that takes
//! nothing is closed after a while, and both are counted.

mod marks;
mod medium;
mod order;
mod serial;
mod task;

pub use medium::{BindError, Bound, Medium};
pub use order::{
    Full, LineCounters, LineEnd, LineEvent, LineHandle, LineKey, LineOrders, Order, Told, Turn,
    line,
};
pub use serial::{Duplex, Electric, Level, Parity, SerialSettings};
pub use task::serve;
