//! What must hold for any octets on a D channel; shared with the fuzz targets.

use std::time::{Duration, Instant};

use legacy_protocols::isdn::codec::{
    BearerCapability, CallState, Cause, CauseValue, ChannelIdentification, Message,
    NotificationIndicator, Number, ProgressIndicator, RestartClass, restart_indicator, text,
};
use legacy_protocols::isdn::link::{self, Lapd, Side, Tei, Topology};
use legacy_protocols::isdn::session::{
    CallEvent, CallId, Config, Dialect, Event, Line, Output, Restart, Setup,
};

/// A message: what is read is written to what reads the same, and no view panics.
pub(crate) fn message(octets: &[u8]) {
    let Ok(message) = Message::decode(octets) else {
        return;
    };
    assert_eq!(message.raw(), octets);
    let again = Message::decode(&message.encode()).expect("what was written can be read");
    assert_eq!(again.elements, message.elements);
    assert_eq!(again.reference, message.reference);
    assert_eq!(again.kind, message.kind);
    for element in &message.elements {
        let contents = &element.contents;
        let _ = BearerCapability::decode(contents).map(BearerCapability::encode);
        let _ = ProgressIndicator::decode(contents).map(ProgressIndicator::encode);
        let _ = CallState::decode(contents).map(CallState::encode);
        let _ = RestartClass::decode(contents).map(restart_indicator);
        let _ = NotificationIndicator::decode(contents).map(NotificationIndicator::encode);
        let _ = text(contents);
        if let Some(view) = ChannelIdentification::decode(contents) {
            let again = ChannelIdentification::decode(&view.encode().contents);
            assert_eq!(again, Some(view));
        }
        if let Some(view) = Number::decode(contents) {
            let again = Number::decode(&view.encode(element.id).contents);
            assert_eq!(again, Some(view));
        }
        if let Some(view) = Cause::decode(contents).filter(|view| view.diagnostics.len() <= 32) {
            assert_eq!(Cause::decode(&view.encode().contents), Some(view));
        }
    }
}

/// A life on a D channel. The first octet chooses the line; then come records: what happens, its
/// length, how long after the one before (in 50 ms), and so many octets.
pub(crate) fn d_channel(octets: &[u8]) {
    let Some((&kind, mut rest)) = octets.split_first() else {
        return;
    };
    let side = if kind & 4 == 0 {
        Side::User
    } else {
        Side::Network
    };
    let mut life = Life::new(config(kind, side), config(kind, side.other()).link);
    while let Some((&[what, length, pause], after)) = rest.split_first_chunk() {
        let length = usize::from(length).min(after.len());
        let (octets, after) = after.split_at(length);
        rest = after;
        life.pass(Duration::from_millis(u64::from(pause) * 50));
        life.happens(what, octets);
    }
    life.pass(Duration::from_secs(600));
}

fn config(kind: u8, side: Side) -> Config {
    match kind & 3 {
        0 => Config::primary_rate(side, Dialect::Dss1),
        1 => Config::primary_rate(side, Dialect::Qsig),
        2 => Config::basic_rate(side, Topology::PointToMultipoint),
        _ => Config::basic_rate(side, Topology::PointToPoint),
    }
}

struct Life {
    line: Line,
    /// Carries messages to the line, as its peer would.
    peer: Lapd,
    calls: Vec<CallId>,
    ended: Vec<CallId>,
    now: Instant,
}

impl Life {
    fn new(config: Config, peer: link::Config) -> Self {
        let now = Instant::now();
        let mut life = Self {
            line: Line::new(config, 1, now),
            peer: Lapd::new(peer, 2, now),
            calls: Vec::new(),
            ended: Vec::new(),
            now,
        };
        life.talk();
        life
    }

    fn happens(&mut self, what: u8, octets: &[u8]) {
        let now = self.now;
        let call = self.calls.first().copied().unwrap_or(CallId(99));
        let line = &mut self.line;
        match what & 15 {
            0 => line.receive(octets, now),
            1..=6 => {
                let tei = self
                    .peer
                    .tei()
                    .or(self.peer.links().first().map(|one| one.0));
                let tei = tei.unwrap_or(Tei::POINT_TO_POINT);
                let _ = self.peer.send(tei, octets.to_vec(), now);
            }
            7 => {
                let _ = self.peer.broadcast(octets);
            }
            8 => {
                let setup = Setup::speech(Number::unknown("1"), Number::unknown("2"));
                self.calls.extend(line.call(setup, now));
            }
            9 => drop(line.answer_call(call, now)),
            10 => drop(line.alert(call, None, now)),
            11 => drop(line.more_digits(call, now)),
            12 => drop(line.hang_up(call, CauseValue::NORMAL_CLEARING, now)),
            13 => drop(line.restart(Restart::One(1), now)),
            14 => drop(line.check(call, now)),
            _ => line.line_lost(now),
        }
        self.talk();
    }

    /// Both say all that they have to say.
    fn talk(&mut self) {
        for _ in 0..10_000 {
            let mut silent = true;
            loop {
                match self.line.poll_output() {
                    Output::Transmit(frame) => {
                        silent = false;
                        self.peer.receive(&frame, self.now);
                    }
                    Output::Event(event) => self.note(&event),
                    Output::Timeout(at) => {
                        assert!(at.is_none_or(|at| at > self.now) || self.waits_for(at));
                        break;
                    }
                }
            }
            loop {
                match self.peer.poll_output() {
                    link::Output::Transmit(frame) => {
                        silent = false;
                        self.line.receive(&frame, self.now);
                    }
                    link::Output::Event(_) => {}
                    link::Output::Timeout(_) => break,
                }
            }
            assert!(self.line.calls() <= self.line.config().calls);
            assert!(self.line.lapd().links().len() <= 8);
            if silent {
                return;
            }
        }
        panic!("they never stop talking");
    }

    /// Time stood still between two records, and something falls due at this very moment.
    fn waits_for(&mut self, at: Option<Instant>) -> bool {
        if at == Some(self.now) {
            self.line.handle_timeout(self.now);
            return true;
        }
        false
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..100_000 {
            let line = match self.line.poll_output() {
                Output::Timeout(at) => at,
                other => panic!("not drained: {other:?}"),
            };
            let peer = match self.peer.poll_output() {
                link::Output::Timeout(at) => at,
                other => panic!("not drained: {other:?}"),
            };
            let next = [line, peer].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = next;
            self.line.handle_timeout(next);
            self.peer.handle_timeout(next);
            self.talk();
        }
        panic!("it wants to be woken for ever");
    }

    fn note(&mut self, event: &Event) {
        if let Event::Call { call, what, .. } = event {
            assert!(!self.ended.contains(call), "{what:?} after its end");
            match what {
                CallEvent::Incoming(_) => self.calls.push(*call),
                CallEvent::Ended(_) => {
                    self.calls.retain(|one| one != call);
                    self.ended.push(*call);
                }
                _ => {}
            }
        }
    }
}
