//! Who speaks: a foreign encoder that makes a packet of every 20 ms.

use anyhow::Result;

use crate::wav::Sound;
use crate::{Spoken, ffmpeg};

/// How a foreign Opus encoder is set: as telephones have it, and as the comparison of the codecs
/// in docs/adr/0003 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voip {
    pub bitrate: i32,
    pub complexity: i32,
    /// In-band FEC for this loss in percent; 0: none.
    pub expected_loss: i32,
}

impl Default for Voip {
    fn default() -> Voip {
        Voip {
            bitrate: 24_000,
            complexity: 5,
            expected_loss: 0,
        }
    }
}

/// The payloads of the sound, 20 ms each; what does not fill the last one is left out.
pub fn payloads(codec: Spoken, sound: &Sound, voip: Voip) -> Result<Vec<Vec<u8>>> {
    match codec {
        Spoken::Pcma | Spoken::Pcmu | Spoken::G722 => {
            let octets = ffmpeg::encode(codec, sound)?;
            Ok(octets.chunks_exact(160).map(<[u8]>::to_vec).collect())
        }
        Spoken::Opus => opus_payloads(sound, voip),
    }
}

fn opus_payloads(sound: &Sound, voip: Voip) -> Result<Vec<Vec<u8>>> {
    let mut encoder =
        opus::Encoder::new(sound.rate, opus::Channels::Mono, opus::Application::Voip)?;
    encoder.set_bitrate(opus::Bitrate::Bits(voip.bitrate))?;
    encoder.set_complexity(voip.complexity)?;
    encoder.set_inband_fec(voip.expected_loss > 0)?;
    encoder.set_packet_loss_perc(voip.expected_loss)?;
    let frames = sound.samples.chunks_exact(sound.rate as usize / 50);
    let payloads = frames.map(|frame| Ok(encoder.encode_vec(frame, 1276)?));
    payloads.collect()
}
