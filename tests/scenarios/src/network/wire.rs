//! What was on the wire, for the reader of a failure; and losses on purpose.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use sip::flow::Transport;
use sip::message::{Limits, Message, Method, parse_datagram};

use super::Fate;
use crate::clock::since_start;

/// Which datagrams are lost on purpose.
#[derive(Clone, Debug)]
pub struct Loss {
    pub from: Option<IpAddr>,
    pub to: Option<IpAddr>,
    pub what: What,
    /// So many of them are let pass before.
    pub after: u32,
    /// So many of them, the first ones then.
    pub times: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Anything,
    Request(Method),
    /// A response with this code to this method.
    Response(u16, Method),
}

impl Loss {
    pub fn of(what: What, times: u32) -> Self {
        Self {
            from: None,
            to: None,
            what,
            after: 0,
            times,
        }
    }

    /// One single datagram.
    pub(super) fn nth(n: u32) -> Self {
        Self {
            after: n,
            ..Self::of(What::Anything, 1)
        }
    }

    #[must_use]
    pub fn from(self, host: IpAddr) -> Self {
        Self {
            from: Some(host),
            ..self
        }
    }

    #[must_use]
    pub fn to(self, host: IpAddr) -> Self {
        Self {
            to: Some(host),
            ..self
        }
    }

    pub(super) fn takes(&mut self, from: IpAddr, to: IpAddr, bytes: &[u8]) -> bool {
        let fits = self.times > 0
            && self.from.is_none_or(|host| host == from)
            && self.to.is_none_or(|host| host == to)
            && self.what.is(bytes);
        if !fits {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}

impl What {
    fn is(&self, bytes: &[u8]) -> bool {
        match (self, parse_datagram(bytes, &Limits::default())) {
            (Self::Anything, _) => true,
            (Self::Request(method), Ok(Message::Request(request))) => request.method == *method,
            (Self::Response(code, method), Ok(Message::Response(response))) => {
                let to = response.headers.cseq().map(|cseq| cseq.method);
                response.status.code() == *code && to.as_ref() == Ok(method)
            }
            (Self::Request(_) | Self::Response(..), _) => false,
        }
    }
}

/// How many messages are remembered in full.
const REMEMBERED: usize = 400;

#[derive(Debug, Default)]
pub(super) struct Wire {
    seen: VecDeque<Seen>,
    lines: Vec<(IpAddr, String)>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    way: (SocketAddr, SocketAddr),
    transport: Transport,
    fate: Fate,
    bytes: Bytes,
}

impl Wire {
    pub(super) fn note(
        &mut self,
        at: Instant,
        way: (SocketAddr, SocketAddr),
        transport: Transport,
        fate: Fate,
        bytes: &Bytes,
    ) {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.lines.push((way.0.ip(), first_line(bytes)));
        let bytes = bytes.clone();
        self.seen.push_back(Seen {
            at,
            way,
            transport,
            fate,
            bytes,
        });
    }

    pub(super) fn count(&self, from: Option<IpAddr>, words: &str) -> usize {
        let lines = self
            .lines
            .iter()
            .filter(|(host, _)| from.is_none_or(|from| from == *host));
        lines.filter(|(_, line)| line.starts_with(words)).count()
    }

    pub(super) fn trace(&self, most: usize) -> String {
        let mut text = String::new();
        for seen in self.seen.iter().skip(self.seen.len().saturating_sub(most)) {
            let lost = if seen.fate == Fate::Lost { " LOST" } else { "" };
            let (from, to) = seen.way;
            let cseq = header(&seen.bytes, "CSeq:");
            writeln!(
                text,
                "{} {from} -> {to} {}{lost}: {} [{cseq}]",
                since_start(seen.at),
                seen.transport,
                first_line(&seen.bytes),
            )
            .expect("writing to a string does not fail");
        }
        text
    }
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

fn header(bytes: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim().to_owned()
}
