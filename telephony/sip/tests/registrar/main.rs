//! The registrar, driven as an owner drives it: requests in, answers and outputs out, in virtual
//! time.

#![expect(clippy::unwrap_used, reason = "a step that fails must fail the test")]

mod bindings;
mod digest;
mod guard;
mod random;
mod store;
mod world;
