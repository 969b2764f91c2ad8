//! A station that sends back what it hears, in a call through a real relay.
//!
//! Both speak G.722. The far end's packets come every 20 ms; the station plays what it is sent at
//! once, and its microphone has the near voice and, later and softer, what it played. The codecs at
//! both ends are those of `media`. Invariant: equal inputs give equal sound.

use std::iter;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use media::codec::{AudioCodec, Decoder, Encoder, opus};
use media::echo::MakeEchoControl;
use media::noise::Treatment;
use media::rtp::Header;
use media::{Arrival, Config, LegKey, Output, PortKey, Relay, SampleRate, SessionId, Sink};

use crate::Spoken;
use crate::chain;
use crate::wav::Sound;

const CALL: SessionId = SessionId(1);
const FAR: LegKey = LegKey(1);
const STATION: LegKey = LegKey(2);

const RATE: usize = 16_000;
const FRAME: usize = RATE / 50;

/// The way from the loudspeaker into the microphone: how much later than the first sound in ms, and
/// how much of it. -12 dB, then a small room.
const ROOM: [(usize, f64); 5] = [(0, 0.25), (4, -0.10), (9, 0.06), (17, -0.035), (31, 0.02)];

/// What the station plays with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loudspeaker {
    /// As loud as it is told.
    True,
    /// Small and too loud: the peaks of a voice are rounded.
    Distorting,
}

impl Loudspeaker {
    fn plays(self, sample: i16) -> f64 {
        /// It plays nothing louder; a voice of -26 dBov has peaks half as loud again.
        const LIMIT: f64 = 8_000.0;
        let sample = f64::from(sample);
        match self {
            Loudspeaker::True => sample,
            Loudspeaker::Distorting => (sample / LIMIT).tanh() * LIMIT,
        }
    }
}

/// What the far end hears, sample by sample beside what was said.
pub fn call(
    far: &Sound,
    near: &Sound,
    delay_ms: usize,
    loudspeaker: Loudspeaker,
    control: Option<MakeEchoControl>,
) -> Result<Sound> {
    // Only differences of it count.
    let start = Instant::now();
    let mut relay = Relay::new(Config::default(), 42);
    for leg in [FAR, STATION] {
        relay.open(CALL, leg, chain::leg(leg, Spoken::G722), start)?;
    }
    relay.connect(CALL, FAR, STATION, start)?;
    let treatment = Treatment {
        echo: control,
        ..Treatment::default()
    };
    relay.treat(CALL, STATION, treatment, start)?;
    let (mut far_end, mut station) = (End::new(FAR)?, End::new(STATION)?);
    let frames = far
        .samples
        .chunks_exact(FRAME)
        .zip(near.samples.chunks_exact(FRAME));
    for (number, (far, near)) in frames.enumerate() {
        let at = start + Duration::from_millis(20) * u32::try_from(number)?;
        let mut wire = Wire::default();
        while let Some(due) = deadline(&mut relay).filter(|due| *due <= at) {
            relay.handle_timeout(due, &mut wire);
        }
        far_end.say(&mut relay, far, number, at, &mut wire)?;
        station.hear(&wire)?;
        let said = station.microphone(near, number * FRAME, delay_ms, loudspeaker);
        station.say(&mut relay, &said, number, at, &mut wire)?;
        far_end.hear(&wire)?;
    }
    Ok(Sound {
        rate: RATE as u32,
        samples: far_end.heard,
    })
}

fn deadline(relay: &mut Relay) -> Option<Instant> {
    loop {
        if let Output::Timeout(deadline) = relay.poll_output() {
            return deadline;
        }
    }
}

#[derive(Default)]
struct Wire(Vec<(PortKey, Vec<u8>)>);

impl Sink for Wire {
    fn send(&mut self, port: PortKey, _: SocketAddr, packet: &[u8]) {
        if media::rtp::kind(packet) == Ok(media::rtp::Kind::Rtp) {
            self.0.push((port, packet.to_vec()));
        }
    }
}

/// One of the two who speak.
struct End {
    leg: LegKey,
    encoder: Encoder,
    decoder: Decoder,
    heard: Vec<i16>,
}

impl End {
    fn new(leg: LegKey) -> Result<End> {
        Ok(End {
            leg,
            encoder: Encoder::new(AudioCodec::G722, &opus::Settings::default())?,
            decoder: Decoder::new(AudioCodec::G722, SampleRate::Hz16000)?,
            heard: Vec::new(),
        })
    }

    fn say(
        &mut self,
        relay: &mut Relay,
        frame: &[i16],
        number: usize,
        at: Instant,
        wire: &mut Wire,
    ) -> Result<()> {
        let mut payload = [0; 160];
        let len = self.encoder.encode(frame, &mut payload)?;
        let arrival = Arrival {
            port: chain::rtp_port(self.leg),
            from: chain::peer(self.leg),
            at,
        };
        let mut packet = chain::packet(Spoken::G722, number, &payload[..len]);
        relay.receive(&arrival, &mut packet, wire);
        Ok(())
    }

    fn hear(&mut self, wire: &Wire) -> Result<()> {
        let to_it = wire
            .0
            .iter()
            .filter(|(port, _)| *port == chain::rtp_port(self.leg));
        for (_, packet) in to_it {
            let header = Header::parse(packet).context("the relay sends RTP")?;
            let mut frame = [0; FRAME];
            let len = self.decoder.decode(header.payload(packet), &mut frame)?;
            self.heard.extend_from_slice(&frame[..len]);
        }
        Ok(())
    }

    /// What the microphone takes in from this sample on.
    fn microphone(
        &self,
        near: &[i16],
        from: usize,
        delay_ms: usize,
        loudspeaker: Loudspeaker,
    ) -> Vec<i16> {
        let echo = |at: usize| {
            let parts = ROOM.iter().map(|(later, share)| {
                let played = at.checked_sub((delay_ms + later) * RATE / 1000);
                let played = played.and_then(|at| self.heard.get(at));
                share * played.map_or(0.0, |sample| loudspeaker.plays(*sample))
            });
            parts.sum::<f64>()
        };
        let samples = iter::zip(from.., near);
        samples
            .map(|(at, near)| (f64::from(*near) + echo(at)) as i16)
            .collect()
    }
}
