//! A call to all terminals of a bus, before one of them has it (Q.931 5.2.3.2, 5.2.5.4, 5.2.9).

use std::time::Instant;

use crate::isdn::codec::{CauseValue, Message, MessageType};
use crate::isdn::link::Tei;

use super::call::{Call, Peer, State, Timer};
use super::line::Line;
use super::messages::cause_of;

impl Line {
    pub(super) fn message_of_many(
        &mut self,
        call: &mut Call,
        tei: Tei,
        message: Message,
        now: Instant,
    ) {
        match message.kind {
            MessageType::SetupAcknowledge
            | MessageType::CallProceeding
            | MessageType::Alerting
            | MessageType::Progress => {
                self.add_responder(call, tei);
                // What one said already, another says in vain.
                if rank(message.kind) > rank_of(call.state) {
                    self.answered_in_part(call, message, now);
                }
            }
            MessageType::Connect => self.won(call, tei, message, now),
            MessageType::Disconnect => {
                self.say_to(tei, call, MessageType::Release, Vec::new(), now);
                self.refused_by(call, tei, cause_of(&message));
            }
            MessageType::Release => {
                self.say_to(tei, call, MessageType::ReleaseComplete, Vec::new(), now);
                self.refused_by(call, tei, cause_of(&message));
            }
            MessageType::ReleaseComplete => {
                self.refused_by(call, tei, cause_of(&message));
            }
            MessageType::StatusEnquiry => {
                let cause = self.cause(CauseValue::RESPONSE_TO_STATUS_ENQUIRY);
                let state = call.state.number(&self.config);
                let elements = vec![cause.encode(), state.encode()];
                self.say_to(tei, call, MessageType::Status, elements, now);
            }
            MessageType::Setup
            | MessageType::ConnectAcknowledge
            | MessageType::Restart
            | MessageType::RestartAcknowledge
            | MessageType::Facility
            | MessageType::Notify
            | MessageType::Information
            | MessageType::Status
            | MessageType::Other(_) => self.counters.unexpected += 1,
        }
    }

    /// Another terminal has the call, or had it (Q.931 5.2.9).
    pub(super) fn message_of_late(
        &mut self,
        call: &Call,
        tei: Tei,
        message: &Message,
        now: Instant,
    ) {
        let kind = match message.kind {
            MessageType::ReleaseComplete | MessageType::Status => return,
            MessageType::Release => MessageType::ReleaseComplete,
            _ => MessageType::Release,
        };
        let cause = self.cause(CauseValue::NON_SELECTED_USER_CLEARING);
        self.say_to(tei, call, kind, vec![cause.encode()], now);
    }

    fn won(&mut self, call: &mut Call, tei: Tei, message: Message, now: Instant) {
        let winner = Peer::Terminal(tei);
        if let Peer::All { responders, .. } = std::mem::replace(&mut call.peer, winner) {
            let cause = self.cause(CauseValue::NON_SELECTED_USER_CLEARING).encode();
            for loser in responders.into_iter().filter(|one| *one != tei) {
                self.say_to(loser, call, MessageType::Release, vec![cause.clone()], now);
            }
        }
        self.message_of_one(call, message, now);
    }

    fn add_responder(&self, call: &mut Call, tei: Tei) {
        // Bounded: only terminals of the bus have links.
        if let Peer::All { responders, .. } = &mut call.peer
            && !responders.contains(&tei)
        {
            responders.push(tei);
        }
    }

    fn refused_by(&mut self, call: &mut Call, tei: Tei, cause: CauseValue) {
        let Peer::All {
            responders,
            refusals,
        } = &mut call.peer
        else {
            return;
        };
        responders.retain(|one| *one != tei);
        refusals.retain(|(one, _)| *one != tei);
        refusals.push((tei, cause));
        let still_rings = !responders.is_empty();
        // While T303 runs, a terminal that has not spoken yet may still ring.
        let some_may_answer = matches!(call.timer, Some((Timer::T303, _)))
            && refusals.len() < self.lapd.links().len();
        if !still_rings && !some_may_answer {
            self.nobody_answers(call);
        }
    }

    /// All refused, or none took notice.
    pub(super) fn nobody_answers(&mut self, call: &mut Call) {
        let Peer::All { refusals, .. } = &call.peer else {
            return;
        };
        // Q.931 5.2.5.4: busy counts most, then rejected.
        let refusal = |cause: CauseValue| refusals.iter().any(|(_, one)| *one == cause);
        let cause = [CauseValue::USER_BUSY, CauseValue::CALL_REJECTED]
            .into_iter()
            .find(|cause| refusal(*cause))
            .or(refusals.first().map(|(_, cause)| *cause))
            .unwrap_or(CauseValue::NO_USER_RESPONDING);
        self.end(call, cause, None);
        call.over = true;
    }
}

/// How far an answer takes a call.
fn rank(kind: MessageType) -> u8 {
    match kind {
        MessageType::SetupAcknowledge => 1,
        MessageType::CallProceeding => 2,
        MessageType::Alerting => 3,
        _ => 0,
    }
}

fn rank_of(state: State) -> u8 {
    match state {
        State::OverlapSending => 1,
        State::OutgoingProceeding => 2,
        State::Delivered => 3,
        _ => 0,
    }
}
