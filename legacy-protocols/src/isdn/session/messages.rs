//! What a call's messages do to it (Q.931 5.1 to 5.8).

use std::time::Instant;

use crate::isdn::codec::{
    BearerCapability, Binding, CallState, Cause, CauseValue, ChannelIdentification, Element,
    Message, MessageType, NotificationIndicator, Number, ProgressDescription, ProgressIndicator,
    Selection, id, text,
};
use crate::isdn::link::{Side, Tei};

use super::call::{Call, CallId, Peer, State, Timer};
use super::channels::Use;
use super::event::{CallEvent, IncomingCall};
use super::line::Line;

impl Line {
    /// A call arrives.
    pub(super) fn setup(&mut self, tei: Tei, message: Message, now: Instant) {
        let (bearer, channel) = match self.judge_setup(&message) {
            Ok(fits) => fits,
            Err(cause) => {
                let elements = vec![cause.encode()];
                self.answer(
                    tei,
                    message.reference,
                    MessageType::ReleaseComplete,
                    elements,
                    now,
                );
                return;
            }
        };
        let call = CallId(self.next_call);
        self.next_call += 1;
        self.counters.calls_in += 1;
        self.channels.set(channel, Use::By(call));
        let incoming = IncomingCall {
            called: number(&message, id::CALLED_NUMBER),
            calling: number(&message, id::CALLING_NUMBER),
            bearer,
            display: words(&message, id::DISPLAY),
            keypad: words(&message, id::KEYPAD),
            complete: message.element(id::SENDING_COMPLETE).is_some(),
            channel,
        };
        let call = Call {
            id: call,
            reference: message.reference.value,
            length: message.reference.length,
            ours: false,
            peer: Peer::Terminal(tei),
            state: State::Present,
            channel: Some(channel),
            channel_settled: false,
            setup: Vec::new(),
            timer: None,
            attempts: 0,
            status_by: None,
            link_lost_until: None,
            cause: CauseValue::NORMAL_CLEARING,
            ended: false,
            over: false,
        };
        self.call_event(&call, CallEvent::Incoming(incoming), Some(message));
        self.calls.insert(call.id, call);
    }

    fn judge_setup(&mut self, message: &Message) -> Result<(BearerCapability, u8), Cause> {
        if self.calls.len() >= self.config.calls {
            self.counters.too_many += 1;
            return Err(self.cause(CauseValue::SWITCHING_CONGESTION));
        }
        self.judge_elements(message)?;
        let Some(bearer) = message.contents(id::BEARER_CAPABILITY) else {
            return Err(
                self.bad_element(CauseValue::MANDATORY_ELEMENT_MISSING, id::BEARER_CAPABILITY)
            );
        };
        let Some(bearer) = BearerCapability::decode(bearer) else {
            return Err(self.bad_element(CauseValue::INVALID_CONTENTS, id::BEARER_CAPABILITY));
        };
        if !bearer.one_channel {
            return Err(self.cause(CauseValue::BEARER_NOT_IMPLEMENTED));
        }
        let channel = match message.contents(id::CHANNEL_IDENTIFICATION) {
            None => None,
            Some(contents) => match ChannelIdentification::decode(contents) {
                Some(channel) => Some(channel),
                None => {
                    return Err(
                        self.bad_element(CauseValue::INVALID_CONTENTS, id::CHANNEL_IDENTIFICATION)
                    );
                }
            },
        };
        let channel = self
            .choose_channel(channel)
            .map_err(|cause| self.cause(cause))?;
        Ok((bearer, channel))
    }

    /// Q.931 5.8.7.1.
    fn judge_elements(&mut self, message: &Message) -> Result<(), Cause> {
        let unknown = message
            .elements
            .iter()
            .find(|one| one.must_be_comprehended());
        match unknown {
            Some(unknown) => {
                Err(self.bad_element(CauseValue::MANDATORY_ELEMENT_MISSING, unknown.id))
            }
            None => Ok(()),
        }
    }

    fn bad_element(&mut self, value: CauseValue, id: u8) -> Cause {
        self.counters.bad_elements += 1;
        Cause {
            diagnostics: vec![id],
            ..self.cause(value)
        }
    }

    /// Q.931 5.1.2 and 5.2.3: which channel a call that arrives gets.
    fn choose_channel(&mut self, wanted: Option<ChannelIdentification>) -> Result<u8, CauseValue> {
        let any = |line: &Self| line.channels.free().ok_or(CauseValue::NO_CHANNEL_AVAILABLE);
        let Some(wanted) = wanted else {
            return any(self);
        };
        if wanted.interface != self.config.interface {
            return Err(CauseValue::CHANNEL_DOES_NOT_EXIST);
        }
        let number = match wanted.selection {
            Selection::Any => return any(self),
            // A call that waits for a channel: there is no call waiting here.
            Selection::None => return Err(CauseValue::USER_BUSY),
            Selection::Several(_) => return Err(CauseValue::CHANNEL_DOES_NOT_EXIST),
            Selection::One(number) => number,
        };
        match self.channels.usage(number) {
            None => return Err(CauseValue::CHANNEL_DOES_NOT_EXIST),
            Some(Use::Free) => return Ok(number),
            Some(Use::By(holder)) => {
                // Q.931 5.7: both took it at once, and the network's call has precedence. Ours
                // will be refused by the other end.
                if self.config.side() == Side::User
                    && let Some(call) = self.calls.get_mut(&holder)
                    && call.state == State::Initiated
                {
                    call.channel = None;
                    self.counters.channel_collisions += 1;
                    return Ok(number);
                }
            }
            Some(Use::Restarting | Use::OutOfService) => {}
        }
        self.counters.channel_collisions += 1;
        match wanted.binding {
            Binding::Preferred => any(self),
            Binding::Exclusive => Err(CauseValue::CHANNEL_NOT_AVAILABLE),
        }
    }

    pub(super) fn message(&mut self, call: &mut Call, tei: Tei, message: Message, now: Instant) {
        if matches!(call.peer, Peer::All { .. }) {
            self.message_of_many(call, tei, message, now);
        } else if call.is_with(tei) {
            self.message_of_one(call, message, now);
        } else {
            self.message_of_late(call, tei, &message, now);
        }
    }

    pub(super) fn message_of_one(&mut self, call: &mut Call, message: Message, now: Instant) {
        match message.kind {
            MessageType::Disconnect => return self.disconnected(call, message, now),
            MessageType::Release => return self.released(call, message, now),
            MessageType::ReleaseComplete => {
                let cause = cause_of(&message);
                self.end(
                    call,
                    if call.state.is_clearing() {
                        call.cause
                    } else {
                        cause
                    },
                    Some(message),
                );
                call.over = true;
                return;
            }
            MessageType::Status => return self.status(call, message, now),
            MessageType::StatusEnquiry => {
                let cause = CauseValue::RESPONSE_TO_STATUS_ENQUIRY;
                return self.say_status(call, self.cause(cause), now);
            }
            // Sent again because ours was late.
            MessageType::Setup => {
                self.counters.unexpected += 1;
                return;
            }
            _ => {}
        }
        if let Err(cause) = self.judge_elements(&message) {
            return self.say_status(call, cause, now);
        }
        match message.kind {
            MessageType::SetupAcknowledge
            | MessageType::CallProceeding
            | MessageType::Alerting
            | MessageType::Progress
            | MessageType::Connect
                if call.state.is_outgoing() =>
            {
                self.answered_in_part(call, message, now);
            }
            // The other end of a call that we answer may say how its side goes on.
            MessageType::Progress if !call.state.is_clearing() => {
                let in_band = in_band(&message);
                self.call_event(call, CallEvent::Progress { in_band }, Some(message));
            }
            MessageType::ConnectAcknowledge if call.state == State::ConnectRequest => {
                call.state = State::Active;
                call.timer = None;
                self.call_event(call, CallEvent::Connected, Some(message));
            }
            // Q.931 5.1.8: the user may acknowledge, the network need not care.
            MessageType::ConnectAcknowledge if call.state == State::Active => {}
            MessageType::Information if !call.state.is_clearing() => {
                self.information(call, message, now);
            }
            MessageType::Notify if !call.state.is_clearing() => {
                let what = message.contents(id::NOTIFICATION_INDICATOR);
                match what.and_then(NotificationIndicator::decode) {
                    Some(what) => self.call_event(call, CallEvent::Notified(what), Some(message)),
                    None => {
                        let id = id::NOTIFICATION_INDICATOR;
                        let cause = self.bad_element(CauseValue::MANDATORY_ELEMENT_MISSING, id);
                        self.say_status(call, cause, now);
                    }
                }
            }
            MessageType::Facility => self.call_event(call, CallEvent::Facility, Some(message)),
            MessageType::Other(_) => {
                self.counters.unknown_type += 1;
                self.refuse(call, CauseValue::MESSAGE_TYPE_UNKNOWN, &message, now);
            }
            _ => {
                self.counters.unexpected += 1;
                self.refuse(call, CauseValue::NOT_COMPATIBLE_WITH_STATE, &message, now);
            }
        }
    }

    /// An answer to our SETUP, the first or a later one.
    pub(super) fn answered_in_part(&mut self, call: &mut Call, message: Message, now: Instant) {
        if let Err(cause) = self.settle_channel(call, &message) {
            self.clear(call, cause, now);
            return;
        }
        let timers = self.config.timers;
        let in_band = in_band(&message);
        let (state, timer, what) = match message.kind {
            MessageType::SetupAcknowledge if call.state == State::Initiated => (
                State::OverlapSending,
                Some((Timer::T304, timers.t304)),
                CallEvent::MoreDigitsWanted,
            ),
            MessageType::CallProceeding if call.state < State::OutgoingProceeding => (
                State::OutgoingProceeding,
                Some((Timer::T310, timers.t310)),
                CallEvent::Proceeding { in_band },
            ),
            MessageType::Alerting if call.state < State::Delivered => (
                State::Delivered,
                Some((Timer::T301, timers.t301)),
                CallEvent::Alerting { in_band },
            ),
            // Q.931 5.1.6: who can hear an announcement is given time for it.
            MessageType::Progress => (
                call.state,
                Some((Timer::T301, timers.t301)),
                CallEvent::Progress { in_band },
            ),
            MessageType::Connect => (State::Active, None, CallEvent::Answered),
            _ => {
                self.counters.unexpected += 1;
                let cause = CauseValue::NOT_COMPATIBLE_WITH_STATE;
                return self.refuse(call, cause, &message, now);
            }
        };
        call.state = state;
        call.timer = timer.map(|(timer, after)| (timer, now + after));
        if state == State::Active {
            self.say(call, MessageType::ConnectAcknowledge, Vec::new(), now);
        }
        self.call_event(call, what, Some(message));
    }

    /// The channel that an answer names: ours, another one, or none that will do.
    fn settle_channel(&mut self, call: &mut Call, message: &Message) -> Result<(), CauseValue> {
        if call.channel_settled {
            return Ok(());
        }
        let named = message
            .contents(id::CHANNEL_IDENTIFICATION)
            .and_then(ChannelIdentification::decode)
            .map(|channel| channel.selection);
        match (named, call.channel) {
            (Some(Selection::One(number)), channel) if channel != Some(number) => {
                let acceptable = self.config.binding == Binding::Preferred || channel.is_none();
                if !acceptable || self.channels.usage(number) != Some(Use::Free) {
                    return Err(CauseValue::CHANNEL_UNACCEPTABLE);
                }
                if let Some(old) = call.channel.replace(number) {
                    self.channels.release(old, call.id);
                }
                self.channels.set(number, Use::By(call.id));
            }
            // A channel that was lost to the network's call is not given back by silence.
            (_, None) => return Err(CauseValue::CHANNEL_UNACCEPTABLE),
            (_, Some(_)) => {}
        }
        call.channel_settled = true;
        Ok(())
    }

    fn information(&mut self, call: &mut Call, message: Message, now: Instant) {
        let keypad = words(&message, id::KEYPAD);
        let what = if call.state == State::OverlapReceiving {
            call.timer = Some((Timer::T302, now + self.config.timers.t302));
            let digits = number(&message, id::CALLED_NUMBER).map(|number| number.digits);
            let complete = message.element(id::SENDING_COMPLETE).is_some();
            CallEvent::Digits {
                digits: digits.unwrap_or_default(),
                keypad,
                complete,
            }
        } else {
            let display = words(&message, id::DISPLAY);
            CallEvent::Information { display, keypad }
        };
        self.call_event(call, what, Some(message));
    }

    fn disconnected(&mut self, call: &mut Call, message: Message, now: Instant) {
        if call.state == State::ReleaseRequest {
            return;
        }
        let cause = cause_of(&message);
        let own = call.state.is_clearing().then_some(call.cause);
        self.end(call, own.unwrap_or(cause), Some(message));
        self.release(call, now);
    }

    fn released(&mut self, call: &mut Call, message: Message, now: Instant) {
        // Q.931 5.3.5: both release; each takes the other's for its answer.
        if call.state != State::ReleaseRequest {
            self.say(call, MessageType::ReleaseComplete, Vec::new(), now);
        }
        let cause = cause_of(&message);
        let own = call.state.is_clearing().then_some(call.cause);
        self.end(call, own.unwrap_or(cause), Some(message));
        call.over = true;
    }

    /// Q.931 5.8.11.
    fn status(&mut self, call: &mut Call, message: Message, now: Instant) {
        let state = message.contents(id::CALL_STATE).and_then(CallState::decode);
        call.status_by = None;
        match state {
            // The other end knows no call.
            Some(CallState::NULL) => {
                self.counters.status_mismatches += 1;
                let cause = if call.state.is_clearing() {
                    call.cause
                } else {
                    cause_of(&message)
                };
                self.end(call, cause, Some(message));
                call.over = true;
            }
            // It talks, or so it thinks, and we do not; or the other way round.
            Some(state)
                if (state == CallState::ACTIVE) != (call.state == State::Active)
                    && !call.state.is_clearing()
                    && answers_enquiry(&message) =>
            {
                self.counters.status_mismatches += 1;
                self.clear(call, CauseValue::NOT_COMPATIBLE_WITH_STATE, now);
            }
            Some(_) | None => {}
        }
    }

    pub(super) fn say_status(&mut self, call: &Call, cause: Cause, now: Instant) {
        let state = call.state.number(&self.config);
        let elements = vec![cause.encode(), state.encode()];
        self.say(call, MessageType::Status, elements, now);
    }

    fn refuse(&mut self, call: &Call, value: CauseValue, message: &Message, now: Instant) {
        let cause = Cause {
            diagnostics: vec![message.kind.octet()],
            ..self.cause(value)
        };
        self.say_status(call, cause, now);
    }

    pub(super) fn enquire(&mut self, call: &mut Call, attempts: u8, now: Instant) {
        call.status_by = Some((attempts, now + self.config.timers.t322));
        self.say(call, MessageType::StatusEnquiry, Vec::new(), now);
    }

    /// Takes a call down in order: DISCONNECT, or RELEASE COMPLETE where nothing was said yet.
    pub(super) fn clear(&mut self, call: &mut Call, cause: CauseValue, now: Instant) {
        if call.state.is_clearing() {
            return;
        }
        call.cause = cause;
        call.status_by = None;
        let elements: Vec<Element> = vec![self.cause(cause).encode()];
        if call.state == State::Present {
            self.say(call, MessageType::ReleaseComplete, elements, now);
            self.end(call, cause, None);
            call.over = true;
        } else if matches!(call.peer, Peer::All { .. }) {
            self.say(call, MessageType::Release, elements, now);
            self.end(call, cause, None);
            call.over = true;
        } else {
            self.say(call, MessageType::Disconnect, elements, now);
            call.state = State::DisconnectRequest;
            call.timer = Some((Timer::T305, now + self.config.timers.t305));
        }
    }

    pub(super) fn release(&mut self, call: &mut Call, now: Instant) {
        call.state = State::ReleaseRequest;
        call.attempts = 0;
        call.status_by = None;
        call.timer = Some((Timer::T308, now + self.config.timers.t308));
        self.say(call, MessageType::Release, Vec::new(), now);
    }
}

pub(super) fn cause_of(message: &Message) -> CauseValue {
    let cause = message.contents(id::CAUSE).and_then(Cause::decode);
    cause.map_or(CauseValue::NORMAL_UNSPECIFIED, |cause| cause.value)
}

fn answers_enquiry(message: &Message) -> bool {
    cause_of(message) == CauseValue::RESPONSE_TO_STATUS_ENQUIRY
}

fn number(message: &Message, id: u8) -> Option<Number> {
    Number::decode(message.contents(id)?)
}

fn words(message: &Message, id: u8) -> String {
    message.contents(id).map(text).unwrap_or_default()
}

fn in_band(message: &Message) -> bool {
    let progress = message
        .contents(id::PROGRESS_INDICATOR)
        .and_then(ProgressIndicator::decode);
    progress.is_some_and(|progress| {
        matches!(
            progress.description,
            ProgressDescription::NotEndToEnd | ProgressDescription::InBand
        )
    })
}
