//! Keys that we press for a leg's peer, told as events in RTP (RFC 4733).
//!
//! One after the other, each as long as it is held, with a pause behind it. It has no clock;
//! whoever asks for a packet every 20 ms has. Knows nothing of what keys mean, and sends nothing.
//!
//! Invariant: at most [`MAX_WAITING`] keys wait, and each is told from its beginning to three
//! copies of its end.

use std::collections::VecDeque;
use std::time::Duration;

use crate::rate::FRAME;
use crate::telephone_event::{Digit, LEN};

/// More keys than anybody presses while one is held.
pub(crate) const MAX_WAITING: usize = 32;

/// RFC 4733 2.5.1.4.
const ENDS: u32 = 3;

/// Frames from the last copy of an end to the next key, so that 80 ms lie between keys: ITU-T Q.24
/// knows receivers that need 70 ms.
const PAUSE: u32 = 2;

/// What the duration of an event can tell at the fastest clock, 48 kHz, without a second segment.
const LONGEST: Duration = Duration::from_millis(1300);

/// RFC 4733 2.3.4: in -dBm0; as loud as a telephone's own.
const VOLUME: u8 = 10;

#[derive(Debug, Default)]
pub(crate) struct Pressing {
    waiting: VecDeque<Press>,
    held: Option<Held>,
    /// Frames that still lie between the last key and the next one.
    pause: u32,
    /// Keys told so far.
    count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    event: u8,
    frames: u32,
}

#[derive(Debug)]
struct Held {
    press: Press,
    /// Packets sent of it.
    told: u32,
}

/// One packet about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) payload: [u8; LEN],
    /// Of its key; each has another one.
    pub(crate) number: u32,
    /// The first one of its key.
    pub(crate) begins: bool,
}

/// Too many keys wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Pressing {
    /// A key is pressed once those before it are told.
    pub(crate) fn press(&mut self, digit: Digit, duration: Duration) -> Result<(), Full> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(Full);
        }
        let frames = duration.min(LONGEST).as_millis() / FRAME.as_millis();
        // A character that is no key has no event.
        if let Some(event) = digit.event() {
            self.waiting.push_back(Press {
                event,
                frames: (frames as u32).max(1),
            });
        }
        Ok(())
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.held.is_some() || self.pause > 0 || !self.waiting.is_empty()
    }

    /// The peer is told the same key by somebody else: the next one waits until that is over.
    pub(crate) fn wait(&mut self) {
        self.pause = ENDS + PAUSE;
    }

    /// What is to be told in this frame; `clock_rate` is that of the events.
    pub(crate) fn next(&mut self, clock_rate: u32) -> Option<Update> {
        if self.held.is_none() {
            if self.pause > 0 {
                self.pause -= 1;
                return None;
            }
            let press = self.waiting.pop_front()?;
            self.held = Some(Held { press, told: 0 });
            self.count = self.count.wrapping_add(1);
        }
        let held = self.held.as_mut()?;
        held.told += 1;
        let (press, told) = (held.press, held.told);
        if told == press.frames + ENDS - 1 {
            self.held = None;
            self.pause = PAUSE;
        }
        let ticks = told.min(press.frames) * (clock_rate / 50);
        let [high, low] = u16::try_from(ticks).unwrap_or(u16::MAX).to_be_bytes();
        let end = u8::from(told >= press.frames) << 7;
        Some(Update {
            payload: [press.event, end | VOLUME, high, low],
            number: self.count,
            begins: told == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS_60: Duration = Duration::from_millis(60);

    /// (frame, event, end, duration) of all that is told.
    fn told(pressing: &mut Pressing) -> Vec<(u32, u8, bool, u16)> {
        let mut told = Vec::new();
        for frame in 0..500 {
            if let Some(update) = pressing.next(8000) {
                let [event, flags, high, low] = update.payload;
                let ticks = u16::from_be_bytes([high, low]);
                told.push((frame, event, flags & 0x80 != 0, ticks));
            }
        }
        assert!(!pressing.is_busy());
        told
    }

    #[test]
    fn a_key_is_told_while_it_is_held_and_its_end_three_times() {
        let mut pressing = Pressing::default();
        pressing.press(Digit::Key('#'), MS_60).unwrap();
        assert!(pressing.is_busy());
        let expected = [
            (0, 11, false, 160),
            (1, 11, false, 320),
            (2, 11, true, 480),
            (3, 11, true, 480),
            (4, 11, true, 480),
        ];
        assert_eq!(told(&mut pressing), expected);
    }

    #[test]
    fn keys_follow_each_other_with_a_pause() {
        let mut pressing = Pressing::default();
        for _ in 0..2 {
            pressing.press(Digit::Key('1'), MS_60).unwrap();
        }
        let frames: Vec<u32> = told(&mut pressing).iter().map(|told| told.0).collect();
        assert_eq!(frames, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn however_long_a_key_is_its_duration_fits() {
        let mut pressing = Pressing::default();
        pressing.press(Digit::Flash, Duration::MAX).unwrap();
        pressing.press(Digit::Key('D'), Duration::ZERO).unwrap();
        let mut ends = Vec::new();
        while pressing.is_busy() {
            let update = pressing.next(48_000);
            ends.extend(update.map(|update| update.payload[2..].to_vec()));
        }
        assert!(ends.windows(2).filter(|pair| pair[0] > pair[1]).count() == 1);
        assert_eq!(ends.last(), Some(&960u16.to_be_bytes().to_vec()));
    }

    #[test]
    fn more_keys_than_anybody_presses_are_refused_and_no_key_is_none() {
        let mut pressing = Pressing::default();
        pressing.press(Digit::Key('x'), MS_60).unwrap();
        assert!(!pressing.is_busy());
        for _ in 0..MAX_WAITING {
            pressing.press(Digit::Key('1'), MS_60).unwrap();
        }
        assert_eq!(pressing.press(Digit::Key('1'), MS_60), Err(Full));
    }
}
