//! Offer and answer through a relay, as an owner uses them.

#![expect(clippy::unwrap_used, reason = "a step that fails must fail the test")]

mod devices;
mod properties;
mod relay;
mod secure;
mod survives;
