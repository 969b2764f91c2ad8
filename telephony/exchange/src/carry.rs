//! What the call engine wants becomes SIP and media.
//!
//! Every command of the engine has an arm here; what cannot be done is told back to the engine as
//! the end of the leg, never swallowed. Invariant: a `StartLeg` is followed by invitations or by
//! `LegRefused`.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use calls::{Alert, CallerProgress, Input, Output as Command, StartLeg, Target, TransferStatus};
use model::{EarlyMedia, EndCause, LegId};
use sip::flow::{Hop, Transport};
use sip::message::{HeaderName, Headers, StatusCode};
use sip::session::{Delivery, Invite, Progress, SessionId};

use crate::io::{Output, StoreWrite};
use crate::legs::{Leg, Role};
use crate::parties;
use crate::plan::{PlanError, Signalling, Start, Taker};
use crate::registrations::Contact;
use crate::state::Exchange;
use crate::web::WebCommand;

impl Exchange {
    /// One command of the call engine; `Timeout` is the drain's business.
    pub(crate) fn carry(&mut self, command: Command, now: Instant) {
        match command {
            Command::StartLeg(start) => self.start_leg(&start, now),
            Command::ShowProgress { leg, progress } => self.show_progress(leg, progress, now),
            Command::AnswerLeg { leg } => self.answering.push_back(leg),
            Command::RefuseLeg {
                leg,
                cause,
                retry_after,
            } => self.refuse_leg(leg, cause, retry_after, now),
            Command::EndLeg { leg, cause } if self.lines.has_leg(leg) => {
                self.end_by_line(leg, cause, now);
            }
            Command::EndLeg { leg, cause } if self.web.has_leg(leg) => self.end_web(leg, cause),
            Command::EndLeg { leg, cause } => {
                for session in self.take_sessions(leg) {
                    self.end_session(session, cause, now);
                }
            }
            Command::Connect { a, b, mode } | Command::SetTalkMode { a, b, mode } => {
                self.plan.connect(a, b, mode);
                self.talk_mode_by_line((a, b), mode, now);
                self.record_if_wanted(&[a, b]);
                for leg in [a, b] {
                    self.listen_for_keys(leg);
                    self.treat_sound(leg);
                }
            }
            Command::Disconnect { a, b } => self.plan.disconnect(a, b),
            Command::EarlyMedia { from, to } => self.plan.early_media(from, to),
            Command::Mix { call, leg, part } => {
                self.plan.mix(call, leg, part);
                self.record_if_wanted(&[leg]);
                self.listen_for_keys(leg);
                self.treat_sound(leg);
            }
            Command::Echo { leg } => {
                self.plan.echo(leg);
                self.record_if_wanted(&[leg]);
                // It hears what others would hear of it.
                self.treat_sound(leg);
            }
            Command::Play { call, leg } => self.play_to_station(call, leg),
            Command::Unmix { call, leg } => self.plan.unmix(call, leg),
            Command::Tone { leg, tone } => {
                let (sound, lasting) = self.config.sounds.of(tone);
                self.plan.play(leg, sound, lasting);
            }
            Command::SendDigit { leg, digit } => self.send_digit(leg, digit, now),
            Command::TransferStatus { leg, status } => self.transfer_status(leg, status, now),
            Command::PulseDoor(pulse) => self.pulse_door(&pulse, now),
            Command::ClaimAtHome { request, by, .. } => self.claim_at_home(request, by, now),
            Command::Record(record) => {
                self.forget_keys(record.leg);
                self.record(record, now);
            }
            Command::DoorRecord(record) => self.out(Output::Store(StoreWrite::DoorRecord(record))),
            Command::Event(event) => self.announce(event, now),
            Command::Timeout(_) => {}
        }
    }

    fn start_leg(&mut self, start: &StartLeg, now: Instant) {
        let started = match (self.user_towards(&start.to), self.line_towards(&start.to)) {
            (Some(user), _) => self.ring_web(start, user),
            (None, Some(way)) => way.and_then(|way| self.start_by_line(start, way, now)),
            (None, None) => self.invite_contacts(start, now),
        };
        if let Err(cause) = started {
            self.plan.close(start.leg);
            self.legs.remove(start.leg);
            self.calls.handle(
                Input::LegRefused {
                    leg: start.leg,
                    cause,
                },
                now,
            );
        }
    }

    fn invite_contacts(&mut self, start: &StartLeg, now: Instant) -> Result<(), EndCause> {
        let contacts = match &start.to {
            Target::Station(station) => self.contacts_of_station(*station, now),
            Target::Elsewhere(address) => self.contacts_elsewhere(address),
        };
        let first = contacts.first().ok_or(EndCause::Unreachable)?;
        let local = self.local_towards(first);
        let peer = first.hop.remote().ip();
        let taker = match start.priority.is_alarm() {
            true => Taker::Alarm,
            false => Taker::Usual,
        };
        let station = match &start.to {
            Target::Station(station) => Some(*station),
            Target::Elsewhere(_) => None,
        };
        let private = |contact: &Contact| contact.hop.transport() == Transport::Tls;
        let signalling = match contacts.iter().all(private) {
            true => Signalling::Private,
            // One offer goes to all of them.
            false => Signalling::Readable,
        };
        let begin = Start {
            taker,
            local,
            peer,
            terms: match &first.hop {
                Hop::Flow(flow) if contacts.len() == 1 => self.terms_over(flow, station),
                Hop::Flow(_) | Hop::Destination(_) => self.terms(station, signalling),
            },
        };
        let offer = self.plan.offer(start.leg, begin, start.offer_of);
        let offer = offer.map_err(|error| error.cause())?;
        let mut leg = Leg::new(Role::Started);
        for contact in contacts {
            let invite = self.invitation(start, contact, offer.clone());
            if let Ok(session) = self.sip.invite(invite, now) {
                leg.sessions.push(session);
                self.name_leg(start.leg, session);
            }
        }
        if leg.sessions.is_empty() {
            return Err(EndCause::Overload);
        }
        self.legs.insert(start.leg, leg);
        if let (EarlyMedia::On, Some(caller)) = (start.early_media, start.offer_of) {
            self.plan.early_media(caller, start.leg);
        }
        Ok(())
    }

    fn invitation(&self, start: &StartLeg, contact: Contact, offer: Bytes) -> Invite {
        let from = parties::shown(&start.caller, &self.directory, &self.config.domain);
        let mut invite = Invite::new(contact.uri, contact.hop, from, offer);
        invite.route = contact.route;
        invite.headers = alert_headers(start);
        invite
    }

    fn show_progress(&mut self, leg: LegId, progress: CallerProgress, now: Instant) {
        if self.lines.has_leg(leg) {
            return self.show_progress_by_line(leg, progress, now);
        }
        if self.web.has_leg(leg) {
            return self.show_progress_to_web(leg, progress);
        }
        let Some(session) = self.legs.get(leg).and_then(Leg::session) else {
            return;
        };
        let progress = match progress {
            CallerProgress::Trying => return,
            CallerProgress::Ringing => Progress::ringing(),
            CallerProgress::Queued => Progress {
                code: StatusCode::QUEUED,
                ..Progress::ringing()
            },
            CallerProgress::EarlyMedia { from } => match self.plan.early_answer(leg, from) {
                Ok(answer) => Progress {
                    code: StatusCode::SESSION_PROGRESS,
                    sdp: Some(answer),
                    delivery: Delivery::Reliable,
                    headers: Headers::default(),
                },
                // What rings without a picture still rings.
                Err(_) => Progress::ringing(),
            },
        };
        // It can only have ended by itself meanwhile.
        let _ = self.sip.progress(session, progress, now);
    }

    pub(crate) fn answer_leg(&mut self, leg: LegId, now: Instant) {
        if self.lines.has_leg(leg) {
            return self.answer_by_line(leg, now);
        }
        if self.web.has_leg(leg) {
            return self.answer_web(leg, now);
        }
        let Some(session) = self.legs.get(leg).and_then(Leg::session) else {
            return;
        };
        match self.plan.final_answer(leg) {
            Ok(answer) => {
                if let Some(entry) = self.legs.get_mut(leg) {
                    entry.answered = Some(session);
                }
                // It can only have ended by itself meanwhile.
                let _ = self.sip.accept(session, answer, now);
            }
            Err(error) => {
                let reject = self.refused_media(&error);
                let _ = self.sip.reject(session, reject, now);
                self.session_over(session, error.cause(), now);
            }
        }
    }

    pub(crate) fn take_sessions(&mut self, leg: LegId) -> Vec<SessionId> {
        self.plan.close(leg);
        self.legs.remove(leg).map_or(Vec::new(), |leg| leg.sessions)
    }

    pub(crate) fn end_session(&mut self, session: SessionId, cause: EndCause, now: Instant) {
        // It can only have ended by itself meanwhile.
        let reason = self.config.causes.ending(cause, self.quote);
        let _ = self.sip.end(session, Some(reason), now);
    }

    pub(crate) fn answer_session(
        &mut self,
        session: SessionId,
        sdp: Result<Bytes, PlanError>,
        now: Instant,
    ) {
        match sdp {
            // It can only have ended by itself meanwhile.
            Ok(sdp) => drop(self.sip.answer(session, sdp, now)),
            Err(error) => {
                let code = self.refused_media(&error).code;
                self.refuse_session(session, code, now);
            }
        }
    }

    pub(crate) fn refuse_session(&mut self, session: SessionId, code: StatusCode, now: Instant) {
        // It can only have ended by itself meanwhile.
        let _ = self.sip.refuse(session, code, now);
    }

    fn transfer_status(&mut self, leg: LegId, status: TransferStatus, now: Instant) {
        if self.transfer_status_by_line(leg, status) {
            return;
        }
        if self.web.has_leg(leg) {
            return self.tell_web(leg, WebCommand::TransferStatus(status));
        }
        let Some(entry) = self.legs.get_mut(leg) else {
            return;
        };
        let (Some(session), Some(refer)) = (entry.session(), entry.refer) else {
            return;
        };
        let code = match status {
            TransferStatus::Trying => StatusCode::TRYING,
            TransferStatus::Ringing => StatusCode::RINGING,
            TransferStatus::Done => StatusCode::OK,
            TransferStatus::Failed(cause) => self.config.causes.refusal(cause, self.quote).0,
        };
        if code.is_final() {
            entry.refer = None;
        }
        // It can only have ended by itself meanwhile.
        let _ = self.sip.notify_refer(session, refer, code, now);
    }

    /// Our address on the way to a contact: that of its flow, or the configured one of its family.
    fn local_towards(&self, contact: &Contact) -> IpAddr {
        match &contact.hop {
            Hop::Flow(flow) => flow.local.ip(),
            Hop::Destination(destination) => self.config.local_for(destination.addr.ip()),
        }
    }
}

/// RFC 5373 and the older Alert-Info and Call-Info words, because stations know one or the other.
fn alert_headers(start: &StartLeg) -> Headers {
    let mut headers = Headers::default();
    match start.alert {
        Alert::AutoAnswer | Alert::Expected => {
            headers.push(
                HeaderName::AlertInfo,
                "<http://localhost>;info=alert-autoanswer;delay=0",
            );
            headers.push(HeaderName::CallInfo, "<http://localhost>;answer-after=0");
            if let Some(name) = HeaderName::parse(b"Answer-Mode") {
                headers.push(name, "Auto");
            }
        }
        Alert::Ring | Alert::Wait => {}
    }
    if start.priority.is_alarm() {
        headers.push(HeaderName::Priority, "emergency");
    }
    headers
}
