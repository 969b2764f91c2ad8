//! What the other end of a line asks of stations of ours that needs no call: a text, which goes to
//! them as a MESSAGE (RFC 3428), and a test, which is answered by what is known of them.
//!
//! A text is answered when the first of the station's devices has taken it, or the last has not.
//! It is not kept for a station that is not there. A SIP phone has no surveillance test of its
//! microphone: whoever asks learns whether it is there, and what is known to be wrong with it.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use legacy_protocols::command::{Answer, Verdict};
use legacy_protocols::event::{Event, Faults as TheirFaults, LineTest};
use legacy_protocols::number::Party;
use legacy_protocols::port::AskId;
use legacy_protocols::text::Text;
use model::{Faults, StationState};
use sip::endpoint::{OutgoingRequest, RequestId, RequestOutcome};
use sip::message::{HeaderName, Headers, Method, NameAddr, Uri};

use super::{LineId, words};
use crate::state::Exchange;

/// Messages on their way at most, over all lines.
const MOST: usize = 256;

/// Texts on their way to devices, and who waits for what comes of them.
#[derive(Debug, Default)]
pub(super) struct Texts {
    sent: BTreeMap<RequestId, (LineId, AskId)>,
}

impl Exchange {
    /// None: the answer comes when a device has taken it.
    pub(super) fn text_asked(
        &mut self,
        line: LineId,
        ask: Option<AskId>,
        (station, text): (Party, &Text),
        now: Instant,
    ) -> Option<Answer> {
        let Some(station) = self.our_station(line, station).map(|known| known.id) else {
            return Some(Verdict::NoSuchNumber.into());
        };
        // A phone has no display that stays to be cleared.
        if text.as_str().is_empty() {
            return Some(Verdict::Unsupported.into());
        }
        if self.lines.texts.sent.len() >= MOST {
            return Some(Verdict::Busy.into());
        }
        let name = self.lines.get(line).map(|line| line.config.name.clone());
        let from = NameAddr::new(Uri::sip(None, &self.config.domain, None));
        let from = from.with_display(&name.unwrap_or_default());
        let mut sent = 0;
        for contact in self.contacts_of_station(station, now) {
            let mut headers = Headers::default();
            headers.push(HeaderName::ContentType, "text/plain;charset=UTF-8");
            let message = OutgoingRequest {
                method: Method::Message,
                target: contact.uri,
                hop: contact.hop,
                from: from.clone(),
                to: None,
                route: contact.route,
                headers,
                body: Bytes::copy_from_slice(text.as_str().as_bytes()),
            };
            let Ok(request) = self.sip.request(message, now) else {
                continue;
            };
            sent += 1;
            if let Some(ask) = ask {
                self.lines.texts.sent.insert(request, (line, ask));
            }
        }
        (sent == 0).then(|| Verdict::NodeUnreachable.into())
    }

    /// What became of a message.
    pub(crate) fn text_answered(
        &mut self,
        request: RequestId,
        outcome: &RequestOutcome,
        now: Instant,
    ) {
        let Some(asked) = self.lines.texts.sent.remove(&request) else {
            return;
        };
        let code = outcome.code().code();
        let others = self.lines.texts.sent.values().any(|other| *other == asked);
        let verdict = match code {
            200..=299 => Verdict::Done,
            _ if others => return,
            // The device does not take messages, or none of this kind.
            405 | 415 | 488 | 501 | 606 => Verdict::Unsupported,
            408 | 480 | 503 => Verdict::NodeUnreachable,
            _ => Verdict::NotAllowed,
        };
        self.lines.texts.sent.retain(|_, other| *other != asked);
        let (line, ask) = asked;
        self.answer_line(line, Some(ask), verdict.into(), now);
    }

    pub(super) fn test_asked(&mut self, line: LineId, party: Party, now: Instant) -> Answer {
        let Some(station) = self.our_station(line, party).map(|known| known.id) else {
            return Verdict::NoSuchNumber.into();
        };
        let faults = self.calls.faults(station);
        let there = !self.contacts_of_station(station, now).is_empty();
        let result = match self.calls.station_state(station) {
            StationState::InCall
            | StationState::InConference(_)
            | StationState::Listening(_)
            | StationState::Ringing => LineTest::Skipped,
            StationState::Unknown | StationState::OutOfService => {
                LineTest::Failed(TheirFaults::NO_REPLY)
            }
            StationState::Idle | StationState::Requesting | StationState::Privacy => {
                match (there, faults) {
                    (false, _) => LineTest::Failed(TheirFaults::NO_REPLY),
                    (true, Faults::NONE) => LineTest::Passed,
                    (true, faults) => LineTest::Failed(words::their_faults(faults)),
                }
            }
        };
        let station = party;
        self.tell_line(line, Event::LineTested { station, result }, now);
        Verdict::Done.into()
    }
}
