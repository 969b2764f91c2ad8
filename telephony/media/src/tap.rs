//! A leg's voice as sound, for others than those who hear it: recordings, level meters, and keys
//! dialled as tones.
//!
//! A tap has a hearing half of its own, so it hears a leg whose packets are relayed as they are just
//! as one that is transcoded; it changes nothing of what the others get. The frames leave through
//! the [`Sink`], because like packets they wait in no queue.
//!
//! Invariant: a leg that has told a key by RFC 4733 tells none by tones, so no key is told twice.

use std::time::Instant;

use crate::codec::AudioCodec;
use crate::dtmf::{self, Detector};
use crate::leg::{Inbound, LegKey, SessionId};
use crate::rate::{MAX_FRAME, SampleRate};
use crate::relay::Sink;
use crate::telephone_event::Press;
use crate::voice::Hearing;

/// What is wanted of a leg's voice beside passing it on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tap {
    /// Its frames, through [`Sink::sound`].
    pub sound: bool,
    /// Keys heard as tones (ITU-T Q.23), as [`crate::Event::Digit`].
    pub keys: bool,
}

impl Tap {
    fn is_off(self) -> bool {
        self == Tap::default()
    }
}

/// 20 ms of what a tapped leg says.
#[derive(Debug, Clone, Copy)]
pub struct Overheard<'s> {
    pub session: SessionId,
    pub leg: LegKey,
    pub samples: &'s [i16],
    pub rate: SampleRate,
    pub at: Instant,
}

/// The tap of one leg.
#[derive(Debug, Default)]
pub(crate) struct Tapping {
    wanted: Tap,
    ear: Option<Box<Ear>>,
    /// The leg has told a key by RFC 4733.
    tells_keys: bool,
}

#[derive(Debug)]
struct Ear {
    hearing: Hearing,
    detector: Detector,
}

impl Tapping {
    pub(crate) fn set(&mut self, wanted: Tap) {
        self.wanted = wanted;
        if wanted.is_off() {
            self.ear = None;
        }
    }

    /// The leg told a key by RFC 4733.
    pub(crate) fn key_told(&mut self) {
        self.tells_keys = true;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ear.as_ref()?.hearing.deadline()
    }

    /// A packet of the leg, which is sound.
    pub(crate) fn hear(&mut self, inbound: &Inbound, packet: &[u8], seed: u64, now: Instant) {
        let Some(codec) = AudioCodec::of(inbound.format.codec) else {
            return;
        };
        if self.wanted.is_off() {
            return;
        }
        if self
            .ear
            .as_ref()
            .is_none_or(|ear| ear.hearing.codec() != codec)
        {
            self.ear = Ear::new(codec, seed, now);
        }
        let Some(ear) = &mut self.ear else { return };
        let payload = inbound.header.payload(packet);
        // What cannot be decoded is missing; the hearing half conceals it.
        if let Ok(packet) = inbound.packet(payload, ear.hearing.ticks_in(payload)) {
            ear.hearing.hear(&packet, now);
        }
    }

    /// Gives away what is due.
    pub(crate) fn tell(
        &mut self,
        whose: (SessionId, LegKey),
        now: Instant,
        sink: &mut impl Sink,
        mut key: impl FnMut(Press),
    ) {
        let Some(ear) = &mut self.ear else { return };
        let keys = self.wanted.keys && !self.tells_keys;
        let rate = ear.hearing.rate();
        let mut frame = [0; MAX_FRAME];
        let frame = &mut frame[..rate.frame()];
        while ear.hearing.next_due(frame, now) {
            if keys {
                ear.detector.hear(frame, |event| match event {
                    dtmf::Event::Start(_) => {}
                    dtmf::Event::End(press) => key(press),
                });
            }
            if self.wanted.sound {
                sink.sound(&Overheard {
                    session: whose.0,
                    leg: whose.1,
                    samples: frame,
                    rate,
                    at: now,
                });
            }
        }
    }
}

impl Ear {
    /// `None`: the codec cannot be opened. The conversation does not need this.
    fn new(codec: AudioCodec, seed: u64, now: Instant) -> Option<Box<Ear>> {
        let rate = codec.native_rate().unwrap_or(SampleRate::Hz16000);
        let hearing = Hearing::new(codec, rate, seed, now).ok()?;
        Some(Box::new(Ear {
            hearing,
            detector: Detector::new(rate),
        }))
    }
}
