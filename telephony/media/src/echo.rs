//! What a station sends back of what it was told: an echo, taken out of what it says.
//!
//! Whoever knows an echo from a voice brings its own tables ([`EchoControl`]). Here stands what it
//! needs: beside each frame that a leg says, the frame that the leg was told some time before
//! ([`Told`] keeps it at the leg, [`EchoPath`] looks for it where the leg is decoded). How long an
//! echo takes after that is not asked here; the control finds it.
//!
//! What is kept is told before the leg's own volume: a fixed gain is a part of the way of the echo.
//! Who hears itself has nothing taken away, because it is told nothing else.
//!
//! Invariant: frames that were told without a pause are given without a pause, however unevenly
//! they and the echo come; memory is bounded by [`Told::LONGEST`].

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::mixer::{Frame, RATE};
use crate::rate::SampleRate;
use crate::resample::Resampler;

/// Takes out of one voice what comes back of what its speaker was told.
pub trait EchoControl: Debug + Send {
    /// 20 ms at 16 kHz that the speaker was told, and a frame of 20 ms that it says, in place.
    fn process(&mut self, told: &[i16], said: &mut [i16]);
}

/// Makes an echo control for a voice of this rate.
pub type MakeEchoControl = fn(SampleRate) -> Box<dyn EchoControl>;

/// A frame is given so long after it was told. An echo is later than that (the station has a buffer
/// of its own), and what is told may come so unevenly.
const BEHIND: Duration = Duration::from_millis(40);

/// Frames that follow each other are given in their order, unless they came so far from their time.
const SLACK: Duration = Duration::from_millis(60);

/// After a pause the frame is given that is nearest: half a frame.
const NEAREST: Duration = Duration::from_millis(10);

/// What a leg was told of late.
#[derive(Debug, Default)]
pub(crate) struct Told {
    moments: VecDeque<Moment>,
    /// Of the next frame.
    number: u64,
    /// To the rate of what is kept.
    resampler: Option<Resampler>,
}

#[derive(Debug, Clone)]
struct Moment {
    number: u64,
    at: Instant,
    frame: Frame,
}

impl Told {
    /// In frames: 300 ms.
    const LONGEST: usize = 15;

    /// The leg is told a frame of 20 ms.
    pub(crate) fn tell(&mut self, frame: &[i16], rate: SampleRate, now: Instant) {
        let mut kept = [0; RATE.frame()];
        if rate == RATE {
            kept.copy_from_slice(frame);
        } else {
            self.resampler.take_if(|of| of.from() != rate);
            let resampler = self
                .resampler
                .get_or_insert_with(|| Resampler::new(rate, RATE));
            resampler.process(frame, &mut kept);
        }
        let moment = Moment {
            number: self.number,
            at: now,
            frame: kept,
        };
        self.number += 1;
        keep(&mut self.moments, moment);
    }
}

fn keep(moments: &mut VecDeque<Moment>, moment: Moment) {
    if moments.len() >= Told::LONGEST {
        moments.pop_front();
    }
    moments.push_back(moment);
}

/// Beside the decoder of what a leg says.
#[derive(Debug)]
pub(crate) struct EchoPath {
    control: Box<dyn EchoControl>,
    told: VecDeque<Moment>,
    /// The number that comes next of what the leg was told; `None`: it paused.
    next: Option<u64>,
}

impl EchoPath {
    pub(crate) fn new(control: Box<dyn EchoControl>) -> EchoPath {
        EchoPath {
            control,
            told: VecDeque::new(),
            next: None,
        }
    }

    /// Takes over what the leg was told since the last time.
    pub(crate) fn learn(&mut self, told: &Told) {
        let known = self.told.back().map(|last| last.number);
        let news = told.moments.iter();
        let news = news.filter(|moment| known.is_none_or(|known| moment.number > known));
        for moment in news {
            keep(&mut self.told, moment.clone());
        }
    }

    /// A frame that the leg says.
    pub(crate) fn process(&mut self, said: &mut [i16], now: Instant) {
        let told = match now.checked_sub(BEHIND).and_then(|then| self.find(then)) {
            Some(moment) => {
                let (number, frame) = (moment.number, moment.frame);
                self.next = Some(number + 1);
                frame
            }
            None => {
                self.next = None;
                [0; RATE.frame()]
            }
        };
        self.control.process(&told, said);
    }

    fn find(&self, then: Instant) -> Option<&Moment> {
        let off = |moment: &Moment| {
            let late = moment.at.saturating_duration_since(then);
            late.max(then.saturating_duration_since(moment.at))
        };
        let follows = |moment: &&Moment| Some(moment.number) == self.next && off(moment) <= SLACK;
        let nearest = || {
            let nearest = self.told.iter().min_by_key(|moment| off(moment));
            nearest.filter(|moment| off(moment) <= NEAREST)
        };
        self.told.iter().find(follows).or_else(nearest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Tells which frame it was given.
    #[derive(Debug)]
    struct Witness(mpsc::Sender<i16>);

    impl EchoControl for Witness {
        fn process(&mut self, told: &[i16], _: &mut [i16]) {
            self.0.send(told[0]).expect("the test listens");
        }
    }

    /// What is given beside frames said at these times, of frames 1, 2, 3... told at those.
    fn given(told_ms: &[u64], said_ms: &[u64]) -> Vec<i16> {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_secs(1) + Duration::from_millis(ms);
        let (sender, given) = mpsc::channel();
        let mut path = EchoPath::new(Box::new(Witness(sender)));
        let mut told = Told::default();
        let mut to_tell = (1..).zip(told_ms).peekable();
        for said in said_ms {
            while let Some((number, ms)) = to_tell.next_if(|(_, ms)| *ms <= said) {
                told.tell(&[number; 320], RATE, at(*ms));
            }
            path.learn(&told);
            path.process(&mut [0; 160], at(*said));
        }
        given.try_iter().collect()
    }

    #[test]
    fn what_was_told_is_given_in_its_order_however_unevenly_it_came() {
        let said: Vec<u64> = (0..8).map(|n| 45 + n * 20).collect();
        let even: Vec<u64> = (0..8).map(|n| n * 20).collect();
        assert_eq!(given(&even, &said), [1, 2, 3, 4, 5, 6, 7, 8]);
        let uneven = [0, 30, 55, 60, 110, 111, 112, 145];
        assert_eq!(given(&uneven, &said), [1, 2, 3, 4, 5, 6, 7, 8]);
        let in_bursts = [45, 65, 105, 105, 105, 145, 175, 185];
        assert_eq!(given(&even, &in_bursts), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn in_a_pause_silence_is_given_and_after_it_what_is_told_then() {
        let told = [0, 20, 400, 420];
        let said: Vec<u64> = (0..24).map(|n| 45 + n * 20).collect();
        let given = given(&told, &said);
        assert_eq!(given[..3], [1, 2, 0]);
        assert_eq!(given[19..], [0, 3, 4, 0, 0]);
    }

    #[test]
    fn no_more_is_kept_than_bounds_say() {
        let (sender, _given) = mpsc::channel();
        let mut path = EchoPath::new(Box::new(Witness(sender)));
        let mut told = Told::default();
        let start = Instant::now();
        for n in 0..100 {
            told.tell(
                &[0; 160],
                SampleRate::Hz8000,
                start + Duration::from_millis(n * 20),
            );
            path.learn(&told);
        }
        assert_eq!((told.moments.len(), path.told.len()), (15, 15));
    }
}
