//! The heart: what SIP says becomes what the call engine hears.
//!
//! It translates and refuses what has no meaning here; it decides nothing about calls. Invariant:
//! every session that reached the call engine as a leg is reported as over exactly once.

use std::time::Instant;

use calls::{Arrival, Input, Origin, Progress, Prospect, Takeover, Video};
use model::{Address, Digit, EndCause, LegId, Priority, StationId};
use sip::endpoint::{Event, IncomingMessage};
use sip::message::{HeaderName, StatusCode, Uri};
use sip::session::{Incoming, ReferAnswer, ReferId, Reject, Sdp, SessionEvent, SessionId, Urgency};

use crate::causes;
use crate::io::Output;
use crate::keys::KeyForm;
use crate::legs::{Leg, Rest, Role};
use crate::parties;
use crate::plan::{Offered, PlanError, Reoffered, Signalling, Start, Taker, Terms};
use crate::state::Exchange;

/// Why a call does not get past the edge.
enum Refused {
    With(StatusCode),
    Media(PlanError),
}

impl From<StatusCode> for Refused {
    fn from(code: StatusCode) -> Self {
        Self::With(code)
    }
}

impl From<PlanError> for Refused {
    fn from(error: PlanError) -> Self {
        Self::Media(error)
    }
}

impl Exchange {
    pub(crate) fn route(&mut self, event: Event, now: Instant) {
        match event {
            Event::Incoming(incoming) => self.call_arrives(*incoming, now),
            Event::Session { session, event } => self.session_says(session, event, now),
            Event::Message(message) => self.message_arrives(&message, now),
            Event::Subscribe(subscribe) => self.watcher_arrives(*subscribe, now),
            Event::SubscriptionEnded { subscription } => self.watchers.remove(subscription),
            Event::Registrar(event) => self.registrar_says(event, now),
            // Only texts of lines are sent outside calls.
            Event::RequestAnswered { request, outcome } => {
                self.text_answered(request, &outcome, now);
            }
        }
    }

    fn call_arrives(&mut self, incoming: Incoming, now: Instant) {
        let session = incoming.session;
        if let Err(refused) = self.admit(&incoming, now) {
            self.counters.calls_refused_at_the_edge += 1;
            let mut reject = match refused {
                Refused::With(code) => Reject::new(code),
                Refused::Media(error) => self.refused_media(&error),
            };
            if reject.code == StatusCode::SERVICE_UNAVAILABLE {
                reject.retry_after = Some(self.config.calls.retry_after);
            }
            // The session can only be gone already.
            let _ = self.sip.reject(session, reject, now);
        }
    }

    fn admit(&mut self, incoming: &Incoming, now: Instant) -> Result<(), Refused> {
        if let Some(replaced) = incoming.replaces {
            return self.admit_takeover(incoming, replaced, now);
        }
        let dialled = self.dialled(&incoming.request_uri);
        let dialled = dialled.ok_or(StatusCode::NOT_FOUND)?;
        let from = self.caller(incoming);
        let leg = self.calls.next_leg();
        let priority = match incoming.urgency {
            Urgency::Emergency => Some(Priority::DEFAULT_ALARM),
            Urgency::Normal => None,
        };
        let offered = match self.calls.prospect(&from, priority) {
            Prospect::Usual => self.plan_arrived(leg, Taker::Usual, incoming, &from)?,
            Prospect::Alarm => self.plan_arrived(leg, Taker::Alarm, incoming, &from)?,
            // It is refused with a record like any other, but costs no port.
            Prospect::Refused => Offered { video: Video::None },
        };
        self.note_arrived(leg, incoming.session);
        let arrival = Arrival {
            leg,
            from,
            dialled,
            priority,
            video: offered.video,
        };
        self.calls.handle(Input::LegArrived(arrival), now);
        self.name_leg(leg, incoming.session);
        Ok(())
    }

    fn caller(&self, incoming: &Incoming) -> Origin {
        if let Some(neighbour) = self.caller_by_neighbour(incoming) {
            return neighbour;
        }
        let known = parties::origin(incoming, &self.directory, &self.config.trusted);
        match known {
            Origin::Outside { .. } => self.caller_by_trunk(incoming).unwrap_or(known),
            Origin::Station(_) | Origin::CloudUser { .. } | Origin::Node { .. } => known,
        }
    }

    /// Whom a URI means: somebody here, or behind a line.
    fn dialled(&self, uri: &Uri) -> Option<Address> {
        match parties::dialled(uri, &self.directory)? {
            Address::Local(number) => Some(self.with_block(number)),
            other => Some(other),
        }
    }

    /// RFC 3891 3: only for whom it is their own call.
    fn admit_takeover(
        &mut self,
        incoming: &Incoming,
        replaced: SessionId,
        now: Instant,
    ) -> Result<(), Refused> {
        let gone = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        let replaced = self.legs.by_session(replaced).ok_or(gone)?;
        let from = self.caller(incoming);
        let station = match from {
            Origin::Station(station) if self.calls.may_take_over(station, replaced) => station,
            Origin::Station(_)
            | Origin::CloudUser { .. }
            | Origin::Outside { .. }
            | Origin::Node { .. } => return Err(StatusCode::FORBIDDEN.into()),
        };
        let leg = self.calls.next_leg();
        let offered = self.plan_arrived(leg, Taker::Usual, incoming, &from)?;
        self.note_arrived(leg, incoming.session);
        let takeover = Takeover {
            leg,
            station,
            replaced,
            video: offered.video,
        };
        self.calls.handle(Input::LegTakesOver(takeover), now);
        self.name_leg(leg, incoming.session);
        Ok(())
    }

    fn plan_arrived(
        &mut self,
        leg: LegId,
        taker: Taker,
        incoming: &Incoming,
        from: &Origin,
    ) -> Result<Offered, PlanError> {
        let station = match from {
            Origin::Station(station) => Some(*station),
            Origin::CloudUser { .. } | Origin::Outside { .. } | Origin::Node { .. } => None,
        };
        let flow = &incoming.flow;
        let start = Start {
            taker,
            local: flow.local.ip(),
            peer: flow.remote.ip(),
            terms: self.terms_over(flow, station),
        };
        self.plan.arrived(leg, start, incoming.offer.as_deref())
    }

    /// What a leg's encryption has to be: as its station's is configured, else as everybody's is.
    pub(crate) fn terms(&self, station: Option<StationId>, signalling: Signalling) -> Terms {
        let station = station.and_then(|station| self.directory.station(station));
        let encryption = station.and_then(|station| station.encryption);
        Terms {
            encryption: encryption.unwrap_or(self.config.encryption),
            signalling,
        }
    }

    /// The refusal of a description, which says why.
    pub(crate) fn refused_media(&mut self, error: &PlanError) -> Reject {
        let mut reject = Reject::new(error.refusal());
        if let PlanError::Security(why) = error {
            self.counters.encryption_refused += 1;
            let (_, reason) = self.config.causes.refusal(error.cause(), None);
            reject.reason = Some(reason);
            reject.headers.push(
                HeaderName::Warning,
                causes::warning(*why, &self.config.domain),
            );
        }
        reject
    }

    fn note_arrived(&mut self, leg: LegId, session: SessionId) {
        let mut entry = Leg::new(Role::Arrived);
        entry.sessions.push(session);
        self.legs.insert(leg, entry);
    }

    pub(crate) fn name_leg(&mut self, leg: LegId, session: SessionId) {
        if let Some(call_id) = self.sip.call_id(session).map(Box::from) {
            let call = self.calls.call_of_leg(leg);
            self.out(Output::LegNamed { leg, call, call_id });
        }
    }

    fn session_says(&mut self, session: SessionId, event: SessionEvent, now: Instant) {
        let Some(leg) = self.legs.by_session(session) else {
            // A branch that lost, or a leg the call engine has ended: its last words.
            return;
        };
        match event {
            SessionEvent::Progress { code, sdp, .. } => self.progresses(leg, code, sdp, now),
            SessionEvent::Accepted { sdp, .. } => self.accepted(leg, session, sdp, now),
            SessionEvent::Confirmed { answer } => {
                if let Some(answer) = answer {
                    self.answered_late(leg, session, &answer, now);
                }
            }
            SessionEvent::Rejected(rejection) => {
                let elsewhere = rejection.contacts.iter();
                let to = elsewhere
                    .filter_map(|uri| parties::dialled(uri, &self.directory))
                    .next();
                match to {
                    Some(to) => self.redirected(session, to, now),
                    None => {
                        let cause = causes::of_rejection(&rejection);
                        self.quote = Some(self.config.causes.quote(&rejection, cause));
                        self.session_over(session, cause, now);
                    }
                }
            }
            SessionEvent::Reoffer { sdp } => self.reoffered(leg, session, &sdp, now),
            SessionEvent::OfferWanted => {
                let offer = self.plan.current_offer(leg);
                self.answer_session(session, offer, now);
            }
            SessionEvent::ReofferAnswered { sdp } => self.reoffer_answered(leg, &sdp, now),
            SessionEvent::ReofferRefused { code } => self.reoffer_refused(leg, code, now),
            SessionEvent::Digit { digit, .. } => {
                if let Some(digit) = Digit::from_char(digit) {
                    self.key_pressed(leg, digit, KeyForm::Info, now);
                }
            }
            SessionEvent::Info { .. } => self.counters.infos_ignored += 1,
            SessionEvent::Refer {
                refer,
                to,
                replaces,
                ..
            } => {
                let with = replaces.and_then(|replaces| self.leg_named_by(&replaces));
                self.refer_arrives(leg, session, refer, (&to, with), now);
            }
            // No REFER of ours is ever out.
            SessionEvent::ReferProgress { .. } => {}
            SessionEvent::Ended { cause, .. } => {
                let answered = self
                    .legs
                    .get(leg)
                    .map_or(causes::Answered::No, Leg::is_answered);
                self.session_over(session, causes::of_session_end(cause, answered), now);
            }
        }
    }

    fn progresses(&mut self, leg: LegId, code: StatusCode, sdp: Option<Sdp>, now: Instant) {
        let mut progress = Progress::Ringing;
        if let Some(Sdp::Answer(answer)) = sdp {
            match self.plan.answered(leg, &answer) {
                Ok(()) => progress = Progress::EarlyMedia,
                // Its final answer may still be good.
                Err(_) => self.counters.early_answers_unusable += 1,
            }
        }
        if code != StatusCode::CALL_IS_BEING_FORWARDED {
            self.calls.handle(Input::LegProgress { leg, progress }, now);
        }
    }

    fn accepted(&mut self, leg: LegId, session: SessionId, sdp: Option<Sdp>, now: Instant) {
        let answered = match sdp {
            Some(Sdp::Answer(answer)) => self.plan.answered(leg, &answer),
            None if self.plan.is_agreed(leg) => Ok(()),
            // Every call of ours carries an offer.
            Some(Sdp::Offer(_)) | None => Err(PlanError::NothingSettled),
        };
        if let Err(error) = answered {
            self.cannot_talk(session, &error, now);
            return;
        }
        for loser in self.legs.answer(leg, session) {
            self.end_session(loser, EndCause::AnsweredElsewhere, now);
        }
        self.calls.handle(Input::LegAnswered { leg }, now);
    }

    /// The answer to an offer of ours in a 200, because the caller made none.
    fn answered_late(&mut self, leg: LegId, session: SessionId, answer: &[u8], now: Instant) {
        if let Err(error) = self.plan.answered(leg, answer) {
            self.cannot_talk(session, &error, now);
        }
    }

    /// A session whose answer is of no use ends.
    fn cannot_talk(&mut self, session: SessionId, error: &PlanError, now: Instant) {
        let cause = match error {
            PlanError::Security(_) => {
                self.counters.encryption_refused += 1;
                error.cause()
            }
            PlanError::Description(_) | PlanError::NoPort | PlanError::NothingSettled => {
                EndCause::MediaMismatch
            }
        };
        self.end_session(session, cause, now);
        self.session_over(session, cause, now);
    }

    /// A diversion set at the device (3xx): followed to numbers of ours, when no other device of
    /// the station still rings.
    fn redirected(&mut self, session: SessionId, to: Address, now: Instant) {
        let Some((leg, Rest::Over(_))) = self.legs.session_over(session, EndCause::NoAnswer) else {
            return;
        };
        self.legs.remove(leg);
        self.plan.close(leg);
        self.calls.handle(Input::LegRedirected { leg, to }, now);
    }

    pub(crate) fn session_over(&mut self, session: SessionId, cause: EndCause, now: Instant) {
        if self.left_early(session) {
            return;
        }
        let Some((leg, rest)) = self.legs.session_over(session, cause) else {
            return;
        };
        let Rest::Over(cause) = rest else { return };
        let Some(entry) = self.legs.remove(leg) else {
            return;
        };
        self.plan.close(leg);
        let over = match (entry.role, entry.is_answered()) {
            (Role::Started, causes::Answered::No) => Input::LegRefused { leg, cause },
            (Role::Started | Role::Arrived, _) => Input::LegEnded { leg, cause },
        };
        self.calls.handle(over, now);
    }

    fn reoffered(&mut self, leg: LegId, session: SessionId, offer: &[u8], now: Instant) {
        match self.plan.reoffered(leg, offer) {
            Ok(Reoffered::Answer { answer, hold }) => {
                self.answer_session(session, Ok(answer), now);
                if let Some(hold) = hold {
                    self.calls.handle(hold.input(leg), now);
                }
            }
            Ok(Reoffered::AskOther { other, offer }) => {
                let asked = self.legs.get(other).and_then(Leg::session);
                let asked = asked
                    .ok_or(())
                    .and_then(|other| self.sip.reoffer(other, offer, now).map_err(|_| ()));
                if asked.is_err() {
                    self.plan.forget_reoffer(leg);
                    self.refuse_session(session, StatusCode::REQUEST_PENDING, now);
                }
            }
            Err(error) => {
                let code = self.refused_media(&error).code;
                self.refuse_session(session, code, now);
            }
        }
    }

    fn reoffer_answered(&mut self, leg: LegId, answer: &[u8], now: Instant) {
        let Some((asker, answer)) = self.plan.reoffer_answered(leg, answer) else {
            return;
        };
        if let Some(session) = self.legs.get(asker).and_then(Leg::session) {
            self.answer_session(session, answer, now);
        }
    }

    fn reoffer_refused(&mut self, leg: LegId, code: StatusCode, now: Instant) {
        let Some(asker) = self.plan.reoffer_refused(leg) else {
            return;
        };
        if let Some(session) = self.legs.get(asker).and_then(Leg::session) {
            self.refuse_session(session, code, now);
        }
    }

    fn refer_arrives(
        &mut self,
        leg: LegId,
        session: SessionId,
        refer: ReferId,
        (to, with): (&Uri, Option<LegId>),
        now: Instant,
    ) {
        let target = self.dialled(to);
        let busy = self.legs.get(leg).is_none_or(|leg| leg.refer.is_some());
        let input = match (with, target) {
            _ if busy => Err(StatusCode::REQUEST_PENDING),
            (Some(with), _) => Ok(Input::TransferAttended { leg, with }),
            (None, Some(to @ (Address::Local(_) | Address::Remote { .. }))) => {
                Ok(Input::Transfer { leg, to })
            }
            (None, Some(_) | None) => Err(StatusCode::NOT_FOUND),
        };
        let answer = match &input {
            Ok(_) => ReferAnswer::Accept,
            Err(code) => ReferAnswer::Refuse(*code),
        };
        if self.sip.answer_refer(session, refer, answer, now).is_err() {
            return;
        }
        if let (Ok(input), Some(entry)) = (input, self.legs.get_mut(leg)) {
            entry.refer = Some(refer);
            self.calls.handle(input, now);
        }
    }

    /// The leg whose dialog the peer names in Replaces. Its to-tag is ours (RFC 3891 3), where the
    /// endpoint gives what we would write to the peer.
    fn leg_named_by(&self, replaces: &sip::message::Replaces) -> Option<LegId> {
        let named = |session| {
            self.sip.replaces(session).is_some_and(|ours| {
                ours.call_id == replaces.call_id
                    && ours.to_tag == replaces.from_tag
                    && ours.from_tag == replaces.to_tag
            })
        };
        let mut sessions = self.legs.sessions();
        sessions
            .find(|(_, session)| named(*session))
            .map(|(leg, _)| leg)
    }

    fn message_arrives(&mut self, message: &IncomingMessage, now: Instant) {
        // RFC 3428 7: there is nobody here to read texts.
        let code = StatusCode::METHOD_NOT_ALLOWED;
        // It can only be gone already.
        let _ = self.sip.answer_message(message.message, code, now);
    }
}
