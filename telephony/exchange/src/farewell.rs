//! What a caller is told in words before it is refused: busy, nobody there, no such number.
//!
//! It hears it as early media, and is refused when it is over, or when it gives up. For the call
//! engine the leg has ended already, so nothing waits for it; the ports it keeps for some seconds
//! are few. Whoever cannot hear is refused at once, as without announcements.
//!
//! Invariant: whoever is told something is refused afterwards, exactly once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use media::{Recording, Repeat, Sound, SoundKey};
use model::{EndCause, LegId};
use sip::message::{Headers, StatusCode};
use sip::session::{Delivery, Progress, Reject, SessionId};

use crate::legs::{Leg, Role};
use crate::sounds::{Announcements, Lasting};
use crate::state::Exchange;

/// Callers that are being told something at once; more are refused without a word.
const MOST: usize = 64;

/// Should the media threads not say that it is over, this long after it must be.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Farewells {
    legs: BTreeMap<LegId, Farewell>,
}

#[derive(Debug)]
struct Farewell {
    sound: SoundKey,
    reject: Reject,
    until: Instant,
}

impl Farewells {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.legs.values().map(|farewell| farewell.until).min()
    }
}

impl Exchange {
    pub(crate) fn refuse_leg(
        &mut self,
        leg: LegId,
        cause: EndCause,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        if self.lines.has_leg(leg) {
            return self.end_by_line(leg, cause, now);
        }
        if self.web.has_leg(leg) {
            // A page says it in words of its own.
            return self.refuse_web(leg, cause, retry_after);
        }
        let (code, reason) = self.config.causes.refusal(cause, self.quote);
        let mut reject = Reject::new(code);
        reject.reason = Some(reason);
        reject.retry_after = retry_after;
        let words = words(&self.config.sounds.announcements, cause);
        match words.cloned() {
            Some(words) if self.tell_caller(leg, &words, &reject, now) => {}
            Some(_) | None => self.reject_leg(leg, &reject, now),
        }
    }

    /// `false`: it cannot hear.
    fn tell_caller(
        &mut self,
        leg: LegId,
        words: &Recording,
        reject: &Reject,
        now: Instant,
    ) -> bool {
        let arrived = |leg: &&Leg| leg.role == Role::Arrived;
        let caller = self.legs.get(leg).filter(arrived).and_then(Leg::session);
        let Some(session) = caller.filter(|_| self.farewells.legs.len() < MOST) else {
            return false;
        };
        let Ok(answer) = self.plan.answer_alone(leg) else {
            return false;
        };
        if !self.plan.can_hear(leg) {
            return false;
        }
        let progress = Progress {
            code: StatusCode::SESSION_PROGRESS,
            sdp: Some(answer),
            delivery: Delivery::Reliable,
            headers: Headers::default(),
        };
        if self.sip.progress(session, progress, now).is_err() {
            return false;
        }
        let sound = Sound::Recording {
            recording: words.clone(),
            repeat: Repeat::ONCE,
        };
        let farewell = Farewell {
            sound: self.plan.play(leg, sound, Lasting::ToItsEnd),
            reject: reject.clone(),
            until: now + words.duration() + GRACE,
        };
        self.farewells.legs.insert(leg, farewell);
        true
    }

    fn reject_leg(&mut self, leg: LegId, reject: &Reject, now: Instant) {
        for session in self.take_sessions(leg) {
            // It can only have ended by itself meanwhile.
            let _ = self.sip.reject(session, reject.clone(), now);
        }
    }

    /// A sound is over; if it was the last that the caller should hear, it is refused.
    pub(crate) fn words_over(&mut self, leg: LegId, sound: SoundKey, now: Instant) {
        let farewell = self.farewells.legs.get(&leg);
        if farewell.is_some_and(|farewell| farewell.sound == sound) {
            self.refuse_now(leg, now);
        }
    }

    pub(crate) fn refuse_late(&mut self, now: Instant) {
        let legs = self.farewells.legs.iter();
        let late = legs.filter(|(_, farewell)| farewell.until <= now);
        for leg in late.map(|(leg, _)| *leg).collect::<Vec<_>>() {
            self.refuse_now(leg, now);
        }
    }

    /// Nobody is told anything any more.
    pub(crate) fn refuse_all_told(&mut self, now: Instant) {
        let legs: Vec<_> = self.farewells.legs.keys().copied().collect();
        for leg in legs {
            self.refuse_now(leg, now);
        }
    }

    fn refuse_now(&mut self, leg: LegId, now: Instant) {
        if let Some(farewell) = self.farewells.legs.remove(&leg) {
            self.reject_leg(leg, &farewell.reject, now);
        }
    }

    /// The caller gave up while it was told why it is refused; the call engine knows it as over.
    /// `false`: it was told nothing.
    pub(crate) fn left_early(&mut self, session: SessionId) -> bool {
        let leg = self.legs.by_session(session);
        let told = leg.filter(|leg| self.farewells.legs.remove(leg).is_some());
        match told {
            Some(leg) => {
                self.take_sessions(leg);
                true
            }
            None => false,
        }
    }
}

/// What is said for this cause, if anything.
fn words(own: &Announcements, cause: EndCause) -> Option<&Recording> {
    match cause {
        EndCause::Busy | EndCause::Declined | EndCause::Privacy => own.busy.as_ref(),
        EndCause::NoAnswer | EndCause::Unreachable | EndCause::OutOfService => {
            own.unavailable.as_ref()
        }
        EndCause::UnknownNumber => own.unknown_number.as_ref(),
        EndCause::HungUp
        | EndCause::CallerGaveUp
        | EndCause::AnsweredElsewhere
        | EndCause::NotAllowed
        | EndCause::ForwardingLoop
        | EndCause::PreEmpted
        | EndCause::TimeLimit
        | EndCause::Transferred
        | EndCause::Overload
        | EndCause::Stopping
        | EndCause::RequestExpired
        | EndCause::RequestDismissed
        | EndCause::NothingWaiting
        | EndCause::EndedByOperator
        | EndCause::MediaMismatch
        | EndCause::EncryptionMismatch
        | EndCause::ConnectionLost
        | EndCause::ProtocolError
        | EndCause::InternalError => None,
    }
}
