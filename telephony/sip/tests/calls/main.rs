//! Stories of calls between endpoints, in virtual time.

#![expect(clippy::unwrap_used, reason = "a step that fails must fail the test")]

mod a_call;
mod cancel;
mod connections;
mod digits;
mod forks;
mod hostile;
mod limits;
mod logins;
mod lost;
mod offers;
mod random;
mod refusals;
mod reliable;
mod routes;
mod session_timer;
mod transfer;
mod watchers;
mod world;
