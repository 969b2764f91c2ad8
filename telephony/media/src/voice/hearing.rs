//! The hearing half: packets of one leg become sound.
//!
//! Put in order, decoded, what is missing invented, lengths made to fit, at the rate of whoever
//! listens, as loud as the leg is set. It chooses nothing: which packets are the leg's voice is
//! known before.
//!
//! Invariant: one frame after another is 20 ms of sound after another; whoever says nothing for
//! long gives no more frames and costs nothing.

use std::time::{Duration, Instant};

use crate::codec::opus::OpenError;
use crate::codec::{self, AudioCodec, DecodeError, Decoder};
use crate::conceal::Concealer;
use crate::decoded::{Decoded, Decoding};
use crate::echo::{EchoPath, Told};
use crate::jitter::{Elastic, JitterBuffer, Packet, Setup, Step, Wish};
use crate::level::{self, Gain};
use crate::noise::{Suppressor, Treatment};
use crate::rate::{MAX_FRAME, SampleRate};
use crate::resample::Resampler;

/// The longest packet of any codec is one of Opus (RFC 6716 3.2.5).
const LONGEST_MS: usize = 120;
const LONGEST: usize = SampleRate::Hz48000.samples_in_ms(LONGEST_MS);

/// What is softer is silence between words, not a voice: -55 dBov.
const AUDIBLE: f32 = 3400.0;

const FRAMES_A_SECOND: f32 = 50.0;

/// See [`crate::voice`].
#[derive(Debug)]
pub struct Hearing {
    codec: AudioCodec,
    buffer: JitterBuffer,
    decoder: Decoder,
    /// Opus conceals by itself.
    concealer: Option<Concealer>,
    elastic: Elastic,
    gain: Gain,
    echo: Option<Box<EchoPath>>,
    suppressor: Option<Box<dyn Suppressor>>,
    resampler: Option<Resampler>,
    /// Of what is decoded.
    decoded: SampleRate,
    /// Of what is given.
    rate: SampleRate,
    /// Ticks of the speaker since it was heard last.
    quiet: u32,
    asleep: Option<Instant>,
    since: Instant,
    /// The last packet.
    until: Instant,
    /// Samples that were invented.
    invented: u64,
    longest_wait: Duration,
    /// Mean square of what is said, over a second or so.
    power: Option<f32>,
}

impl Hearing {
    /// Gives frames at `rate`, whatever the codec. `seed` makes the noise of what is invented.
    pub fn new(
        codec: AudioCodec,
        rate: SampleRate,
        seed: u64,
        now: Instant,
    ) -> Result<Hearing, OpenError> {
        let decoded = codec.native_rate().unwrap_or(rate);
        let own_concealment = codec == AudioCodec::Opus;
        let setup = Setup {
            clock_rate: codec.clock_rate(),
            redundant: own_concealment,
        };
        Ok(Hearing {
            codec,
            buffer: JitterBuffer::new(setup, now),
            decoder: Decoder::new(codec, decoded)?,
            concealer: (!own_concealment).then(|| Concealer::new(decoded, seed)),
            elastic: Elastic::new(decoded),
            gain: Gain::default(),
            echo: None,
            suppressor: None,
            resampler: (decoded != rate).then(|| Resampler::new(decoded, rate)),
            decoded,
            rate,
            quiet: 0,
            asleep: None,
            since: now,
            until: now,
            invented: 0,
            longest_wait: Duration::ZERO,
            power: None,
        })
    }

    pub fn codec(&self) -> AudioCodec {
        self.codec
    }

    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// What became of all that was heard.
    pub(crate) fn decoding(&self) -> Decoding {
        let figures = self.buffer.figures();
        let invented =
            Duration::from_micros(self.invented * 1_000_000 / u64::from(self.decoded.hz()));
        Decoding {
            figures: Decoded {
                late: figures.late + figures.dropped,
                concealed: invented,
                wait: self.buffer.wait(),
                longest_wait: self.longest_wait,
                level: self.power.map(level::dbov_of),
                rate: Some(self.decoded.min(self.rate)),
            },
            since: self.since,
            until: self.until,
        }
    }

    /// What is done to the voice from now on. To suppress noise takes time, and so does echo.
    pub fn treat(&mut self, treatment: Treatment) {
        self.gain.set_db(treatment.gain_db.into());
        self.gain.mute(treatment.muted);
        match treatment.noise {
            None => self.suppressor = None,
            Some(make) => {
                let rate = self.decoded;
                self.suppressor.get_or_insert_with(|| make(rate));
            }
        }
        match treatment.echo {
            None => self.echo = None,
            Some(make) => {
                let rate = self.decoded;
                let path = || Box::new(EchoPath::new(make(rate)));
                self.echo.get_or_insert_with(path);
            }
        }
    }

    /// What the speaker was told by now, of which an echo may come.
    pub(crate) fn overhear(&mut self, told: Option<&Told>) {
        if let (Some(echo), Some(told)) = (&mut self.echo, told) {
            echo.learn(told);
        }
    }

    /// How long the payload lasts on the clock of the speaker.
    pub fn ticks_in(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        let samples = self.decoder.samples(payload)? as u64;
        let clock = u64::from(self.codec.clock_rate());
        let ticks = samples * clock / u64::from(self.decoded.hz());
        Ok(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// A packet of the speaker has come. Gives how long no frames were given because nothing was
    /// said.
    pub fn hear(&mut self, packet: &Packet<'_>, now: Instant) -> Duration {
        let slept = self.asleep.take();
        self.quiet = 0;
        self.until = now;
        self.buffer.insert(packet, now);
        slept.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// When to ask [`Hearing::next_due`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        match self.asleep {
            Some(_) => None,
            None => self.buffer.deadline(),
        }
    }

    /// The next frame that is due by the clock of the speaker, which has `rate().frame()` samples.
    /// `false`: none is, and nothing was written.
    pub fn next_due(&mut self, frame: &mut [i16], now: Instant) -> bool {
        self.take(frame, now, JitterBuffer::poll)
    }

    /// The next frame, for a listener with its own clock, who asks every 20 ms. `false`: nothing is
    /// said, and nothing was written.
    pub fn next(&mut self, frame: &mut [i16], now: Instant) -> bool {
        self.take(frame, now, JitterBuffer::pull)
    }

    fn take(&mut self, frame: &mut [i16], now: Instant, ask: Ask) -> bool {
        if self.resampler.is_none() {
            return self.fill(frame, now, ask);
        }
        let mut whole = [0; MAX_FRAME];
        let whole = &mut whole[..self.decoded.frame()];
        if !self.fill(whole, now, ask) {
            return false;
        }
        if let Some(resampler) = &mut self.resampler {
            resampler.process(whole, frame);
        }
        true
    }

    /// A frame as it was decoded.
    fn fill(&mut self, frame: &mut [i16], now: Instant, ask: Ask) -> bool {
        while !self.elastic.pull(frame) {
            if self.asleep.is_some() || !self.play(now, ask) {
                return false;
            }
        }
        self.weigh(frame);
        // Before the noise: a suppressor changes from moment to moment, and so would the echo.
        if let Some(echo) = &mut self.echo {
            echo.process(frame, now);
        }
        if let Some(suppressor) = &mut self.suppressor {
            suppressor.process(frame);
        }
        self.gain.apply(frame);
        true
    }

    /// How loud the speaker is, before anybody makes it louder.
    fn weigh(&mut self, frame: &[i16]) {
        let power = level::power(frame);
        if power < AUDIBLE {
            return;
        }
        let before = self.power.unwrap_or(power);
        self.power = Some(before + (power - before) / FRAMES_A_SECOND);
    }

    /// One step of the buffer, as sound. `false`: there is none.
    fn play(&mut self, now: Instant, ask: Ask) -> bool {
        let Some(step) = ask(&mut self.buffer, now) else {
            return false;
        };
        let clock = self.codec.clock_rate();
        // Cleared for each packet: cheaper than to keep it for each leg.
        let mut sound = [0; LONGEST];
        let room = self.decoded.samples_in_ms(LONGEST_MS);
        let sound = &mut sound[..room];
        let samples = |ticks: u32| {
            let wanted = u64::from(ticks) * u64::from(self.decoded.hz()) / u64::from(clock.max(1));
            usize::try_from(wanted).unwrap_or(room).min(room)
        };
        let (len, wish) = match step {
            Step::Play { payload, wish, .. } => match self.decoder.decode(payload, sound) {
                Ok(len) => {
                    if let Some(concealer) = &mut self.concealer {
                        concealer.good(&mut sound[..len]);
                    }
                    (len, wish)
                }
                // What cannot be decoded was as good as lost.
                Err(_) => {
                    let len = self.decoded.frame();
                    self.invented += len as u64;
                    let invented = &mut sound[..len];
                    invent(&mut self.decoder, &mut self.concealer, None, invented);
                    (len, Wish::Keep)
                }
            },
            Step::Lost { ticks, next } => {
                let len = samples(ticks);
                self.invented += len as u64;
                self.quiet += ticks;
                let invented = &mut sound[..len];
                invent(&mut self.decoder, &mut self.concealer, next, invented);
                (len, Wish::Keep)
            }
            Step::Silence { ticks } => {
                let len = samples(ticks);
                self.quiet += ticks;
                sound[..len].fill(0);
                (len, Wish::Keep)
            }
        };
        if self.quiet > clock {
            self.asleep = Some(now);
        }
        self.longest_wait = self.longest_wait.max(self.buffer.wait());
        let shift = self.elastic.push(&sound[..len], wish);
        self.buffer.shifted(shift);
        true
    }
}

/// One of the buffer's two ways to give a step.
type Ask = for<'b> fn(&'b mut JitterBuffer, Instant) -> Option<Step<'b>>;

/// Fills the place of what was lost.
fn invent(
    decoder: &mut Decoder,
    concealer: &mut Option<Concealer>,
    next: Option<&[u8]>,
    sound: &mut [i16],
) {
    match (decoder.conceal(next, sound), concealer) {
        (Some(written), _) => sound[written..].fill(0),
        (None, Some(concealer)) => {
            let mut beyond = [0; codec::BEYOND];
            match next {
                Some(next) if decoder.codec() == AudioCodec::G722 => {
                    concealer.toward(sound, &mut beyond, |heard, beyond, ahead| {
                        decoder.peek((heard, beyond), next, ahead)
                    });
                }
                Some(next) => {
                    let mut ahead = [0; MAX_FRAME];
                    match decoder.peek((&[], &beyond), next, &mut ahead) {
                        Some(len) => concealer.between(sound, &ahead[..len]),
                        None => concealer.lost(sound),
                    }
                }
                None => {
                    concealer.lost(sound);
                    concealer.beyond(&mut beyond);
                }
            }
            decoder.follow(sound, &beyond);
        }
        (None, None) => sound.fill(0),
    }
}
