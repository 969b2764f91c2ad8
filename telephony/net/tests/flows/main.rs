//! Flows over real sockets on loopback, and on a link of its own in a network namespace.

#![expect(
    clippy::unwrap_used,
    reason = "a story whose stage cannot be set has failed"
)]

mod authority;
mod links;
mod streams;
mod support;
mod tls;
mod tls_files;
mod udp;
