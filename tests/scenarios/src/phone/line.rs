//! One call of a telephone, as its user sees and hears it.

use std::net::SocketAddr;
use std::time::Instant;

use sip::message::{HeaderName, Reason, StatusCode};
use sip::sdp::{Description, Direction, Kind};
use sip::session::{
    EndCause, Incoming, Progress, ReferState, Reject, Rejection, Sdp, SessionEvent, SessionId,
};

use super::sound::{Sound, Written};
use super::{Act, Manner, Phone};

/// See the module.
#[derive(Clone, Debug)]
pub struct Line {
    /// Whom the display shows, or who was dialled.
    pub with: String,
    pub side: Side,
    pub stage: Stage,
    pub since: Instant,
    pub(super) sound: Sound,
    pub(super) id: u64,
    pub(super) ours: Option<Written>,
    pub(super) theirs: Option<Description>,
    /// An offer of ours that waits for its answer.
    pub(super) pending: Option<Written>,
    pub(super) holding: Holding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Caller,
    Callee,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits for somebody to answer, here or there.
    Ringing,
    Talking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    No,
    Yes,
}

impl Line {
    /// Where its sound arrives.
    pub fn media_port(&self) -> SocketAddr {
        self.sound.at
    }

    /// Both descriptions, once there are both.
    pub fn agreement(&self) -> Option<(&Description, &Description)> {
        Some((&self.ours.as_ref()?.description, self.theirs.as_ref()?))
    }

    /// The direction that suits what the user wants and what the other end offers.
    fn direction_for(&self, offered: Direction) -> Direction {
        let listens = self.holding == Holding::No;
        Direction::new(offered.receives(), offered.sends() && listens)
    }
}

impl Phone {
    pub(super) fn new_line(&mut self, with: String, side: Side, now: Instant) -> Line {
        self.lines_ever += 1;
        let mut at = self.address;
        at.set_port(4_000 + (self.lines_ever % 2_000) as u16 * 10);
        Line {
            with,
            side,
            stage: Stage::Ringing,
            since: now,
            sound: Sound {
                codecs: self.codecs.clone(),
                keypad: self.keypad,
                at,
            },
            id: self.lines_ever,
            ours: None,
            theirs: None,
            pending: None,
            holding: Holding::No,
        }
    }

    pub(super) fn rings(&mut self, incoming: Incoming, now: Instant) {
        let session = incoming.session;
        let who = incoming.from.uri.user().unwrap_or("nobody").to_owned();
        let mut words = format!("rings: {who}");
        let headers = &incoming.request.headers;
        let alarm = headers
            .get(HeaderName::Priority)
            .is_some_and(|value| value == b"emergency");
        let opens = headers
            .get_other("Answer-Mode")
            .is_some_and(|value| value == b"Auto");
        if alarm {
            words.push_str(", emergency");
        }
        if opens {
            words.push_str(", opens");
        }
        let line = self.new_line(who, Side::Callee, now);
        let ours = match &incoming.offer {
            Some(offer) => line.sound.answer(offer, line.id),
            None => Ok(line.sound.offer(line.id)),
        };
        let Ok(ours) = ours else {
            self.say(format!("{words}, but no codec in common"));
            self.reject(session, StatusCode::NOT_ACCEPTABLE_HERE, now);
            return;
        };
        let theirs = incoming
            .offer
            .as_deref()
            .and_then(|offer| Description::parse(offer).ok());
        self.lines.insert(
            session,
            Line {
                ours: Some(ours),
                theirs,
                ..line
            },
        );
        self.say(words);
        match self.manner {
            Manner::Refuses(code) => self.reject(session, code, now),
            Manner::Answers(after) if !opens => {
                self.ring_back(session, now);
                self.plan(after, Some(session), Act::Answer, now);
            }
            Manner::EarlySound => self.early_sound(session, now),
            Manner::Rings | Manner::Answers(_) => {
                self.ring_back(session, now);
                if opens {
                    self.act_on(Some(session), Act::Answer, now);
                }
            }
            Manner::Mute => {}
        }
    }

    fn ring_back(&mut self, session: SessionId, now: Instant) {
        // It can only have ended by itself meanwhile.
        let _ = self.endpoint.progress(session, Progress::ringing(), now);
    }

    /// Sound and picture before the answer.
    fn early_sound(&mut self, session: SessionId, now: Instant) {
        let ours = self.lines.get(&session).and_then(|line| line.ours.as_ref());
        let progress = Progress {
            code: StatusCode::SESSION_PROGRESS,
            sdp: ours.map(Written::bytes),
            ..Progress::ringing()
        };
        let _ = self.endpoint.progress(session, progress, now);
    }

    pub(super) fn reject(&mut self, session: SessionId, code: StatusCode, now: Instant) {
        let _ = self.endpoint.reject(session, Reject::new(code), now);
    }

    pub(super) fn line_says(&mut self, session: SessionId, event: SessionEvent, now: Instant) {
        match event {
            SessionEvent::Progress { code, sdp, .. } => {
                let early = self.take_answer(session, sdp);
                let sound = if early { " with sound" } else { "" };
                self.say(format!("hears {}{sound}", code.code()));
            }
            SessionEvent::Accepted { sdp, .. } => self.is_answered(session, sdp, now),
            SessionEvent::Confirmed { answer } => {
                if let (Some(line), Some(answer)) = (self.lines.get_mut(&session), answer) {
                    line.theirs = Description::parse(&answer).ok();
                }
            }
            SessionEvent::Rejected(rejection) => {
                self.lines.remove(&session);
                self.say(refusal(&rejection));
            }
            SessionEvent::Reoffer { sdp } => self.is_offered(session, &sdp, now),
            SessionEvent::OfferWanted => {
                let ours = self.lines.get(&session).and_then(|line| line.ours.as_ref());
                if let Some(sdp) = ours.map(Written::bytes) {
                    let _ = self.endpoint.answer(session, sdp, now);
                }
            }
            SessionEvent::ReofferAnswered { sdp } => {
                let Some(line) = self.lines.get_mut(&session) else {
                    return;
                };
                line.theirs = Description::parse(&sdp).ok().or(line.theirs.take());
                line.ours = line.pending.take().or(line.ours.take());
                self.say("offer accepted".into());
            }
            SessionEvent::ReofferRefused { code } => {
                if let Some(line) = self.lines.get_mut(&session) {
                    line.pending = None;
                }
                self.say(format!("offer refused: {}", code.code()));
            }
            SessionEvent::Digit { digit, .. } => self.say(format!("key {digit}")),
            SessionEvent::Info { .. } => self.say("info".into()),
            SessionEvent::Refer { refer, .. } => {
                let answer = sip::session::ReferAnswer::Refuse(StatusCode::DECLINE);
                let _ = self.endpoint.answer_refer(session, refer, answer, now);
            }
            SessionEvent::ReferProgress { code, state, .. } => {
                self.say(format!("transfer: {}", code.code()));
                if state == ReferState::Finished && code.is_success() {
                    self.act_on(Some(session), Act::HangUp, now);
                }
            }
            SessionEvent::Ended { cause, reason } => {
                self.lines.remove(&session);
                let reason = reason.map_or(String::new(), |reason| words_of(&reason));
                self.say(format!("over: {}{reason}", end(cause)));
            }
        }
    }

    fn is_answered(&mut self, session: SessionId, sdp: Option<Sdp>, now: Instant) {
        let Some(line) = self.lines.get_mut(&session) else {
            return;
        };
        line.stage = Stage::Talking;
        line.since = now;
        if let Some(Sdp::Offer(offer)) = &sdp {
            match line.sound.answer(offer, line.id) {
                Ok(ours) => {
                    let bytes = ours.bytes();
                    line.theirs = Description::parse(offer).ok();
                    line.ours = Some(ours);
                    let _ = self.endpoint.answer(session, bytes, now);
                }
                Err(_) => self.act_on(Some(session), Act::HangUp, now),
            }
        }
        self.take_answer(session, sdp);
        self.say("talks".into());
    }

    fn take_answer(&mut self, session: SessionId, sdp: Option<Sdp>) -> bool {
        let (Some(line), Some(Sdp::Answer(answer))) = (self.lines.get_mut(&session), sdp) else {
            return false;
        };
        line.theirs = Description::parse(&answer).ok();
        true
    }

    /// Hold, resume or another codec from the other end.
    fn is_offered(&mut self, session: SessionId, offer: &[u8], now: Instant) {
        let Some(line) = self.lines.get_mut(&session) else {
            return;
        };
        let theirs = Description::parse(offer);
        let answer = line.sound.answer(offer, line.id);
        let (Ok(theirs), Ok(answer)) = (theirs, answer) else {
            let _ = self
                .endpoint
                .refuse(session, StatusCode::NOT_ACCEPTABLE_HERE, now);
            return;
        };
        let offered = theirs
            .live(&Kind::Audio)
            .map_or(Direction::Inactive, |s| s.direction);
        let answer = answer.towards(line.direction_for(offered));
        let bytes = answer.bytes();
        line.ours = Some(answer);
        line.theirs = Some(theirs);
        self.say(format!("is offered {}", offered.name()));
        let _ = self.endpoint.answer(session, bytes, now);
    }
}

fn refusal(rejection: &Rejection) -> String {
    let mut words = format!("refused: {}", rejection.code.code());
    if let Some(reason) = &rejection.reason {
        words.push_str(&words_of(reason));
    }
    if let Some(wait) = rejection.retry_after {
        assert!(!wait.is_zero(), "told to try again at once");
        words.push_str(", later");
    }
    words
}

fn words_of(reason: &Reason) -> String {
    let text = reason.text.as_deref().unwrap_or("without words");
    format!(" ({text})")
}

fn end(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Local => "hung up",
        EndCause::Bye => "the other end hung up",
        EndCause::Cancelled => "cancelled",
        EndCause::NoAnswer => "nobody answered",
        EndCause::NoAck => "no ACK",
        EndCause::SessionTimer => "session timer",
        EndCause::TransactionTimeout => "no response",
        EndCause::FlowLost => "connection lost",
        EndCause::Protocol => "protocol error",
    }
}
