//! What the relay measures, in the words of call records; and when to look at it.
//!
//! Translates; measures nothing itself.

use std::time::{Duration, Instant};

use media::srtp::Suite;
use media::{Quality, SampleRate};
use model::{
    AudioCodec, Bandwidth, Carried, Decoded, FarEnd, LegAudio, Level, Mos, Received, Sent,
};

/// How often all legs of a thread are looked at, while it has any.
const PERIOD: Duration = Duration::from_secs(5);

/// When to look next.
#[derive(Debug, Default)]
pub(super) struct Looks {
    next: Option<Instant>,
}

impl Looks {
    /// There is something to look at.
    pub(super) fn begin(&mut self, now: Instant) {
        self.next.get_or_insert(now + PERIOD);
    }

    /// Whether it is time; `left`: how many legs there are.
    pub(super) fn is_due(&mut self, left: usize, now: Instant) -> bool {
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = (left > 0).then(|| now + PERIOD);
        }
        due && left > 0
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

/// The figures of a leg's audio.
pub(super) fn leg_audio(quality: &Quality) -> LegAudio {
    let codec = quality.codec.and_then(codec);
    let rate = quality.decoded.and_then(|decoded| decoded.rate);
    LegAudio {
        codec,
        band: codec.and_then(|codec| bandwidth(codec, rate)),
        carried: match quality.transcoded {
            true => Carried::Transcoded,
            false => Carried::Relayed,
        },
        encryption: quality.suite.map(Suite::name),
        round_trip: quality.round_trip,
        silent_for: quality.last_packet,
        received: Received {
            packets: quality.packets,
            lost: quality.lost,
            jitter: quality.jitter,
            delay: quality.delay,
            mos: quality.mos.map(score),
            decoded: quality.decoded.as_ref().map(decoded),
        },
        sent: Sent {
            packets: quality.sent_packets,
            far: quality.far.map(|far| FarEnd {
                // Copies on the way can make it negative.
                lost: u64::try_from(far.lost).unwrap_or(0),
                jitter: far.jitter,
                mos: quality.far_mos.map(score),
            }),
        },
    }
}

fn decoded(decoded: &media::Decoded) -> Decoded {
    Decoded {
        late: decoded.late,
        concealed: decoded.concealed,
        buffer: decoded.wait,
        buffer_most: decoded.longest_wait,
        // Between 0 and the floor of a measurement, far within the type.
        level: decoded
            .level
            .map(|level| Level::from_tenths((level * 10.0).round() as i16)),
    }
}

fn codec(codec: media::Codec) -> Option<AudioCodec> {
    match codec {
        media::Codec::Pcma => Some(AudioCodec::Pcma),
        media::Codec::Pcmu => Some(AudioCodec::Pcmu),
        media::Codec::G722 => Some(AudioCodec::G722),
        media::Codec::Opus => Some(AudioCodec::Opus),
        media::Codec::Other(_) => Some(AudioCodec::Other),
        media::Codec::TelephoneEvent | media::Codec::ComfortNoise => None,
    }
}

/// What of a voice gets through: what the codec holds, and what is decoded of it.
fn bandwidth(codec: AudioCodec, rate: Option<SampleRate>) -> Option<Bandwidth> {
    let whole = match codec {
        AudioCodec::Pcma | AudioCodec::Pcmu => Bandwidth::Narrow,
        AudioCodec::G722 => Bandwidth::Wide,
        AudioCodec::Opus => Bandwidth::Full,
        AudioCodec::Other => return None,
    };
    let decoded = rate.map(|rate| match rate {
        SampleRate::Hz8000 => Bandwidth::Narrow,
        SampleRate::Hz16000 => Bandwidth::Wide,
        SampleRate::Hz48000 => Bandwidth::Full,
    });
    Some(decoded.map_or(whole, |decoded| decoded.min(whole)))
}

fn score(mos: f32) -> Mos {
    // A score is between 1 and 5; a cast of what is not saturates.
    Mos::from_hundredths((mos * 100.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_are_looked_at_every_few_seconds_and_nobody_wakes_for_none() {
        let (mut looks, start) = (Looks::default(), Instant::now());
        assert_eq!(looks.deadline(), None);
        looks.begin(start);
        looks.begin(start + PERIOD / 2);
        assert_eq!(looks.deadline(), Some(start + PERIOD));
        assert!(!looks.is_due(1, start + PERIOD / 2));
        assert!(looks.is_due(1, start + PERIOD));
        assert!(!looks.is_due(0, start + PERIOD * 2));
        assert_eq!(looks.deadline(), None);
    }
}
