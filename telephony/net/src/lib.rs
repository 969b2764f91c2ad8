//! Tokio shells that move bytes and know no protocol: UDP, TCP and TLS flows, media threads, supervision.

pub mod addresses;
pub mod descriptor;
pub mod flows;
pub mod lines;
pub mod packets;
pub mod tasks;
pub mod tls;
