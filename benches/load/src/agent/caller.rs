//! The calling side: what the peer answers, and what it asks within a call.

use std::time::Instant;

use super::messages::md5_challenge;
use super::{Agent, Call, Outcome, State, Timer};
use crate::text::{authorization, body, cseq, header, headers, method, status, uri};

impl Agent {
    pub(super) fn caller_received(&mut self, message: &str) {
        let id = header(message, "Call-ID").unwrap_or("");
        let Some(code) = status(message) else {
            self.caller_requested(message, id.to_owned());
            return;
        };
        let (number, method) = cseq(message);
        let Some(call) = self.calls.remove(id) else {
            return;
        };
        let kept = match method {
            "INVITE" if number == call.cseq => self.invite_answered(call, message, code),
            "BYE" if code >= 200 && call.state == State::Leaving => {
                self.finish(&call, Outcome::Completed);
                None
            }
            _ => Some(call),
        };
        if let Some(call) = kept {
            self.calls.insert(call.id.clone(), call);
        }
    }

    pub(super) fn invite_answered(
        &mut self,
        mut call: Call,
        message: &str,
        code: u16,
    ) -> Option<Call> {
        let now = Instant::now();
        match code {
            100..200 => {
                call.provisional = true;
                if code > 100 {
                    call.rang.get_or_insert(now);
                }
            }
            200..300 if call.state == State::Inviting => {
                call.state = State::Up;
                call.answered = Some(now);
                call.answer = body(message).into();
                call.to = header(message, "To").unwrap_or("").into();
                call.remote_target = header(message, "Contact").map_or("", uri).into();
                call.routes = headers(message, "Record-Route")
                    .flat_map(|value| value.split(','))
                    .map(|route| route.trim().to_owned())
                    .collect();
                call.routes.reverse();
                call.last_ack = self.in_dialog(&call, "ACK");
                self.to_peer(&call.last_ack);
                if let Some(hold) = self.hold {
                    self.arm(now + hold, Timer::HangUp(call.id.clone()));
                }
            }
            200..300 => {
                self.retransmissions.from_peer += 1;
                self.to_peer(&call.last_ack);
            }
            _ => {
                let to = header(message, "To").unwrap_or("");
                self.to_peer(&call.last_ack.replace("To: @", &format!("To: {to}")));
                return self.invite_refused(call, message, code);
            }
        }
        Some(call)
    }

    pub(super) fn invite_refused(
        &mut self,
        mut call: Call,
        message: &str,
        code: u16,
    ) -> Option<Call> {
        let (challenge, answer) = match code {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => ("", ""),
        };
        if let (false, Ok(challenge), Some((user, password))) = (
            challenge.is_empty() || !call.credentials.is_empty(),
            md5_challenge(message, challenge),
            &self.auth,
        ) {
            let value = authorization(challenge, (user, password), "INVITE", &call.request_uri);
            call.credentials = format!("{answer}: {value}\r\n");
            call.cseq += 1;
            call.provisional = false;
            self.invite(&mut call);
            return Some(call);
        }
        if call.state == State::Inviting {
            self.finish(&call, Outcome::Refused(code));
            return None;
        }
        Some(call)
    }

    /// The peer's own requests inside a call: refreshes are answered, BYE ends it.
    pub(super) fn caller_requested(&mut self, message: &str, id: String) {
        let name = method(message);
        if name == "ACK" {
            return;
        }
        let offered = matches!(name, "INVITE" | "UPDATE") && !body(message).is_empty();
        let answer = self
            .calls
            .get(&id)
            .filter(|_| offered)
            .map_or("", |call| &call.offer);
        let response = self.response(message, "200 OK", "", answer, self.port(&self.caller));
        self.to_peer(&response);
        if name == "BYE"
            && let Some(call) = self.calls.remove(&id)
        {
            let outcome = if call.state == State::Leaving {
                Outcome::Completed
            } else {
                Outcome::PeerHungUp
            };
            self.finish(&call, outcome);
        }
    }
}
