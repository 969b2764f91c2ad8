//! The answering side: rings, picks up, and takes a CANCEL.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Agent, Incoming, Key, T1, Timer};
use crate::text::{body, cseq, header, method, random, status};

impl Agent {
    pub(super) fn answerer_received(&mut self, socket: usize, message: &str, from: SocketAddr) {
        if status(message).is_some() {
            if cseq(message).1 == "REGISTER" {
                self.registrations.push_back(message.into());
            }
            return;
        }
        let key = (socket, header(message, "Call-ID").unwrap_or("").to_owned());
        match method(message) {
            "INVITE" => self.invited(key, message, from),
            "ACK" => {
                if let Some(call) = self.incoming.get_mut(&key) {
                    call.acknowledged = true;
                }
            }
            "CANCEL" => self.cancelled(&key, message, from),
            name => {
                let answer = match self.incoming.get(&key) {
                    Some(call) if name == "UPDATE" && !body(message).is_empty() => {
                        call.description.clone()
                    }
                    _ => String::new(),
                };
                self.respond(socket, from, message, "200 OK", "", &answer);
                if name == "BYE" {
                    self.incoming.remove(&key);
                }
            }
        }
    }

    pub(super) fn invited(&mut self, key: Key, message: &str, from: SocketAddr) {
        let (socket, now) = (key.0, Instant::now());
        if let Some(call) = self.incoming.get(&key) {
            if cseq(&call.request) == cseq(message) {
                self.retransmissions.from_peer += 1;
                // A lost answer shows as a retransmission; loopback does not lose it twice.
                let _ = self.answerers[socket].send_to(call.last_response.as_bytes(), call.from);
            } else {
                let description = call.description.clone();
                self.respond(socket, from, message, "200 OK", "", &description);
            }
            return;
        }
        let tag = format!("{:08x}", random() as u32);
        let description = (self.on_offer)(body(message));
        let ringing = self.respond(socket, from, message, "180 Ringing", &tag, "");
        let call = Incoming {
            arrived: now,
            cancelled: None,
            socket,
            from,
            request: message.into(),
            tag,
            description,
            last_response: ringing,
            answered: false,
            acknowledged: false,
            retransmit_after: T1,
        };
        self.incoming.insert(key.clone(), call);
        self.arrived.push((key.clone(), now));
        if self.only.is_none_or(|only| only == socket) {
            if self.answer_after.is_zero() {
                self.pick_up(&key);
            } else {
                self.arm(now + self.answer_after, Timer::Answer(key));
            }
        }
    }

    pub(super) fn cancelled(&mut self, key: &Key, message: &str, from: SocketAddr) {
        self.respond(key.0, from, message, "200 OK", "", "");
        let Some(call) = self.incoming.get_mut(key).filter(|call| !call.answered) else {
            return;
        };
        call.cancelled = Some(Instant::now());
        let (request, tag) = (call.request.clone(), call.tag.clone());
        self.respond(key.0, from, &request, "487 Request Terminated", &tag, "");
    }

    pub(super) fn pick_up(&mut self, key: &Key) {
        let Some(call) = self.incoming.get(key) else {
            return;
        };
        if call.cancelled.is_some() || call.answered {
            return;
        }
        let now = Instant::now();
        let (socket, from) = (call.socket, call.from);
        let (request, tag, description) = (
            call.request.clone(),
            call.tag.clone(),
            call.description.clone(),
        );
        let ok = self.respond(socket, from, &request, "200 OK", &tag, &description);
        if let Some(call) = self.incoming.get_mut(key) {
            call.answered = true;
            call.last_response = ok;
        }
        self.last_answer = Some(now);
        self.arm(now + T1, Timer::Ok(key.clone()));
    }
}
