//! Who is let in: right, load, and how urgent a caller may be.
//!
//! Alarms are never refused for load: they have a reserve of places, and when that is used up the
//! least urgent call makes room.

use model::{Address, Band, CallId, EndCause, LegRole, Party, Priority, Reach, RequestId};

use crate::call::{Purpose, Ringing, State};
use crate::digits::Typed;
use crate::engine::{Engine, Service};
use crate::input::{Arrival, Origin};
use crate::leg::{Hold, Leg, LegState, Who};
use crate::output::Alert;

/// How a call that arrives now is met, so that its owner prepares what it will need and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    Usual,
    /// It goes before all that is no alarm.
    Alarm,
    /// There are too many calls, or none are taken any more: nothing needs to be prepared.
    Refused,
}

impl Engine {
    /// With the request that it is to fulfil, if it is.
    pub(crate) fn leg_arrived(&mut self, arrival: Arrival, fulfils: Option<RequestId>) {
        if self.legs.contains_key(&arrival.leg) || !self.ids.gave_out(arrival.leg) {
            self.counters.unfit_inputs += 1;
            return;
        }
        let who = who(&arrival.from);
        let priority = self.rightful_priority(&arrival.from, arrival.priority);
        let refusal = self.refusal(&who, priority);
        let ringing = Ringing::new(arrival.leg, Purpose::Call);
        let (from, dialled) = (self.party(&who), arrival.dialled.clone());
        let call = self.add_call(from, dialled, priority, State::Ringing(ringing));
        self.add_leg(
            arrival.leg,
            Leg {
                call,
                who,
                role: LegRole::Caller,
                state: LegState::Trying,
                started: self.now,
                video: arrival.video,
                alert: Alert::Expected,
                hold: Hold::Off,
                talked_with: None,
                dialled: Some(arrival.dialled.clone()),
                by_way_of: None,
                typed: Typed::default(),
            },
        );
        match (refusal, fulfils) {
            (Some(cause), _) => self.end_call(call, cause),
            (None, Some(request)) if self.fulfil(request, arrival.leg) => {}
            (None, _) => self.route(call, arrival.dialled),
        }
    }

    /// What a caller can expect who arrives now.
    pub fn prospect(&self, from: &Origin, asked: Option<Priority>) -> Prospect {
        if self.rightful_priority(from, asked).is_alarm() {
            Prospect::Alarm
        } else if self.service != Service::Open || self.is_full() {
            Prospect::Refused
        } else {
            Prospect::Usual
        }
    }

    fn is_full(&self) -> bool {
        self.calls.len() - self.programmes.len() >= self.config.max_calls
    }

    /// Why a call cannot be taken. For an alarm, room is made.
    fn refusal(&mut self, who: &Who, priority: Priority) -> Option<EndCause> {
        if let Who::Station(station) = who {
            if self.directory.station(*station).is_none() {
                return Some(EndCause::NotAllowed);
            }
            let reserve = if priority.is_alarm() {
                self.config.alarm_reserve
            } else {
                0
            };
            let most = self.config.max_legs_per_station.saturating_add(reserve);
            if self.stations.legs(*station).len() >= most {
                self.counters.overload += 1;
                return Some(EndCause::Overload);
            }
        }
        self.no_service(priority)
    }

    /// Why no new call of this priority can be taken at the moment. For an alarm, room is made.
    pub(crate) fn no_service(&mut self, priority: Priority) -> Option<EndCause> {
        if self.service != Service::Open && !priority.is_alarm() {
            self.counters.stopping += 1;
            return Some(EndCause::Stopping);
        }
        if !self.is_full() {
            return None;
        }
        let room = self
            .config
            .max_calls
            .saturating_add(self.config.alarm_reserve);
        if priority.is_alarm() && (self.calls.len() < room || self.sacrifice(priority)) {
            return None;
        }
        self.counters.overload += 1;
        Some(EndCause::Overload)
    }

    /// Ends the least urgent, youngest call that is no alarm. False if there are only alarms.
    fn sacrifice(&mut self, priority: Priority) -> bool {
        let lesser = self
            .calls
            .iter()
            .filter(|(_, call)| !call.priority.is_alarm());
        let victim = lesser
            .max_by_key(|(id, call)| (call.priority, **id))
            .map(|(id, _)| *id);
        match victim {
            Some(call) if priority.is_alarm() => {
                self.end_call(call, EndCause::PreEmpted);
                true
            }
            Some(_) | None => false,
        }
    }

    /// What the caller asked for, but no more than is its right.
    fn rightful_priority(&self, from: &Origin, asked: Option<Priority>) -> Priority {
        match from {
            Origin::Station(id) => match self.directory.station(*id) {
                // Its own server has checked it.
                Some(station) if matches!(station.reach, Reach::Behind(_)) => {
                    asked.unwrap_or(station.priority)
                }
                Some(station) => asked.unwrap_or(station.priority).max(station.most_urgent()),
                None => Priority::DEFAULT,
            },
            // The link to a node is trusted: the other server has checked its own stations.
            Origin::Node { .. } => asked.unwrap_or_default(),
            Origin::CloudUser { .. } => asked.unwrap_or_default().max(Priority::MOST_URGENT_NORMAL),
            Origin::Outside { .. } => asked.unwrap_or_default().max(Priority::MOST_URGENT_NORMAL),
        }
    }

    /// Whether the running call has to give way: only to an alarm, and an alarm never gives way.
    pub(crate) fn gives_way(&self, running: CallId, to: Priority) -> bool {
        to.is_alarm() && self.priority_of(running).band() > Band::Alarm
    }
}

fn who(from: &Origin) -> Who {
    match from {
        Origin::Station(id) => Who::Station(*id),
        Origin::CloudUser { user, name } => Who::Elsewhere(Box::new(Party {
            station: None,
            address: Some(Address::CloudUser(*user)),
            name: name.clone(),
        })),
        Origin::Outside { address, name } => Who::Elsewhere(Box::new(Party {
            station: None,
            address: address.clone(),
            name: name.clone(),
        })),
        Origin::Node { party, .. } => Who::Elsewhere(Box::new(party.clone())),
    }
}
