//! How a telephone registers: one REGISTER at a time, digest, repetition, refresh.
//!
//! The endpoint of `sip` makes no REGISTER, because gateways do not; telephones do. Written after
//! RFC 3261 10.2 as devices do it: a refusal is tried again later, silence too.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::digest::client::{Answerer, Asked, Identity};
use sip::flow::Transport;
use sip::message::{
    CSeq, HeaderName, Host, Method, NameAddr, Request, Response, StatusCode, Uri, Via, ViaTransport,
};

use crate::clock::SECOND;
use crate::random::Random;

/// Timers E and F of RFC 3261 17.1.2.2.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);
const RECONNECT: Duration = Duration::from_secs(2);
/// The pause after a refusal or silence.
const TRY_AGAIN: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub struct Registration {
    identity: Identity,
    user: String,
    address: SocketAddr,
    registrar: SocketAddr,
    transport: Transport,
    /// RFC 5626: the binding lives and dies with the connection.
    pub outbound: bool,
    pub expires: u32,
    call_id: String,
    number: u32,
    answerer: Option<Answerer>,
    random: Random,
    state: State,
    /// What was heard, for the log of the telephone.
    news: Vec<String>,
    promise: Promise,
}

/// Whether a binding of this telephone was confirmed since somebody asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    None,
    Fresh,
}

#[derive(Debug)]
enum State {
    Off,
    Asking(Box<Asking>),
    /// Good until then; asks again before.
    On {
        again: Instant,
    },
    Waiting {
        again: Instant,
    },
}

#[derive(Debug)]
struct Asking {
    branch: String,
    bytes: Bytes,
    expires: u32,
    since: Instant,
    repeat: Option<Instant>,
    interval: Duration,
    /// Whether credentials were in it.
    signed: bool,
}

impl Registration {
    pub fn new(
        user: &str,
        password: &str,
        address: SocketAddr,
        registrar: SocketAddr,
        transport: Transport,
        mut random: Random,
    ) -> Self {
        Self {
            identity: Identity::new(user, password),
            user: user.into(),
            address,
            registrar,
            transport,
            outbound: false,
            expires: 3_600,
            call_id: format!("{:016x}@{}", random.draw(), address.ip()),
            number: 0,
            answerer: None,
            random,
            state: State::Off,
            news: Vec::new(),
            promise: Promise::None,
        }
    }

    /// Begins anew, whatever was before. What comes back is to be sent.
    pub fn start(&mut self, now: Instant) -> Bytes {
        self.ask(self.expires, now)
    }

    /// Takes its bindings back.
    pub fn stop(&mut self, now: Instant) -> Bytes {
        self.ask(0, now)
    }

    /// The connection to the registrar broke: the telephone opens another one soon.
    pub fn connection_lost(&mut self, now: Instant) {
        if !matches!(self.state, State::Off) {
            let again = now + RECONNECT;
            self.state = State::Waiting { again };
        }
    }

    pub fn is_on(&self) -> bool {
        matches!(self.state, State::On { .. })
    }

    pub fn next(&self) -> Option<Instant> {
        match &self.state {
            State::Off => None,
            State::Asking(asking) => {
                let give_up = asking.since + GIVE_UP;
                Some(asking.repeat.map_or(give_up, |repeat| repeat.min(give_up)))
            }
            State::On { again } | State::Waiting { again } => Some(*again),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Option<Bytes> {
        if self.next().is_none_or(|due| due > now) {
            return None;
        }
        match &mut self.state {
            State::Off => None,
            State::Asking(asking) if now >= asking.since + GIVE_UP => {
                self.news.push("registration: no answer".into());
                self.state = State::Waiting {
                    again: now + TRY_AGAIN,
                };
                None
            }
            State::Asking(asking) => {
                asking.interval = (asking.interval * 2).min(T2);
                asking.repeat = Some(now + asking.interval);
                Some(asking.bytes.clone())
            }
            State::On { .. } | State::Waiting { .. } => Some(self.start(now)),
        }
    }

    /// Whether this response is to a REGISTER of ours.
    pub fn owns(&self, response: &Response) -> bool {
        response.headers.call_id() == Ok(&self.call_id)
    }

    pub fn answered(&mut self, response: &Response, now: Instant) -> Option<Bytes> {
        let State::Asking(asking) = &mut self.state else {
            return None;
        };
        let via = response.headers.via_top().ok();
        if via.as_ref().and_then(Via::branch) != Some(&asking.branch) {
            return None;
        }
        let code = response.status;
        if code.is_provisional() {
            asking.repeat = None;
            return None;
        }
        if code == StatusCode::UNAUTHORIZED {
            return self.challenged(response, now);
        }
        let expires = asking.expires;
        if code.is_success() && expires == 0 {
            self.news.push("unregistered".into());
            self.state = State::Off;
        } else if code.is_success() {
            self.news.push("registered".into());
            self.promise = Promise::Fresh;
            let granted = self.granted(response).unwrap_or(expires);
            let again = now + SECOND * granted * 4 / 5;
            self.state = State::On { again };
        } else {
            self.news
                .push(format!("registration refused: {}", code.code()));
            self.state = State::Waiting {
                again: now + TRY_AGAIN,
            };
        }
        None
    }

    pub fn take_promise(&mut self) -> Promise {
        std::mem::replace(&mut self.promise, Promise::None)
    }

    pub fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    fn challenged(&mut self, response: &Response, now: Instant) -> Option<Bytes> {
        let State::Asking(asking) = &self.state else {
            return None;
        };
        let (signed, expires) = (asking.signed, asking.expires);
        let next = Answerer::choose(response.headers.all(HeaderName::WwwAuthenticate))?;
        if signed
            && !self
                .answerer
                .as_ref()
                .is_some_and(|last| last.worth_answering(&next))
        {
            self.news.push("registration refused: 401".into());
            self.state = State::Waiting {
                again: now + TRY_AGAIN,
            };
            self.answerer = None;
            return None;
        }
        self.answerer = Some(next);
        Some(self.ask(expires, now))
    }

    /// How long the binding that is ours was granted.
    fn granted(&self, response: &Response) -> Option<u32> {
        let contacts = response.headers.name_addrs(HeaderName::Contact).ok()?;
        let ours = contacts
            .iter()
            .find(|contact| contact.uri.as_str() == self.contact_uri())?;
        ours.params.value("expires")?.parse().ok()
    }

    fn contact_uri(&self) -> String {
        match self.transport {
            Transport::Udp => format!("sip:{}@{}", self.user, self.address),
            Transport::Tcp | Transport::Tls => {
                format!("sip:{}@{};transport=tcp", self.user, self.address)
            }
        }
    }

    fn ask(&mut self, expires: u32, now: Instant) -> Bytes {
        self.number += 1;
        let branch = format!("{}{:016x}", Via::MAGIC_COOKIE, self.random.draw());
        let mut request = self.request(&branch, expires);
        let uri = request.uri.to_string();
        let asked = Asked {
            method: "REGISTER",
            uri: &uri,
            body: b"",
        };
        let cnonce = format!("{:016x}", self.random.draw());
        let answerer = self.answerer.as_mut();
        let credentials = answerer.and_then(|a| a.authorization(&self.identity, asked, &cnonce));
        let signed = credentials.is_some();
        if let Some(credentials) = credentials {
            request.headers.push(HeaderName::Authorization, credentials);
        }
        let bytes = Bytes::from(request.to_bytes());
        let repeats = !self.transport.is_reliable();
        self.state = State::Asking(Box::new(Asking {
            branch,
            bytes: bytes.clone(),
            expires,
            since: now,
            repeat: repeats.then(|| now + T1),
            interval: T1,
            signed,
        }));
        bytes
    }

    fn request(&self, branch: &str, expires: u32) -> Request {
        let registrar = Host::from(self.registrar.ip());
        let host = Host::from(self.address.ip());
        let via = match self.transport {
            Transport::Udp => ViaTransport::Udp,
            Transport::Tcp | Transport::Tls => ViaTransport::Tcp,
        };
        let mut via = Via::new(via, host, Some(self.address.port()), branch);
        via.params.set("rport", None);
        let own = NameAddr::new(Uri::sip(Some(&self.user), &registrar, None));
        let cseq = CSeq {
            number: self.number,
            method: Method::Register,
        };
        let mut contact = format!("<{}>;expires={expires}", self.contact_uri());
        let request = Request::new(Method::Register, Uri::sip(None, &registrar, None));
        let mut request = request
            .with_header(HeaderName::Via, via.to_string())
            .with_header(HeaderName::MaxForwards, "70")
            .with_header(HeaderName::From, own.clone().with_tag("1").to_bytes())
            .with_header(HeaderName::To, own.to_bytes())
            .with_header(HeaderName::CallId, &self.call_id)
            .with_header(HeaderName::CSeq, cseq.to_string());
        if self.outbound {
            let id = self.address.port() as u32 + u32::from(self.address.is_ipv6());
            contact.push_str(&format!(
                ";reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{id:012}>\""
            ));
            request
                .headers
                .push(HeaderName::Supported, "path, outbound");
        }
        request.with_header(HeaderName::Contact, contact)
    }
}
