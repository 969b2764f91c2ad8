//! The load tool: calls, registrations, ring groups and RTP against us and our peers in one run.
fn main() {}
