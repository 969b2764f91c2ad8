//! What the owner of a line can do: call, answer, dial, hang up.

use std::time::Instant;

use crate::isdn::codec::{
    Binding, CauseValue, ChannelIdentification, Element, Interface, Message, MessageType,
    NotificationIndicator, Number, ProgressIndicator, Selection, display, id, keypad,
};
use crate::isdn::link::{Side, Topology};

use super::call::{Call, CallId, Peer, State, Timer};
use super::channels::Use;
use super::config::Dialect;
use super::event::{CallError, CallEvent, CommandError, Setup};
use super::line::{Line, reference_of};

impl Line {
    /// Makes a call. Its events have the id returned.
    pub fn call(&mut self, setup: Setup, now: Instant) -> Result<CallId, CallError> {
        if self.calls.len() >= self.config.calls {
            return Err(CallError::TooMany);
        }
        if !self.is_up() {
            return Err(CallError::LineDown);
        }
        let channel = self.channels.free().ok_or(CallError::NoChannel)?;
        let peer = match self.lapd.tei() {
            Some(tei) => Peer::Terminal(tei),
            None => Peer::All {
                responders: Vec::new(),
                refusals: Vec::new(),
            },
        };
        let call = Call {
            id: CallId(self.next_call),
            reference: self.free_reference(),
            length: self.reference_length(),
            ours: true,
            peer,
            state: State::Initiated,
            channel: Some(channel),
            channel_settled: false,
            setup: self.setup_elements(setup, channel),
            timer: Some((Timer::T303, now + self.config.timers.t303)),
            attempts: 0,
            status_by: None,
            link_lost_until: None,
            cause: CauseValue::NORMAL_CLEARING,
            ended: false,
            over: false,
        };
        let message = setup_message(&call);
        if message.raw().len() > self.config.link.link.longest_payload {
            return Err(CallError::TooLong);
        }
        self.next_call += 1;
        self.counters.calls_out += 1;
        self.channels.set(channel, Use::By(call.id));
        self.present(&call, now);
        let id = call.id;
        self.calls.insert(id, call);
        self.pump(now);
        Ok(id)
    }

    /// Asks a caller for more digits (overlap receiving).
    pub fn more_digits(&mut self, call: CallId, now: Instant) -> Result<(), CommandError> {
        let t302 = self.config.timers.t302;
        self.command(call, now, |line, call| {
            if call.state != State::Present {
                return Err(CommandError::NotNow);
            }
            call.state = State::OverlapReceiving;
            call.timer = Some((Timer::T302, now + t302));
            line.respond(call, MessageType::SetupAcknowledge, Vec::new(), now);
            Ok(())
        })
    }

    /// Tells a caller that its number is complete and the call on its way.
    pub fn proceed(&mut self, call: CallId, now: Instant) -> Result<(), CommandError> {
        self.command(call, now, |line, call| {
            if !matches!(call.state, State::Present | State::OverlapReceiving) {
                return Err(CommandError::NotNow);
            }
            call.state = State::IncomingProceeding;
            call.timer = None;
            line.respond(call, MessageType::CallProceeding, Vec::new(), now);
            Ok(())
        })
    }

    /// Tells a caller that it rings here; `progress` that tones can be heard.
    pub fn alert(
        &mut self,
        call: CallId,
        progress: Option<ProgressIndicator>,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.command(call, now, |line, call| {
            if !call.state.is_incoming() || call.state == State::Received {
                return Err(CommandError::NotNow);
            }
            call.state = State::Received;
            call.timer = None;
            let elements = progress
                .map(ProgressIndicator::encode)
                .into_iter()
                .collect();
            line.respond(call, MessageType::Alerting, elements, now);
            Ok(())
        })
    }

    /// Tells a caller how its call goes on, most often that tones can be heard.
    pub fn progress(
        &mut self,
        call: CallId,
        progress: ProgressIndicator,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.command(call, now, |line, call| {
            // Q.931 3.1.8: not before the call was taken notice of.
            if !call.state.is_incoming() || call.state == State::Present {
                return Err(CommandError::NotNow);
            }
            line.respond(call, MessageType::Progress, vec![progress.encode()], now);
            Ok(())
        })
    }

    /// Answers a call that arrived.
    pub fn answer_call(&mut self, call: CallId, now: Instant) -> Result<(), CommandError> {
        let awaits = self.config.awaits_connect_acknowledge();
        let t313 = self.config.timers.t313;
        self.command(call, now, |line, call| {
            if !call.state.is_incoming() {
                return Err(CommandError::NotNow);
            }
            line.respond(call, MessageType::Connect, Vec::new(), now);
            if awaits {
                call.state = State::ConnectRequest;
                call.timer = Some((Timer::T313, now + t313));
            } else {
                call.state = State::Active;
                call.timer = None;
                line.call_event(call, CallEvent::Connected, None);
            }
            Ok(())
        })
    }

    /// Sends more of a number that was not complete (overlap sending).
    pub fn dial(
        &mut self,
        call: CallId,
        digits: &str,
        complete: bool,
        now: Instant,
    ) -> Result<(), CommandError> {
        let t304 = self.config.timers.t304;
        let dialect = self.config.dialect;
        self.command(call, now, |line, call| {
            if call.state != State::OverlapSending || !matches!(call.peer, Peer::Terminal(_)) {
                return Err(CommandError::NotNow);
            }
            let mut elements = vec![Number::unknown(digits).encode(id::CALLED_NUMBER)];
            if complete && dialect == Dialect::Dss1 {
                elements.push(Element::sending_complete());
            }
            call.timer = Some((Timer::T304, now + t304));
            line.say(call, MessageType::Information, elements, now);
            Ok(())
        })
    }

    /// Sends keys and text during a call (QSIG has no keys: they are left out).
    pub fn inform(
        &mut self,
        call: CallId,
        keys: &str,
        text: &str,
        now: Instant,
    ) -> Result<(), CommandError> {
        let dialect = self.config.dialect;
        self.command(call, now, |line, call| {
            if call.state != State::Active {
                return Err(CommandError::NotNow);
            }
            let mut elements = Vec::new();
            if !text.is_empty() {
                elements.push(display(text));
            }
            if !keys.is_empty() && dialect == Dialect::Dss1 {
                elements.push(keypad(keys));
            }
            line.say(call, MessageType::Information, elements, now);
            Ok(())
        })
    }

    pub fn notify(
        &mut self,
        call: CallId,
        what: NotificationIndicator,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.command(call, now, |line, call| {
            if call.state == State::Present || call.state.is_clearing() {
                return Err(CommandError::NotNow);
            }
            line.say(call, MessageType::Notify, vec![what.encode()], now);
            Ok(())
        })
    }

    /// Refuses or ends a call; [`CallEvent::Ended`] follows when the other end agreed.
    pub fn hang_up(
        &mut self,
        call: CallId,
        cause: CauseValue,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.command(call, now, |line, call| {
            line.clear(call, cause, now);
            Ok(())
        })
    }

    /// Asks the other end what it thinks of a call; a mismatch clears it.
    pub fn check(&mut self, call: CallId, now: Instant) -> Result<(), CommandError> {
        self.command(call, now, |line, call| {
            if call.state != State::Active || call.status_by.is_some() {
                return Err(CommandError::NotNow);
            }
            line.enquire(call, 0, now);
            Ok(())
        })
    }

    fn command(
        &mut self,
        call: CallId,
        now: Instant,
        act: impl FnOnce(&mut Self, &mut Call) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let ended = |call: &Call| call.ended;
        if self.calls.get(&call).is_none_or(ended) {
            return Err(CommandError::NoSuchCall);
        }
        let done = self.with_call(call, act);
        self.pump(now);
        done.unwrap_or(Err(CommandError::NoSuchCall))
    }

    /// An answer to a SETUP; the first one names the channel (Q.931 5.1.2).
    fn respond(
        &mut self,
        call: &mut Call,
        kind: MessageType,
        mut elements: Vec<Element>,
        now: Instant,
    ) {
        if let Some(channel) = call.channel
            && !call.channel_settled
        {
            call.channel_settled = true;
            elements.push(self.channel_element(channel, Binding::Exclusive));
        }
        elements.sort_by_key(order);
        self.say(call, kind, elements, now);
    }

    /// Says SETUP: on a bus to all.
    pub(super) fn present(&mut self, call: &Call, now: Instant) {
        let message = setup_message(call);
        match call.peer {
            Peer::Terminal(tei) => self.send(tei, message, now),
            Peer::All { .. } => {
                if self.lapd.broadcast(message.raw()).is_err() {
                    self.counters.not_sent += 1;
                }
            }
        }
    }

    fn setup_elements(&self, setup: Setup, channel: u8) -> Vec<Element> {
        // On a bus all must take the same channel, since one of them will answer.
        let network_of_bus = self.config.link.topology == Topology::PointToMultipoint
            && self.config.side() == Side::Network;
        let binding = if network_of_bus {
            Binding::Exclusive
        } else {
            self.config.binding
        };
        let mut elements = vec![
            setup.bearer.encode(),
            self.channel_element(channel, binding),
        ];
        elements.extend(setup.display.as_deref().map(display));
        let dss1 = self.config.dialect == Dialect::Dss1;
        elements.extend(setup.keypad.as_deref().filter(|_| dss1).map(keypad));
        let calling = setup
            .calling
            .map(|number| number.encode(id::CALLING_NUMBER));
        elements.extend(calling);
        let called = setup.called.map(|number| number.encode(id::CALLED_NUMBER));
        elements.extend(called);
        elements.extend(setup.more);
        if setup.complete && dss1 {
            elements.push(Element::sending_complete());
        }
        elements.sort_by_key(order);
        elements
    }

    pub(super) fn channel_element(&self, channel: u8, binding: Binding) -> Element {
        ChannelIdentification {
            interface: self.config.interface,
            binding,
            selection: Selection::One(channel),
        }
        .encode()
    }

    pub(super) fn reference_length(&self) -> u8 {
        match self.config.interface {
            Interface::BasicRate => 1,
            Interface::PrimaryRate => 2,
        }
    }

    /// Ours go round, so that a late message does not meet a new call.
    fn free_reference(&mut self) -> u16 {
        let last = if self.reference_length() == 1 {
            0x7F
        } else {
            0x7FFF
        };
        loop {
            self.next_reference = self.next_reference % last + 1;
            let taken = |call: &Call| call.ours && call.reference == self.next_reference;
            // Calls are fewer than references, or this would not be asked.
            if !self.calls.values().any(taken) {
                return self.next_reference;
            }
        }
    }
}

fn setup_message(call: &Call) -> Message {
    Message::new(reference_of(call), MessageType::Setup, call.setup.clone())
}

/// Q.931 4.5.1: elements stand in the order of their identifiers, codeset by codeset.
fn order(element: &Element) -> (u8, u8) {
    (element.codeset, element.id)
}
