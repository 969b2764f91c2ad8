//! Cuts what comes on connections into whole SIP messages, so that an entry is a message.
//!
//! It does not judge them: `sip::framer` does, for the calls. Where this one gets lost it waits for
//! something that begins as a message begins. Invariant: what waits for its rest is bounded, over
//! all connections.

use std::collections::HashMap;

use bytes::Bytes;
use net::flows::ConnectionId;

/// Octets of unfinished messages, over all connections.
const MOST_WAITING: usize = 4 << 20;
/// Longer than any message that the gateway may be configured to take.
const LONGEST: usize = 1_100_000;

#[derive(Debug, Default)]
pub(super) struct Streams {
    all: HashMap<ConnectionId, Stream>,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Stream {
    rest: Vec<u8>,
    /// The beginning of what comes is in the middle of a message.
    lost: bool,
}

/// What a piece of a stream came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) messages: Vec<Bytes>,
    /// Some of it could not be kept.
    pub(super) lost: bool,
}

impl Streams {
    pub(super) fn take(&mut self, connection: ConnectionId, piece: &Bytes) -> Cut {
        let stream = self.all.entry(connection).or_default();
        self.waiting -= stream.rest.len();
        let mut cut = Cut::default();
        if stream.lost && !begins(piece) {
            return cut;
        }
        stream.lost = false;
        stream.rest.extend_from_slice(piece);
        let mut taken = 0;
        loop {
            let rest = &stream.rest[taken..];
            let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
            taken += blank.count();
            match length(&stream.rest[taken..]) {
                Some(length) => {
                    let message = &stream.rest[taken..taken + length];
                    cut.messages.push(Bytes::copy_from_slice(message));
                    taken += length;
                }
                None => break,
            }
        }
        stream.rest.drain(..taken);
        if stream.rest.len() > LONGEST || self.waiting + stream.rest.len() > MOST_WAITING {
            *stream = Stream {
                rest: Vec::new(),
                lost: true,
            };
            cut.lost = true;
        }
        self.waiting += stream.rest.len();
        cut
    }

    pub(super) fn closed(&mut self, connection: ConnectionId) {
        if let Some(stream) = self.all.remove(&connection) {
            self.waiting -= stream.rest.len();
        }
    }
}

/// How long the message is that begins here, when all of it is there.
fn length(text: &[u8]) -> Option<usize> {
    let head = text.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let body = content_length(&text[..head]).unwrap_or(0);
    let length = head.checked_add(body)?;
    (length <= text.len()).then_some(length)
}

fn content_length(head: &[u8]) -> Option<usize> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
        let name = name.trim_ascii();
        let named = name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l");
        let value = std::str::from_utf8(value[1..].trim_ascii()).ok()?;
        named.then(|| value.parse().ok())?
    })
}

/// Whether a message may begin here.
fn begins(piece: &[u8]) -> bool {
    let line = piece
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionId = ConnectionId(1);
    const INVITE: &[u8] = b"INVITE sip:a SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 3\r\n\r\nv=0";
    const BYE: &[u8] = b"BYE sip:a SIP/2.0\r\nl: 0\r\n\r\n";

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let wire = [b"\r\n\r\n", INVITE, BYE, b"\r\n", INVITE].concat();
        for piece in 1..wire.len() {
            let mut streams = Streams::default();
            let pieces = wire.chunks(piece).map(Bytes::copy_from_slice);
            let all: Vec<Bytes> = pieces
                .flat_map(|piece| streams.take(ONE, &piece).messages)
                .collect();
            assert_eq!(all, [INVITE, BYE, INVITE], "in pieces of {piece}");
            assert_eq!(streams.waiting, 0);
        }
    }

    #[test]
    fn what_never_ends_is_given_up_and_the_next_message_is_found() {
        let mut streams = Streams::default();
        let endless = Bytes::from(vec![b'x'; 600_000]);
        assert_eq!(streams.take(ONE, &endless), Cut::default());
        assert!(streams.take(ONE, &endless).lost);
        assert_eq!(streams.take(ONE, &endless), Cut::default());
        assert_eq!(streams.waiting, 0);
        let bye = Bytes::from_static(BYE);
        assert_eq!(streams.take(ONE, &bye).messages, [BYE]);
    }

    #[test]
    fn many_halves_are_bounded_together() {
        let mut streams = Streams::default();
        let half =
            Bytes::from([b"INVITE sip:a SIP/2.0\r\nX: ".to_vec(), vec![b'x'; 60_000]].concat());
        for connection in 1..=1_000 {
            streams.take(ConnectionId(connection), &half);
        }
        assert!(streams.waiting <= MOST_WAITING);
        for connection in 1..=1_000 {
            streams.closed(ConnectionId(connection));
        }
        assert_eq!((streams.waiting, streams.all.len()), (0, 0));
    }
}
