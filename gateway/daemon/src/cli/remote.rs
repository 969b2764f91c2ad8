//! `remote`: what a station's own page is asked to do.

use super::args::Remote;
use super::{Exit, Failure, ask};
use crate::control::protocol::Request;

pub(super) fn run(options: &Remote) -> Result<Exit, Failure> {
    let request = Request::Remote {
        station: options.station.clone(),
        action: options.action,
    };
    ask::once(&options.ask, &request)
}
