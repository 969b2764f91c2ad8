//! Logs of devices: asked for by a command, sent over HTTPS in pieces, looked at by people (D4).
//!
//! The way in is tus 1.0.0 (`receive`), so that a device on a poor line goes on where it ended: what
//! has arrived is kept piece by piece, and when the last is there they become one blob, if it is what
//! the device has announced (SHA-256). A device shows its certificate, or the `ticket` that came with
//! the command. Deliberately not here: what stands in a log. Invariant: a log belongs to whom the
//! device belonged to when it came, and a name that a device gives is shown and is never a path.

mod logs;
mod receive;
mod routes;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
mod ticket;

use std::time::Duration;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use receive::finish_whole;
pub(crate) use ticket::Tickets;

use crate::core::Core;

/// Octets of one log.
const LARGEST: i64 = 64 << 20;
/// Octets of all logs of one device.
const MOST_OF_A_DEVICE: i64 = 512 << 20;
/// So many are under way from one device.
const OPEN: i64 = 4;
/// A log is forgotten after so long.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// One that is not whole is given up after so long.
const PATIENCE: Duration = Duration::from_secs(2 * 24 * 3600);

pub(crate) fn routes() -> OpenApiRouter<Core> {
    logs::routes()
}

/// What devices themselves ask for.
pub(crate) fn device_routes() -> OpenApiRouter<Core> {
    routes::routes()
}
