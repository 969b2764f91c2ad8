//! Sounds that people at the command line have played to a leg: taken in piece by piece.
//!
//! Invariant: few at a time, none longer than an announcement may be, and what is not completed is
//! forgotten.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use media::{Recording, SampleRate};

use crate::control::protocol::{Refusal, RefusalCode, Reply};

/// At the same time.
const MOST: usize = 4;
/// In seconds of sound.
pub(crate) const LONGEST_S: usize = 120;
/// Nothing more has come for so long.
const FORGOTTEN: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Piecemeal {
    samples: Vec<i16>,
    last: Instant,
}

/// What has come so far, by leg.
#[derive(Debug, Default)]
pub(crate) struct Playing {
    sounds: BTreeMap<u64, Piecemeal>,
}

/// What a piece leads to.
#[derive(Debug)]
pub(crate) enum Taken {
    /// More is expected.
    Piece,
    Complete(Recording),
    Refused(Reply),
}

impl Playing {
    pub(crate) fn take(
        &mut self,
        leg: u64,
        (rate, samples): (u32, &str),
        last: bool,
        now: Instant,
    ) -> Taken {
        let known = |sound: &Piecemeal| now.saturating_duration_since(sound.last) < FORGOTTEN;
        self.sounds.retain(|_, sound| known(sound));
        let Some(rate) = SampleRate::ALL.into_iter().find(|known| known.hz() == rate) else {
            return refused("sound is played at 8000, 16000 or 48000 samples a second");
        };
        let Ok(octets) = BASE64_STANDARD.decode(samples) else {
            return refused("the samples are not in base64");
        };
        let mut sound = self.sounds.remove(&leg).unwrap_or_else(|| Piecemeal {
            samples: Vec::new(),
            last: now,
        });
        let (pairs, _) = octets.as_chunks::<2>();
        sound
            .samples
            .extend(pairs.iter().copied().map(i16::from_le_bytes));
        sound.last = now;
        if sound.samples.len() > rate.hz() as usize * LONGEST_S {
            return refused("the sound is longer than two minutes");
        }
        if last {
            return Taken::Complete(Recording::new(&sound.samples, rate));
        }
        if self.sounds.len() >= MOST {
            return refused("several sounds are being prepared already");
        }
        self.sounds.insert(leg, sound);
        Taken::Piece
    }
}

fn refused(text: &str) -> Taken {
    Taken::Refused(Reply::Error(Refusal {
        code: RefusalCode::BadRequest,
        text: text.to_owned(),
        remedy: "use `media play` or `media tone`".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_a_sound_and_too_many_are_refused() {
        let mut playing = Playing::default();
        let now = Instant::now();
        let second = BASE64_STANDARD.encode([0; 16_000]);
        let mut take =
            |leg, rate, samples: &str, last| playing.take(leg, (rate, samples), last, now);
        assert!(matches!(take(1, 8_000, &second, false), Taken::Piece));
        let Taken::Complete(sound) = take(1, 8_000, &second, true) else {
            panic!("it is complete");
        };
        assert_eq!(sound.duration(), Duration::from_secs(2));
        assert!(matches!(take(1, 44_100, &second, true), Taken::Refused(_)));
        assert!(matches!(take(1, 8_000, "?", true), Taken::Refused(_)));
        for leg in 0..4 {
            assert!(matches!(take(leg, 8_000, &second, false), Taken::Piece));
        }
        assert!(matches!(take(9, 8_000, &second, false), Taken::Refused(_)));
        for _ in 0..LONGEST_S {
            take(0, 8_000, &second, false);
        }
        assert!(
            playing
                .sounds
                .values()
                .all(|sound| sound.samples.len() <= 8_000 * LONGEST_S)
        );
    }
}
