//! The owner of an endpoint who does whatever comes to mind, mostly with what is there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Endpoint, Event, Load, MessageId, OutgoingRequest};
use sip::flow::Hop;
use sip::message::{Headers, Method, NameAddr, Reason, StatusCode, Uri};
use sip::session::{
    Delivery, Invite, Progress, Refer, ReferAnswer, ReferId, Reject, ReliableProvisional,
    SessionEvent, SessionId,
};
use sip::subscription::{DialogInfo, SubscriptionId};

use crate::random::Random;

/// What the owner knows of.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) far: SocketAddr,
    own: SocketAddr,
    sessions: Vec<SessionId>,
    refers: Vec<(SessionId, ReferId)>,
    messages: Vec<MessageId>,
    subscriptions: Vec<SubscriptionId>,
}

#[derive(Debug)]
pub enum Command {
    Invite(Box<Invite>),
    Progress(SessionId, Progress),
    Accept(SessionId, Option<Bytes>),
    Reject(SessionId, Reject),
    End(SessionId, Option<Reason>),
    Reoffer(SessionId, Bytes),
    Answer(SessionId, Bytes),
    Refuse(SessionId, StatusCode),
    Refer(SessionId, Refer),
    AnswerRefer(SessionId, ReferId, ReferAnswer),
    NotifyRefer(SessionId, ReferId, StatusCode),
    Info(SessionId, Bytes),
    Digit(SessionId, char),
    Request(Box<OutgoingRequest>),
    AnswerMessage(MessageId, StatusCode),
    AcceptSubscription(SubscriptionId, DialogInfo),
    Notify(SubscriptionId, DialogInfo),
    EndSubscription(SubscriptionId),
    SetLoad(Load),
}

fn sdp() -> Bytes {
    Bytes::from_static(
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
    )
}

impl Owner {
    pub(super) fn new(own: SocketAddr, far: SocketAddr) -> Self {
        Self {
            far,
            own,
            sessions: Vec::new(),
            refers: Vec::new(),
            messages: Vec::new(),
            subscriptions: Vec::new(),
        }
    }

    pub(super) fn learn(&mut self, event: &Event) {
        match event {
            Event::Incoming(incoming) => self.sessions.push(incoming.session),
            Event::Session {
                session,
                event: SessionEvent::Refer { refer, .. },
            } => {
                self.refers.push((*session, *refer));
            }
            Event::Session {
                session,
                event: SessionEvent::Ended { .. } | SessionEvent::Rejected(_),
            } => self.sessions.retain(|known| known != session),
            Event::Message(message) => self.messages.push(message.message),
            Event::Subscribe(subscribe) => self.subscriptions.push(subscribe.subscription),
            Event::Session { .. }
            | Event::RequestAnswered { .. }
            | Event::SubscriptionEnded { .. }
            | Event::Registrar(_) => {}
        }
    }

    fn session(&self, random: &mut Random) -> SessionId {
        match self.sessions.is_empty() || random.one_in(20) {
            true => SessionId(random.draw() % 20),
            false => random.pick(&self.sessions),
        }
    }

    fn uri(&self, address: SocketAddr) -> Uri {
        Uri::sip(Some("1"), &address.ip().into(), Some(address.port()))
    }

    fn invite(&self, random: &mut Random, hop: Hop) -> Command {
        let from = NameAddr::new(self.uri(self.own));
        let mut invite = Invite::new(self.uri(self.far), hop, from, sdp());
        invite.reliable = random.pick(&[
            ReliableProvisional::Supported,
            ReliableProvisional::Required,
            ReliableProvisional::Off,
        ]);
        invite.ring_limit = random.one_in(3).then(|| Duration::from_secs(20));
        if random.one_in(6) {
            invite.offer = None;
        }
        Command::Invite(Box::new(invite))
    }

    fn request(&self, random: &mut Random, hop: Hop) -> Command {
        let (target, from) = (self.uri(self.far), NameAddr::new(self.uri(self.own)));
        let mut headers = Headers::default();
        let method = random.pick(&[Method::Message, Method::Options, Method::Subscribe]);
        match method {
            Method::Message => headers.push(sip::message::HeaderName::ContentType, "text/plain"),
            Method::Subscribe => {
                headers.push(sip::message::HeaderName::Event, "dialog");
                headers.push(sip::message::HeaderName::Contact, format!("<{}>", from.uri));
            }
            _ => {}
        }
        let body = Bytes::from_static(if method == Method::Message {
            b"hello"
        } else {
            b""
        });
        let (to, route) = (None, Vec::new());
        Command::Request(Box::new(OutgoingRequest {
            method,
            target,
            hop,
            from,
            to,
            route,
            headers,
            body,
        }))
    }

    pub(super) fn command(&self, random: &mut Random, hop: Hop) -> Command {
        let session = self.session(random);
        let code = |random: &mut Random| {
            random.pick(&[StatusCode::BUSY_HERE, StatusCode::DECLINE, StatusCode::OK])
        };
        let state = || DialogInfo {
            entity: self.uri(self.own),
            dialogs: Vec::new(),
        };
        let with_sdp = random.one_in(2).then(sdp);
        match random.below(40) {
            0..=6 => self.invite(random, hop),
            7..=10 => {
                let progress = Progress {
                    delivery: random.pick(&[Delivery::Unreliable, Delivery::Reliable]),
                    sdp: with_sdp,
                    ..Progress::ringing()
                };
                Command::Progress(session, progress)
            }
            11..=17 => Command::Accept(session, (!random.one_in(8)).then(sdp)),
            18..=19 => Command::Reject(session, Reject::new(code(random))),
            20..=22 => {
                let reason = random
                    .one_in(2)
                    .then(|| Reason::q850(16, "Normal call clearing"));
                Command::End(session, reason)
            }
            23..=25 => Command::Reoffer(session, sdp()),
            26..=29 => Command::Answer(session, sdp()),
            30 => Command::Refuse(session, StatusCode::NOT_ACCEPTABLE_HERE),
            31 => {
                let refer = Refer {
                    to: NameAddr::new(self.uri(self.own)),
                    referred_by: None,
                };
                Command::Refer(session, refer)
            }
            32 => match self.refers.last() {
                Some((session, refer)) if random.one_in(2) => {
                    let answers = [
                        ReferAnswer::Accept,
                        ReferAnswer::Refuse(StatusCode::DECLINE),
                    ];
                    Command::AnswerRefer(*session, *refer, random.pick(&answers))
                }
                Some((session, refer)) => Command::NotifyRefer(*session, *refer, code(random)),
                None => Command::Digit(session, '5'),
            },
            33 => Command::Info(session, Bytes::from_static(b"x")),
            34 => Command::Digit(session, '1'),
            35 => self.request(random, hop),
            36 => match (self.messages.last(), self.subscriptions.last()) {
                (Some(message), _) if random.one_in(2) => {
                    Command::AnswerMessage(*message, code(random))
                }
                (_, Some(subscription)) => Command::AcceptSubscription(*subscription, state()),
                (Some(_) | None, None) => self.request(random, hop),
            },
            37 => match self.subscriptions.last() {
                Some(subscription) if random.one_in(5) => Command::EndSubscription(*subscription),
                Some(subscription) => Command::Notify(*subscription, state()),
                None => self.request(random, hop),
            },
            38 => Command::SetLoad(random.pick(&[Load::Normal, Load::Normal, Load::Overloaded])),
            _ => Command::End(session, None),
        }
    }
}

impl Command {
    /// Whether it was carried out or refused, the outputs tell.
    pub(super) fn carry(self, endpoint: &mut Endpoint, owner: &mut Owner, now: Instant) {
        let _ = match self {
            Self::Invite(invite) => endpoint.invite(*invite, now).map(|session| {
                owner.sessions.push(session);
            }),
            Self::Progress(session, progress) => endpoint.progress(session, progress, now),
            Self::Accept(session, sdp) => endpoint.accept(session, sdp, now),
            Self::Reject(session, reject) => endpoint.reject(session, reject, now),
            Self::End(session, reason) => endpoint.end(session, reason, now),
            Self::Reoffer(session, sdp) => endpoint.reoffer(session, sdp, now),
            Self::Answer(session, sdp) => endpoint.answer(session, sdp, now),
            Self::Refuse(session, code) => endpoint.refuse(session, code, now),
            Self::Refer(session, refer) => endpoint.refer(session, refer, now).map(drop),
            Self::AnswerRefer(session, refer, answer) => {
                endpoint.answer_refer(session, refer, answer, now)
            }
            Self::NotifyRefer(session, refer, code) => {
                endpoint.notify_refer(session, refer, code, now)
            }
            Self::Info(session, body) => endpoint.info(session, "text/plain", body, now),
            Self::Digit(session, digit) => {
                endpoint.digit(session, digit, Duration::from_millis(160), now)
            }
            Self::Request(request) => endpoint.request(*request, now).map(drop),
            Self::AnswerMessage(message, code) => endpoint.answer_message(message, code, now),
            Self::AcceptSubscription(subscription, state) => {
                endpoint.accept_subscription(subscription, &state, now)
            }
            Self::Notify(subscription, state) => endpoint.notify(subscription, &state, now),
            Self::EndSubscription(subscription) => endpoint.end_subscription(subscription, now),
            Self::SetLoad(load) => {
                endpoint.set_load(load);
                Ok(())
            }
        };
    }
}
