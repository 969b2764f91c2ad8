//! Ringing: one caller, up to 32 that ring, one that answers (B3, C5).
//!
//! The first answer that is handled wins; in the same drain the caller is connected and all
//! others are told that it was answered elsewhere.

use model::{Address, CallId, Condition, EarlyMedia, EndCause, ForwardWhen, LegId, LegRole};

use crate::call::{Place, Purpose, Ringing, Shown, State};
use crate::engine::Engine;
use crate::input::Progress;
use crate::leg::{LegState, Start};
use crate::output::{CallerProgress, Event, Output, Tone, TransferStatus};
use crate::route::Fork;
use crate::timer::Timer;

impl Engine {
    pub(crate) fn start_fork(&mut self, call: CallId, fork: Fork) {
        self.evict(&fork.evict, call);
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        ringing.place = fork.place;
        ringing.early_media = fork.early_media;
        ringing.cause = None;
        if matches!(ringing.shown, Shown::Early { .. }) {
            ringing.shown = Shown::Ringing;
        }
        let caller = ringing.caller;
        let (first, last) = (
            ringing.trail.first().cloned(),
            ringing.trail.last().cloned(),
        );
        let by_way_of = match (fork.place, ringing.trail.len()) {
            (Place::Group(_), _) => last,
            (Place::Station(_) | Place::Nobody, n) => n
                .checked_sub(2)
                .and_then(|before| ringing.trail.get(before).cloned()),
        };
        let video = self.legs.get(&caller).map(|leg| leg.video);
        let party = self.party_of_leg(caller);
        let mut legs = Vec::with_capacity(fork.targets.len());
        for (to, alert) in fork.targets {
            let start = Start {
                to,
                alert,
                caller: party.clone(),
                dialled: first.clone(),
                by_way_of: by_way_of.clone(),
                offer_of: Some(caller),
                early_media: fork.early_media,
                video: video.unwrap_or(crate::input::Video::None),
            };
            legs.push(self.start_leg(call, start));
        }
        if let Some(ringing) = self.ringing(call) {
            ringing.fork = legs;
        }
        self.show(call, Shown::Trying);
        let until = self.after(fork.ring_for);
        self.timers.set(Timer::NoAnswer(call), until);
    }

    /// Tells the caller how it stands, if that is news.
    pub(crate) fn show(&mut self, call: CallId, news: Shown) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        let better = match (ringing.shown, news) {
            (Shown::Nothing, _) => true,
            (Shown::Trying, Shown::Ringing | Shown::Early { .. }) => true,
            (Shown::Ringing, Shown::Early { .. }) => true,
            (Shown::Trying, Shown::Nothing | Shown::Trying)
            | (Shown::Ringing, Shown::Nothing | Shown::Trying | Shown::Ringing)
            | (Shown::Early { .. }, _) => false,
        };
        if !better {
            return;
        }
        ringing.shown = news;
        let (leg, purpose) = (ringing.caller, ringing.purpose);
        if let (Purpose::Transfer { back: Some(back) }, Shown::Ringing) = (purpose, news) {
            let status = TransferStatus::Ringing;
            self.push(Output::TransferStatus {
                leg: back.leg,
                status,
            });
        }
        if self.legs.get(&leg).is_some_and(|l| l.is_answered()) {
            return;
        }
        let progress = match news {
            Shown::Nothing => return,
            Shown::Trying => CallerProgress::Trying,
            Shown::Ringing => CallerProgress::Ringing,
            Shown::Early { from } => CallerProgress::EarlyMedia { from },
        };
        self.push(Output::ShowProgress { leg, progress });
    }

    pub(crate) fn leg_progress(&mut self, id: LegId, progress: Progress) {
        let Some(leg) = self.legs.get_mut(&id) else {
            self.counters.stale_inputs += 1;
            return;
        };
        if leg.role == LegRole::Caller {
            self.counters.unfit_inputs += 1;
            return;
        }
        let call = leg.call;
        leg.state = match (leg.state, progress) {
            (LegState::Trying, Progress::Ringing) => LegState::Ringing,
            (LegState::Trying | LegState::Ringing, Progress::EarlyMedia) => LegState::Early,
            (same @ (LegState::Ringing | LegState::Early | LegState::Answered { .. }), _) => same,
        };
        let early = leg.state == LegState::Early;
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        if !ringing.fork.contains(&id) {
            return;
        }
        let caller = ringing.caller;
        if !early || ringing.early_media == EarlyMedia::Off {
            return self.show(call, Shown::Ringing);
        }
        // The one who rings sees the caller; of several, the caller hears the first.
        self.push(Output::EarlyMedia {
            from: caller,
            to: id,
        });
        let caller_waits = self.legs.get(&caller).is_some_and(|l| !l.is_answered());
        self.show(call, Shown::Early { from: id });
        let heard = self
            .ringing(call)
            .is_some_and(|r| r.shown == Shown::Early { from: id });
        if heard && caller_waits {
            self.push(Output::EarlyMedia {
                from: id,
                to: caller,
            });
        }
    }

    pub(crate) fn leg_answered(&mut self, id: LegId) {
        let now = self.now;
        let Some(leg) = self.legs.get_mut(&id) else {
            // Our ending of this leg crossed its answer, or the owner lost track of it.
            self.counters.stale_inputs += 1;
            self.push(Output::EndLeg {
                leg: id,
                cause: EndCause::AnsweredElsewhere,
            });
            return;
        };
        if leg.is_answered() || leg.role == LegRole::Caller {
            self.counters.unfit_inputs += 1;
            return;
        }
        leg.state = LegState::Answered { at: now };
        let call = leg.call;
        self.touch_leg(id);
        match self.calls.get(&call).map(|c| &c.state) {
            Some(State::Summoning(_)) => self.summoned(call, id),
            Some(State::Ringing(_)) => self.won(call, id),
            Some(State::Room(_)) => self.member_answered(call, id),
            Some(State::Queued(_) | State::Talking(_) | State::Escalating(_)) | None => {
                self.counters.unfit_inputs += 1;
            }
        }
    }

    /// This one has the call; the others have not.
    pub(crate) fn won(&mut self, call: CallId, winner: LegId) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        let (caller, purpose) = (ringing.caller, ringing.purpose);
        let losers: Vec<LegId> = ringing
            .fork
            .iter()
            .copied()
            .filter(|l| *l != winner)
            .collect();
        ringing.fork.clear();
        self.timers.cancel(Timer::NoAnswer(call));
        self.hold_other_calls(call, winner);
        self.join(call, caller, winner);
        for loser in losers {
            self.end_leg(loser, EndCause::AnsweredElsewhere);
        }
        match purpose {
            Purpose::Call => {}
            Purpose::Claim { request } => self.request_connected(request),
            Purpose::Transfer { back } => self.transfer_done(back),
        }
    }

    /// One of the fork is over without having answered.
    pub(crate) fn fork_leg_gone(&mut self, call: CallId, leg: LegId, cause: EndCause) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        ringing.fork.retain(|l| *l != leg);
        let best = ringing
            .cause
            .map_or(cause, |known| better_reason(known, cause));
        ringing.cause = Some(best);
        if ringing.shown == (Shown::Early { from: leg }) {
            // Another one may be heard now.
            ringing.shown = Shown::Ringing;
        }
        if ringing.fork.is_empty() {
            self.fork_failed(call, best);
        }
    }

    /// A diversion at the device counts like a forwarding rule of its station, and like in rules,
    /// where several ring one of them does not lead the call away.
    pub(crate) fn leg_redirected(&mut self, id: LegId, to: Address) {
        let Some(call) = self.call_of(id) else {
            self.counters.stale_inputs += 1;
            return;
        };
        let alone = self.ringing(call).is_some_and(|ringing| {
            matches!(ringing.place, Place::Station(_)) && ringing.fork == [id]
        });
        if !alone {
            return self.leg_over(id, EndCause::Declined);
        }
        self.timers.cancel(Timer::NoAnswer(call));
        self.drop_leg(id, EndCause::Transferred);
        if let Some(ringing) = self.ringing(call) {
            ringing.fork.clear();
        }
        self.counters.forwarded += 1;
        let why = ForwardWhen::Always;
        self.event(Event::Forwarded {
            call,
            to: to.clone(),
            why,
        });
        self.route(call, to);
    }

    pub(crate) fn no_answer(&mut self, call: CallId) {
        match self.calls.get(&call).map(|c| &c.state) {
            Some(State::Ringing(_)) => {
                let legs = self.ringing(call).map(|r| std::mem::take(&mut r.fork));
                for leg in legs.unwrap_or_default() {
                    self.end_leg(leg, EndCause::NoAnswer);
                }
                self.fork_failed(call, EndCause::NoAnswer);
            }
            Some(State::Summoning(_)) => self.summons_failed(call, EndCause::NoAnswer),
            Some(State::Room(_)) => self.room_members_missing(call),
            Some(State::Queued(_) | State::Talking(_) | State::Escalating(_)) | None => {}
        }
    }

    /// Nobody of the fork answered: on to what the rules say, or it ends here.
    fn fork_failed(&mut self, call: CallId, cause: EndCause) {
        self.timers.cancel(Timer::NoAnswer(call));
        match self.next_after(call, cause) {
            Some((to, why)) => {
                self.counters.forwarded += 1;
                self.event(Event::Forwarded {
                    call,
                    to: to.clone(),
                    why,
                });
                self.route(call, to);
            }
            None => self.nowhere(call, cause),
        }
    }

    fn next_after(&mut self, call: CallId, cause: EndCause) -> Option<(Address, ForwardWhen)> {
        match self.ringing(call)?.place {
            Place::Station(id) => {
                let station = self.directory.station(id)?;
                self.forwarding(station, condition(cause))
            }
            Place::Group(id) => {
                let group = self.directory.ring_group(id)?;
                let why = ForwardWhen::NoAnswer {
                    after: group.ring_for,
                };
                group.then.clone().map(|then| (then, why))
            }
            Place::Nobody => None,
        }
    }

    /// There is nobody left to try.
    pub(crate) fn nowhere(&mut self, call: CallId, cause: EndCause) {
        let Some(ringing) = self.ringing(call) else {
            return;
        };
        match ringing.purpose {
            Purpose::Claim { request } => self.claim_failed(call, request, cause),
            Purpose::Transfer { back: Some(back) } => self.transfer_failed(call, back, cause),
            Purpose::Call | Purpose::Transfer { back: None } => {
                if self.is_alarm(call) {
                    self.escalate(call);
                } else {
                    self.end_call(call, cause);
                }
            }
        }
    }

    /// A fresh search for the same caller, who hears that it is being tried if already answered.
    pub(crate) fn start_ringing(&mut self, call: CallId, caller: LegId, purpose: Purpose) {
        if self.legs.get(&caller).is_some_and(|leg| leg.is_answered()) {
            self.push(Output::Tone {
                leg: caller,
                tone: Tone::Ringback,
            });
        }
        self.set_state(call, State::Ringing(Ringing::new(caller, purpose)));
    }
}

fn condition(cause: EndCause) -> Condition {
    match cause {
        EndCause::Busy | EndCause::Declined | EndCause::Privacy | EndCause::PreEmpted => {
            Condition::Busy
        }
        EndCause::NoAnswer => Condition::NoAnswer,
        EndCause::HungUp
        | EndCause::CallerGaveUp
        | EndCause::AnsweredElsewhere
        | EndCause::Unreachable
        | EndCause::OutOfService
        | EndCause::UnknownNumber
        | EndCause::NotAllowed
        | EndCause::ForwardingLoop
        | EndCause::TimeLimit
        | EndCause::Transferred
        | EndCause::Overload
        | EndCause::Stopping
        | EndCause::RequestExpired
        | EndCause::RequestDismissed
        | EndCause::NothingWaiting
        | EndCause::EndedByOperator
        | EndCause::MediaMismatch
        | EndCause::EncryptionMismatch
        | EndCause::ConnectionLost
        | EndCause::ProtocolError
        | EndCause::InternalError => Condition::Unreachable,
    }
}

/// Of several members' reasons the caller hears the one that says most about people.
fn better_reason(one: EndCause, other: EndCause) -> EndCause {
    let rank = |cause| match cause {
        EndCause::Declined => 0,
        EndCause::NoAnswer => 1,
        EndCause::Busy | EndCause::PreEmpted => 2,
        EndCause::Privacy => 3,
        _ => 4,
    };
    if rank(other) < rank(one) { other } else { one }
}
