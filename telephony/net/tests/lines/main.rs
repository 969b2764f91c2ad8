//! Lines over real devices and sockets: pseudo-terminals that are pulled out, peers that take
//! nothing, certificates that are missing.

#![expect(
    clippy::unwrap_used,
    reason = "a story whose stage cannot be set has failed"
)]

#[path = "../flows/authority.rs"]
#[expect(dead_code, reason = "the flows need more of it")]
mod authority;
mod serial;
mod sockets;
mod support;
