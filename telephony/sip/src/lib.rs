//! A SIP core without I/O: messages, transactions, dialogs, registration, digest, SDP offer and answer.

pub mod flow;
pub mod framer;
pub mod message;
