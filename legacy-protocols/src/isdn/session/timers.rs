//! What happens when a call's timers run out (Q.931 tables 9-1 and 9-2).

use std::time::Instant;

use crate::isdn::codec::{CauseValue, MessageType};

use super::call::{Call, CallId, Peer, Timer};
use super::event::CallEvent;
use super::line::Line;

impl Line {
    pub(super) fn expire_calls(&mut self, now: Instant) {
        let due = self
            .calls
            .values()
            .filter(|call| call.deadline().is_some_and(|at| at <= now));
        let ids: Vec<CallId> = due.map(|call| call.id).collect();
        for id in ids {
            self.with_call(id, |line, call| line.expire(call, now));
        }
    }

    fn expire(&mut self, call: &mut Call, now: Instant) {
        if call.link_lost_until.is_some_and(|at| at <= now) {
            // T309
            self.counters.timers += 1;
            self.end(call, CauseValue::DESTINATION_OUT_OF_ORDER, None);
            call.over = true;
            return;
        }
        if let Some((attempts, at)) = call.status_by
            && at <= now
        {
            self.counters.timers += 1;
            if attempts == 0 {
                self.enquire(call, 1, now);
            } else {
                // Q.931 5.8.10
                self.clear(call, CauseValue::TEMPORARY_FAILURE, now);
            }
        }
        if let Some((timer, at)) = call.timer
            && at <= now
        {
            self.counters.timers += 1;
            call.timer = None;
            self.expire_timer(call, timer, now);
        }
    }

    fn expire_timer(&mut self, call: &mut Call, timer: Timer, now: Instant) {
        let timers = self.config.timers;
        match timer {
            Timer::T301 => self.clear(call, CauseValue::NO_ANSWER, now),
            Timer::T302 => self.call_event(call, CallEvent::DialingEnded, None),
            Timer::T303 => self.setup_unanswered(call, now),
            Timer::T304 => self.clear(call, CauseValue::INVALID_NUMBER_FORMAT, now),
            Timer::T310 | Timer::T313 => self.clear(call, CauseValue::TIMER_EXPIRED, now),
            Timer::T305 => self.release(call, now),
            Timer::T308 if call.attempts == 0 => {
                call.attempts = 1;
                call.timer = Some((Timer::T308, now + timers.t308));
                self.say(call, MessageType::Release, Vec::new(), now);
            }
            Timer::T308 => {
                self.end(call, call.cause, None);
                call.over = true;
            }
        }
    }

    /// T303
    fn setup_unanswered(&mut self, call: &mut Call, now: Instant) {
        let refused = matches!(&call.peer, Peer::All { refusals, .. } if !refusals.is_empty());
        if call.attempts == 0 && !refused {
            call.attempts = 1;
            call.timer = Some((Timer::T303, now + self.config.timers.t303));
            self.present(call, now);
        } else if matches!(call.peer, Peer::All { .. }) {
            self.nobody_answers(call);
        } else {
            let elements = vec![self.cause(CauseValue::TIMER_EXPIRED).encode()];
            self.say(call, MessageType::ReleaseComplete, elements, now);
            self.end(call, CauseValue::NO_USER_RESPONDING, None);
            call.over = true;
        }
    }
}
