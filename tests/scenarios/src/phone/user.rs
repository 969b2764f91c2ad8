//! What the user of a telephone does, by habit or when told.

use std::time::{Duration, Instant};

use sip::message::{HeaderName, Headers, NameAddr, Replaces, StatusCode, Uri};
use sip::sdp::{Codec, Direction};
use sip::session::{Invite, Refer, SessionId};

use super::line::{Holding, Line, Side, Stage};
use super::sound::Written;
use super::{Phone, Switched};

/// What happens when a call comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It rings until the user does something.
    Rings,
    /// The user answers after so long.
    Answers(Duration),
    Refuses(StatusCode),
    /// It rings, and sound comes from it already.
    EarlySound,
    /// It gives no sign, not even of ringing.
    Mute,
}

/// One thing that the user does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Dial(String),
    /// Dials, and leaves the offer to the other end.
    DialWithoutOffer(String),
    Answer,
    Refuse(StatusCode),
    HangUp,
    Hold,
    Resume,
    /// A key, sent by INFO.
    Press(char),
    Transfer(String),
    /// Joins the other end of this call with the other end of the next older one.
    Join,
    /// Continues at this telephone the call that another one of the same station has.
    TakeOver(Replaces),
}

/// Whose offer begins a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Offers,
    Asks,
}

impl Phone {
    /// The user does something with the newest call.
    pub fn act(&mut self, act: Act, now: Instant) {
        if self.switched == Switched::On {
            self.act_on(None, act, now);
        }
    }

    /// The user will do something.
    pub fn plan(&mut self, after: Duration, session: Option<SessionId>, act: Act, now: Instant) {
        self.entries += 1;
        self.diary
            .insert((now + after, self.entries), (session, act));
    }

    /// Does it with one call. Where there is none that it fits, nothing happens: users do that.
    pub fn act_on(&mut self, session: Option<SessionId>, act: Act, now: Instant) {
        let newest = self.lines.keys().next_back().copied();
        let session = match (&act, session.or(newest)) {
            (Act::Dial(to), _) => {
                self.dial(to, Opening::Offers, Headers::default(), now);
                None
            }
            (Act::TakeOver(replaces), _) => {
                let mut headers = Headers::default();
                headers.push(HeaderName::Replaces, replaces.to_string());
                let own = self.name.clone();
                self.dial(&own, Opening::Offers, headers, now);
                None
            }
            (Act::DialWithoutOffer(to), _) => {
                self.dial(to, Opening::Asks, Headers::default(), now);
                None
            }
            (_, session) => session.filter(|session| self.lines.contains_key(session)),
        };
        if let Some(session) = session {
            self.act_on_line(session, act, now);
        }
        self.drain(now);
    }

    fn act_on_line(&mut self, session: SessionId, act: Act, now: Instant) {
        let line = self.lines.get_mut(&session).expect("looked up just before");
        let waits = line.side == Side::Callee && line.stage == Stage::Ringing;
        match act {
            Act::Dial(_) | Act::DialWithoutOffer(_) | Act::TakeOver(_) => {}
            Act::Answer if waits => {
                line.stage = Stage::Talking;
                line.since = now;
                let sdp = line.ours.as_ref().map(|ours| ours.bytes());
                if self.endpoint.accept(session, sdp, now).is_ok() {
                    self.say("talks".into());
                }
            }
            Act::Refuse(code) if waits => self.reject(session, code, now),
            Act::Answer | Act::Refuse(_) => {}
            // It can only have ended by itself meanwhile.
            Act::HangUp => drop(self.endpoint.end(session, None, now)),
            Act::Hold => self.reoffer(session, Holding::Yes, now),
            Act::Resume => self.reoffer(session, Holding::No, now),
            Act::Press(key) => {
                let pressed = Duration::from_millis(160);
                let _ = self.endpoint.digit(session, key, pressed, now);
            }
            Act::Transfer(to) => {
                let refer = Refer {
                    to: NameAddr::new(self.uri_of(&to)),
                    referred_by: None,
                };
                let _ = self.endpoint.refer(session, refer, now);
            }
            Act::Join => self.join(session, now),
        }
    }

    fn uri_of(&self, number: &str) -> Uri {
        Uri::sip(Some(number), &self.gateway.ip().into(), None)
    }

    fn dial(&mut self, to: &str, opening: Opening, headers: Headers, now: Instant) {
        let line = self.new_line(to.into(), Side::Caller, now);
        let ours = line.sound.offer(line.id);
        let from = NameAddr::new(self.uri_of(&self.name)).with_display(&self.name);
        let mut invite = Invite::new(self.uri_of(to), self.to_gateway(), from, ours.bytes());
        invite.credentials = Some(self.identity.clone());
        invite.headers = headers;
        if opening == Opening::Asks {
            invite.offer = None;
        }
        match self.endpoint.invite(invite, now) {
            Ok(session) => {
                let ours = (opening == Opening::Offers).then_some(ours);
                self.lines.insert(session, Line { ours, ..line });
            }
            Err(error) => panic!("{}: cannot dial: {error}", self.name),
        }
    }

    fn reoffer(&mut self, session: SessionId, holding: Holding, now: Instant) {
        let Some(line) = self.lines.get_mut(&session) else {
            return;
        };
        if line.stage != Stage::Talking {
            return;
        }
        line.holding = holding;
        let direction = match holding {
            Holding::Yes => Direction::SendOnly,
            Holding::No => Direction::SendRecv,
        };
        let Some(offer) = line.ours.as_ref().map(|ours| ours.towards(direction)) else {
            return;
        };
        // An offer that crosses another one is refused at once by the own endpoint.
        match self.endpoint.reoffer(session, offer.bytes(), now) {
            Ok(()) => line.pending = Some(offer),
            Err(error) => self.say(format!("cannot offer: {error}")),
        }
    }

    /// The user turns to other codecs within the newest call.
    pub fn offer_codecs(&mut self, codecs: &[Codec], now: Instant) {
        let Some((session, line)) = self.lines.iter_mut().next_back() else {
            return;
        };
        line.sound.codecs = codecs.to_vec();
        let version = line.ours.as_ref().map_or(1, Written::version);
        let offer = line.sound.offer(line.id).after(version);
        let session = *session;
        if self.endpoint.reoffer(session, offer.bytes(), now).is_ok() {
            line.pending = Some(offer);
        }
        self.drain(now);
    }

    /// How the newest call of this telephone is named to the gateway by another one.
    pub fn newest_call(&self) -> Option<Replaces> {
        let session = self.lines.keys().next_back()?;
        self.endpoint.replaces(*session)
    }

    /// RFC 3891 and RFC 3515: the older call is named in the Refer-To.
    fn join(&mut self, session: SessionId, now: Instant) {
        let other = self
            .lines
            .keys()
            .rev()
            .find(|other| **other != session)
            .copied();
        let named = other.and_then(|other| {
            let to = self.uri_of(&self.lines[&other].with);
            Some(to.with_header("Replaces", &self.endpoint.replaces(other)?.to_string()))
        });
        if let Some(to) = named {
            let refer = Refer {
                to: NameAddr::new(to),
                referred_by: None,
            };
            let _ = self.endpoint.refer(session, refer, now);
        }
    }
}
