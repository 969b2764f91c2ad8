//! Taking a request: the compare-and-set, and bringing the two together.

use model::{Address, CallId, DeskId, Destination, EarlyMedia, EndCause, LegId, RequestId};

use super::{Asker, Request, RequestState};
use crate::call::{AfterSummons, Place, Purpose, Queued, State};
use crate::engine::Engine;
use crate::input::{ClaimVerdict, Claimant, CommandError, Done, Home, Withdrawal};
use crate::leg::Who;
use crate::output::{Alert, Closure, Event, Output, RequestChange, Target};
use crate::route::{Asking, Availability, Fork};
use crate::timer::Timer;

impl Engine {
    pub(crate) fn claim(
        &mut self,
        id: RequestId,
        by: Claimant,
        own: Option<LegId>,
    ) -> Result<Done, CommandError> {
        self.may_claim(id, by)?;
        let request = self.requests.get(&id).ok_or(CommandError::NoSuchRequest)?;
        if own.is_none() && self.claimant_taken(request, by) {
            return Err(CommandError::StationBusy);
        }
        match request.home {
            Home::Here => {
                self.bring_together(id, by, own);
                Ok(Done::Request(id))
            }
            Home::Node(node) => {
                self.set_request_state(id, RequestState::Asking { by, own });
                self.push(Output::ClaimAtHome {
                    node,
                    request: id,
                    by,
                });
                let until = self.after(self.config.claim_verdict_timeout);
                self.timers.set(Timer::Verdict(id), until);
                Ok(Done::Asked(id))
            }
        }
    }

    /// Whether it waits still, and for somebody like this.
    fn may_claim(&mut self, id: RequestId, by: Claimant) -> Result<(), CommandError> {
        let request = self.requests.get(&id).ok_or(CommandError::NoSuchRequest)?;
        match request.state {
            RequestState::Queued => {}
            RequestState::Asking { .. } | RequestState::Escalating { .. } => {
                return Err(self.claim_lost(CommandError::BeingTaken));
            }
            RequestState::Promised { by } | RequestState::Taken { by, .. } => {
                return Err(self.claim_lost(CommandError::TakenBy(by)));
            }
        }
        if request.desks.iter().any(|desk| self.is_position(*desk, by)) {
            Ok(())
        } else {
            Err(CommandError::NotAPosition)
        }
    }

    pub(crate) fn claim_to_call(
        &mut self,
        id: RequestId,
        by: Claimant,
    ) -> Result<Done, CommandError> {
        self.may_claim(id, by)?;
        self.set_request_state(id, RequestState::Promised { by });
        self.event(Event::Request {
            request: id,
            change: RequestChange::Taken { by },
        });
        let until = self.after(self.config.claim_timeout);
        self.timers.set(Timer::Verdict(id), until);
        Ok(Done::Request(id))
    }

    /// Connects a leg with whoever asked, if the request was promised to its party.
    pub(crate) fn fulfil(&mut self, id: RequestId, own: LegId) -> bool {
        let claimant = self.claimant_of(own);
        match self.requests.get(&id).map(|request| request.state) {
            Some(RequestState::Promised { by }) if claimant == Some(by) => {
                self.timers.cancel(Timer::Verdict(id));
                self.connect_claimant(id, by, Some(own));
                true
            }
            Some(_) | None => false,
        }
    }

    fn claim_lost(&mut self, error: CommandError) -> CommandError {
        self.counters.claims_lost += 1;
        error
    }

    pub(crate) fn take_next(&mut self, desk: DeskId, by: Claimant) -> Result<Done, CommandError> {
        let request = self.next_at(desk)?;
        self.claim(request, by, None)
    }

    fn next_at(&self, desk: DeskId) -> Result<RequestId, CommandError> {
        if self.directory.desk(desk).is_none() {
            return Err(CommandError::NoSuchDesk);
        }
        let waiting = |r: &Request| r.state == RequestState::Queued && r.desks.contains(&desk);
        let waiting = self.requests.iter().filter(|(_, request)| waiting(request));
        let next = waiting.min_by_key(|(id, r)| (r.priority, r.filed, **id));
        next.map(|(id, _)| *id).ok_or(CommandError::NothingWaiting)
    }

    /// A position called its own desk: it takes who waits longest, with the leg it called on.
    pub(super) fn take_next_with(&mut self, call: CallId, own: LegId, desk: DeskId) {
        let Some(by) = self.claimant_of(own) else {
            return;
        };
        let taken = self
            .next_at(desk)
            .and_then(|request| self.claim(request, by, Some(own)));
        if taken.is_err() {
            self.end_call(call, EndCause::NothingWaiting);
        }
    }

    pub(super) fn may_take(&self, desk: DeskId, leg: LegId) -> bool {
        self.claimant_of(leg)
            .is_some_and(|by| self.is_position(desk, by))
    }

    fn claimant_of(&self, leg: LegId) -> Option<Claimant> {
        match &self.legs.get(&leg)?.who {
            Who::Station(id) => Some(Claimant::Station(*id)),
            Who::Elsewhere(party) => match party.address {
                Some(Address::CloudUser(user)) => Some(Claimant::CloudUser(user)),
                Some(_) | None => None,
            },
        }
    }

    fn address_of(&self, by: Claimant) -> Option<Address> {
        match by {
            Claimant::Station(id) => Some(Address::Local(self.directory.station(id)?.number)),
            Claimant::CloudUser(user) => Some(Address::CloudUser(user)),
        }
    }

    fn is_position(&self, desk: DeskId, by: Claimant) -> bool {
        let desk = self.directory.desk(desk);
        let address = self.address_of(by);
        desk.zip(address)
            .is_some_and(|(desk, address)| desk.positions.contains(&address))
    }

    /// Whether the claimant's station could not take this request now.
    fn claimant_taken(&self, request: &Request, by: Claimant) -> bool {
        let Claimant::Station(id) = by else {
            return false;
        };
        let Some(station) = self.directory.station(id) else {
            return true;
        };
        let asking = Asking {
            call: None,
            caller: None,
            priority: request.priority,
        };
        match self.availability(station, asking) {
            Availability::Free | Availability::Waits | Availability::Evict(_) => false,
            Availability::Taken(EndCause::Privacy) => false,
            Availability::Taken(_) => true,
        }
    }

    pub(crate) fn claim_verdict(&mut self, id: RequestId, verdict: ClaimVerdict) {
        let Some(RequestState::Asking { by, own }) = self.requests.get(&id).map(|r| r.state) else {
            self.counters.stale_inputs += 1;
            return;
        };
        self.timers.cancel(Timer::Verdict(id));
        match verdict {
            ClaimVerdict::Granted if own.is_some_and(|leg| !self.legs.contains_key(&leg)) => {
                self.return_request(id, EndCause::HungUp);
            }
            ClaimVerdict::Granted => self.bring_together(id, by, own),
            ClaimVerdict::TakenElsewhere => {
                self.counters.claims_lost += 1;
                self.close_with_call(id, Closure::TakenElsewhere, EndCause::AnsweredElsewhere);
            }
            ClaimVerdict::Unreachable => self.verdict_missing(id),
        }
    }

    pub(crate) fn verdict_missing(&mut self, id: RequestId) {
        let own = match self.requests.get(&id).map(|r| r.state) {
            Some(RequestState::Asking { own, .. }) => own,
            Some(RequestState::Promised { .. }) => None,
            Some(
                RequestState::Queued | RequestState::Taken { .. } | RequestState::Escalating { .. },
            )
            | None => return,
        };
        self.return_request(id, EndCause::Unreachable);
        if let Some(call) = own.and_then(|leg| self.call_of(leg)) {
            self.end_call(call, EndCause::Unreachable);
        }
    }

    /// The claim is won. Who asked and who took it are connected, by whatever leg is missing.
    fn bring_together(&mut self, id: RequestId, by: Claimant, own: Option<LegId>) {
        if self.requests.contains_key(&id) {
            self.event(Event::Request {
                request: id,
                change: RequestChange::Taken { by },
            });
        }
        self.connect_claimant(id, by, own);
    }

    fn connect_claimant(&mut self, id: RequestId, by: Claimant, own: Option<LegId>) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let (asker, from, priority) = (
            request.asker.clone(),
            request.from.clone(),
            request.priority,
        );
        match (asker, own) {
            (Asker::Waiting { call }, Some(own)) => self.connect_own(id, call, own),
            (Asker::Waiting { call }, None) => {
                let Some(State::Queued(queued)) = self.calls.get_mut(&call).map(|c| &mut c.state)
                else {
                    return;
                };
                let (caller, trail) = (queued.caller, std::mem::take(&mut queued.trail));
                self.taken(id, by, call);
                self.start_ringing(call, caller, Purpose::Claim { request: id });
                if let Some(ringing) = self.ringing(call) {
                    ringing.trail = trail;
                }
                let fork = self.fork_to_claimant(by, call);
                self.start_fork(call, fork);
            }
            (Asker::CallBack { address }, Some(own)) => {
                let Some(call) = self.call_of(own) else {
                    return;
                };
                self.taken(id, by, call);
                self.start_ringing(call, own, Purpose::Claim { request: id });
                self.call_back(call, address);
            }
            (Asker::CallBack { address }, None) => {
                let Some(claimant) = self.address_of(by) else {
                    return;
                };
                let then = AfterSummons::CallBack(id);
                let call = self.summon_claimant(claimant, from, priority, address, then);
                self.taken(id, by, call);
            }
        }
    }

    fn summon_claimant(
        &mut self,
        claimant: Address,
        from: model::Party,
        priority: model::Priority,
        asker: Address,
        then: AfterSummons,
    ) -> CallId {
        let directory = self.directory.clone();
        let evict = match directory.destination(&claimant) {
            Some(Destination::Station(station)) => {
                match self.availability(
                    station,
                    Asking {
                        call: None,
                        caller: None,
                        priority,
                    },
                ) {
                    Availability::Evict(legs) => legs,
                    Availability::Free | Availability::Waits | Availability::Taken(_) => Vec::new(),
                }
            }
            Some(_) | None => Vec::new(),
        };
        let call = self.summon(claimant, from, priority, asker, then);
        self.evict(&evict, call);
        call
    }

    /// A position took the request with the leg it called on: the two are already here.
    fn connect_own(&mut self, id: RequestId, call: CallId, own: LegId) {
        let (Some(caller), Some(own_call)) = (self.caller_of(call), self.call_of(own)) else {
            return;
        };
        self.hold_other_calls(own_call, own);
        self.move_leg(own, call);
        self.join(call, caller, own);
        self.request_connected(id);
        self.finish_call(own_call);
    }

    fn fork_to_claimant(&self, by: Claimant, call: CallId) -> Fork {
        let (target, evict) = match by {
            Claimant::CloudUser(user) => (Target::Elsewhere(Address::CloudUser(user)), Vec::new()),
            Claimant::Station(id) => {
                let priority = self.priority_of(call);
                let asking = Asking {
                    call: Some(call),
                    caller: None,
                    priority,
                };
                let station = self.directory.station(id);
                let evict = match station.map(|station| self.availability(station, asking)) {
                    Some(Availability::Evict(legs)) => legs,
                    Some(Availability::Free | Availability::Waits | Availability::Taken(_))
                    | None => Vec::new(),
                };
                (Target::Station(id), evict)
            }
        };
        self.fork_to(target, evict)
    }

    fn fork_to(&self, target: Target, evict: Vec<LegId>) -> Fork {
        Fork {
            targets: vec![(target, Alert::Expected)],
            evict,
            ring_for: self.config.claim_timeout,
            place: Place::Nobody,
            early_media: EarlyMedia::On,
        }
    }

    /// The one who took the request is on the line: call who asked.
    pub(crate) fn call_back(&mut self, call: CallId, asker: Address) {
        let target = match self.directory.destination(&asker) {
            Some(Destination::Station(station)) => Target::Station(station.id),
            Some(_) | None => Target::Elsewhere(asker),
        };
        let fork = self.fork_to(target, Vec::new());
        self.start_fork(call, fork);
    }

    /// The first leg of a call by command has answered.
    pub(crate) fn summoned(&mut self, call: CallId, leg: LegId) {
        let Some(State::Summoning(summoning)) = self.calls.get(&call).map(|c| &c.state) else {
            return;
        };
        let then = summoning.then.clone();
        self.timers.cancel(Timer::NoAnswer(call));
        self.hold_other_calls(call, leg);
        match then {
            AfterSummons::Call(to) => {
                self.start_ringing(call, leg, Purpose::Call);
                self.route(call, to);
            }
            AfterSummons::Escalate { request, to } => {
                self.start_ringing(call, leg, Purpose::Call);
                self.remove_request(request, Closure::Escalated);
                self.route(call, to);
            }
            AfterSummons::CallBack(request) => {
                self.start_ringing(call, leg, Purpose::Claim { request });
                match self.requests.get(&request).map(|r| r.asker.clone()) {
                    Some(Asker::CallBack { address }) => self.call_back(call, address),
                    Some(Asker::Waiting { .. }) | None => {
                        self.end_call(call, EndCause::NothingWaiting);
                    }
                }
            }
        }
    }

    pub(crate) fn summons_failed(&mut self, call: CallId, cause: EndCause) {
        self.end_call(call, cause);
    }

    pub(crate) fn request_connected(&mut self, id: RequestId) {
        self.counters.requests_connected += 1;
        self.remove_request(id, Closure::Connected);
    }

    /// The two could not be brought together: the request waits again.
    pub(crate) fn claim_failed(&mut self, call: CallId, id: RequestId, cause: EndCause) {
        match self.requests.get(&id).map(|r| r.asker.clone()) {
            Some(Asker::Waiting { .. }) => {
                let Some(ringing) = self.ringing(call) else {
                    return;
                };
                let (caller, trail) = (ringing.caller, std::mem::take(&mut ringing.trail));
                self.set_state(
                    call,
                    State::Queued(Queued {
                        caller,
                        request: id,
                        trail,
                    }),
                );
                self.tell_waiting(caller);
                self.return_request(id, cause);
            }
            Some(Asker::CallBack { .. }) | None => self.end_call(call, cause),
        }
    }

    /// The one who waited while the claim was carried out hung up: who asked, or who took it.
    pub(crate) fn claim_caller_gone(&mut self, call: CallId, id: RequestId, cause: EndCause) {
        match self.requests.get(&id).map(|r| r.asker.clone()) {
            Some(Asker::Waiting { .. }) => self.request_withdrawn(id),
            Some(Asker::CallBack { .. }) => self.return_request(id, cause),
            None => {}
        }
        self.finish_call(call);
    }

    pub(crate) fn return_request(&mut self, id: RequestId, cause: EndCause) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        if request.state == RequestState::Queued {
            return;
        }
        let orphan = request.desks.is_empty();
        self.set_request_state(id, RequestState::Queued);
        self.event(Event::Request {
            request: id,
            change: RequestChange::Returned { cause },
        });
        if orphan {
            self.orphaned(id);
        } else {
            self.arm_request(id);
        }
    }

    fn taken(&mut self, id: RequestId, by: Claimant, call: CallId) {
        self.set_request_state(id, RequestState::Taken { by, call });
    }

    pub(super) fn set_request_state(&mut self, id: RequestId, state: RequestState) {
        if state != RequestState::Queued {
            self.disarm_request(id);
        }
        if let Some(request) = self.requests.get_mut(&id) {
            request.state = state;
        }
    }

    pub(crate) fn dismiss(&mut self, id: RequestId, by: Claimant) -> Result<Done, CommandError> {
        let request = self.requests.get(&id).ok_or(CommandError::NoSuchRequest)?;
        match request.state {
            RequestState::Queued => {}
            RequestState::Asking { .. } | RequestState::Escalating { .. } => {
                return Err(CommandError::BeingTaken);
            }
            RequestState::Promised { by } | RequestState::Taken { by, .. } => {
                return Err(CommandError::TakenBy(by));
            }
        }
        if !request.desks.iter().any(|desk| self.is_position(*desk, by)) {
            return Err(CommandError::NotAPosition);
        }
        self.close_with_call(id, Closure::Dismissed { by }, EndCause::RequestDismissed);
        Ok(Done::Ended)
    }

    pub(crate) fn withdraw(
        &mut self,
        id: RequestId,
        why: Withdrawal,
    ) -> Result<Done, CommandError> {
        if !self.requests.contains_key(&id) {
            return Err(CommandError::NoSuchRequest);
        }
        let (closure, cause) = match why {
            Withdrawal::ByRequester => (Closure::Withdrawn, EndCause::CallerGaveUp),
            Withdrawal::TakenElsewhere => (Closure::TakenElsewhere, EndCause::AnsweredElsewhere),
        };
        self.close_with_call(id, closure, cause);
        Ok(Done::Ended)
    }
}
