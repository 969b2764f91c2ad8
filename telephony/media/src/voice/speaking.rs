//! The speaking half: sound becomes the payloads of one stream.
//!
//! Made as loud as its listener wants it, brought to the rate of the codec, encoded, numbered and timed from zero; keys of RFC 4733 stand
//! between the sounds in the same numbers. It has no clock: it is given a frame when one is due.
//!
//! Invariant: numbers rise by one, and a frame's time by 20 ms from the one before.

use std::time::{Duration, Instant};

use crate::codec::opus::{self, OpenError, Redundancy};
use crate::codec::{AudioCodec, Encoder};
use crate::level::Gain;
use crate::rate::{MAX_FRAME, SampleRate};
use crate::resample::Resampler;
use crate::rtp;
use crate::telephone_event::{KeyPacket, LEN};

/// After a packet that tells of a key, no sound is sent for so long: the key is held, or what comes
/// are the last echoes of an invented voice.
const KEY_HELD: Duration = Duration::from_millis(60);

/// The longest payload of any codec; 20 ms of G.711 take 160.
pub(crate) const MAX_ENCODED: usize = opus::MAX_PACKET;

/// libopus does no more for a greater loss.
const MOST_EXPECTED: u8 = 25;

/// A payload that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken<'v> {
    /// Counts from zero.
    pub number: i64,
    /// On the clock of the codec, from zero.
    pub timestamp: u32,
    pub payload: &'v [u8],
}

/// See [`crate::voice`].
#[derive(Debug)]
pub struct Speaking {
    volume: Gain,
    resampler: Option<Resampler>,
    encoder: Encoder,
    losses: Losses,
    /// Loss in percent that is guarded against.
    guarded: u8,
    number: i64,
    timestamp: u32,
    key: Option<Key>,
}

/// What a listener has lost of late. Redundancy begins with the first loss and ends some reports
/// after the last: it costs the encoder 40 % more time, so whoever loses nothing gets none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Losses {
    percent: u8,
}

impl Losses {
    /// Takes a report, in parts of 256; gives the loss to be expected, in percent.
    pub(crate) fn report(&mut self, reported: u8) -> u8 {
        let percent = (u32::from(reported) * 100).div_ceil(256) as u8;
        let remembered = u32::from(self.percent) * 3 / 4;
        self.percent = percent.max(remembered as u8).min(MOST_EXPECTED);
        self.percent
    }

    pub(crate) fn percent(self) -> u8 {
        self.percent
    }
}

/// A key that is being held: its time in what comes and in what goes, and when it was heard last.
#[derive(Debug, Clone, Copy)]
struct Key {
    heard: u32,
    told: u32,
    last: Instant,
}

impl Speaking {
    /// Takes frames at `rate`, whatever the codec.
    pub fn new(codec: AudioCodec, rate: SampleRate) -> Result<Speaking, OpenError> {
        let encoded = codec.native_rate().unwrap_or(rate);
        let settings = opus::Settings {
            rate: encoded,
            redundancy: Redundancy::Off,
            ..opus::Settings::default()
        };
        Ok(Speaking {
            volume: Gain::default(),
            resampler: (rate != encoded).then(|| Resampler::new(rate, encoded)),
            encoder: Encoder::new(codec, &settings)?,
            losses: Losses::default(),
            guarded: 0,
            number: 0,
            timestamp: 0,
            key: None,
        })
    }

    pub fn codec(&self) -> AudioCodec {
        self.encoder.codec()
    }

    /// How much louder than it is made the listener hears it, from now on.
    pub fn set_volume(&mut self, db: i8) {
        self.volume.set_db(db.into());
    }

    /// The only listener has reported a loss, in parts of 256 (RFC 3550 6.4.1).
    pub fn expect_loss(&mut self, reported: u8) {
        let expected = self.losses.report(reported);
        self.guard_against(expected);
    }

    /// So much of what is said is lost, in percent, by whoever loses most of it.
    pub(crate) fn guard_against(&mut self, percent: u8) {
        let redundancy = match percent {
            0 => Redundancy::Off,
            1.. => Redundancy::AgainstLoss { percent },
        };
        // A refused setting leaves what was.
        if percent != self.guarded && self.encoder.set_redundancy(redundancy).is_ok() {
            self.guarded = percent;
        }
    }

    /// Loss in percent that is guarded against.
    #[cfg(test)]
    pub(crate) fn guarded(&self) -> u8 {
        self.guarded
    }

    /// Encodes a frame of 20 ms. While a key is held it is not sent, but its time passes.
    pub fn say(&mut self, frame: &[i16], now: Instant, send: impl FnOnce(Spoken<'_>)) {
        let mut louder;
        let frame = match self.volume.changes_nothing() {
            true => frame,
            false => {
                louder = [0; MAX_FRAME];
                let louder = &mut louder[..frame.len()];
                louder.copy_from_slice(frame);
                self.volume.apply(louder);
                louder
            }
        };
        let mut fitted = [0; MAX_FRAME];
        let sound = match &mut self.resampler {
            None => frame,
            Some(resampler) => {
                let len = resampler.output_len(frame.len());
                resampler.process(frame, &mut fitted[..len]);
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
        self.pass(self.clock_rate() / 50);
    }

    /// A packet of RFC 4733 goes out at once, in the time of what goes out.
    pub(crate) fn press(
        &mut self,
        packet: KeyPacket<'_>,
        now: Instant,
        send: impl FnOnce(Spoken<'_>),
    ) {
        let held = self.key.filter(|key| key.heard == packet.timestamp);
        let timestamp = held.map_or(self.timestamp, |key| key.told);
        self.key = Some(Key {
            heard: packet.timestamp,
            told: timestamp,
            last: now,
        });
        let mut event = [0; LEN];
        let Some(said) = packet.payload.get(..event.len()) else {
            return;
        };
        event.copy_from_slice(said);
        let ticks = u64::from(u16::from_be_bytes([event[2], event[3]]));
        let ticks = ticks * u64::from(packet.told_clock_rate) / u64::from(packet.clock_rate.max(1));
        // RFC 4733 2.5.1.3: longer than its field holds, a key is told anew; seldom, so not here.
        let ticks = u16::try_from(ticks).unwrap_or(u16::MAX);
        event[2..].copy_from_slice(&ticks.to_be_bytes());
        send(Spoken {
            number: self.number,
            timestamp,
            payload: &event,
        });
        self.number += 1;
    }

    /// Nothing was said for so long.
    pub fn pause(&mut self, time: Duration) {
        self.pass(rtp::ticks(time, self.clock_rate()));
    }

    fn pass(&mut self, ticks: u32) {
        self.timestamp = self.timestamp.wrapping_add(ticks);
    }

    fn clock_rate(&self) -> u32 {
        self.codec().clock_rate()
    }
}
