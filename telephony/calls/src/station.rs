//! What the engine knows of each station right now, and the state that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Faults, ForwardingRule, GroupCallId, LegId, PrivacyRight, Reach, StationId, StationState,
};

use crate::call::{RoomKind, State};
use crate::engine::Engine;
use crate::input::Privacy;
use crate::output::Event;

#[derive(Debug, Default)]
pub(crate) struct Stations {
    live: BTreeMap<StationId, Live>,
    /// Stations whose state may have changed since it was last told.
    touched: BTreeSet<StationId>,
}

#[derive(Debug)]
struct Live {
    seen: Seen,
    /// What its own server says that it does.
    elsewhere: Option<StationState>,
    faults: Faults,
    privacy: Privacy,
    diversion: Option<ForwardingRule>,
    legs: Vec<LegId>,
    told: (StationState, Faults),
}

/// Whether the station is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Never heard of; it may be there all the same.
    Unknown,
    There,
    Lost,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            seen: Seen::Unknown,
            elsewhere: None,
            faults: Faults::NONE,
            privacy: Privacy::Off,
            diversion: None,
            legs: Vec::new(),
            told: (StationState::Unknown, Faults::NONE),
        }
    }
}

impl Live {
    fn is_forgettable(&self) -> bool {
        self.seen == Seen::Unknown
            && self.faults == Faults::NONE
            && self.privacy == Privacy::Off
            && self.diversion.is_none()
            && self.legs.is_empty()
    }
}

impl Stations {
    pub(crate) fn touch(&mut self, station: StationId) {
        self.touched.insert(station);
    }

    pub(crate) fn add_leg(&mut self, station: StationId, leg: LegId) {
        self.live.entry(station).or_default().legs.push(leg);
        self.touch(station);
    }

    pub(crate) fn remove_leg(&mut self, station: StationId, leg: LegId) {
        if let Some(live) = self.live.get_mut(&station) {
            live.legs.retain(|l| *l != leg);
        }
        self.touch(station);
    }

    pub(crate) fn legs(&self, station: StationId) -> &[LegId] {
        self.live.get(&station).map_or(&[], |live| &live.legs)
    }

    pub(crate) fn seen(&self, station: StationId) -> Seen {
        self.live
            .get(&station)
            .map_or(Seen::Unknown, |live| live.seen)
    }

    fn elsewhere(&self, station: StationId) -> Option<StationState> {
        self.live.get(&station)?.elsewhere
    }

    pub(crate) fn faults(&self, station: StationId) -> Faults {
        self.live
            .get(&station)
            .map_or(Faults::NONE, |live| live.faults)
    }

    pub(crate) fn privacy(&self, station: StationId) -> Privacy {
        self.live
            .get(&station)
            .map_or(Privacy::Off, |live| live.privacy)
    }

    pub(crate) fn diversion(&self, station: StationId) -> Option<&ForwardingRule> {
        self.live.get(&station)?.diversion.as_ref()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = StationId> {
        self.live.keys().copied()
    }

    fn set(&mut self, station: StationId, change: impl FnOnce(&mut Live)) {
        change(self.live.entry(station).or_default());
        self.touch(station);
    }
}

impl Engine {
    pub(crate) fn station_seen(&mut self, station: StationId, seen: Seen) {
        if self.directory.station(station).is_none() {
            self.counters.stale_inputs += 1;
            return;
        }
        self.stations
            .set(station, |live| (live.seen, live.elsewhere) = (seen, None));
    }

    pub(crate) fn station_does(&mut self, station: StationId, state: StationState) {
        if self.directory.station(station).is_none() {
            self.counters.stale_inputs += 1;
            return;
        }
        self.stations.set(station, |live| {
            (live.seen, live.elsewhere) = match state {
                StationState::Unknown => (Seen::Unknown, None),
                known => (Seen::There, Some(known)),
            };
        });
    }

    pub(crate) fn station_faults(&mut self, station: StationId, faults: Faults) {
        if self.directory.station(station).is_none() {
            self.counters.stale_inputs += 1;
            return;
        }
        self.stations.set(station, |live| live.faults = faults);
    }

    pub(crate) fn set_privacy(&mut self, station: StationId, privacy: Privacy) {
        match self.directory.station(station) {
            Some(s) if privacy == Privacy::Off || s.privacy == PrivacyRight::Allowed => {
                self.stations.set(station, |live| live.privacy = privacy);
            }
            Some(_) => self.counters.unfit_inputs += 1,
            None => self.counters.stale_inputs += 1,
        }
    }

    /// Set from outside the directory, ahead of its rules. None takes it away.
    pub(crate) fn divert(&mut self, station: StationId, rule: Option<ForwardingRule>) {
        if self.directory.station(station).is_none() {
            self.counters.stale_inputs += 1;
            return;
        }
        self.stations.set(station, |live| live.diversion = rule);
    }

    /// After a reload: stations that are gone lose what was known of them, all are looked at again.
    pub(crate) fn review_stations(&mut self) {
        let ids: Vec<StationId> = self.stations.ids().collect();
        for id in ids {
            let station = self.directory.station(id);
            let hidden = station.is_some_and(|s| s.privacy == PrivacyRight::Allowed);
            let known = station.is_some();
            self.stations.set(id, |live| {
                if !hidden {
                    live.privacy = Privacy::Off;
                }
                if !known {
                    (live.seen, live.faults) = (Seen::Unknown, Faults::NONE);
                    (live.elsewhere, live.diversion) = (None, None);
                }
            });
        }
    }

    /// Whether somebody could answer there, as far as one knows.
    pub(crate) fn may_be_there(&self, station: StationId) -> bool {
        match self.stations.seen(station) {
            Seen::There => true,
            Seen::Lost => false,
            // A station without a registration is never seen, and called all the same.
            Seen::Unknown => self
                .directory
                .station(station)
                .is_some_and(|s| !matches!(s.reach, Reach::Account(_))),
        }
    }

    /// Tells the states that changed since the last input.
    pub(crate) fn tell_stations(&mut self) {
        while let Some(station) = self.stations.touched.pop_first() {
            let (state, faults) = (self.station_state(station), self.stations.faults(station));
            let Some(live) = self.stations.live.get_mut(&station) else {
                continue;
            };
            if live.told != (state, faults) {
                live.told = (state, faults);
                self.event(Event::StationChanged {
                    station,
                    state,
                    faults,
                });
            }
            if self
                .stations
                .live
                .get(&station)
                .is_some_and(Live::is_forgettable)
            {
                self.stations.live.remove(&station);
            }
        }
    }

    /// Where its calls go, as somebody has set it at the station or at its server.
    pub fn diversion(&self, station: StationId) -> Option<&ForwardingRule> {
        self.stations.diversion(station)
    }

    /// What the station is doing.
    pub fn station_state(&self, station: StationId) -> StationState {
        if self.stations.faults(station).put_out_of_service() {
            return StationState::OutOfService;
        }
        let doing = self
            .stations
            .legs(station)
            .iter()
            .filter_map(|leg| self.state_of_leg(*leg));
        // The smallest of several: what occupies the station most.
        if let Some(state) = doing.min_by_key(|state| weight(*state)) {
            return state;
        }
        let elsewhere = self.stations.elsewhere(station);
        let elsewhere = elsewhere.filter(|state| *state != StationState::Idle);
        match (self.stations.seen(station), self.stations.privacy(station)) {
            (Seen::Unknown | Seen::Lost, _) => StationState::Unknown,
            (Seen::There, Privacy::On) => elsewhere.unwrap_or(StationState::Privacy),
            (Seen::There, Privacy::Off) => elsewhere.unwrap_or(StationState::Idle),
        }
    }

    fn state_of_leg(&self, id: LegId) -> Option<StationState> {
        let leg = self.legs.get(&id)?;
        if self.is_programme(leg.call) {
            return None;
        }
        let call = self.calls.get(&leg.call)?;
        let state = match &call.state {
            State::Room(room) if leg.is_answered() => match room.kind {
                RoomKind::Conference(conference) => StationState::InConference(conference),
                RoomKind::EchoTest | RoomKind::Playback(_) => StationState::InCall,
                RoomKind::GroupCall { owner, .. } if owner == id => StationState::InCall,
                RoomKind::GroupCall { id, .. } => StationState::Listening(id),
            },
            State::Queued(_) => StationState::Requesting,
            State::Ringing(ringing) if ringing.fork.contains(&id) => StationState::Ringing,
            State::Summoning(_) | State::Room(_) => StationState::Ringing,
            State::Ringing(_) | State::Talking(_) | State::Escalating(_) => StationState::InCall,
        };
        Some(state)
    }
}

fn weight(state: StationState) -> (u8, Option<GroupCallId>) {
    match state {
        StationState::InCall => (0, None),
        StationState::InConference(_) => (1, None),
        StationState::Listening(group) => (2, Some(group)),
        StationState::Requesting => (3, None),
        StationState::Ringing => (4, None),
        StationState::Privacy
        | StationState::Idle
        | StationState::Unknown
        | StationState::OutOfService => (5, None),
    }
}
