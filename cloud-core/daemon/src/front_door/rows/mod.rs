//! The rows of the front door: connections with their sessions, streams, nodes.

pub(super) mod connections;
pub(super) mod nodes;
pub(super) mod streams;
