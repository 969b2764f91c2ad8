//! Cuts the byte stream of a TCP or TLS connection into SIP messages (RFC 3261 18.3).
//!
//! It reads each head once, with the parser's own eyes, so framing and parsing cannot disagree
//! about Content-Length. A stream whose framing is in doubt cannot be trusted again: after an error
//! nothing comes any more, and the owner closes the connection. Invariant: between `push` and the
//! end of the draining, never more is kept than one head or one body within the limits and the
//! chunk pushed last.

use bytes::Bytes;

use crate::message::{Fault, Limits, Message, OpenMessage, ParseError, grammar};

/// The framer of one connection. After each [`Framer::push`], call [`Framer::next`] until `None`.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Bytes of `buffer` already given out.
    taken: usize,
    state: State,
}

/// What stands in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Message(Message),
    /// One CRLF between messages: the answer to a ping of ours, or the first half of one of theirs.
    Pong,
    /// A second CRLF at once behind the first: answer with one CRLF (RFC 5626 4.4.1).
    Ping,
    /// Framed, but no acceptable message; the stream goes on behind it.
    Refused(ParseError),
}

/// Why a stream cannot be read any further. Send the [`ParseError::reply`] there may be, then close.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream cannot be cut into messages: {0}")]
pub struct FramingError(pub ParseError);

#[derive(Debug)]
enum State {
    /// Before a message; `blank` line ends have just gone by.
    Between {
        blank: usize,
    },
    /// In a head, of which `searched` bytes hold no end.
    Head {
        searched: usize,
    },
    /// In the body of that length.
    Body {
        message: Box<OpenMessage>,
        length: usize,
    },
    Failed,
}

impl Framer {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            taken: 0,
            state: State::Between { blank: 0 },
        }
    }

    /// Takes the next bytes of the stream; after an error they are dropped.
    pub fn push(&mut self, chunk: &[u8]) {
        if matches!(self.state, State::Failed) {
            return;
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next frame, if it is complete.
    #[expect(
        clippy::should_implement_trait,
        reason = "`None` is no end: more comes after the next push"
    )]
    pub fn next(&mut self) -> Option<Result<Frame, FramingError>> {
        loop {
            let pending = &self.buffer[self.taken..];
            match std::mem::replace(&mut self.state, State::Failed) {
                State::Between { blank } => match pending {
                    [b'\r', b'\n', ..] => {
                        self.taken += 2;
                        self.state = State::Between {
                            blank: (blank + 1) % 2,
                        };
                        return Some(Ok(if blank == 0 { Frame::Pong } else { Frame::Ping }));
                    }
                    [] | [b'\r'] => {
                        self.state = State::Between { blank };
                        return self.wait();
                    }
                    // Spares 16 kB of reading on a TLS hello, and is the first byte of any message.
                    [first, ..] if grammar::is_token_byte(*first) => {
                        self.state = State::Head { searched: 0 }
                    }
                    [..] => return self.fail(ParseError::new(Fault::NotSip, 0)),
                },
                State::Head { searched } => match head_end(pending, searched, &self.limits) {
                    Ok(Some(end)) => {
                        let head = &pending[..end];
                        match OpenMessage::read(head, &self.limits) {
                            Ok(message) => match self.body_length(&message, end) {
                                Ok(length) => {
                                    self.taken += end;
                                    self.state = State::Body {
                                        message: Box::new(message),
                                        length,
                                    };
                                }
                                Err(fault) => return self.fail(message.refuse(fault)),
                            },
                            Err(error) => return self.fail(error),
                        }
                    }
                    Ok(None) => {
                        self.state = State::Head {
                            searched: pending.len(),
                        };
                        return self.wait();
                    }
                    Err(fault) => return self.fail_early(fault),
                },
                State::Body { message, length } => {
                    let Some(body) = pending.get(..length) else {
                        self.state = State::Body { message, length };
                        return self.wait();
                    };
                    let body = Bytes::copy_from_slice(body);
                    self.taken += length;
                    self.state = State::Between { blank: 0 };
                    return Some(Ok(match message.close(Ok(body), &self.limits) {
                        Ok(message) => Frame::Message(message),
                        Err(error) => Frame::Refused(error),
                    }));
                }
                State::Failed => return None,
            }
        }
    }

    /// Bytes kept for a message that is not complete yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.taken
    }

    fn body_length(&self, message: &OpenMessage, head: usize) -> Result<usize, Fault> {
        let length = usize::try_from(message.body_on_stream()?).unwrap_or(usize::MAX);
        if length > self.limits.body {
            return Err(Fault::BodyTooLong {
                limit: self.limits.body,
            });
        }
        if length > self.limits.message.saturating_sub(head) {
            return Err(Fault::MessageTooLong {
                limit: self.limits.message,
            });
        }
        Ok(length)
    }

    /// Nothing complete is left: gives memory back that one large message had taken.
    fn wait(&mut self) -> Option<Result<Frame, FramingError>> {
        if self.pending() == 0 {
            self.taken = 0;
            self.buffer.clear();
            self.buffer.shrink_to(RESTING);
        }
        None
    }

    /// A head that never ends: what there is of it may be enough for an answer.
    fn fail_early(&mut self, fault: Fault) -> Option<Result<Frame, FramingError>> {
        let head = &self.buffer[self.taken..][..self.limits.head.min(self.pending())];
        match OpenMessage::read(head, &self.limits) {
            Ok(message) => self.fail(message.refuse(fault)),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: ParseError) -> Option<Result<Frame, FramingError>> {
        self.state = State::Failed;
        self.buffer = Vec::new();
        self.taken = 0;
        Some(Err(FramingError(error)))
    }
}

/// What an idle connection keeps of its buffer.
const RESTING: usize = 1024;

/// The length of the head at the start of `pending`, when its end is there.
fn head_end(pending: &[u8], searched: usize, limits: &Limits) -> Result<Option<usize>, Fault> {
    let from = searched.saturating_sub(3);
    let window = &pending[from..pending.len().min(limits.head)];
    match window.windows(4).position(|four| four == b"\r\n\r\n") {
        Some(found) => Ok(Some(from + found + 4)),
        None if pending.len() >= limits.head => Err(Fault::HeadTooLong { limit: limits.head }),
        None => Ok(None),
    }
}
