//! The gateway's end of the link in the world: certificate, connection, and who drives the machine.
//!
//! [`Link`] runs a `session::Session` over MQTT on TLS (`mqtt`, the only file that knows the library)
//! and tells the gateway through bounded channels what is to be done. [`enrol`] gets the certificate
//! that it connects with, [`identity`] keeps it, [`reach`] finds out what a firewall lets through.
//!
//! Deliberately not here: what settings, events and commands mean, and the disk of the outbox (the
//! gateway has both). Invariants: connections go out only; a record leaves the outbox on its
//! acknowledgement and on nothing else; nobody is ever told the key or the claim code.

pub mod enrol;
mod https;
pub mod identity;
mod link;
mod mqtt;
pub mod reach;
pub mod tls;
pub mod way;

pub use identity::Identity;
pub use link::{Disk, FromDisk, Full, Link, Order, Say, Setup, Standing};
pub use way::{Proxy, Way};
