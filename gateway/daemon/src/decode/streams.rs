//! TCP connections of a capture, put together again so that the framer can read them.
//!
//! One direction is one stream. Segments that come early wait, repeated ones are dropped, a gap
//! that does not fill is jumped over and counted. Invariant: streams and waiting segments are
//! bounded; what does not look like SIP at its beginning is not kept at all.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sip::framer::{Frame, Framer};
use sip::message::Limits;

use super::message::{self, Judgement};

const STREAMS: usize = 4_096;
/// Segments that may wait for an earlier one.
const EARLY: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Streams {
    all: BTreeMap<(SocketAddr, SocketAddr), Stream>,
    /// Places where something is missing in the capture.
    pub(super) gaps: u64,
    /// Segments of streams beyond what is kept.
    pub(super) ignored: u64,
}

#[derive(Debug)]
enum Stream {
    Sip(Box<Assembly>),
    /// TLS, HTTP, or SIP whose beginning was not captured.
    Other,
}

#[derive(Debug)]
struct Assembly {
    framer: Framer,
    next: u32,
    early: BTreeMap<u32, Vec<u8>>,
    /// Something in it was SIP, so what is wrong with the rest is worth telling.
    proved: bool,
}

enum Taken {
    Judgements {
        judgements: Vec<Judgement>,
        gap: bool,
    },
    NotSip,
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    /// It opens the connection; its data begins one later.
    pub(super) opens: bool,
    pub(super) data: &'a [u8],
}

impl Streams {
    /// Takes a segment and answers what it completed.
    pub(super) fn take(&mut self, segment: Segment<'_>) -> Vec<Judgement> {
        let key = (segment.from, segment.to);
        let first = segment.sequence.wrapping_add(u32::from(segment.opens));
        if segment.opens {
            self.all.remove(&key);
        }
        if segment.data.is_empty() {
            return Vec::new();
        }
        if !self.all.contains_key(&key) {
            if self.all.len() == STREAMS {
                self.ignored += 1;
                return Vec::new();
            }
            self.all.insert(key, Stream::begin(first, segment.data));
        }
        let Some(stream) = self.all.get_mut(&key) else {
            return Vec::new();
        };
        let Stream::Sip(assembly) = stream else {
            return Vec::new();
        };
        match assembly.take(first, segment.data) {
            Taken::Judgements { judgements, gap } => {
                self.gaps += u64::from(gap);
                judgements
            }
            Taken::NotSip => {
                *stream = Stream::Other;
                Vec::new()
            }
        }
    }
}

impl Stream {
    fn begin(first: u32, data: &[u8]) -> Self {
        // A method or SIP/2.0; a TLS record begins with a control character.
        if !data.first().is_some_and(u8::is_ascii_alphabetic) {
            return Self::Other;
        }
        Self::Sip(Box::new(Assembly {
            framer: Framer::new(Limits::default()),
            next: first,
            early: BTreeMap::new(),
            proved: false,
        }))
    }
}

impl Assembly {
    fn take(&mut self, first: u32, data: &[u8]) -> Taken {
        // Distance on the circle of sequence numbers (RFC 9293 3.4).
        let ahead = first.wrapping_sub(self.next).cast_signed();
        let mut gap = false;
        if ahead > 0 {
            self.early.insert(first, data.to_vec());
            if self.early.len() > EARLY {
                gap = true;
                self.next = self.nearest();
            }
        } else {
            self.push(first, data);
        }
        while let Some(data) = self.early.remove(&self.next) {
            self.push(self.next, &data);
        }
        let mut judgements = Vec::new();
        while let Some(frame) = self.framer.next() {
            let judgement = match frame {
                Ok(Frame::Message(message)) => message::understood(&message),
                Ok(Frame::Ping | Frame::Pong) => continue,
                Ok(Frame::Refused(error)) => message::refused(&error),
                Err(error) if !self.proved && message::is_foreign(&error.0.fault) => {
                    return Taken::NotSip;
                }
                Err(error) => message::refused(&error.0),
            };
            self.proved = true;
            judgements.push(judgement);
        }
        Taken::Judgements { judgements, gap }
    }

    /// Adds what of a segment is new.
    fn push(&mut self, first: u32, data: &[u8]) {
        let known = self.next.wrapping_sub(first) as usize;
        if let Some(new) = data.get(known..) {
            self.framer.push(new);
            self.next = first.wrapping_add(data.len() as u32);
        }
    }

    fn nearest(&self) -> u32 {
        let ahead = |first: &&u32| first.wrapping_sub(self.next);
        self.early
            .keys()
            .min_by_key(ahead)
            .copied()
            .unwrap_or(self.next)
    }
}
