//! Call requests: queued wishes to be called, taken by exactly one.
//!
//! A request is seen by all positions of its desks. Taking it is a compare-and-set in this machine
//! (or at the server where it lives, for a mirrored one): the first claim wins, later ones are told
//! who was faster, and only the winner is connected. If the winner cannot be reached after all, the
//! request waits again at its old place.

mod claim;

use std::time::Instant;

use model::{
    Address, CallId, DeskId, Destination, EndCause, LegId, Party, Priority, Reach, RequestId,
};

use crate::call::{AfterSummons, Purpose, Queued, State, Summoning};
use crate::engine::Engine;
use crate::input::{Claimant, CommandError, Done, FileRequest, Home};
use crate::leg::Start;
use crate::output::{Alert, CallerProgress, Closure, Event, Output, RequestChange, Target, Tone};
use crate::timer::Timer;

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) from: Party,
    /// Where it is seen; the last one's escalation is the next.
    pub(crate) desks: Vec<DeskId>,
    pub(crate) priority: Priority,
    pub(crate) filed: Instant,
    pub(crate) home: Home,
    pub(crate) asker: Asker,
    pub(crate) state: RequestState,
}

/// How the one who asked is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// On the line, in this call.
    Waiting { call: CallId },
    /// To be called back.
    CallBack { address: Address },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestState {
    Queued,
    /// The server at home of the request has been asked.
    Asking {
        by: Claimant,
        own: Option<LegId>,
    },
    /// It was taken by somebody who will call by themselves.
    Promised {
        by: Claimant,
    },
    /// In this call the two are brought together.
    Taken {
        by: Claimant,
        call: CallId,
    },
    /// Nobody took it; in this call the one who asked is called, to be put through elsewhere.
    Escalating {
        call: CallId,
    },
}

impl Engine {
    /// A call that is being routed reached a desk: it waits there, or takes who waits.
    pub(crate) fn wait_at_desk(&mut self, call: CallId, desk: DeskId) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        let (caller, purpose) = (ringing.caller, ringing.purpose);
        let direct = ringing.trail.len() == 1 && purpose == Purpose::Call;
        if direct && !self.is_alarm(call) && self.may_take(desk, caller) {
            return self.take_next_with(call, caller, desk);
        }
        if self.requests_full(self.priority_of(call)) {
            return self.nowhere(call, EndCause::Overload);
        }
        let trail = self
            .ringing(call)
            .map(|r| std::mem::take(&mut r.trail))
            .unwrap_or_default();
        let (from, priority) = (self.party_of_leg(caller), self.priority_of(call));
        let asker = Asker::Waiting { call };
        let id = self.add_request(from, desk, priority, Home::Here, asker);
        self.set_state(
            call,
            State::Queued(Queued {
                caller,
                request: id,
                trail,
            }),
        );
        self.tell_waiting(caller);
        if let Purpose::Transfer { back } = purpose {
            self.transfer_done(back);
        }
        if priority.is_alarm() && !self.anybody_at(desk) {
            self.request_escalates(id);
        }
    }

    pub(crate) fn file_request(&mut self, file: FileRequest) -> Result<Done, CommandError> {
        let directory = self.directory.clone();
        let (party, most_urgent) = match directory.destination(&file.from) {
            Some(Destination::Station(s)) => {
                let most = match s.reach {
                    // Its own server has checked it.
                    Reach::Behind(_) => Priority::MOST_URGENT,
                    Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => s.most_urgent(),
                };
                (self.party_of_station(s.id), most)
            }
            Some(Destination::Elsewhere(address)) => {
                let (station, address) = (None, Some(address.clone()));
                let trusted = matches!(file.from, Address::Remote { .. });
                let most = if trusted {
                    Priority::MOST_URGENT
                } else {
                    Priority::MOST_URGENT_NORMAL
                };
                (
                    Party {
                        station,
                        address,
                        name: file.name,
                    },
                    most,
                )
            }
            Some(_) => return Err(CommandError::NotASingleDevice),
            None => return Err(CommandError::NoSuchAddress),
        };
        if directory.desk(file.desk).is_none() {
            return Err(CommandError::NoSuchDesk);
        }
        let priority = file.priority.unwrap_or_default().max(most_urgent);
        let asker = Asker::CallBack { address: file.from };
        if let Some(known) = self.same_wish(&asker, file.desk) {
            self.raise(known, priority);
            return Ok(Done::Request(known));
        }
        if self.service != crate::engine::Service::Open && !priority.is_alarm() {
            return Err(CommandError::Stopping);
        }
        if self.requests_full(priority) {
            return Err(CommandError::Overload);
        }
        let id = self.add_request(party, file.desk, priority, file.home, asker);
        if priority.is_alarm() && !self.anybody_at(file.desk) {
            self.request_escalates(id);
        }
        Ok(Done::Request(id))
    }

    /// Pressing the button again is not a second wish.
    fn same_wish(&self, asker: &Asker, desk: DeskId) -> Option<RequestId> {
        let same = |r: &Request| r.asker == *asker && r.desks.contains(&desk);
        self.requests
            .iter()
            .find(|(_, request)| same(request))
            .map(|(id, _)| *id)
    }

    fn raise(&mut self, id: RequestId, priority: Priority) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.priority = request.priority.min(priority);
        }
    }

    fn requests_full(&mut self, priority: Priority) -> bool {
        let reserve = if priority.is_alarm() {
            self.config.alarm_reserve
        } else {
            0
        };
        let full = self.requests.len() >= self.config.max_requests.saturating_add(reserve);
        if full {
            self.counters.overload += 1;
        }
        full
    }

    fn add_request(
        &mut self,
        from: Party,
        desk: DeskId,
        priority: Priority,
        home: Home,
        asker: Asker,
    ) -> RequestId {
        let id = self.ids.request();
        self.counters.requests += 1;
        let queued = RequestChange::Queued {
            desk,
            from: Box::new(from.clone()),
            priority,
        };
        let (filed, state) = (self.now, RequestState::Queued);
        let desks = vec![desk];
        self.requests.insert(
            id,
            Request {
                from,
                desks,
                priority,
                filed,
                home,
                asker,
                state,
            },
        );
        self.event(Event::Request {
            request: id,
            change: queued,
        });
        self.arm_request(id);
        id
    }

    fn tell_waiting(&mut self, caller: LegId) {
        if self.legs.get(&caller).is_some_and(|leg| leg.is_answered()) {
            self.push(Output::Tone {
                leg: caller,
                tone: Tone::Hold,
            });
        } else {
            self.push(Output::ShowProgress {
                leg: caller,
                progress: CallerProgress::Queued,
            });
        }
    }

    /// Starts the clocks of a waiting request.
    fn arm_request(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let (alarm, filed) = (request.priority.is_alarm(), request.filed);
        let Some(desk) = request
            .desks
            .last()
            .and_then(|desk| self.directory.desk(*desk))
        else {
            return;
        };
        let escalates = desk.escalation.as_ref().map(|e| e.after);
        let escalates = escalates.or(alarm.then_some(self.config.alarm_at_desk));
        let (remind, expires) = (desk.remind_every, desk.expires_after);
        self.timers.set(Timer::Remind(id), self.after(remind));
        if let Some(after) = escalates {
            self.timers.set(Timer::Escalate(id), self.after(after));
        }
        if !alarm {
            // One that comes back from a failed claim is seen for a while at least.
            let at = filed
                .checked_add(expires)
                .unwrap_or(filed)
                .max(self.after(remind));
            self.timers.set(Timer::Expire(id), at);
        }
    }

    fn disarm_request(&mut self, id: RequestId) {
        for timer in [
            Timer::Remind(id),
            Timer::Escalate(id),
            Timer::Expire(id),
            Timer::Verdict(id),
        ] {
            self.timers.cancel(timer);
        }
    }

    pub(crate) fn request_reminder(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let desk = request
            .desks
            .last()
            .and_then(|desk| self.directory.desk(*desk));
        let Some(every) = desk.map(|desk| desk.remind_every) else {
            return;
        };
        self.event(Event::Request {
            request: id,
            change: RequestChange::Reminder,
        });
        self.timers.set(Timer::Remind(id), self.after(every));
    }

    pub(crate) fn request_expires(&mut self, id: RequestId) {
        self.counters.requests_expired += 1;
        self.close_with_call(id, Closure::Expired, EndCause::RequestExpired);
    }

    /// Nobody took it: it is seen at one more desk, or becomes a call.
    pub(crate) fn request_escalates(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let directory = self.directory.clone();
        let desk = request.desks.last().and_then(|desk| directory.desk(*desk));
        let to = desk
            .and_then(|desk| desk.escalation.as_ref())
            .map(|e| &e.to);
        match to.map(|to| (to, directory.destination(to))) {
            Some((_, Some(Destination::Desk(next)))) if !request.desks.contains(&next.id) => {
                let desk = next.id;
                if let Some(request) = self.requests.get_mut(&id) {
                    request.desks.push(desk);
                }
                self.event(Event::Request {
                    request: id,
                    change: RequestChange::AlsoAt { desk },
                });
                self.arm_request(id);
                if self
                    .requests
                    .get(&id)
                    .is_some_and(|r| r.priority.is_alarm())
                    && !self.anybody_at(desk)
                {
                    self.request_escalates(id);
                }
            }
            Some((to, Some(_))) => self.request_becomes_call(id, Some(to.clone())),
            Some((_, None)) | None if request.priority.is_alarm() => {
                self.request_becomes_call(id, None);
            }
            Some((_, None)) | None => {}
        }
    }

    /// The request leaves the desks; `to` is called instead, or the site's escalation list.
    fn request_becomes_call(&mut self, id: RequestId, to: Option<Address>) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        match request.asker.clone() {
            Asker::Waiting { call } => {
                let Some(State::Queued(queued)) = self.calls.get_mut(&call).map(|c| &mut c.state)
                else {
                    return;
                };
                let (caller, trail) = (queued.caller, std::mem::take(&mut queued.trail));
                self.remove_request(id, Closure::Escalated);
                match to {
                    Some(to) => {
                        self.start_ringing(call, caller, Purpose::Call);
                        if let Some(ringing) = self.ringing(call) {
                            ringing.trail = trail;
                        }
                        self.route(call, to);
                    }
                    None => self.escalate(call),
                }
            }
            Asker::CallBack { address } => {
                let first = self.directory.site().escalation.first().cloned();
                // Without anybody to call, the request is better off where it is seen.
                let Some(to) = to.or(first) else {
                    return self.arm_request(id);
                };
                let (from, priority) = (request.from.clone(), request.priority);
                let then = AfterSummons::Escalate {
                    request: id,
                    to: to.clone(),
                };
                let call = self.summon(address, from, priority, to, then);
                self.set_request_state(id, RequestState::Escalating { call });
            }
        }
    }

    /// Calls one side first; when it answers, `then` follows.
    pub(crate) fn summon(
        &mut self,
        whom: Address,
        from: Party,
        priority: Priority,
        dialled: Address,
        then: AfterSummons,
    ) -> CallId {
        let directory = self.directory.clone();
        let leg = self.ids.leg();
        let state = State::Summoning(Summoning { leg, then });
        let call = self.add_call(from, dialled.clone(), priority, state);
        let to = match directory.destination(&whom) {
            Some(Destination::Station(station)) => Target::Station(station.id),
            Some(_) | None => Target::Elsewhere(whom),
        };
        let shown = match directory.destination(&dialled) {
            Some(Destination::Station(station)) => self.party_of_station(station.id),
            Some(_) | None => Party {
                address: Some(dialled.clone()),
                ..Party::default()
            },
        };
        let start = Start {
            caller: shown,
            ..Start::of(to, Alert::Expected)
        };
        self.start_leg_as(leg, call, start);
        let until = self.after(self.config.claim_timeout);
        self.timers.set(Timer::NoAnswer(call), until);
        call
    }

    /// Takes a request out of all desks.
    pub(crate) fn remove_request(&mut self, id: RequestId, why: Closure) {
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        self.disarm_request(id);
        self.event(Event::Request {
            request: id,
            change: RequestChange::Closed { why },
        });
        if let RequestState::Asking { own: Some(own), .. } = request.state
            && let Some(call) = self.call_of(own)
        {
            self.end_call(call, EndCause::NothingWaiting);
        }
    }

    /// Takes a request out, and ends whatever was on its behalf.
    pub(crate) fn close_with_call(&mut self, id: RequestId, why: Closure, cause: EndCause) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let call = match (&request.asker, request.state) {
            (Asker::Waiting { call }, _) => Some(*call),
            (
                Asker::CallBack { .. },
                RequestState::Taken { call, .. } | RequestState::Escalating { call },
            ) => Some(call),
            (
                Asker::CallBack { .. },
                RequestState::Queued | RequestState::Asking { .. } | RequestState::Promised { .. },
            ) => None,
        };
        self.remove_request(id, why);
        if let Some(call) = call {
            self.end_call(call, cause);
        }
    }

    /// The one who waited on the line is gone.
    pub(crate) fn request_withdrawn(&mut self, id: RequestId) {
        self.remove_request(id, Closure::Withdrawn);
    }

    /// A call ends that waited at a desk or was to fulfil a request.
    pub(crate) fn close_request_of(&mut self, call: CallId, cause: EndCause) {
        let request = match self.calls.get(&call).map(|c| &c.state) {
            Some(State::Queued(queued)) => queued.request,
            Some(State::Ringing(ringing)) => match ringing.purpose {
                Purpose::Claim { request } => request,
                Purpose::Call | Purpose::Transfer { .. } => return,
            },
            Some(State::Summoning(summoning)) => match summoning.then {
                AfterSummons::CallBack(request) | AfterSummons::Escalate { request, .. } => request,
                AfterSummons::Call(_) => return,
            },
            Some(State::Talking(_) | State::Room(_) | State::Escalating(_)) | None => return,
        };
        match self.requests.get(&request).map(|r| &r.asker) {
            Some(Asker::Waiting { .. }) => self.request_withdrawn(request),
            Some(Asker::CallBack { .. }) => self.return_request(request, cause),
            None => {}
        }
    }

    /// After a reload: requests at desks that are gone.
    pub(crate) fn review_requests(&mut self) {
        let ids: Vec<RequestId> = self.requests.keys().copied().collect();
        for id in ids {
            let directory = self.directory.clone();
            let Some(request) = self.requests.get_mut(&id) else {
                continue;
            };
            request.desks.retain(|desk| directory.desk(*desk).is_some());
            if request.desks.is_empty() && request.state == RequestState::Queued {
                self.orphaned(id);
            }
        }
    }

    /// No desk sees this request any more: an alarm goes on, others end.
    fn orphaned(&mut self, id: RequestId) {
        let alarm = self
            .requests
            .get(&id)
            .is_some_and(|r| r.priority.is_alarm());
        if alarm {
            self.request_becomes_call(id, None);
        }
        if self.requests.contains_key(&id) {
            self.close_with_call(id, Closure::Withdrawn, EndCause::UnknownNumber);
        }
    }

    /// Whether anybody is at the desk, as far as one knows.
    fn anybody_at(&self, desk: DeskId) -> bool {
        let positions = self
            .directory
            .desk(desk)
            .map(|desk| desk.positions.as_slice());
        positions.unwrap_or_default().iter().any(|position| {
            match self.directory.destination(position) {
                Some(Destination::Station(station)) => self.may_be_there(station.id),
                Some(Destination::Elsewhere(_)) => true,
                Some(_) | None => false,
            }
        })
    }
}
