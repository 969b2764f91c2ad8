//! What legs say in transcoding runs: something like speech, encoded before the run begins.
//!
//! A pulse train or noise through four moving resonances, in syllables with pauses: an encoder has
//! to work for it as for speech. Encoding costs the run nothing, and what comes back is decoded
//! after it. The codecs are the product's own, which its tests hold against foreign ones.

use std::f64::consts::TAU;

use anyhow::Result;
use clap::ValueEnum;
use media::SampleRate;
use media::codec::opus::{MAX_PACKET, Redundancy, Settings};
use media::codec::{AudioCodec, Decoder, Encoder};
use media::resample::Resampler;

/// Samples of 20 ms at 16 kHz, the rate of all sound here.
pub(crate) const FRAME: usize = 320;
const HZ: f64 = 16_000.0;
const SECONDS: usize = 8;

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Pcma,
    G722,
    Opus,
}

impl Codec {
    /// Where the choice is ours; Opus has no number of its own (RFC 3551 3).
    pub(crate) fn payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    fn audio(self) -> AudioCodec {
        match self {
            Self::Pcma => AudioCodec::Pcma,
            Self::G722 => AudioCodec::G722,
            Self::Opus => AudioCodec::Opus,
        }
    }

    /// Ticks of the RTP clock in 20 ms.
    pub(crate) fn ticks(self) -> u32 {
        self.audio().clock_rate() / 50
    }
}

/// What Opus is encoded with in the gateway.
pub(crate) const COMPLEXITY: u8 = 5;

fn opus_settings(rate: SampleRate, complexity: u8) -> Settings {
    Settings {
        rate,
        complexity,
        redundancy: Redundancy::AgainstLoss { percent: 5 },
        ..Settings::default()
    }
}

/// One loop of sound as a codec's packets of 20 ms.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) codec: Codec,
    pub(crate) payloads: Vec<Vec<u8>>,
    /// At 16 kHz.
    pub(crate) sound: Vec<i16>,
}

impl Material {
    pub(crate) fn new(codec: Codec) -> Result<Self> {
        let sound = speech();
        Ok(Self {
            codec,
            payloads: encoded(codec, SampleRate::Hz16000, &sound, COMPLEXITY)?,
            sound,
        })
    }
}

/// A loop's packets in another codec, with nothing between decoder and encoder. Where the codecs
/// have different rates, samples are left out or doubled: a resampler is no codec.
pub(crate) fn bridged(material: &Material, to: Codec, complexity: u8) -> Result<Vec<Vec<u8>>> {
    let (from_rate, to_rate) = rates(material.codec, to);
    let (_, sound) = decoded(material.codec, from_rate, &material.payloads)?;
    let fitted = match (from_rate, to_rate) {
        (SampleRate::Hz16000, SampleRate::Hz8000) => sound.into_iter().step_by(2).collect(),
        (SampleRate::Hz8000, SampleRate::Hz16000) => {
            sound.into_iter().flat_map(|sample| [sample; 2]).collect()
        }
        _ => sound,
    };
    encoded(to, to_rate, &fitted, complexity)
}

/// The rates at which one codec is decoded and another encoded.
fn rates(from: Codec, to: Codec) -> (SampleRate, SampleRate) {
    let (from, to) = (from.audio().native_rate(), to.audio().native_rate());
    let one = from.or(to).unwrap_or(SampleRate::Hz16000);
    (from.unwrap_or(one), to.unwrap_or(one))
}

/// Packets of 20 ms of sound at `rate`, which is changed where the codec has another.
fn encoded(codec: Codec, rate: SampleRate, sound: &[i16], complexity: u8) -> Result<Vec<Vec<u8>>> {
    let native = codec.audio().native_rate().unwrap_or(rate);
    let mut encoder = Encoder::new(codec.audio(), &opus_settings(native, complexity))?;
    let sound = resampled(sound, rate, native);
    let mut payload = [0; MAX_PACKET];
    sound
        .chunks_exact(native.frame())
        .map(|frame| {
            let length = encoder.encode(frame, &mut payload)?;
            Ok(payload[..length].to_vec())
        })
        .collect()
}

/// The sound of packets at 16 kHz, whatever the codec has.
pub(crate) fn heard(codec: Codec, payloads: &[Vec<u8>]) -> Result<Vec<i16>> {
    let (rate, sound) = decoded(codec, SampleRate::Hz16000, payloads)?;
    Ok(resampled(&sound, rate, SampleRate::Hz16000))
}

/// The sound of packets, at `opus_rate` from Opus and at the codec's own else. A packet of another
/// length than 20 ms, or none, becomes 20 ms of silence: positions stay true.
fn decoded(
    codec: Codec,
    opus_rate: SampleRate,
    payloads: &[Vec<u8>],
) -> Result<(SampleRate, Vec<i16>)> {
    let mut decoder = Decoder::new(codec.audio(), opus_rate)?;
    let rate = decoder.rate();
    let mut sound = Vec::new();
    let mut pcm = [0; 5760];
    for payload in payloads {
        match decoder.decode(payload, &mut pcm) {
            Ok(length) if length == rate.frame() => sound.extend_from_slice(&pcm[..length]),
            Ok(_) | Err(_) => sound.resize(sound.len() + rate.frame(), 0),
        }
    }
    Ok((rate, sound))
}

fn resampled(sound: &[i16], from: SampleRate, to: SampleRate) -> Vec<i16> {
    if from == to {
        return sound.to_vec();
    }
    let mut resampler = Resampler::new(from, to);
    let mut out = vec![0; resampler.output_len(sound.len())];
    resampler.process(sound, &mut out);
    out
}

/// Resonances of five vowels and a hiss, in Hz.
const VOICES: [[f64; 4]; 6] = [
    [730.0, 1090.0, 2440.0, 3500.0],
    [270.0, 2290.0, 3010.0, 3700.0],
    [300.0, 870.0, 2240.0, 3300.0],
    [530.0, 1840.0, 2480.0, 3500.0],
    [570.0, 840.0, 2410.0, 3300.0],
    [2600.0, 4100.0, 5600.0, 6800.0],
];
const HISS: usize = 5;

fn speech() -> Vec<i16> {
    let mut sound = Vec::with_capacity(SECONDS * HZ as usize);
    let mut noise: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut random = move || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut phase = 0.0;
    let mut filters = [Resonance::default(); 4];
    while sound.len() < SECONDS * HZ as usize {
        let kind = (random() * 6.0) as usize % 6;
        let (length, pitch) = (0.08 + 0.2 * random(), 95.0 + 70.0 * random());
        let samples = (length * HZ) as usize;
        let is_pause = random() < 0.2;
        for n in 0..samples {
            let part = n as f64 / samples as f64;
            phase += (pitch * (1.1 - 0.2 * part)) / HZ;
            let pulse = if phase >= 1.0 {
                phase -= 1.0;
                1.0
            } else {
                0.0
            };
            let breath = random() - 0.5;
            let source = match (is_pause, kind) {
                (true, _) => 0.002 * breath,
                (false, HISS) => 0.25 * breath,
                (false, _) => pulse + 0.03 * breath,
            };
            let swell = (part * std::f64::consts::PI).sin();
            let voices = filters.iter_mut().zip(VOICES[kind]);
            let out: f64 = voices.map(|(filter, hz)| filter.pass(source, hz)).sum();
            sound.push((out * swell * 9000.0).clamp(-28_000.0, 28_000.0) as i16);
        }
    }
    sound.truncate(SECONDS * HZ as usize);
    sound
}

/// A resonance of 90 Hz width.
#[derive(Debug, Default, Clone, Copy)]
struct Resonance {
    last: f64,
    before: f64,
}

impl Resonance {
    fn pass(&mut self, input: f64, hz: f64) -> f64 {
        let radius = (-std::f64::consts::PI * 90.0 / HZ).exp();
        let turn = (TAU * hz / HZ).cos();
        let out = input + 2.0 * radius * turn * self.last - radius * radius * self.before;
        self.before = std::mem::replace(&mut self.last, out);
        out
    }
}
