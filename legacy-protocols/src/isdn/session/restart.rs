//! RESTART: B channels back to idle, whatever either end believes (Q.931 5.5).

use std::time::Instant;

use crate::isdn::codec::{
    Binding, CallReference, CallState, CauseValue, ChannelIdentification, Element, Message,
    MessageType, Origin, RestartClass, Selection, id, restart_indicator,
};
use crate::isdn::link::Tei;

use super::call::CallId;
use super::channels::Use;
use super::event::{Event, Restart, RestartError};
use super::line::Line;

/// A restart of ours that was not acknowledged yet.
#[derive(Debug)]
pub(super) struct Restarting {
    channels: Vec<u8>,
    elements: Vec<Element>,
    tei: Tei,
    attempts: u8,
    /// T316
    pub(super) until: Instant,
}

impl Line {
    /// Makes B channels idle at both ends. Their calls end.
    pub fn restart(&mut self, what: Restart, now: Instant) -> Result<(), RestartError> {
        if self.restarting.is_some() {
            return Err(RestartError::UnderWay);
        }
        let tei = self.lapd.tei().filter(|_| self.is_up());
        let tei = tei.ok_or(RestartError::LineDown)?;
        let (channels, elements) = match what {
            Restart::All => (
                self.channels.numbers(),
                vec![restart_indicator(RestartClass::SingleInterface)],
            ),
            Restart::One(channel) => {
                if self.channels.usage(channel).is_none() {
                    return Err(RestartError::NoSuchChannel);
                }
                let named = self.channel_element(channel, Binding::Exclusive);
                (
                    vec![channel],
                    vec![named, restart_indicator(RestartClass::Channels)],
                )
            }
        };
        self.end_calls_on(&channels);
        for channel in &channels {
            self.channels.set(*channel, Use::Restarting);
        }
        let restarting = Restarting {
            channels,
            elements,
            tei,
            attempts: 0,
            until: now + self.config.timers.t316,
        };
        self.say_restart(&restarting, now);
        self.restarting = Some(restarting);
        self.pump(now);
        Ok(())
    }

    /// A message of the global call reference.
    pub(super) fn global(&mut self, tei: Tei, message: Message, now: Instant) {
        match message.kind {
            MessageType::Restart => self.restarted(tei, &message, now),
            MessageType::RestartAcknowledge if message.reference.origin == Origin::Receiver => {
                match self.restarting.take() {
                    Some(done) => {
                        for channel in &done.channels {
                            self.channels.set(*channel, Use::Free);
                        }
                        self.event(Event::RestartDone(done.channels));
                    }
                    None => self.counters.unexpected += 1,
                }
            }
            // Q.931 5.8.11: nothing to do; T316 says what became of a restart.
            MessageType::Status => {}
            MessageType::StatusEnquiry => {
                let cause = self.cause(CauseValue::RESPONSE_TO_STATUS_ENQUIRY);
                let elements = vec![cause.encode(), CallState::NULL.encode()];
                self.answer(tei, message.reference, MessageType::Status, elements, now);
            }
            _ => {
                // Q.931 5.8.3.2 f
                self.counters.unexpected += 1;
                let cause = self.cause(CauseValue::INVALID_CALL_REFERENCE);
                let elements = vec![cause.encode(), CallState::NULL.encode()];
                self.answer(tei, message.reference, MessageType::Status, elements, now);
            }
        }
    }

    fn restarted(&mut self, tei: Tei, message: &Message, now: Instant) {
        let class = message
            .contents(id::RESTART_INDICATOR)
            .and_then(RestartClass::decode);
        let named = message
            .contents(id::CHANNEL_IDENTIFICATION)
            .and_then(ChannelIdentification::decode)
            .map(|channel| channel.selection);
        let channels = match (class, named) {
            (Some(RestartClass::SingleInterface | RestartClass::AllInterfaces), _) => {
                self.channels.numbers()
            }
            (Some(RestartClass::Channels), Some(Selection::One(one))) => vec![one],
            (Some(RestartClass::Channels), Some(Selection::Several(several))) => several,
            (Some(RestartClass::Channels), Some(Selection::Any)) => self.channels.numbers(),
            (None, _) | (Some(RestartClass::Channels), Some(Selection::None) | None) => {
                self.counters.bad_elements += 1;
                let cause = self.cause(CauseValue::MANDATORY_ELEMENT_MISSING);
                let elements = vec![cause.encode(), CallState::NULL.encode()];
                self.answer(tei, message.reference, MessageType::Status, elements, now);
                return;
            }
        };
        let mut channels = channels;
        channels.retain(|channel| self.channels.usage(*channel).is_some());
        self.end_calls_on(&channels);
        for channel in &channels {
            if self.channels.usage(*channel) == Some(Use::OutOfService) {
                self.channels.set(*channel, Use::Free);
            }
        }
        // Q.931 5.5.2: the acknowledgement names what the request named.
        let elements = message.elements.iter().filter(|element| {
            matches!(
                element.id,
                id::CHANNEL_IDENTIFICATION | id::RESTART_INDICATOR
            )
        });
        let elements = elements.cloned().collect();
        let kind = MessageType::RestartAcknowledge;
        self.answer(tei, message.reference, kind, elements, now);
        self.event(Event::Restarted(channels));
    }

    /// Ends calls without a word to the other end, which restarts their channels.
    fn end_calls_on(&mut self, channels: &[u8]) {
        let on = self
            .calls
            .values()
            .filter(|call| call.channel.is_some_and(|one| channels.contains(&one)));
        let ids: Vec<CallId> = on.map(|call| call.id).collect();
        for id in ids {
            self.with_call(id, |line, call| {
                line.end(call, CauseValue::TEMPORARY_FAILURE, None);
                call.over = true;
            });
        }
    }

    /// T316 (Q.931 5.5.1): once more, then the channels are out of service.
    pub(super) fn expire_restart(&mut self, now: Instant) {
        let due = |restarting: &Restarting| restarting.until <= now;
        if !self.restarting.as_ref().is_some_and(due) {
            return;
        }
        let Some(mut restarting) = self.restarting.take() else {
            return;
        };
        self.counters.timers += 1;
        if restarting.attempts == 0 {
            restarting.attempts = 1;
            restarting.until = now + self.config.timers.t316;
            self.say_restart(&restarting, now);
            self.restarting = Some(restarting);
        } else {
            for channel in &restarting.channels {
                self.channels.set(*channel, Use::OutOfService);
            }
            self.event(Event::RestartFailed(restarting.channels));
        }
    }

    fn say_restart(&mut self, restarting: &Restarting, now: Instant) {
        let reference = CallReference {
            length: self.reference_length(),
            value: 0,
            origin: Origin::Sender,
        };
        let elements = restarting.elements.clone();
        let message = Message::new(reference, MessageType::Restart, elements);
        self.send(restarting.tei, message, now);
    }
}
