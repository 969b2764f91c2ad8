//! Where a call goes: through forwardings to devices, a desk, a room, or nowhere.
//!
//! Each address that a call passes is put on its trail; meeting one again, or passing too many,
//! ends the search (loop guard). Invariant: a fork never has more than 32 legs.

use std::time::Duration;

use model::{
    Address, AutoAnswer, Band, BusyPolicy, CallId, Condition, ConferenceId, DeskId, Destination,
    EarlyMedia, EndCause, ForwardWhen, ForwardingRule, GroupCallId, LegId, MAX_GROUP_MEMBERS,
    MAX_HOPS, Priority, RingGroup, Station, StationId,
};

use crate::call::{Place, State};
use crate::engine::Engine;
use crate::input::Privacy;
use crate::output::{Alert, Event, Target};
use crate::station::Seen;

pub(crate) enum Route {
    Fork(Fork),
    Desk(DeskId),
    Conference(ConferenceId),
    GroupCall(GroupCallId),
    EchoTest,
    Nowhere(EndCause),
}

pub(crate) struct Fork {
    pub(crate) targets: Vec<(Target, Alert)>,
    /// Legs that must make way first.
    pub(crate) evict: Vec<LegId>,
    pub(crate) ring_for: Duration,
    pub(crate) place: Place,
    pub(crate) early_media: EarlyMedia,
}

/// For whom a way is sought.
#[derive(Clone, Copy)]
pub(crate) struct Asking {
    pub(crate) call: Option<CallId>,
    /// The leg that waits, where there is one already.
    pub(crate) caller: Option<LegId>,
    pub(crate) priority: Priority,
}

/// How a station stands to a new call.
pub(crate) enum Availability {
    Free,
    /// In a call, but one more may wait.
    Waits,
    /// Free once these legs are ended.
    Evict(Vec<LegId>),
    Taken(EndCause),
}

impl Engine {
    /// Sends a call that is being routed on to `to`.
    pub(crate) fn route(&mut self, call: CallId, to: Address) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        let (mut trail, caller) = (std::mem::take(&mut ringing.trail), ringing.caller);
        let asking = Asking {
            call: Some(call),
            caller: Some(caller),
            priority: self.priority_of(call),
        };
        let route = self.find(call, asking, to, &mut trail);
        if let Some(ringing) = self.ringing(call) {
            ringing.trail = trail;
        }
        match route {
            Route::Fork(fork) => self.start_fork(call, fork),
            Route::Desk(desk) => self.wait_at_desk(call, desk),
            Route::Conference(conference) => self.join_conference(call, conference),
            Route::GroupCall(group_call) => self.start_group_call(call, group_call),
            Route::EchoTest => self.start_echo_test(call),
            Route::Nowhere(cause) => self.nowhere(call, cause),
        }
    }

    fn find(
        &mut self,
        call: CallId,
        asking: Asking,
        first: Address,
        trail: &mut Vec<Address>,
    ) -> Route {
        let directory = self.directory.clone();
        let mut at = first;
        loop {
            if trail.len() > MAX_HOPS || trail.contains(&at) {
                self.counters.forwarding_loops += 1;
                return Route::Nowhere(EndCause::ForwardingLoop);
            }
            trail.push(at.clone());
            let (to, why) = match directory.destination(&at) {
                None => return Route::Nowhere(EndCause::UnknownNumber),
                Some(Destination::Desk(desk)) => return Route::Desk(desk.id),
                Some(Destination::Conference(room)) => return Route::Conference(room.id),
                Some(Destination::GroupCall(group)) => return Route::GroupCall(group.id),
                Some(Destination::EchoTest(_)) => return Route::EchoTest,
                Some(Destination::RingGroup(group)) => {
                    match self.fork_of_group(call, asking, group) {
                        Some(fork) => return Route::Fork(fork),
                        None => match &group.then {
                            Some(then) => (then.clone(), ForwardWhen::Busy),
                            None => return Route::Nowhere(EndCause::Busy),
                        },
                    }
                }
                Some(Destination::Elsewhere(address)) => {
                    return Route::Fork(self.fork_elsewhere(asking, address.clone()));
                }
                Some(Destination::Station(station)) => match self.at_station(asking, station) {
                    Ok(fork) => return Route::Fork(fork),
                    Err((condition, cause)) => match self.forwarding(station, condition) {
                        Some(forwarded) => forwarded,
                        None => return Route::Nowhere(cause),
                    },
                },
            };
            self.counters.forwarded += 1;
            self.event(Event::Forwarded {
                call,
                to: to.clone(),
                why,
            });
            at = to;
        }
    }

    /// Rings a station, or says under which condition of forwarding it cannot.
    fn at_station(&self, asking: Asking, station: &Station) -> Result<Fork, (Condition, EndCause)> {
        if self.forwarding(station, Condition::Arriving).is_some() {
            return Err((Condition::Arriving, EndCause::Busy));
        }
        if self.asks(asking, station.id) {
            return Err((Condition::Busy, EndCause::Busy));
        }
        let lost = self.stations.seen(station.id) == Seen::Lost;
        if lost && self.forwarding(station, Condition::Unreachable).is_some() {
            return Err((Condition::Unreachable, EndCause::Unreachable));
        }
        let (alert, evict) = match self.availability(station, asking) {
            Availability::Free => (self.alert(station, asking), Vec::new()),
            Availability::Waits => (Alert::Wait, Vec::new()),
            Availability::Evict(legs) => (self.alert(station, asking), legs),
            Availability::Taken(EndCause::OutOfService) => {
                return Err((Condition::Unreachable, EndCause::OutOfService));
            }
            Availability::Taken(cause) => return Err((Condition::Busy, cause)),
        };
        Ok(Fork {
            targets: vec![(Target::Station(station.id), alert)],
            evict,
            ring_for: self.ring_time(asking, self.answer_time_of(station)),
            place: Place::Station(station.id),
            early_media: EarlyMedia::On,
        })
    }

    fn fork_elsewhere(&self, asking: Asking, address: Address) -> Fork {
        Fork {
            targets: vec![(Target::Elsewhere(address), Alert::Ring)],
            evict: Vec::new(),
            ring_for: self.ring_time(asking, self.config.answer_timeout),
            place: Place::Nobody,
            early_media: EarlyMedia::On,
        }
    }

    /// Rings all members that can be rung. The members' own forwardings are not followed: the
    /// group is there so that somebody else hears it. None if nobody can.
    ///
    /// An alarm rings too instead of opening the first microphone: with several who can answer, a
    /// human shall. If all are taken, the one with the least urgent call is freed.
    fn fork_of_group(&mut self, call: CallId, asking: Asking, group: &RingGroup) -> Option<Fork> {
        let mut targets = Vec::with_capacity(group.members.len());
        let mut occupied: Option<(Priority, StationId, Vec<LegId>)> = None;
        let directory = self.directory.clone();
        for member in group.members.iter().take(MAX_GROUP_MEMBERS) {
            let station = match directory.destination(member) {
                Some(Destination::Station(station)) => station,
                Some(Destination::Elsewhere(_)) => {
                    targets.push((Target::Elsewhere(member.clone()), Alert::Ring));
                    continue;
                }
                Some(
                    Destination::RingGroup(_)
                    | Destination::Desk(_)
                    | Destination::Conference(_)
                    | Destination::GroupCall(_)
                    | Destination::EchoTest(_),
                )
                | None => continue,
            };
            let id = station.id;
            if self.asks(asking, id) {
                continue;
            }
            match self.availability(station, asking) {
                Availability::Free => targets.push((Target::Station(id), Alert::Ring)),
                Availability::Waits => targets.push((Target::Station(id), Alert::Wait)),
                Availability::Evict(legs) => {
                    let urgency = self.most_urgent_of(&legs);
                    if occupied.as_ref().is_none_or(|(least, ..)| *least < urgency) {
                        occupied = Some((urgency, id, legs));
                    }
                }
                Availability::Taken(cause) => {
                    self.event(Event::Skipped {
                        call,
                        whom: member.clone(),
                        cause,
                    });
                }
            }
        }
        let mut evict = Vec::new();
        if targets.is_empty() {
            let (_, id, legs) = occupied?;
            targets.push((Target::Station(id), Alert::Ring));
            evict = legs;
        }
        Some(Fork {
            targets,
            evict,
            ring_for: self.ring_time(asking, group.ring_for),
            place: Place::Group(group.id),
            early_media: group.early_media,
        })
    }

    pub(crate) fn availability(&self, station: &Station, asking: Asking) -> Availability {
        let alarm = asking.priority.is_alarm();
        if self.stations.faults(station.id).put_out_of_service() {
            return Availability::Taken(EndCause::OutOfService);
        }
        if self.stations.privacy(station.id) == Privacy::On && !alarm {
            return Availability::Taken(EndCause::Privacy);
        }
        let legs = self.stations.legs(station.id).iter().copied();
        let legs: Vec<LegId> = legs
            .filter(|leg| asking.call.is_none() || self.call_of(*leg) != asking.call)
            .filter(|leg| !self.is_of_programme(*leg))
            .collect();
        if legs.is_empty() {
            return Availability::Free;
        }
        let all_give_way = legs.iter().all(|leg| {
            self.call_of(*leg)
                .is_some_and(|call| self.gives_way(call, asking.priority))
        });
        if all_give_way {
            return Availability::Evict(legs);
        }
        match station.busy {
            BusyPolicy::Wait { up_to } if self.waiting(&legs) < usize::from(up_to) => {
                Availability::Waits
            }
            BusyPolicy::Wait { .. } | BusyPolicy::Refuse => Availability::Taken(EndCause::Busy),
        }
    }

    fn waiting(&self, legs: &[LegId]) -> usize {
        let unanswered = |leg: &&LegId| self.legs.get(leg).is_some_and(|l| !l.is_answered());
        legs.iter().filter(unanswered).count()
    }

    fn most_urgent_of(&self, legs: &[LegId]) -> Priority {
        let calls = legs.iter().filter_map(|leg| self.call_of(*leg));
        calls
            .map(|call| self.priority_of(call))
            .min()
            .unwrap_or(Priority::LEAST_URGENT)
    }

    /// Whether it is this station that calls.
    pub(crate) fn asks(&self, asking: Asking, station: StationId) -> bool {
        asking.caller.and_then(|leg| self.station_of_leg(leg)) == Some(station)
    }

    /// Whether a free station opens by itself for this call.
    pub(crate) fn alert(&self, station: &Station, asking: Asking) -> Alert {
        let listed = |callers: &[Address]| {
            let caller = asking.caller.and_then(|leg| self.party_of_leg(leg).address);
            caller.is_some_and(|address| callers.contains(&address))
        };
        let opens = match (&station.auto_answer, asking.priority.band()) {
            (AutoAnswer::Never, _) | (_, Band::Low) => false,
            (_, Band::Alarm | Band::High) => true,
            (AutoAnswer::Always, Band::Normal) => true,
            (AutoAnswer::From(callers), Band::Normal) => listed(callers),
            (AutoAnswer::ByPriority, Band::Normal) => false,
        };
        if opens {
            Alert::AutoAnswer
        } else {
            Alert::Ring
        }
    }

    /// The rule of the station that holds now under this condition: where to, and why.
    pub(crate) fn forwarding(
        &self,
        station: &Station,
        condition: Condition,
    ) -> Option<(Address, ForwardWhen)> {
        let diversion = self.stations.diversion(station.id);
        let diversion = diversion.filter(|rule| condition.fits(rule.when));
        // One to a number that is gone by now leads nowhere.
        let known = |rule: &&ForwardingRule| self.directory.destination(&rule.to).is_some();
        if let Some(rule) = diversion.filter(known) {
            return Some((rule.to.clone(), rule.when));
        }
        let site = self.directory.site();
        let (_, rule) = station.forwarding_rule(condition, self.wall(), site)?;
        Some((rule.to.clone(), rule.when))
    }

    fn answer_time_of(&self, station: &Station) -> Duration {
        match self.forwarding(station, Condition::NoAnswer) {
            Some((_, ForwardWhen::NoAnswer { after })) => after,
            Some((_, ForwardWhen::Always | ForwardWhen::Busy | ForwardWhen::Unreachable))
            | None => self.config.answer_timeout,
        }
    }

    /// On the escalation list of an alarm each entry rings for the time that the site has set.
    fn ring_time(&self, asking: Asking, usual: Duration) -> Duration {
        let site = self.directory.site();
        let escalated = asking
            .call
            .and_then(|call| self.calls.get(&call))
            .is_some_and(|c| c.round > 0);
        if escalated {
            usual.min(site.escalation_ring)
        } else {
            usual
        }
    }

    pub(crate) fn call_of(&self, leg: LegId) -> Option<CallId> {
        self.legs.get(&leg).map(|leg| leg.call)
    }

    /// The caller of a call that rings, waits or escalates.
    pub(crate) fn caller_of(&self, call: CallId) -> Option<LegId> {
        match &self.calls.get(&call)?.state {
            State::Ringing(ringing) => Some(ringing.caller),
            State::Queued(queued) => Some(queued.caller),
            State::Escalating(escalating) => Some(escalating.caller),
            State::Summoning(_) | State::Talking(_) | State::Room(_) => None,
        }
    }
}
