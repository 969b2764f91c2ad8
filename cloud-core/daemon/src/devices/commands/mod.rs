//! Commands to devices: a row each, from its order to its end.
//!
//! Ordered by a route, sent by the front door of the node that holds the device's socket,
//! answered by the device. What follows what is decided in `cloud_logic::commands`.
//! Invariant: a `once` command is marked as sent in the database before it leaves.

mod orders;
mod routes;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
pub(crate) mod way;

pub(crate) use orders::{Orders, take as take_orders};
pub(crate) use routes::routes;
