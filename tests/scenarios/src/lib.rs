//! Stories in virtual time, random worlds, and the contract that every machine keeps.
//!
//! The library is what the tests of this crate stand on: a [`contract`] with an adapter for each
//! machine, and a [`world`] whose clock jumps from deadline to deadline. No sockets, no tokio, no
//! sleeps, no clock but the virtual one: what happens depends on the seed alone.

pub mod clock;
pub mod contract;
pub mod gateway;
pub mod machines;
pub mod network;
pub mod old_server;
pub mod pair;
pub mod phone;
pub mod random;
pub mod site;
pub mod world;
