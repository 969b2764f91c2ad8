//! Recorded messages and audio programmes that stations of ours are played, by their numbers.
//!
//! Which files these are the configuration says, whom the call engine calls it decides itself; here
//! is which call plays what, and the programmes that stations shall hear whenever nothing else is to
//! be heard. A message ends its call at its end. A programme that a call has ended comes back.
//!
//! Invariant: a station has one programme at most, and what is remembered is of stations of the
//! directory and of calls that the engine has.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use calls::{Command, CommandError, Done, Playback};
use media::{Recording, Repeat, Sound, SoundKey};
use model::{CallId, LegId, Priority, StationId};
use thiserror::Error;

use crate::sounds::Lasting;
use crate::standing::StandingOrder;
use crate::state::Exchange;

/// A programme that a call has ended, or that its station would not hear, is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Playbacks {
    calls: BTreeMap<CallId, Played>,
    wanted: BTreeMap<StationId, Wanted>,
    /// Messages that are heard, and of which call each is the end.
    heard: BTreeMap<(LegId, SoundKey), CallId>,
}

#[derive(Clone, Copy, Debug)]
struct Played {
    station: StationId,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Message(u8),
    Programme(u8),
}

/// A programme that a station shall hear.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    programme: u8,
    /// When it is tried again; None while it is on.
    again: Option<Instant>,
}

/// Why something is not played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PlaybackError {
    #[error("there is no message {0} here; add it to [[media.messages]]")]
    NoSuchMessage(u8),
    #[error("there is no programme {0} here; add it to [[media.programmes]]")]
    NoSuchProgramme(u8),
    #[error(transparent)]
    Call(#[from] CommandError),
}

impl Playbacks {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.wanted.values().filter_map(|wanted| wanted.again).min()
    }

    /// The call in which a station hears its programme, or opens for it.
    fn programme_on(&self, station: StationId) -> Option<CallId> {
        let mut calls = self.calls.iter();
        let its = |played: &Played| {
            played.station == station && matches!(played.what, What::Programme(_))
        };
        let (call, _) = calls.find(|(_, played)| its(played))?;
        Some(*call)
    }

    pub(crate) fn programme_of(&self, station: StationId) -> Option<u8> {
        self.wanted.get(&station).map(|wanted| wanted.programme)
    }
}

impl Exchange {
    /// A call of its own to the station, which opens by itself.
    pub(crate) fn play_message(
        &mut self,
        station: StationId,
        message: u8,
        priority: Priority,
        now: Instant,
    ) -> Result<(), PlaybackError> {
        let what = What::Message(message);
        if self.recording_of(what).is_none() {
            self.counters.playbacks_refused += 1;
            return Err(PlaybackError::NoSuchMessage(message));
        }
        self.call_and_play(station, what, priority, now)?;
        self.counters.messages_played += 1;
        Ok(())
    }

    /// From now on the station hears it whenever it has no call. A station that is busy is no
    /// failure: it hears it afterwards.
    pub(crate) fn set_programme(
        &mut self,
        station: StationId,
        programme: u8,
        now: Instant,
    ) -> Result<(), PlaybackError> {
        self.want_programme(station, programme, now)?;
        self.remember(station, StandingOrder::Programme(Some(programme)));
        Ok(())
    }

    pub(crate) fn want_programme(
        &mut self,
        station: StationId,
        programme: u8,
        now: Instant,
    ) -> Result<(), PlaybackError> {
        if self.recording_of(What::Programme(programme)).is_none() {
            self.counters.playbacks_refused += 1;
            return Err(PlaybackError::NoSuchProgramme(programme));
        }
        self.end_programme(station, now);
        let wanted = Wanted {
            programme,
            again: Some(now + AGAIN),
        };
        self.playbacks.wanted.insert(station, wanted);
        self.try_programme(station, now);
        Ok(())
    }

    pub(crate) fn stop_programme(&mut self, station: StationId, now: Instant) {
        self.remember(station, StandingOrder::Programme(None));
        self.end_programme(station, now);
    }

    fn end_programme(&mut self, station: StationId, now: Instant) {
        self.playbacks.wanted.remove(&station);
        if let Some(call) = self.playbacks.programme_on(station) {
            // It can only have ended by itself meanwhile.
            let _ = self.calls.command(Command::EndCall { call }, now);
        }
    }

    fn try_programme(&mut self, station: StationId, now: Instant) {
        let Some(programme) = self.playbacks.programme_of(station) else {
            return;
        };
        let what = What::Programme(programme);
        let priority = Priority::LEAST_URGENT;
        let begun = self.call_and_play(station, what, priority, now);
        if let Some(wanted) = self.playbacks.wanted.get_mut(&station) {
            wanted.again = begun.is_err().then_some(now + AGAIN);
        }
        self.counters.programmes_begun += u64::from(begun.is_ok());
    }

    fn call_and_play(
        &mut self,
        station: StationId,
        what: What,
        priority: Priority,
        now: Instant,
    ) -> Result<(), CommandError> {
        let playback = match what {
            What::Message(_) => Playback::Message,
            What::Programme(_) => Playback::Programme,
        };
        let command = Command::Play {
            to: station,
            playback,
            priority,
        };
        if let Done::Call(call) = self.calls.command(command, now)? {
            self.playbacks.calls.insert(call, Played { station, what });
        }
        Ok(())
    }

    fn recording_of(&self, what: What) -> Option<&Recording> {
        let own = &self.config.sounds.announcements;
        match what {
            What::Message(number) => own.messages.get(&number),
            What::Programme(number) => own.programmes.get(&number),
        }
    }

    /// The station has opened.
    pub(crate) fn play_to_station(&mut self, call: CallId, leg: LegId) {
        let Some(played) = self.playbacks.calls.get(&call).copied() else {
            return;
        };
        let Some(recording) = self.recording_of(played.what).cloned() else {
            return;
        };
        let repeat = match played.what {
            What::Message(_) => Repeat::ONCE,
            What::Programme(_) => Repeat::UntilStopped,
        };
        let sound = Sound::Recording { recording, repeat };
        let key = self.plan.play(leg, sound, Lasting::ToItsEnd);
        if let What::Message(_) = played.what {
            self.playbacks.heard.insert((leg, key), call);
        }
    }

    /// A message has been heard to its end.
    pub(crate) fn message_over(&mut self, leg: LegId, sound: SoundKey, now: Instant) {
        if let Some(call) = self.playbacks.heard.remove(&(leg, sound)) {
            // It can only have ended by itself meanwhile.
            let _ = self.calls.command(Command::EndCall { call }, now);
        }
    }

    /// A call has ended: a programme that is still wanted comes back.
    pub(crate) fn playback_ended(&mut self, call: CallId, now: Instant) {
        let Some(played) = self.playbacks.calls.remove(&call) else {
            return;
        };
        self.playbacks.heard.retain(|_, of| *of != call);
        // Another one may be on already, in the place of this one.
        let is_on = self.playbacks.programme_on(played.station).is_some();
        if let (What::Programme(_), false, Some(wanted)) = (
            played.what,
            is_on,
            self.playbacks.wanted.get_mut(&played.station),
        ) {
            wanted.again = Some(now + AGAIN);
        }
    }

    pub(crate) fn resume_programmes(&mut self, now: Instant) {
        let due = self.playbacks.wanted.iter();
        let due = due.filter(|(_, wanted)| wanted.again.is_some_and(|at| at <= now));
        let due: Vec<StationId> = due.map(|(station, _)| *station).collect();
        for station in due {
            self.try_programme(station, now);
        }
    }

    /// Stations that are gone hear nothing any more.
    pub(crate) fn review_programmes(&mut self, now: Instant) {
        let gone = self.playbacks.wanted.keys();
        let gone = gone.filter(|station| self.directory.station(**station).is_none());
        let gone: Vec<StationId> = gone.copied().collect();
        for station in gone {
            self.stop_programme(station, now);
        }
    }
}
