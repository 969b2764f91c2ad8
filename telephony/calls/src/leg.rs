//! A leg: one device's part of a call, from its arrival or start to its one record.

use std::time::Instant;

use model::{Address, CallId, EarlyMedia, EndCause, LegId, LegRole, Party, StationId};

use crate::digits::Typed;
use crate::engine::Engine;
use crate::input::Video;
use crate::output::{Alert, Output, StartLeg, Target};
use crate::timer::Timer;

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) call: CallId,
    pub(crate) who: Who,
    pub(crate) role: LegRole,
    pub(crate) state: LegState,
    pub(crate) started: Instant,
    pub(crate) video: Video,
    pub(crate) alert: Alert,
    pub(crate) hold: Hold,
    /// The leg it was last connected with.
    pub(crate) talked_with: Option<LegId>,
    pub(crate) dialled: Option<Address>,
    pub(crate) by_way_of: Option<Address>,
    pub(crate) typed: Typed,
}

/// Who is at the end of a leg. What a station is called is read from the directory when needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Station(StationId),
    Elsewhere(Box<Party>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegState {
    Trying,
    Ringing,
    /// Ringing, with sound or picture before the answer.
    Early,
    Answered {
        at: Instant,
    },
}

/// Whether the device has put its call on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    On,
    Off,
}

/// What is needed to start a leg.
pub(crate) struct Start {
    pub(crate) to: Target,
    pub(crate) alert: Alert,
    pub(crate) caller: Party,
    pub(crate) dialled: Option<Address>,
    pub(crate) by_way_of: Option<Address>,
    pub(crate) offer_of: Option<LegId>,
    pub(crate) early_media: EarlyMedia,
    pub(crate) video: Video,
}

impl Start {
    /// A leg for which nobody waits yet: our own offer, no picture, nothing to be seen before.
    pub(crate) fn of(to: Target, alert: Alert) -> Self {
        Self {
            to,
            alert,
            caller: Party::default(),
            dialled: None,
            by_way_of: None,
            offer_of: None,
            early_media: EarlyMedia::Off,
            video: Video::None,
        }
    }
}

impl Who {
    pub(crate) fn station(&self) -> Option<StationId> {
        match self {
            Self::Station(id) => Some(*id),
            Self::Elsewhere(party) => party.station,
        }
    }
}

impl Leg {
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.state, LegState::Answered { .. })
    }
}

impl Engine {
    pub(crate) fn add_leg(&mut self, id: LegId, leg: Leg) {
        match leg.role {
            LegRole::Caller => self.counters.legs_arrived += 1,
            LegRole::Callee => self.counters.legs_started += 1,
        }
        if let Some(station) = leg.who.station() {
            if !self.is_programme(leg.call) {
                self.end_programme(station, leg.call);
            }
            self.stations.add_leg(station, id);
        }
        self.legs.insert(id, leg);
    }

    pub(crate) fn start_leg(&mut self, call: CallId, start: Start) -> LegId {
        let id = self.ids.leg();
        self.start_leg_as(id, call, start);
        id
    }

    pub(crate) fn start_leg_as(&mut self, id: LegId, call: CallId, start: Start) {
        let who = match &start.to {
            Target::Station(station) => Who::Station(*station),
            Target::Elsewhere(address) => Who::Elsewhere(Box::new(Party {
                address: Some(address.clone()),
                ..Party::default()
            })),
        };
        let leg = Leg {
            call,
            who,
            role: LegRole::Callee,
            state: LegState::Trying,
            started: self.now,
            video: start.video,
            alert: start.alert,
            hold: Hold::Off,
            talked_with: None,
            dialled: start.dialled.clone(),
            by_way_of: start.by_way_of,
            typed: Typed::default(),
        };
        self.add_leg(id, leg);
        let priority = self.priority_of(call);
        self.push(Output::StartLeg(Box::new(StartLeg {
            leg: id,
            call,
            to: start.to,
            caller: start.caller,
            dialled: start.dialled,
            alert: start.alert,
            priority,
            video: start.video,
            offer_of: start.offer_of,
            early_media: start.early_media,
        })));
    }

    /// Answers an arrived leg; one that is answered already stays as it is.
    pub(crate) fn answer_leg(&mut self, id: LegId) {
        let now = self.now;
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if !leg.is_answered() {
            leg.state = LegState::Answered { at: now };
            self.push(Output::AnswerLeg { leg: id });
            self.touch_leg(id);
        }
    }

    /// Ends a leg from our side.
    pub(crate) fn end_leg(&mut self, id: LegId, cause: EndCause) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let refuse = leg.role == LegRole::Caller && !leg.is_answered();
        let output = if refuse {
            let retry_after = self.retry_after(cause);
            Output::RefuseLeg {
                leg: id,
                cause,
                retry_after,
            }
        } else {
            Output::EndLeg { leg: id, cause }
        };
        self.push(output);
        self.drop_leg(id, cause);
    }

    /// Takes a leg out that is over, and writes its record.
    pub(crate) fn drop_leg(&mut self, id: LegId, cause: EndCause) {
        let Some(leg) = self.legs.remove(&id) else {
            return;
        };
        self.timers.cancel(Timer::Digits(id));
        if let Some(station) = leg.who.station() {
            self.stations.remove_leg(station, id);
        }
        self.record(id, leg, cause);
    }

    pub(crate) fn party(&self, who: &Who) -> Party {
        match who {
            Who::Station(id) => self.party_of_station(*id),
            Who::Elsewhere(party) => (**party).clone(),
        }
    }

    pub(crate) fn party_of_leg(&self, leg: LegId) -> Party {
        self.legs
            .get(&leg)
            .map(|leg| self.party(&leg.who))
            .unwrap_or_default()
    }

    pub(crate) fn party_of_station(&self, id: StationId) -> Party {
        match self.directory.station(id) {
            Some(station) => Party {
                station: Some(id),
                address: Some(Address::Local(station.number)),
                name: station.name.clone(),
            },
            None => Party {
                station: Some(id),
                ..Party::default()
            },
        }
    }

    pub(crate) fn station_of_leg(&self, leg: LegId) -> Option<StationId> {
        self.legs.get(&leg)?.who.station()
    }

    /// Whether this is somebody of the system: a station, a user, another server's station. Strangers
    /// may call and be called; moving others about and speaking to all is not for them.
    pub(crate) fn is_known(&self, leg: LegId) -> bool {
        match self.legs.get(&leg).map(|leg| &leg.who) {
            Some(Who::Station(_)) => true,
            Some(Who::Elsewhere(party)) => match party.address {
                Some(Address::CloudUser(_) | Address::Remote { .. } | Address::Local(_)) => true,
                Some(Address::Sip(_) | Address::Group(_) | Address::Desk(_)) | None => false,
            },
            None => false,
        }
    }

    /// Notes that the state of the leg's station may have changed.
    pub(crate) fn touch_leg(&mut self, leg: LegId) {
        if let Some(station) = self.station_of_leg(leg) {
            self.stations.touch(station);
        }
    }
}
