//! The real program as a process: what it prints, how it ends, what it serves.
//!
//! Ports are chosen by the system and read from the ready file. Every process that is started here
//! is ended here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod commands;
mod gateway;
mod register;
mod signals;
mod station;
mod systemd;
