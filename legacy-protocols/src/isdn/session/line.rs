//! The machine: what comes from the D channel, who is meant, and when to wake it.
//!
//! Messages of calls stand in `messages`, the owner's commands in `commands`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::isdn::codec::{
    CallReference, CallState, Cause, CauseValue, Element, Location, Message, MessageType, Origin,
    id,
};
use chance::Chance;

use crate::isdn::link::{self as lapd, Lapd, Side, Tei, Topology};
use crate::link::{Event as LinkEvent, Status};

use super::call::{Call, CallId, Peer, State};
use super::channels::Channels;
use super::config::{Config, Dialect};
use super::event::{CallEvent, Event, Output};
use super::restart::Restarting;

/// What a line's call control refused, repeated or gave up; every number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub calls_in: u64,
    pub calls_out: u64,
    /// Octets that are no message.
    pub undecodable: u64,
    /// Messages whose last element was cut off.
    pub cut_off: u64,
    /// Messages of no call.
    pub unknown_call: u64,
    /// Messages in a state they do not fit.
    pub unexpected: u64,
    /// Messages of a type that is not spoken.
    pub unknown_type: u64,
    /// Messages with an element that must be comprehended and is not, or without one that must be
    /// there.
    pub bad_elements: u64,
    /// Calls refused because their B channel was in use.
    pub channel_collisions: u64,
    /// Calls refused because there were too many.
    pub too_many: u64,
    /// Messages that the link did not take.
    pub not_sent: u64,
    /// Timers that ran out.
    pub timers: u64,
    /// STATUS messages that did not fit.
    pub status_mismatches: u64,
}

/// One D channel with its B channels, one end of it.
#[derive(Debug)]
pub struct Line {
    pub(super) config: Config,
    pub(super) lapd: Lapd,
    pub(super) calls: BTreeMap<CallId, Call>,
    pub(super) channels: Channels,
    pub(super) restarting: Option<Restarting>,
    pub(super) next_call: u32,
    pub(super) next_reference: u16,
    /// When a link that went down is to be established again.
    pub(super) establish_at: Option<Instant>,
    pub(super) chance: Chance,
    pub(super) outputs: VecDeque<Output>,
    pub(super) counters: Counters,
}

impl Line {
    /// A point-to-point line establishes its link at once, and again whenever it goes down.
    pub fn new(mut config: Config, seed: u64, now: Instant) -> Self {
        config.timers = config.timers.checked();
        let mut new = Self {
            lapd: Lapd::new(config.link, seed, now),
            calls: BTreeMap::new(),
            channels: Channels::new(config.interface, config.hunt),
            restarting: None,
            next_call: 0,
            next_reference: 0,
            establish_at: None,
            chance: Chance::new(!seed),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            config,
        };
        if new.config.link.topology == Topology::PointToPoint {
            new.lapd.establish(Tei::POINT_TO_POINT, now);
        }
        new.pump(now);
        new
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn lapd(&self) -> &Lapd {
        &self.lapd
    }

    /// How many calls there are, those being released included.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// The B channel of a call.
    pub fn channel(&self, call: CallId) -> Option<u8> {
        self.calls.get(&call)?.channel
    }

    /// Whether calls can be made.
    pub fn is_up(&self) -> bool {
        match self.config.link.topology {
            Topology::PointToPoint => self.lapd.status(Tei::POINT_TO_POINT) == Status::Connected,
            Topology::PointToMultipoint => {
                self.lapd.tei().is_some() || self.config.side() == Side::Network
            }
        }
    }

    /// A frame from the D channel, its check sequence checked and cut off.
    pub fn receive(&mut self, frame: &[u8], now: Instant) {
        self.lapd.receive(frame, now);
        self.pump(now);
    }

    /// The line below is gone (layer 1).
    pub fn line_lost(&mut self, now: Instant) {
        self.lapd.line_lost(now);
        self.pump(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.lapd.handle_timeout(now);
        if self.establish_at.is_some_and(|at| at <= now) {
            self.establish_at = None;
            self.lapd.establish(Tei::POINT_TO_POINT, now);
        }
        self.pump(now);
        self.expire_calls(now);
        self.expire_restart(now);
        self.pump(now);
    }

    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        // The LAPD was drained by `pump`.
        let link = match self.lapd.poll_output() {
            lapd::Output::Timeout(at) => at,
            lapd::Output::Transmit(_) | lapd::Output::Event(_) => None,
        };
        let calls = self.calls.values().map(Call::deadline);
        let restart = self.restarting.as_ref().map(|restarting| restarting.until);
        let all = calls.chain([link, self.establish_at, restart]);
        Output::Timeout(all.flatten().min())
    }

    /// Takes what the D channel has said, until it has nothing more to say.
    pub(super) fn pump(&mut self, now: Instant) {
        loop {
            match self.lapd.poll_output() {
                lapd::Output::Transmit(frame) => {
                    self.outputs.push_back(Output::Transmit(frame));
                }
                lapd::Output::Event(event) => self.lapd_event(event, now),
                lapd::Output::Timeout(_) => return,
            }
        }
    }

    fn lapd_event(&mut self, event: lapd::Event, now: Instant) {
        match event {
            lapd::Event::Broadcast(octets) => self.octets(None, &octets, now),
            lapd::Event::Assigned(tei) => self.event(Event::TerminalUp(tei)),
            lapd::Event::Removed(tei) => {
                self.end_calls_with(tei);
                self.event(Event::TerminalGone(tei));
            }
            // Counted below; it asks again.
            lapd::Event::Denied => {}
            lapd::Event::Link { tei, event } => match event {
                LinkEvent::Received(octets) => self.octets(Some(tei), &octets, now),
                LinkEvent::Established(cause) => {
                    self.link_up(tei, cause != crate::link::Cause::Requested, now);
                }
                LinkEvent::Released(_) => self.link_down(tei, now),
                LinkEvent::Interrupted { .. } | LinkEvent::UnsolicitedAnswer => {}
            },
        }
    }

    fn is_point_to_point(&self) -> bool {
        self.config.link.topology == Topology::PointToPoint
    }

    /// Q.931 5.8.8 and 5.8.9.
    fn link_up(&mut self, tei: Tei, by_surprise: bool, now: Instant) {
        if self.is_point_to_point() {
            self.establish_at = None;
            self.event(Event::LineUp);
        }
        let with = self.calls.values().filter(|call| call.is_with(tei));
        let ids: Vec<CallId> = with.map(|call| call.id).collect();
        for id in ids {
            self.with_call(id, |line, call| {
                let was_lost = call.link_lost_until.take().is_some();
                let overlap = matches!(call.state, State::OverlapSending | State::OverlapReceiving);
                if overlap && by_surprise {
                    // Digits may be missing.
                    line.clear(call, CauseValue::TEMPORARY_FAILURE, now);
                } else if call.state == State::Active && (by_surprise || was_lost) {
                    line.enquire(call, 0, now);
                }
            });
        }
    }

    fn link_down(&mut self, tei: Tei, now: Instant) {
        if self.is_point_to_point() {
            let part = 500 + self.chance.below(1000);
            self.establish_at = Some(now + self.config.timers.establish_pause * part / 1000);
            self.event(Event::LineDown);
        }
        let t309 = self.config.timers.t309;
        let with = self.calls.values().filter(|call| call.is_with(tei));
        let ids: Vec<CallId> = with.map(|call| call.id).collect();
        for id in ids {
            self.with_call(id, |line, call| {
                if call.state == State::Active {
                    call.link_lost_until.get_or_insert(now + t309);
                    call.status_by = None;
                    if !line.is_point_to_point() {
                        line.lapd.establish(tei, now);
                    }
                } else {
                    line.end(call, CauseValue::DESTINATION_OUT_OF_ORDER, None);
                    call.over = true;
                }
            });
        }
    }

    fn end_calls_with(&mut self, tei: Tei) {
        let with = self.calls.values().filter(|call| call.is_with(tei));
        let ids: Vec<CallId> = with.map(|call| call.id).collect();
        for id in ids {
            self.with_call(id, |line, call| {
                line.end(call, CauseValue::DESTINATION_OUT_OF_ORDER, None);
                call.over = true;
            });
        }
    }

    /// A message, from one terminal or (None) said to all.
    fn octets(&mut self, tei: Option<Tei>, octets: &[u8], now: Instant) {
        let Ok(message) = Message::decode(octets) else {
            self.counters.undecodable += 1;
            self.event(Event::Unknown(octets.to_vec()));
            return;
        };
        self.counters.cut_off += u64::from(message.cut_off);
        // Answers go to the one link there is, or the terminal that spoke.
        let Some(answer_to) = tei.or_else(|| self.lapd.tei()) else {
            self.counters.unknown_call += 1;
            return;
        };
        if message.reference.is_dummy() {
            // Services without a call, of which none is spoken.
            self.counters.unknown_type += 1;
        } else if message.reference.is_global() {
            self.global(answer_to, message, now);
        } else if let Some(id) = self.find(answer_to, message.reference) {
            self.with_call(id, |line, call| line.message(call, answer_to, message, now));
        } else if message.kind == MessageType::Setup && message.reference.origin == Origin::Sender {
            self.setup(answer_to, message, now);
        } else {
            self.of_no_call(answer_to, &message, now);
        }
    }

    fn find(&self, tei: Tei, reference: CallReference) -> Option<CallId> {
        let ours = reference.origin == Origin::Receiver;
        let network_of_bus = self.config.link.topology == Topology::PointToMultipoint
            && self.config.side() == Side::Network;
        let same = |call: &&Call| {
            call.ours == ours
                && call.reference == reference.value
                // Each terminal of a bus counts for itself.
                && (ours || !network_of_bus || call.is_with(tei))
        };
        self.calls.values().find(same).map(|call| call.id)
    }

    /// Q.931 5.8.3.2.
    fn of_no_call(&mut self, tei: Tei, message: &Message, now: Instant) {
        self.counters.unknown_call += 1;
        let cause = match message.kind {
            MessageType::ReleaseComplete | MessageType::Setup => return,
            MessageType::Status => {
                let state = message.contents(id::CALL_STATE).and_then(CallState::decode);
                if state.is_none_or(|state| state == CallState::NULL) {
                    return;
                }
                CauseValue::NOT_COMPATIBLE_WITH_STATE
            }
            _ => CauseValue::INVALID_CALL_REFERENCE,
        };
        let elements = vec![self.cause(cause).encode()];
        self.answer(
            tei,
            message.reference,
            MessageType::ReleaseComplete,
            elements,
            now,
        );
    }

    /// Takes a call out, lets `act` change it, and puts it back unless it is over.
    pub(super) fn with_call<T>(
        &mut self,
        id: CallId,
        act: impl FnOnce(&mut Self, &mut Call) -> T,
    ) -> Option<T> {
        let mut call = self.calls.remove(&id)?;
        let result = act(self, &mut call);
        if call.over {
            if let Some(channel) = call.channel {
                self.channels.release(channel, id);
            }
        } else {
            self.calls.insert(id, call);
        }
        Some(result)
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn call_event(&mut self, call: &Call, what: CallEvent, message: Option<Message>) {
        self.event(Event::Call {
            call: call.id,
            what,
            message,
        });
    }

    /// Tells the owner once that a call has ended.
    pub(super) fn end(&mut self, call: &mut Call, cause: CauseValue, message: Option<Message>) {
        if !call.ended {
            call.ended = true;
            self.call_event(call, CallEvent::Ended(cause), message);
        }
    }

    /// A cause of ours.
    pub(super) fn cause(&self, value: CauseValue) -> Cause {
        let location = match (self.config.dialect, self.config.side()) {
            (Dialect::Dss1, Side::User) => Location::User,
            (Dialect::Dss1, Side::Network) | (Dialect::Qsig, _) => Location::PrivateLocal,
        };
        Cause::new(location, value)
    }

    /// A message of a call, to whom it is with.
    pub(super) fn say(
        &mut self,
        call: &Call,
        kind: MessageType,
        elements: Vec<Element>,
        now: Instant,
    ) {
        match &call.peer {
            Peer::Terminal(tei) => self.say_to(*tei, call, kind, elements, now),
            Peer::All { responders, .. } => {
                for tei in responders {
                    self.say_to(*tei, call, kind, elements.clone(), now);
                }
            }
        }
    }

    pub(super) fn say_to(
        &mut self,
        tei: Tei,
        call: &Call,
        kind: MessageType,
        elements: Vec<Element>,
        now: Instant,
    ) {
        self.send(tei, Message::new(reference_of(call), kind, elements), now);
    }

    /// A message with the reference of one that came.
    pub(super) fn answer(
        &mut self,
        tei: Tei,
        reference: CallReference,
        kind: MessageType,
        elements: Vec<Element>,
        now: Instant,
    ) {
        let reference = CallReference {
            origin: match reference.origin {
                Origin::Sender => Origin::Receiver,
                Origin::Receiver => Origin::Sender,
            },
            ..reference
        };
        self.send(tei, Message::new(reference, kind, elements), now);
    }

    pub(super) fn send(&mut self, tei: Tei, message: Message, now: Instant) {
        if self.lapd.send(tei, message.raw().to_vec(), now).is_err() {
            // The timers of Q.931 notice; the link's owner learns of it by its counters.
            self.counters.not_sent += 1;
        }
    }
}

pub(super) fn reference_of(call: &Call) -> CallReference {
    CallReference {
        length: call.length,
        value: call.reference,
        origin: if call.ours {
            Origin::Sender
        } else {
            Origin::Receiver
        },
    }
}
