//! One voice carried into another codec: put in order, decoded, made to fit, encoded again.
//!
//! Stands between a leg that speaks and one that hears it when they share no codec. While packets
//! come evenly each is carried over in the moment it comes; the buffer's clock only says when a
//! missing one is given up. Opus is opened at the rate of the other side, so that only G.711 and
//! G.722 among themselves need a resampler. It knows no header: packets leave as payloads with a
//! time, numbered from zero.
//!
//! Invariant: what leaves is gapless in number and in time, whatever came in.

use std::time::{Duration, Instant};

use crate::codec::opus::{self, Redundancy};
use crate::codec::{AudioCodec, DecodeError, Decoder, Encoder};
use crate::conceal::Concealer;
use crate::jitter::{Elastic, JitterBuffer, Packet, Setup, Step, Wish};
use crate::rate::{MAX_FRAME, SampleRate};
use crate::resample::Resampler;
use crate::{rtp, telephone_event};

/// The longest packet of any codec is one of Opus (RFC 6716 3.2.5).
const LONGEST_MS: usize = 120;

/// After a packet that tells of a key, no sound is sent for so long: the key is held, or what comes
/// are the last echoes of an invented voice.
const KEY_HELD: Duration = Duration::from_millis(60);

/// The longest payload of any codec; 20 ms of G.711 take 160.
pub(crate) const MAX_ENCODED: usize = opus::MAX_PACKET;

/// Loss that Opus is made proof against, without asking how much there is.
const EXPECTED_LOSS: u8 = 5;

/// From what into what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) from: AudioCodec,
    pub(crate) to: AudioCodec,
}

impl Bridge {
    /// At which rate to decode and to encode.
    fn rates(self) -> (SampleRate, SampleRate) {
        match (self.from.native_rate(), self.to.native_rate()) {
            (Some(from), Some(to)) => (from, to),
            (Some(one), None) | (None, Some(one)) => (one, one),
            (None, None) => (SampleRate::Hz48000, SampleRate::Hz48000),
        }
    }
}

/// A payload that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spoken<'v> {
    /// Counts from zero.
    pub(crate) number: i64,
    /// On the clock of the codec, from zero.
    pub(crate) timestamp: u32,
    pub(crate) payload: &'v [u8],
}

#[derive(Debug)]
pub(crate) struct Voice {
    bridge: Bridge,
    /// Slot of the leg that speaks.
    speaker: u8,
    payload_type: u8,
    buffer: JitterBuffer,
    decoder: Decoder,
    /// Opus conceals by itself.
    concealer: Option<Concealer>,
    elastic: Elastic,
    resampler: Option<Resampler>,
    encoder: Encoder,
    rate: SampleRate,
    sound: Box<[i16]>,
    number: i64,
    timestamp: u32,
    key: Option<Key>,
    /// Ticks of the speaker since it was heard last.
    quiet: u32,
    asleep: Option<Instant>,
}

/// A key that is being held: its time in what comes and in what goes, and when it was heard last.
#[derive(Debug, Clone, Copy)]
struct Key {
    heard: u32,
    told: u32,
    last: Instant,
}

impl Voice {
    /// `None`: the codec cannot be opened.
    pub(crate) fn new(
        bridge: Bridge,
        speaker: u8,
        payload_type: u8,
        seed: u64,
        now: Instant,
    ) -> Option<Voice> {
        let (rate, encoded) = bridge.rates();
        let settings = opus::Settings {
            rate: encoded,
            redundancy: Redundancy::AgainstLoss {
                percent: EXPECTED_LOSS,
            },
            ..opus::Settings::default()
        };
        let own_concealment = bridge.from == AudioCodec::Opus;
        Some(Voice {
            bridge,
            speaker,
            payload_type,
            buffer: JitterBuffer::new(
                Setup {
                    clock_rate: bridge.from.clock_rate(),
                    redundant: own_concealment,
                },
                now,
            ),
            decoder: Decoder::new(bridge.from, rate).ok()?,
            concealer: (!own_concealment).then(|| Concealer::new(rate, seed)),
            elastic: Elastic::new(rate),
            resampler: (rate != encoded).then(|| Resampler::new(rate, encoded)),
            encoder: Encoder::new(bridge.to, &settings).ok()?,
            rate,
            sound: vec![0; rate.samples_in_ms(LONGEST_MS)].into(),
            number: 0,
            timestamp: 0,
            key: None,
            quiet: 0,
            asleep: None,
        })
    }

    pub(crate) fn is(&self, bridge: Bridge, speaker: u8) -> bool {
        (self.bridge, self.speaker) == (bridge, speaker)
    }

    pub(crate) fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// The clock of what is spoken.
    pub(crate) fn clock_rate(&self) -> u32 {
        self.bridge.to.clock_rate()
    }

    /// Whoever says nothing for long costs nothing.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.asleep {
            Some(_) => None,
            None => self.buffer.deadline(),
        }
    }

    /// How long the payload lasts on the clock of the speaker.
    pub(crate) fn ticks_in(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        let samples = self.decoder.samples(payload)? as u64;
        let ticks = samples * u64::from(self.bridge.from.clock_rate()) / u64::from(self.rate.hz());
        Ok(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// A packet of the speaker has come.
    pub(crate) fn hear(&mut self, packet: &Packet<'_>, now: Instant) {
        if let Some(since) = self.asleep.take() {
            let slept = rtp::ticks(now.saturating_duration_since(since), self.clock_rate());
            self.timestamp = self.timestamp.wrapping_add(slept);
        }
        self.quiet = 0;
        self.buffer.insert(packet, now);
    }

    /// A packet of RFC 4733 has come: it goes out at once, in the time of what goes out.
    pub(crate) fn press(
        &mut self,
        timestamp: u32,
        clock_rate: u32,
        payload: &[u8],
        now: Instant,
        send: impl FnOnce(Spoken<'_>),
    ) {
        let held = self.key.filter(|key| key.heard == timestamp);
        let told = held.map_or(self.timestamp, |key| key.told);
        self.key = Some(Key {
            heard: timestamp,
            told,
            last: now,
        });
        let mut event = [0; telephone_event::LEN];
        let Some(said) = payload.get(..event.len()) else {
            return;
        };
        event.copy_from_slice(said);
        let ticks = u64::from(u16::from_be_bytes([event[2], event[3]]));
        let ticks = ticks * u64::from(self.bridge.to.clock_rate()) / u64::from(clock_rate.max(1));
        // RFC 4733 2.5.1.3: longer than its field holds, a key is told anew; seldom, so not here.
        let ticks = u16::try_from(ticks).unwrap_or(u16::MAX);
        event[2..].copy_from_slice(&ticks.to_be_bytes());
        send(Spoken {
            number: self.number,
            timestamp: told,
            payload: &event,
        });
        self.number += 1;
    }

    /// Carries over what is due.
    pub(crate) fn speak(&mut self, now: Instant, mut send: impl FnMut(Spoken<'_>)) {
        while self.asleep.is_none() && self.play(now) {
            let mut frame = [0; MAX_FRAME];
            while self.elastic.pull(&mut frame[..self.rate.frame()]) {
                self.encode(&frame, now, &mut send);
            }
        }
    }

    /// One step of the buffer, as sound. `false`: nothing is due.
    fn play(&mut self, now: Instant) -> bool {
        let Some(step) = self.buffer.poll(now) else {
            return false;
        };
        let clock = self.bridge.from.clock_rate();
        let room = self.sound.len();
        let samples = |ticks: u32| {
            let wanted = u64::from(ticks) * u64::from(self.rate.hz()) / u64::from(clock.max(1));
            usize::try_from(wanted).unwrap_or(room).min(room)
        };
        let (len, wish) = match step {
            Step::Play { payload, wish, .. } => match self.decoder.decode(payload, &mut self.sound)
            {
                Ok(len) => {
                    if let Some(concealer) = &mut self.concealer {
                        concealer.good(&mut self.sound[..len]);
                    }
                    (len, wish)
                }
                // What cannot be decoded was as good as lost.
                Err(_) => {
                    let len = self.rate.frame();
                    invent(
                        &mut self.decoder,
                        &mut self.concealer,
                        None,
                        &mut self.sound[..len],
                    );
                    (len, Wish::Keep)
                }
            },
            Step::Lost { ticks, next } => {
                let len = samples(ticks);
                self.quiet += ticks;
                invent(
                    &mut self.decoder,
                    &mut self.concealer,
                    next,
                    &mut self.sound[..len],
                );
                (len, Wish::Keep)
            }
            Step::Silence { ticks } => {
                let len = samples(ticks);
                self.quiet += ticks;
                self.sound[..len].fill(0);
                (len, Wish::Keep)
            }
        };
        if self.quiet > clock {
            self.asleep = Some(now);
        }
        let shift = self.elastic.push(&self.sound[..len], wish);
        self.buffer.shifted(shift);
        true
    }

    fn encode(
        &mut self,
        frame: &[i16; MAX_FRAME],
        now: Instant,
        send: &mut impl FnMut(Spoken<'_>),
    ) {
        let sound = &frame[..self.rate.frame()];
        let mut fitted = [0; MAX_FRAME];
        let sound = match &mut self.resampler {
            None => sound,
            Some(resampler) => {
                let len = resampler.output_len(sound.len());
                resampler.process(sound, &mut fitted[..len]);
                &fitted[..len]
            }
        };
        let mut payload = [0; MAX_ENCODED];
        let encoded = self.encoder.encode(sound, &mut payload);
        let is_held = |key: Key| now.saturating_duration_since(key.last) < KEY_HELD;
        if let (Ok(len), false) = (encoded, self.key.is_some_and(is_held)) {
            send(Spoken {
                number: self.number,
                timestamp: self.timestamp,
                payload: &payload[..len],
            });
            self.number += 1;
        }
        self.timestamp = self
            .timestamp
            .wrapping_add(self.bridge.to.clock_rate() / 50);
    }
}

/// Fills the place of what was lost.
fn invent(
    decoder: &mut Decoder,
    concealer: &mut Option<Concealer>,
    next: Option<&[u8]>,
    sound: &mut [i16],
) {
    match (decoder.conceal(next, sound), concealer) {
        (Some(written), _) => sound[written..].fill(0),
        (None, Some(concealer)) => concealer.lost(sound),
        (None, None) => sound.fill(0),
    }
}
