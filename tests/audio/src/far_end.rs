//! Who listens: an ideal receiver with a foreign decoder.
//!
//! It waits for as long as it takes, puts every packet where its RTP time says,
//! and has its own network before it. What never came is silence for G.711 and
//! G.722; for Opus it is what libopus makes of the packet after it.

use anyhow::{Context, Result};

use crate::chain::Departure;
use crate::network::Network;
use crate::wav::Sound;
use crate::{Spoken, ffmpeg};

/// A packet's place in the sound, in frames of 20 ms from the first packet.
struct Placed<'d> {
    frame: usize,
    payload: &'d [u8],
}

/// What is heard of the packets that the network lets through.
pub fn listen(
    codec: Spoken,
    departures: &[Departure],
    network: &Network,
    opus_rate: u32,
) -> Result<Sound> {
    let first = departures.first().context("nothing was sent")?;
    let came = network.carry(departures.len());
    let ticks = codec.clock_rate() / 50;
    let mut placed: Vec<Placed<'_>> = came
        .iter()
        .map(|passage| &departures[passage.number])
        .map(|departure| Placed {
            frame: (departure.timestamp.wrapping_sub(first.timestamp) / ticks) as usize,
            payload: &departure.payload,
        })
        .collect();
    placed.sort_by_key(|packet| packet.frame);
    let samples = match codec {
        Spoken::Pcma | Spoken::Pcmu | Spoken::G722 => raw(codec, &placed)?,
        Spoken::Opus => opus(&placed, opus_rate)?,
    };
    Ok(Sound {
        rate: codec.sound_rate(opus_rate),
        samples,
    })
}

fn raw(codec: Spoken, placed: &[Placed<'_>]) -> Result<Vec<i16>> {
    let stream: Vec<u8> = placed
        .iter()
        .flat_map(|packet| packet.payload)
        .copied()
        .collect();
    let decoded = ffmpeg::decode(codec, &stream)?;
    let frame_len = codec.sound_rate(0) as usize / 50;
    let frames = placed.last().map_or(0, |packet| packet.frame + 1);
    let mut samples = vec![0; frames * frame_len];
    for (packet, sound) in placed.iter().zip(decoded.chunks_exact(frame_len)) {
        samples[packet.frame * frame_len..][..frame_len].copy_from_slice(sound);
    }
    Ok(samples)
}

fn opus(placed: &[Placed<'_>], rate: u32) -> Result<Vec<i16>> {
    let mut decoder = opus::Decoder::new(rate, opus::Channels::Mono)?;
    let mut frame = vec![0; rate as usize / 50];
    let mut samples = Vec::new();
    let mut next = 0;
    for packet in placed {
        while next < packet.frame {
            next += 1;
            // In-band FEC is about the frame before its packet.
            let redundant = next == packet.frame;
            let payload = if redundant { packet.payload } else { &[] };
            decoder.decode(payload, &mut frame, redundant)?;
            samples.extend_from_slice(&frame);
        }
        decoder.decode(packet.payload, &mut frame, false)?;
        samples.extend_from_slice(&frame);
        next = packet.frame + 1;
    }
    Ok(samples)
}
