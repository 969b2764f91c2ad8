//! What one can see of the engine from outside: for the live view, `calls` and `stations`.

use std::time::Duration;

use model::{
    Address, CallId, DeskId, Faults, LegId, LegRole, Party, Priority, RequestId, StationId,
};

use crate::engine::Engine;
use crate::input::{Claimant, Home};
use crate::output::Phase;
use crate::request::{Request, RequestState};

#[derive(Clone, Debug, PartialEq)]
pub struct CallView {
    pub call: CallId,
    pub from: Party,
    pub dialled: Address,
    pub priority: Priority,
    pub phase: Phase,
    pub running_for: Duration,
    pub legs: Vec<LegView>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LegView {
    pub leg: LegId,
    pub party: Party,
    pub role: LegRole,
    pub answer: AnswerView,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerView {
    Waiting,
    Answered,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RequestView {
    pub request: RequestId,
    pub from: Party,
    pub desks: Vec<DeskId>,
    pub priority: Priority,
    pub waiting_for: Duration,
    pub home: Home,
    pub status: RequestStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStatus {
    Waiting,
    /// Somebody is taking it, or it is on its way elsewhere.
    InHand,
    TakenBy(Claimant),
}

/// How much the engine holds right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    pub calls: usize,
    pub legs: usize,
    pub requests: usize,
    pub rooms: usize,
    pub timers: usize,
    pub door_commands: usize,
}

impl Engine {
    /// All calls, the oldest first.
    pub fn calls(&self) -> impl Iterator<Item = CallView> {
        self.calls.keys().filter_map(|id| self.call(*id))
    }

    /// Whether the leg is there still: once it is not, its record has been written.
    pub fn has_leg(&self, id: LegId) -> bool {
        self.legs.contains_key(&id)
    }

    pub fn call(&self, id: CallId) -> Option<CallView> {
        let call = self.calls.get(&id)?;
        let legs = call.state.legs().into_iter().filter_map(|id| {
            let leg = self.legs.get(&id)?;
            let answer = if leg.is_answered() {
                AnswerView::Answered
            } else {
                AnswerView::Waiting
            };
            Some(LegView {
                leg: id,
                party: self.party(&leg.who),
                role: leg.role,
                answer,
            })
        });
        Some(CallView {
            call: id,
            from: call.from.clone(),
            dialled: call.dialled.clone(),
            priority: call.priority,
            phase: call.state.phase(),
            running_for: self.now.saturating_duration_since(call.started),
            legs: legs.collect(),
        })
    }

    /// The requests seen at a desk, in the order in which they should be taken.
    pub fn requests_at(&self, desk: DeskId) -> Vec<RequestView> {
        let seen = self
            .requests
            .iter()
            .filter(|(_, request)| request.desks.contains(&desk));
        let mut seen: Vec<(&RequestId, &Request)> = seen.collect();
        seen.sort_by_key(|(id, request)| (request.priority, request.filed, **id));
        seen.into_iter()
            .map(|(id, request)| self.request_view(*id, request))
            .collect()
    }

    pub fn request(&self, id: RequestId) -> Option<RequestView> {
        self.requests
            .get(&id)
            .map(|request| self.request_view(id, request))
    }

    fn request_view(&self, id: RequestId, request: &Request) -> RequestView {
        RequestView {
            request: id,
            from: request.from.clone(),
            desks: request.desks.clone(),
            priority: request.priority,
            waiting_for: self.now.saturating_duration_since(request.filed),
            home: request.home,
            status: match request.state {
                RequestState::Queued => RequestStatus::Waiting,
                RequestState::Asking { .. } | RequestState::Escalating { .. } => {
                    RequestStatus::InHand
                }
                RequestState::Promised { by } | RequestState::Taken { by, .. } => {
                    RequestStatus::TakenBy(by)
                }
            },
        }
    }

    pub fn faults(&self, station: StationId) -> Faults {
        self.stations.faults(station)
    }

    /// The call that a leg belongs to; None for a leg that is over.
    pub fn call_of_leg(&self, leg: LegId) -> Option<CallId> {
        self.call_of(leg)
    }

    /// The station at the other end of a leg, where it is one of ours.
    pub fn station_of(&self, leg: LegId) -> Option<StationId> {
        self.station_of_leg(leg)
    }

    pub fn gauges(&self) -> Gauges {
        Gauges {
            calls: self.calls.len(),
            legs: self.legs.len(),
            requests: self.requests.len(),
            rooms: self.rooms.len(),
            timers: self.timers.len(),
            door_commands: self.doors.remembered(),
        }
    }
}
