//! Stations with one codec of their own, who say a tone, and what a listener finds in what it hears.

use std::f32::consts::TAU;

use media::codec::{AudioCodec, Decoder, Encoder, opus};
use media::{Codec, LegSetup, SampleRate};

use super::bench::{self, Bench, Sent, rtp};

/// A station with one codec of its own and events on that clock.
pub(crate) fn station(leg: u64, codec: AudioCodec) -> LegSetup {
    let clock_rate = codec.clock_rate();
    LegSetup {
        formats: vec![
            bench::format(number(codec), name(codec), clock_rate),
            bench::format(101, Codec::TelephoneEvent, clock_rate),
        ],
        ..bench::setup(leg)
    }
}

fn name(codec: AudioCodec) -> Codec {
    match codec {
        AudioCodec::Pcma => Codec::Pcma,
        AudioCodec::Pcmu => Codec::Pcmu,
        AudioCodec::G722 => Codec::G722,
        AudioCodec::Opus => Codec::Opus,
    }
}

pub(crate) fn number(codec: AudioCodec) -> u8 {
    match codec {
        AudioCodec::Pcma => 8,
        AudioCodec::Pcmu => 0,
        AudioCodec::G722 => 9,
        AudioCodec::Opus => 96,
    }
}

/// Somebody who says a tone, a packet every 20 ms.
pub(crate) struct Speaker {
    pub(crate) leg: u64,
    pub(crate) hertz: f32,
    codec: AudioCodec,
    encoder: Encoder,
    phase: f32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

impl Speaker {
    pub(crate) fn new(leg: u64, hertz: f32, codec: AudioCodec) -> Speaker {
        Speaker {
            leg,
            hertz,
            codec,
            encoder: Encoder::new(codec, &opus::Settings::default()).expect("a codec of ours"),
            phase: 0.0,
            sequence: 65_530,
            timestamp: u32::MAX - 1000,
        }
    }

    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let rate = self.encoder.rate();
        let sound: Vec<i16> = (0..rate.frame())
            .map(|_| {
                self.phase = (self.phase + TAU * self.hertz / rate.hz() as f32) % TAU;
                (self.phase.sin() * 8_000.0) as i16
            })
            .collect();
        let mut payload = [0; opus::MAX_PACKET];
        let len = self
            .encoder
            .encode(&sound, &mut payload)
            .expect("a frame of 20 ms");
        let packet = rtp(
            number(self.codec),
            7,
            self.sequence,
            self.timestamp,
            &payload[..len],
        );
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock_rate() / 50);
        packet
    }

    /// Says so many packets; what the others were sent meanwhile.
    pub(crate) fn speak(
        &mut self,
        bench: &mut Bench,
        packets: usize,
        lost: impl Fn(usize) -> bool,
    ) -> Vec<Sent> {
        let mut sent = Vec::new();
        for n in 0..packets {
            let packet = self.packet();
            if !lost(n) {
                sent.extend(bench.receive(self.leg, &packet));
            }
            sent.extend(bench.pass_ms(20));
        }
        sent
    }
}

/// What a peer with this codec hears, at 16 kHz.
pub(crate) fn decoded(codec: AudioCodec, sent: &[Sent]) -> Vec<i16> {
    let mut decoder = Decoder::new(codec, SampleRate::Hz16000).expect("a codec of ours");
    let mut sound = Vec::new();
    for packet in sent {
        let mut pcm = [0; 5760];
        let len = decoder
            .decode(packet.payload(), &mut pcm)
            .expect("a packet of ours");
        sound.extend_from_slice(&pcm[..len]);
    }
    sound
}

/// The amplitude of one frequency within a sound (Goertzel's way, by correlation).
pub(crate) fn amplitude(sound: &[i16], rate: SampleRate, hertz: f32) -> f32 {
    let step = std::f64::consts::TAU * f64::from(hertz) / f64::from(rate.hz());
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in sound.iter().enumerate() {
        let angle = step * n as f64;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    (2.0 * real.hypot(imaginary) / sound.len() as f64) as f32
}

/// The rate at which [`decoded`] gives what is said in a codec.
pub(crate) fn rate(codec: AudioCodec) -> SampleRate {
    codec.native_rate().unwrap_or(SampleRate::Hz16000)
}

/// One stream without a gap in its numbers, whose time goes on by what passes.
pub(crate) fn must_be_continuous(sent: &[Sent]) {
    for pair in sent.windows(2) {
        let (a, b) = (pair[0].header(), pair[1].header());
        assert_eq!(a.ssrc, b.ssrc);
        assert_eq!(b.sequence, a.sequence.wrapping_add(1));
        let step = b.timestamp.wrapping_sub(a.timestamp);
        assert!((1..1 << 20).contains(&step), "{a:?} then {b:?}");
    }
}
