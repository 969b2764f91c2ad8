//! A SIP core without I/O: messages, transactions, dialogs, registration, digest, SDP offer and answer.

pub mod admission;
mod deadlines;
mod dialog;
pub mod digest;
pub mod endpoint;
pub mod flow;
pub mod framer;
pub mod message;
pub mod registrar;
pub mod sdp;
pub mod session;
pub mod subscription;
mod tokens;
pub mod transaction;
