//! A registrar with stations that speak to it as real ones do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip::digest::client::{Answerer, Asked, Identity};
use sip::digest::server::Realm;
use sip::digest::{Ha1Set, Md5Use};
use sip::flow::{ConnectionId, Flow, ListenerId, Transport};
use sip::message::{HeaderName, Limits, Message, Request, StatusCode, parse_datagram};
use sip::registrar::{
    Account, Answer, Contact, Decision, Event, Output, Registrar, Settings, Store, StoreToken,
};

pub(crate) const REALM: &str = "site";
pub(crate) const PASSWORD: &str = "letmein";

pub(crate) struct World {
    pub(crate) registrar: Registrar,
    pub(crate) now: Instant,
    /// What was ordered and not confirmed, when `confirm` is off.
    pub(crate) orders: Vec<Store>,
    pub(crate) events: Vec<Event>,
    pub(crate) confirm: Confirm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirm {
    AtOnce,
    ByHand,
}

pub(crate) fn settings() -> Settings {
    Settings::new(Realm::new(REALM).unwrap())
}

pub(crate) fn account(user: &str) -> Account {
    Account::new(
        user,
        Ha1Set::from_password(user, REALM, PASSWORD, Md5Use::Refused),
    )
}

impl World {
    pub(crate) fn new(settings: Settings, accounts: Vec<Account>) -> Self {
        let now = Instant::now();
        let mut registrar = Registrar::new(settings, 7, now);
        registrar.set_accounts(accounts);
        Self {
            registrar,
            now,
            orders: Vec::new(),
            events: Vec::new(),
            confirm: Confirm::AtOnce,
        }
    }

    /// Accounts 101 to 109 with the default settings.
    pub(crate) fn usual() -> Self {
        Self::new(
            settings(),
            (101..110).map(|n| account(&n.to_string())).collect(),
        )
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.registrar.handle_timeout(self.now);
        let answers = self.drain();
        assert!(answers.is_empty());
    }

    /// Gives the request in and drains; `None` is silence, or an answer still held.
    pub(crate) fn give(&mut self, request: &Request, flow: &Flow) -> Option<Answer> {
        let decision = self.registrar.register(request, flow, self.now);
        let answers = self.drain();
        match decision {
            Decision::Answer(answer) => Some(answer),
            Decision::Silence => None,
            Decision::Held(token) => {
                let released = answers.into_iter().find(|(of, _)| *of == token);
                released.map(|(_, answer)| answer)
            }
        }
    }

    pub(crate) fn drain(&mut self) -> Vec<(StoreToken, Answer)> {
        let mut answers = Vec::new();
        loop {
            match self.registrar.poll_output() {
                Output::Store(store) => {
                    if self.confirm == Confirm::AtOnce {
                        self.registrar.stored(store.token);
                    }
                    self.orders.push(store);
                }
                Output::Answer { token, answer } => answers.push((token, answer)),
                Output::Event(event) => self.events.push(event),
                Output::Timeout(at) => {
                    assert!(
                        at.is_none_or(|at| at > self.now),
                        "a deadline lies in the past"
                    );
                    return answers;
                }
            }
        }
    }

    pub(crate) fn contacts(&self, aor: &str) -> Vec<Contact<'_>> {
        self.registrar.contacts(aor, self.now)
    }

    pub(crate) fn uris(&self, aor: &str) -> Vec<&str> {
        self.contacts(aor)
            .iter()
            .map(|contact| contact.uri)
            .collect()
    }

    pub(crate) fn up(&self, aor: &str) -> bool {
        !self.contacts(aor).is_empty()
    }
}

/// A station: where it is, and what it would write into its next REGISTER.
#[derive(Clone)]
pub(crate) struct Station {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) flow: Flow,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    answerer: Option<Answerer>,
}

impl Station {
    pub(crate) fn udp(user: &str, remote: &str) -> Self {
        let local: SocketAddr = match remote.starts_with('[') {
            true => "[fd00::1]:5060".parse().unwrap(),
            false => "10.0.0.1:5060".parse().unwrap(),
        };
        let flow = Flow::udp(ListenerId(1), local, remote.parse().unwrap());
        Self {
            user: user.into(),
            password: PASSWORD.into(),
            flow,
            call_id: format!("call-{user}-{remote}"),
            cseq: 0,
            answerer: None,
        }
    }

    pub(crate) fn tls(user: &str, remote: &str, connection: u64) -> Self {
        let mut station = Self::udp(user, remote);
        station.flow.transport = Transport::Tls;
        station.flow.connection = ConnectionId(connection);
        station
    }

    /// The usual Contact: where it sends from.
    pub(crate) fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.user, self.flow.remote)
    }

    /// A REGISTER with these header lines besides the mandatory ones, unsigned.
    pub(crate) fn request(&mut self, lines: &[&str]) -> Request {
        self.cseq += 1;
        let Self {
            user,
            flow,
            call_id,
            cseq,
            ..
        } = self;
        let extra: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        parse(&format!(
            "REGISTER sip:antiphon.example SIP/2.0\r\n\
             Via: SIP/2.0/{} {};branch=z9hG4bKa{cseq}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{user}@antiphon.example>;tag=1\r\n\
             To: <sip:{user}@antiphon.example>\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {cseq} REGISTER\r\n\
             {extra}Content-Length: 0\r\n\r\n",
            flow.transport.via_name(),
            flow.remote,
        ))
    }

    /// Adds the answer to the last challenge.
    pub(crate) fn sign(&mut self, request: Request) -> Request {
        let Some(answerer) = &mut self.answerer else {
            return request;
        };
        let uri = request.uri.to_string();
        let asked = Asked {
            method: request.method.as_str(),
            uri: &uri,
            body: b"",
        };
        let identity = Identity::new(&self.user, &self.password);
        let value = answerer.authorization(&identity, asked, "c0ffee").unwrap();
        request.with_header(HeaderName::Authorization, value)
    }

    pub(crate) fn challenged(&mut self, answer: &Answer) {
        let values = answer
            .headers
            .iter()
            .filter(|(name, _)| *name == HeaderName::WwwAuthenticate);
        self.answerer = Answerer::choose(values.map(|(_, value)| value));
    }

    /// Registers as a station does: answers a challenge once. `None` is silence, or held.
    pub(crate) fn register(&mut self, world: &mut World, lines: &[&str]) -> Option<Answer> {
        let request = self.request(lines);
        let request = self.sign(request);
        let answer = world.give(&request, &self.flow)?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Some(answer);
        }
        self.challenged(&answer);
        let request = self.request(lines);
        let request = self.sign(request);
        world.give(&request, &self.flow)
    }

    /// Registers its usual contact; panics unless that succeeds.
    pub(crate) fn up(&mut self, world: &mut World) -> Answer {
        let line = format!("Contact: {}", self.contact());
        let answer = self.register(world, &[&line]).unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer
    }
}

pub(crate) fn parse(text: &str) -> Request {
    match parse_datagram(text.as_bytes(), &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}\n{text}"),
    }
}

pub(crate) fn header(answer: &Answer, name: HeaderName) -> Vec<&str> {
    let all = answer.headers.iter().filter(|(n, _)| *n == name);
    all.map(|(_, value)| value.as_str()).collect()
}
