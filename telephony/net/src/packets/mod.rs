//! Media threads: datagrams in, datagrams out, at once and on the same thread.
//!
//! A [`Worker`] is one thread with its sockets and one [`Handler`] of the
//! owner's. It waits in epoll, hands each datagram to the handler in the buffer
//! it was received in, and the handler sends from that buffer. Commands come by
//! a bounded channel, events leave by one. [`Ports`] binds pairs of ports ahead
//! of time. Knows neither RTP nor calls; never touches the tokio runtime but
//! for waking the owner's task.
//!
//! Why a plain receive and send per datagram: audio comes one packet per
//! socket, so that batches of `recvmmsg` stay empty, and the kernel's UDP path
//! costs many times the system call.
//!
//! Invariants: a worker without datagrams, commands and deadline sleeps; the
//! memory it holds is bounded by its sockets and channels; no flood at one
//! socket keeps another from its turn.

mod counters;
mod pool;
mod range;
mod sockets;
mod worker;

pub use counters::Counters;
pub use pool::{PortPair, Ports, PortsConfig, PortsEvent, PortsTrouble};
pub use range::{PortRange, RangeError};
pub use sockets::{AttachError, Io, Loose, SocketKey};
pub use worker::{Arrival, CommandError, Datagram, Handler, Worker, WorkerConfig};
