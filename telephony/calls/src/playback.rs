//! A station alone that is played something: a recorded message, or an audio programme.
//!
//! It opens by itself. A message is a call like any other, as urgent as it is said to be. A programme
//! is below every call: it is no reason to be busy, the station counts as idle, and whatever call its
//! station gets or makes ends it first. What is played, and who wants a programme back afterwards,
//! the owner knows.
//!
//! Invariant: a station has one programme at most, and none while it has another leg.

use model::{Address, CallId, EndCause, LegId, Party, Priority, StationId};

use crate::call::{KeyState, Member, Presence, Room, RoomKind, State};
use crate::engine::{Engine, Service};
use crate::input::{CommandError, Done, Playback};
use crate::leg::Start;
use crate::output::{Alert, Event, Target};
use crate::route::{Asking, Availability};
use crate::timer::Timer;

impl Engine {
    pub(crate) fn play(
        &mut self,
        to: StationId,
        playback: Playback,
        priority: Priority,
    ) -> Result<Done, CommandError> {
        let directory = self.directory.clone();
        let station = directory.station(to).ok_or(CommandError::NoSuchAddress)?;
        let priority = match playback {
            Playback::Message => priority,
            Playback::Programme => Priority::LEAST_URGENT,
        };
        let asking = Asking {
            call: None,
            caller: None,
            priority,
        };
        let evict = match (self.availability(station, asking), playback) {
            (Availability::Free, Playback::Message) => Vec::new(),
            (Availability::Free, Playback::Programme) if self.stations.legs(to).is_empty() => {
                Vec::new()
            }
            (Availability::Evict(legs), Playback::Message) => legs,
            (Availability::Free | Availability::Evict(_), Playback::Programme)
            | (Availability::Waits | Availability::Taken(_), _) => {
                return Err(CommandError::StationBusy);
            }
        };
        self.may_play(playback, priority)?;
        let number = Address::Local(station.number);
        let room = Room {
            kind: RoomKind::Playback(playback),
            members: Vec::new(),
            talker: None,
        };
        let call = self.add_call(Party::default(), number, priority, State::Room(room));
        if playback == Playback::Programme {
            self.programmes.insert(call);
        }
        self.evict(&evict, call);
        let leg = self.start_leg(call, Start::of(Target::Station(to), Alert::AutoAnswer));
        if let Some(room) = self.room(call) {
            room.members.push(Member {
                leg,
                presence: Presence::Called,
                key: KeyState::None,
            });
        }
        let until = self.after(self.config.claim_timeout);
        self.timers.set(Timer::NoAnswer(call), until);
        Ok(Done::Call(call))
    }

    /// Programmes have places of their own, as many as calls have.
    fn may_play(&mut self, playback: Playback, priority: Priority) -> Result<(), CommandError> {
        let cause = match playback {
            Playback::Message => self.no_service(priority),
            Playback::Programme if self.service != Service::Open => Some(EndCause::Stopping),
            Playback::Programme => {
                let full = self.programmes.len() >= self.config.max_calls;
                full.then_some(EndCause::Overload)
            }
        };
        match cause {
            None => Ok(()),
            Some(EndCause::Stopping) => Err(CommandError::Stopping),
            Some(_) => Err(CommandError::Overload),
        }
    }

    /// The station has opened: a message does not last for ever.
    pub(crate) fn playback_opens(&mut self, call: CallId, leg: LegId, playback: Playback) {
        self.timers.cancel(Timer::NoAnswer(call));
        if let Some(leg) = self.legs.get_mut(&leg) {
            // What is played announces itself.
            leg.alert = Alert::Expected;
        }
        if playback == Playback::Message {
            let limit = self.after(self.config.conversation_limit);
            self.set_limit(call, limit);
        }
    }

    pub(crate) fn is_programme(&self, call: CallId) -> bool {
        self.programmes.contains(&call)
    }

    pub(crate) fn is_of_programme(&self, leg: LegId) -> bool {
        self.call_of(leg)
            .is_some_and(|call| self.is_programme(call))
    }

    /// Its station gets or makes a call.
    pub(crate) fn end_programme(&mut self, station: StationId, by: CallId) {
        let legs = self.stations.legs(station).to_vec();
        for leg in legs {
            let call = self.call_of(leg).filter(|call| self.is_programme(*call));
            if let Some(call) = call {
                self.event(Event::PreEmpted { call, by });
                self.end_call(call, EndCause::PreEmpted);
            }
        }
    }

    /// They never end by themselves.
    pub(crate) fn end_all_programmes(&mut self, cause: EndCause) {
        while let Some(call) = self.programmes.first().copied() {
            self.end_call(call, cause);
            self.programmes.remove(&call);
        }
    }
}
