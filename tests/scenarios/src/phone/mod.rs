//! A telephone: registration, calls, sound, and a user with habits.
//!
//! It stands on a second instance of the SIP endpoint, so both sides of every dialog are real; what
//! a *different* implementation would do is shown with real clients elsewhere. All that its user
//! sees and hears is written into a log in words. Invariant: after each call from outside it is
//! drained; what it sends waits in `outbox`.

mod line;
mod registration;
mod sound;
mod user;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use sip::digest::client::Identity;
use sip::endpoint::{
    Endpoint, Event, InviteAuth, Listener, Output, SessionTimerSettings, Settings,
};
use sip::flow::{ConnectionId, Destination, Flow, Hop, Transport};
use sip::framer::{Frame, Framer};
use sip::message::{Limits, Message, StatusCode, parse_datagram};
use sip::sdp::Codec;
use sip::session::SessionId;

use crate::network::{Arrival, TCP, UDP};
use crate::random::Random;
use crate::site::PASSWORD;
pub use line::{Line, Side, Stage};
pub use registration::{Promise, Registration};
pub use sound::{Keypad, sends, understands};
pub use user::{Act, Manner};

/// See the module.
#[derive(Debug)]
pub struct Phone {
    pub name: String,
    pub address: SocketAddr,
    gateway: SocketAddr,
    transport: Transport,
    pub registration: Registration,
    identity: Identity,
    endpoint: Endpoint,
    deadline: Option<Instant>,
    pub manner: Manner,
    pub codecs: Vec<Codec>,
    pub keypad: Keypad,
    lines: BTreeMap<SessionId, Line>,
    lines_ever: u64,
    diary: BTreeMap<(Instant, u64), (Option<SessionId>, Act)>,
    entries: u64,
    /// What the user noticed since somebody asked.
    log: Vec<String>,
    /// The connection to the gateway, where there is one.
    connection: Option<ConnectionId>,
    framer: Framer,
    pub outbox: VecDeque<ToSend>,
    switched: Switched,
}

/// What the network is asked to do.
#[derive(Debug)]
pub enum ToSend {
    Message(Hop, Bytes),
    Close(ConnectionId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switched {
    On,
    Off,
}

impl Phone {
    pub fn new(
        name: &str,
        address: SocketAddr,
        gateway: SocketAddr,
        transport: Transport,
        mut random: Random,
        now: Instant,
    ) -> Self {
        let listener = |id, transport| Listener {
            invite_auth: InviteAuth::None,
            ..Listener::new(id, transport, address)
        };
        let settings = Settings {
            listeners: vec![listener(UDP, Transport::Udp), listener(TCP, Transport::Tcp)],
            session_timer: SessionTimerSettings {
                interval: None,
                ..Default::default()
            },
            ..Settings::default()
        };
        let chance = random.fork();
        Self {
            name: name.into(),
            address,
            gateway,
            transport,
            registration: Registration::new(name, PASSWORD, address, gateway, transport, chance),
            identity: Identity::new(name, PASSWORD),
            endpoint: Endpoint::new(settings, random.seed(), now),
            deadline: None,
            manner: Manner::Rings,
            codecs: vec![Codec::G722, Codec::Pcma, Codec::Pcmu],
            keypad: Keypad::Events,
            lines: BTreeMap::new(),
            lines_ever: 0,
            diary: BTreeMap::new(),
            entries: 0,
            log: Vec::new(),
            connection: None,
            framer: Framer::new(Limits::default()),
            outbox: VecDeque::new(),
            switched: Switched::On,
        }
    }

    pub fn host(&self) -> IpAddr {
        self.address.ip()
    }

    /// The user wants to use another password.
    pub fn set_password(&mut self, password: &str, random: Random) {
        let (address, gateway, transport) = (self.address, self.gateway, self.transport);
        self.registration =
            Registration::new(&self.name, password, address, gateway, transport, random);
        self.identity = Identity::new(&self.name, password);
    }

    pub fn register(&mut self, now: Instant) {
        let bytes = self.registration.start(now);
        self.send(bytes);
    }

    pub fn unregister(&mut self, now: Instant) {
        let bytes = self.registration.stop(now);
        self.send(bytes);
    }

    /// Without a word: the power is gone, and the memory with it.
    pub fn switch_off(&mut self, mut random: Random, now: Instant) {
        let fresh = Self::new(
            &self.name,
            self.address,
            self.gateway,
            self.transport,
            random.fork(),
            now,
        );
        let (log, manner, codecs) = (
            std::mem::take(&mut self.log),
            self.manner,
            std::mem::take(&mut self.codecs),
        );
        let outbound = self.registration.outbound;
        *self = Self {
            log,
            manner,
            codecs,
            switched: Switched::Off,
            ..fresh
        };
        self.registration.outbound = outbound;
    }

    pub fn switch_on(&mut self, now: Instant) {
        self.switched = Switched::On;
        self.register(now);
    }

    pub fn is_on(&self) -> bool {
        self.switched == Switched::On
    }

    /// When it wants to be woken.
    pub fn next(&self) -> Option<Instant> {
        if self.switched == Switched::Off {
            return None;
        }
        let diary = self.diary.keys().next().map(|(at, _)| *at);
        [self.deadline, diary, self.registration.next()]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.switched == Switched::Off {
            return;
        }
        self.endpoint.handle_timeout(now);
        if let Some(bytes) = self.registration.handle_timeout(now) {
            self.send(bytes);
        }
        self.drain(now);
        while let Some(entry) = self
            .diary
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            let (session, act) = entry.remove();
            self.act_on(session, act, now);
        }
    }

    pub fn arrived(&mut self, arrival: Arrival, now: Instant) {
        if self.switched == Switched::Off {
            return;
        }
        // What became due comes before what happens now.
        self.endpoint.handle_timeout(now);
        match arrival {
            Arrival::Received { flow, bytes } => self.received(&flow, &bytes, now),
            Arrival::Opened(flow) => {
                self.connection = Some(flow.connection);
                self.framer = Framer::new(Limits::default());
                self.endpoint.flow_opened(&flow, now);
            }
            Arrival::Closed(flow) => {
                self.endpoint.flow_closed(&flow, now);
                if self.connection == Some(flow.connection) {
                    self.connection = None;
                    self.say("connection lost".into());
                    self.registration.connection_lost(now);
                }
            }
            Arrival::Unreachable(destination) => self.endpoint.unreachable(&destination, now),
        }
        self.drain(now);
    }

    /// Messages are cut out of a connection here, because answers to a REGISTER pass the endpoint
    /// by.
    fn received(&mut self, flow: &Flow, bytes: &Bytes, now: Instant) {
        if !flow.transport.is_reliable() {
            return self.message(flow, bytes, now);
        }
        self.framer.push(bytes);
        while let Some(frame) = self.framer.next() {
            match frame {
                Ok(Frame::Message(message)) => self.message(flow, &message.to_bytes(), now),
                Ok(Frame::Ping | Frame::Pong | Frame::Refused(_)) => {}
                Err(error) => panic!("{}: {error}", self.name),
            }
        }
    }

    fn message(&mut self, flow: &Flow, bytes: &[u8], now: Instant) {
        if let Ok(Message::Response(response)) = parse_datagram(bytes, &Limits::default())
            && self.registration.owns(&response)
        {
            if let Some(bytes) = self.registration.answered(&response, now) {
                self.send(bytes);
            }
            for news in self.registration.take_news() {
                self.say(news);
            }
            return;
        }
        self.endpoint.receive(flow, bytes, now);
    }

    fn send(&mut self, bytes: Bytes) {
        let hop = self.to_gateway();
        self.outbox.push_back(ToSend::Message(hop, bytes));
    }

    fn to_gateway(&self) -> Hop {
        Hop::Destination(Destination::new(self.transport, self.gateway))
    }

    /// Everything the endpoint says is carried out; what it tells the user does.
    fn drain(&mut self, now: Instant) {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit { to, bytes } => self.outbox.push_back(ToSend::Message(to, bytes)),
                Output::CloseFlow { connection } => {
                    self.outbox.push_back(ToSend::Close(connection));
                }
                Output::Event(Event::Incoming(incoming)) => self.rings(*incoming, now),
                Output::Event(Event::Session { session, event }) => {
                    self.line_says(session, event, now);
                }
                Output::Event(Event::Message(message)) => {
                    let text = String::from_utf8_lossy(&message.request.body).into_owned();
                    self.log.push(format!("shows: {text}"));
                    let code = StatusCode::OK;
                    // It can only be gone already.
                    let _ = self.endpoint.answer_message(message.message, code, now);
                }
                Output::Event(
                    Event::RequestAnswered { .. }
                    | Event::Subscribe(_)
                    | Event::SubscriptionEnded { .. }
                    | Event::Registrar(_),
                )
                | Output::Store(_) => {}
                Output::Timeout(deadline) => {
                    assert!(
                        deadline.is_none_or(|at| at > now),
                        "{}: a deadline of the endpoint lies in the past",
                        self.name,
                    );
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    pub(crate) fn say(&mut self, what: String) {
        self.log.push(what);
    }

    /// What the user noticed since the last time.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub fn log(&self) -> &[String] {
        &self.log
    }

    pub fn lines(&self) -> impl Iterator<Item = (SessionId, &Line)> {
        self.lines.iter().map(|(session, line)| (*session, line))
    }

    /// Everything that a call leaves behind is gone.
    pub fn leftovers(&self) -> (usize, usize) {
        (
            self.endpoint.session_count(),
            self.endpoint.transaction_count(),
        )
    }
}
