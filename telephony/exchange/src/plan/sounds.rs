//! What legs are played, as soon as their description allows it.
//!
//! A leg that is not agreed with yet has nowhere to play to: its sound waits for the agreement. A
//! telephone that is only ringing somebody makes its own ring-back, so nothing is lost there.
//!
//! Invariant: a leg is played one sound at a time; what could not be played is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use media::{Sound, SoundKey};
use model::{Digit, LegId};
use sip::sdp::{self, Format, Kind};

use super::{MediaCommand, MediaPlan, StreamIndex};
use crate::sounds::Lasting;

#[derive(Debug, Default)]
pub(super) struct Playing {
    legs: BTreeMap<LegId, Played>,
    next: u64,
    unplayed: Unplayed,
}

#[derive(Debug)]
struct Played {
    key: SoundKey,
    lasting: Lasting,
    state: State,
}

#[derive(Debug)]
enum State {
    Waits(Sound),
    Told(StreamIndex),
}

/// Sounds that somebody should have heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unplayed {
    /// The leg ended before there was an agreement on where to send audio.
    pub no_agreement: u64,
    /// It has no audio in a codec of ours.
    pub no_codec: u64,
}

impl MediaPlan {
    /// In place of what the leg is played now.
    pub(crate) fn play(&mut self, leg: LegId, sound: Sound, lasting: Lasting) -> SoundKey {
        self.playing.next += 1;
        let key = SoundKey(self.playing.next);
        let played = Played {
            key,
            lasting,
            state: State::Waits(sound),
        };
        self.forget_waiting(leg);
        self.playing.legs.insert(leg, played);
        self.refresh_sound(leg);
        key
    }

    /// Whether a sound would be heard there now.
    pub(crate) fn can_hear(&self, leg: LegId) -> bool {
        let stream = self.live(leg, &Kind::Audio);
        self.is_agreed(leg) && stream.is_some_and(|stream| self.can_be_spoken(leg, stream))
    }

    /// Presses a key for whoever is at the leg. `false`: nobody there takes events.
    pub(crate) fn press(&mut self, leg: LegId, digit: Digit, lasting: Duration) -> bool {
        let stream = self.live(leg, &Kind::Audio);
        let Some(stream) = stream.filter(|_| self.can_hear(leg) && self.has_events(leg)) else {
            return false;
        };
        self.commands.push_back(MediaCommand::Press {
            leg,
            stream,
            digit,
            lasting,
        });
        true
    }

    /// There is somebody to hear now.
    pub(super) fn joined(&mut self, leg: LegId) {
        let standing = |played: &&Played| played.lasting == Lasting::UntilJoined;
        if self.playing.legs.get(&leg).filter(standing).is_none() {
            return;
        }
        let played = self.playing.legs.remove(&leg);
        // What still waits is not missed.
        if let Some(State::Told(stream)) = played.map(|played| played.state) {
            self.commands
                .push_back(MediaCommand::StopSound { leg, stream });
        }
    }

    /// The media threads have played it to its end.
    pub(crate) fn sound_over(&mut self, leg: LegId, sound: SoundKey) {
        let is_it = |played: &&Played| played.key == sound;
        if self
            .playing
            .legs
            .get(&leg)
            .is_some_and(|played| is_it(&played))
        {
            self.playing.legs.remove(&leg);
        }
    }

    /// Plays what waits for this leg, if there is an agreement.
    pub(super) fn refresh_sound(&mut self, leg: LegId) {
        if !self.is_agreed(leg) {
            return;
        }
        let stream = self.live(leg, &Kind::Audio);
        let stream = stream.filter(|stream| self.can_be_spoken(leg, *stream));
        let Some(played) = self.playing.legs.get_mut(&leg) else {
            return;
        };
        let State::Waits(sound) = &played.state else {
            return;
        };
        let Some(stream) = stream else {
            self.playing.unplayed.no_codec += 1;
            self.playing.legs.remove(&leg);
            return;
        };
        self.commands.push_back(MediaCommand::Play {
            leg,
            stream,
            key: played.key,
            sound: sound.clone(),
        });
        played.state = State::Told(stream);
    }

    /// The leg is over.
    pub(super) fn forget_sound(&mut self, leg: LegId) {
        self.forget_waiting(leg);
        self.playing.legs.remove(&leg);
    }

    fn forget_waiting(&mut self, leg: LegId) {
        let waits = |played: &&Played| matches!(played.state, State::Waits(_));
        if self.playing.legs.get(&leg).filter(waits).is_some() {
            self.playing.unplayed.no_agreement += 1;
        }
    }

    fn can_be_spoken(&self, leg: LegId, stream: StreamIndex) -> bool {
        let ours = |format: &Format| {
            let known = |(codec, _): &(sdp::Codec, u8)| format.codec() == Some(*codec);
            sdp::WIDEBAND_FIRST.iter().any(known)
        };
        let latest = self.legs.get(&leg).and_then(|plan| plan.latest());
        let stream = latest.and_then(|latest| latest.streams.get(usize::from(stream)));
        stream.is_some_and(|stream| stream.formats.iter().any(ours))
    }

    pub(crate) fn unplayed(&self) -> Unplayed {
        self.playing.unplayed
    }
}
