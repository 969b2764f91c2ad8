//! The pure call engine: legs, call requests, ring groups, forwarding, pre-emption, doors, call records.
