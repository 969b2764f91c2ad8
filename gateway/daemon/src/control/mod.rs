//! Asking and commanding the running gateway over a Unix socket.

pub(crate) mod client;
pub(crate) mod protocol;
pub(crate) mod server;
