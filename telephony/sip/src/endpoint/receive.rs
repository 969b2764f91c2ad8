//! From bytes to messages, and from responses to those who wait for them.

use std::net::IpAddr;

use super::core::response_hop;
use super::{Connection, Endpoint, Trust, stun};
use crate::admission::Verdict;
use crate::endpoint::Output;
use crate::flow::{Flow, Hop};
use crate::framer::{Frame, Framer};
use crate::message::{Message, ParseError, Response, parse_datagram};
use crate::session::Outcome;
use crate::transaction::Answered;

impl Endpoint {
    pub(super) fn on_datagram(&mut self, flow: &Flow, bytes: &[u8]) {
        if !self.is_welcome(flow) {
            return;
        }
        // RFC 5626 3.5.1 and what NAT helpers send: nothing but line ends or NULs.
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0 | b' ')) {
            self.core.counters.keep_alives += 1;
            return;
        }
        if stun::is_stun(bytes) {
            self.core.counters.keep_alives += 1;
            if let Some(answer) = stun::answer(bytes, flow.remote) {
                let (to, bytes) = (Hop::Flow(*flow), answer.into());
                self.core.out.push_back(Output::Transmit { to, bytes });
            }
            return;
        }
        match parse_datagram(bytes, &self.core.settings.parser) {
            Ok(message) => self.on_message(flow, message),
            Err(error) => self.on_malformed(flow, &error),
        }
    }

    pub(super) fn on_stream(&mut self, flow: &Flow, bytes: &[u8]) {
        if !self.connect(flow) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&flow.connection) {
            connection.framer.push(bytes);
        }
        // The connection can go while its frames are read.
        while let Some(frame) = self
            .connections
            .get_mut(&flow.connection)
            .and_then(|c| c.framer.next())
        {
            match frame {
                Ok(Frame::Message(message)) => {
                    if self.is_welcome(flow) {
                        self.on_message(flow, message);
                    }
                }
                Ok(Frame::Refused(error)) => self.on_malformed(flow, &error),
                Ok(Frame::Ping) => {
                    self.core.counters.keep_alives += 1;
                    // RFC 5626 4.4.1
                    let pong = Output::Transmit {
                        to: Hop::Flow(*flow),
                        bytes: b"\r\n".as_slice().into(),
                    };
                    self.core.out.push_back(pong);
                }
                Ok(Frame::Pong) => {}
                Err(error) => {
                    self.core.counters.refused.framing += 1;
                    if let Some(response) = error.0.reply() {
                        self.reply_to(flow, response);
                    }
                    self.close(flow);
                    return;
                }
            }
        }
    }

    /// Makes sure the connection is known; `false` when there are too many.
    pub(super) fn connect(&mut self, flow: &Flow) -> bool {
        if self.connections.contains_key(&flow.connection) {
            return true;
        }
        if self.connections.len() >= self.core.settings.capacity.connections {
            self.core.counters.refused.connections += 1;
            self.core.out.push_back(Output::CloseFlow {
                connection: flow.connection,
            });
            return false;
        }
        let framer = Framer::new(self.core.settings.parser);
        self.connections.insert(
            flow.connection,
            Connection {
                framer,
                trust: Trust::Usual,
            },
        );
        true
    }

    fn close(&mut self, flow: &Flow) {
        self.core.out.push_back(Output::CloseFlow {
            connection: flow.connection,
        });
        // The shell still reports the end of the flow; what waits on it fails then.
        self.connections.remove(&flow.connection);
    }

    pub(super) fn is_trusted(&self, flow: &Flow) -> bool {
        let source: IpAddr = flow.remote.ip();
        let given = self
            .connections
            .get(&flow.connection)
            .is_some_and(|c| c.trust == Trust::Given);
        given || self.admission.is_trusted(source)
    }

    fn is_welcome(&mut self, flow: &Flow) -> bool {
        let given = self
            .connections
            .get(&flow.connection)
            .is_some_and(|c| c.trust == Trust::Given);
        if given || self.admission.message(flow.remote.ip(), self.core.now) == Verdict::Pass {
            return true;
        }
        self.core.counters.refused.flood += 1;
        false
    }

    fn on_message(&mut self, flow: &Flow, message: Message) {
        match message {
            Message::Request(request) => self.on_request(flow, request),
            Message::Response(response) => self.on_response(response),
        }
    }

    fn on_response(&mut self, response: Response) {
        self.core.counters.responses_received.count(response.status);
        match self
            .core
            .table
            .on_response(&response, self.core.now, &mut self.core.out)
        {
            Answered::Stray => self.core.counters.stray_responses += 1,
            Answered::Absorbed => {}
            Answered::For(tx, user) => {
                self.on_outcome(tx, user, Outcome::Response(Box::new(response)));
            }
        }
    }

    fn on_malformed(&mut self, flow: &Flow, error: &ParseError) {
        self.core.counters.refused.malformed += 1;
        if let Some(response) = error.reply() {
            self.reply_to(flow, response);
        }
    }

    /// A response to a request that got no transaction.
    fn reply_to(&mut self, flow: &Flow, mut response: Response) {
        let hop = match response.headers.via_top() {
            Ok(mut via) => {
                via.note_source(flow.remote);
                response.headers.set_via_top(&via);
                response_hop(flow, &via)
            }
            Err(_) => Hop::Flow(*flow),
        };
        self.core.reply_tagged(response, hop);
    }
}
