//! The bare reference: the same codecs one after the other, without a relay.

use anyhow::Result;

use crate::Spoken;
use crate::chain::Departure;
use crate::far_end;
use crate::near_end::{self, Voip};
use crate::network::Network;
use crate::wav::Sound;

/// The sound through one codec.
pub fn through(codec: Spoken, sound: &Sound, voip: Voip, opus_rate: u32) -> Result<Sound> {
    let payloads = near_end::payloads(codec, sound, voip)?;
    let packets: Vec<Departure> = payloads
        .into_iter()
        .zip(0u32..)
        .map(|(payload, number)| Departure {
            at: Network::PERFECT.sent(number as usize),
            sequence: number as u16,
            timestamp: number.wrapping_mul(codec.clock_rate() / 50),
            payload,
        })
        .collect();
    far_end::listen(codec, &packets, &Network::PERFECT, opus_rate)
}

/// The sound through both; once, if they are the same, because then nobody transcodes.
pub fn pair(from: Spoken, to: Spoken, sound: &Sound, voip: Voip) -> Result<Sound> {
    let heard = through(from, sound, voip, sound.rate)?;
    if from == to {
        return Ok(heard);
    }
    // Opus is opened at the rate of the other side, as a transcoder does it.
    let between = to.sound_rate(heard.rate).min(heard.rate);
    let heard = match (from, between == heard.rate) {
        (Spoken::Opus, false) => through(from, sound, voip, between)?,
        (_, true) | (Spoken::Pcma | Spoken::Pcmu | Spoken::G722, false) => heard,
    };
    through(to, &heard, voip, sound.rate)
}
