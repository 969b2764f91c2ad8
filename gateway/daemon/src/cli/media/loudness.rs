//! `media gain`, `media mute`, `media unmute`: how loud a leg is, until it ends.

use crate::cli::args::{Gain, Mute};
use crate::cli::{Exit, Failure, ask};
use crate::control::protocol::{GainOf, Request};

pub(super) fn gain(options: &Gain) -> Result<Exit, Failure> {
    let of = match options.hears {
        true => GainOf::Loudspeaker,
        false => GainOf::Microphone,
    };
    let (leg, db) = (options.leg, options.db.into());
    ask::once(&options.ask, &Request::Gain { leg, of, db })
}

pub(super) fn mute(options: &Mute, muted: bool) -> Result<Exit, Failure> {
    let leg = options.leg;
    ask::once(&options.ask, &Request::Mute { leg, muted })
}
