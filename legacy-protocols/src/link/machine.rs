//! The states of a link: who asks for it, who answers, how it ends (Q.921 5.5, 5.7).
//!
//! What happens while it is up stands in `transfer`. Invariant: a link that is neither
//! disconnected nor idle without supervision has a deadline.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::config::Config;
use super::counters::Counters;
use super::frame::{Frame, Kind, Unnumbered};
use super::transfer::Transfer;

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A frame for the peer, from its control field on.
    Transmit {
        kind: Kind,
        octets: Vec<u8>,
    },
    Event(Event),
    /// Nothing more to say; wake it then.
    Timeout(Option<Instant>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The link is up, and new: sequence numbers begin at 0, what was on its way is lost.
    Established(Cause),
    /// Something went wrong; what was on its way or waiting (so many payloads) is lost. The link
    /// is being established anew: `Established(Recovered)` or `Released` follows.
    Interrupted {
        discarded: usize,
    },
    Released(ReleaseCause),
    Received(Vec<u8>),
    /// An acknowledgement nobody asked for: on a line with many ends, somebody else may be using
    /// our address (Q.921 5.3.5).
    UnsolicitedAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By [`Link::establish`].
    Requested,
    /// The peer began, for the first time or anew.
    Peer,
    /// By ourselves after an error.
    Recovered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseCause {
    /// By [`Link::release`].
    Requested,
    Peer,
    /// The peer says it cannot.
    Refused,
    /// N200 attempts without an answer.
    NoAnswer,
    /// By [`Link::abandon`].
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Disconnected,
    Establishing,
    Connected,
    Releasing,
}

/// Why a payload of ours was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    #[error("the link is down; establish it first")]
    NotConnected,
    #[error("the queue is full; the peer does not take what waits already")]
    QueueFull,
    #[error("the payload is longer than the link allows (N201)")]
    TooLong,
}

/// One link, one end of it.
#[derive(Debug)]
pub struct Link {
    state: State,
    /// Asked, answered by `poll_output`.
    pub(super) core: Core,
}

/// What all states share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Config,
    /// Payloads for the peer; those on their way stand first.
    pub(super) queue: VecDeque<Vec<u8>>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) counters: Counters,
}

#[derive(Debug)]
enum State {
    Disconnected,
    /// Q.921 state 5.
    Establishing(Establishing),
    /// Q.921 states 7 and 8.
    Connected(Transfer),
    /// Q.921 state 6.
    Releasing(Releasing),
}

#[derive(Debug)]
struct Establishing {
    attempts: u8,
    answer_by: Instant,
    cause: Cause,
}

#[derive(Debug)]
struct Releasing {
    attempts: u8,
    answer_by: Instant,
    /// `establish` was called meanwhile.
    establish_after: bool,
}

/// What a frame did to a connected link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Continue,
    /// Q.921 5.8.5, 5.9.4: only establishing the link anew helps.
    Recover,
}

impl Link {
    pub fn new(mut config: Config) -> Self {
        // A timer of no length would be due for ever.
        config.answer_within = config.answer_within.max(Duration::from_millis(1));
        config.watch_idle_after = config
            .watch_idle_after
            .map(|after| after.max(Duration::from_millis(1)));
        Self {
            state: State::Disconnected,
            core: Core {
                config,
                queue: VecDeque::new(),
                outputs: VecDeque::new(),
                counters: Counters::default(),
            },
        }
    }

    pub fn status(&self) -> Status {
        match self.state {
            State::Disconnected => Status::Disconnected,
            State::Establishing(_) => Status::Establishing,
            State::Connected(_) => Status::Connected,
            State::Releasing(_) => Status::Releasing,
        }
    }

    pub fn counters(&self) -> Counters {
        self.core.counters
    }

    /// Payloads that the peer has not acknowledged yet.
    pub fn waiting(&self) -> usize {
        self.core.queue.len()
    }

    /// Brings the link up; one that is up begins anew.
    pub fn establish(&mut self, now: Instant) {
        match &mut self.state {
            State::Disconnected => self.begin(Cause::Requested, now),
            State::Connected(_) => {
                self.core.discard();
                self.begin(Cause::Requested, now);
            }
            State::Establishing(establishing) => establishing.cause = Cause::Requested,
            State::Releasing(releasing) => releasing.establish_after = true,
        }
    }

    /// Takes the link down in order; what waits is lost.
    pub fn release(&mut self, now: Instant) {
        match &mut self.state {
            State::Disconnected => {}
            State::Releasing(releasing) => releasing.establish_after = false,
            State::Establishing(_) | State::Connected(_) => {
                self.core.discard();
                self.core.command(Unnumbered::Disconnect);
                self.state = State::Releasing(Releasing {
                    attempts: 0,
                    answer_by: now + self.core.config.answer_within,
                    establish_after: false,
                });
            }
        }
    }

    /// The line or the address is gone: the link is down without a word to the peer.
    pub fn abandon(&mut self) {
        if !matches!(self.state, State::Disconnected) {
            self.end(ReleaseCause::Abandoned);
        }
    }

    /// Hands a payload over. While the link is being established it waits.
    pub fn send(&mut self, payload: Vec<u8>, now: Instant) -> Result<(), SendError> {
        let refusal = match self.state {
            State::Disconnected | State::Releasing(_) => Some(SendError::NotConnected),
            _ if payload.len() > self.core.config.longest_payload => Some(SendError::TooLong),
            _ if self.core.queue.len() >= self.core.config.queue => Some(SendError::QueueFull),
            State::Establishing(_) | State::Connected(_) => None,
        };
        if let Some(refusal) = refusal {
            self.core.counters.send_refused += 1;
            return Err(refusal);
        }
        self.core.queue.push_back(payload);
        if let State::Connected(transfer) = &mut self.state {
            transfer.flush(&mut self.core, now);
        }
        Ok(())
    }

    /// Tells the peer to send no more payloads (RNR).
    pub fn pause_receiving(&mut self) {
        if let State::Connected(transfer) = &mut self.state {
            transfer.pause_receiving(&mut self.core);
        }
    }

    /// The peer may go on.
    pub fn resume_receiving(&mut self) {
        if let State::Connected(transfer) = &mut self.state {
            transfer.resume_receiving(&mut self.core);
        }
    }

    /// A frame from the peer, from its control field on. `kind` is what the carrier's address
    /// field says; without one the frame speaks for itself.
    pub fn receive(&mut self, kind: Option<Kind>, octets: &[u8], now: Instant) {
        match Frame::decode(octets) {
            Ok(frame) => {
                let kind = kind.unwrap_or_else(|| natural_kind(&frame));
                self.receive_frame(kind, &frame, now);
            }
            Err(_) => {
                self.core.counters.undecodable += 1;
                // Q.921 5.8.5: a rejected frame means that the ends disagree.
                if matches!(self.state, State::Connected(_)) {
                    self.recover(now);
                }
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let retries = self.core.config.retries;
        let answer_by = now + self.core.config.answer_within;
        match &mut self.state {
            State::Disconnected => {}
            State::Establishing(state) if state.answer_by <= now => {
                self.core.counters.answers_missed += 1;
                if state.attempts >= retries {
                    self.end(ReleaseCause::NoAnswer);
                } else {
                    state.attempts += 1;
                    state.answer_by = answer_by;
                    self.core
                        .command(Unnumbered::SetAsynchronousBalancedModeExtended);
                }
            }
            State::Releasing(state) if state.answer_by <= now => {
                self.core.counters.answers_missed += 1;
                if state.attempts >= retries {
                    self.finish_release(ReleaseCause::Requested, now);
                } else {
                    state.attempts += 1;
                    state.answer_by = answer_by;
                    self.core.command(Unnumbered::Disconnect);
                }
            }
            State::Establishing(_) | State::Releasing(_) => {}
            State::Connected(transfer) => {
                if transfer.handle_timeout(&mut self.core, now) == Verdict::Recover {
                    self.recover(now);
                }
            }
        }
    }

    pub fn poll_output(&mut self) -> Output {
        let said = self.core.outputs.pop_front();
        said.unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    /// When it wants to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Disconnected => None,
            State::Establishing(state) => Some(state.answer_by),
            State::Releasing(state) => Some(state.answer_by),
            State::Connected(transfer) => transfer.deadline(),
        }
    }

    fn receive_frame(&mut self, kind: Kind, frame: &Frame<'_>, now: Instant) {
        match *frame {
            Frame::Unnumbered {
                function,
                poll_final,
                ..
            } => match (function, kind) {
                (Unnumbered::SetAsynchronousBalancedModeExtended, Kind::Command) => {
                    self.peer_establishes(poll_final, now);
                }
                (Unnumbered::Disconnect, Kind::Command) => self.peer_releases(poll_final, now),
                (Unnumbered::UnnumberedAcknowledgement, Kind::Response) => {
                    self.acknowledged(poll_final, now);
                }
                (Unnumbered::DisconnectedMode, Kind::Response) => self.refused(poll_final, now),
                (Unnumbered::FrameReject, Kind::Response) => {
                    self.core.counters.frame_rejects += 1;
                    if matches!(self.state, State::Connected(_)) {
                        self.recover(now);
                    }
                }
                (Unnumbered::UnnumberedInformation | Unnumbered::ExchangeIdentification, _) => {
                    self.core.counters.not_spoken += 1;
                }
                (
                    Unnumbered::SetAsynchronousBalancedModeExtended
                    | Unnumbered::Disconnect
                    | Unnumbered::UnnumberedAcknowledgement
                    | Unnumbered::DisconnectedMode
                    | Unnumbered::FrameReject,
                    _,
                ) => self.core.counters.unexpected += 1,
            },
            Frame::Information { poll, .. } => {
                if kind == Kind::Response {
                    self.core.counters.unexpected += 1;
                    return;
                }
                self.transfer(kind, frame, poll, now);
            }
            Frame::Supervisory { poll_final, .. } => {
                self.transfer(kind, frame, poll_final && kind == Kind::Command, now);
            }
        }
    }

    /// Frames that mean something only while the link is up.
    fn transfer(&mut self, kind: Kind, frame: &Frame<'_>, poll: bool, now: Instant) {
        match &mut self.state {
            State::Connected(transfer) => {
                if transfer.receive(&mut self.core, kind, frame, now) == Verdict::Recover {
                    self.recover(now);
                }
            }
            State::Disconnected => {
                self.core.counters.unexpected += 1;
                // Q.921 5.5.4.
                if poll {
                    self.core.respond(Unnumbered::DisconnectedMode, true);
                }
            }
            State::Establishing(_) | State::Releasing(_) => self.core.counters.unexpected += 1,
        }
    }

    fn peer_establishes(&mut self, poll: bool, now: Instant) {
        match &self.state {
            State::Disconnected => {
                self.core
                    .respond(Unnumbered::UnnumberedAcknowledgement, poll);
                self.connect(Cause::Peer, now);
            }
            State::Connected(_) => {
                self.core
                    .respond(Unnumbered::UnnumberedAcknowledgement, poll);
                self.core.discard();
                self.connect(Cause::Peer, now);
            }
            // Q.921 5.5.5.2: both began; each answers, and goes on when its own answer comes.
            State::Establishing(_) => self
                .core
                .respond(Unnumbered::UnnumberedAcknowledgement, poll),
            State::Releasing(_) => self.core.respond(Unnumbered::DisconnectedMode, poll),
        }
    }

    fn peer_releases(&mut self, poll: bool, now: Instant) {
        match &self.state {
            State::Disconnected | State::Establishing(_) => {
                self.core.respond(Unnumbered::DisconnectedMode, poll);
            }
            State::Connected(_) => {
                self.core
                    .respond(Unnumbered::UnnumberedAcknowledgement, poll);
                self.end(ReleaseCause::Peer);
            }
            // Both release; the peer gets its answer, and ours may still come. If it does not,
            // T200 ends the wait.
            State::Releasing(_) => {
                self.core
                    .respond(Unnumbered::UnnumberedAcknowledgement, poll);
                self.finish_release(ReleaseCause::Requested, now);
            }
        }
    }

    fn acknowledged(&mut self, final_bit: bool, now: Instant) {
        match &self.state {
            State::Establishing(state) if final_bit => {
                let cause = state.cause;
                self.connect(cause, now);
            }
            State::Releasing(_) if final_bit => {
                self.finish_release(ReleaseCause::Requested, now);
            }
            State::Disconnected
            | State::Establishing(_)
            | State::Connected(_)
            | State::Releasing(_) => {
                // Q.921 appendix II, errors C and D.
                self.core.counters.unexpected += 1;
                self.core.event(Event::UnsolicitedAnswer);
            }
        }
    }

    fn refused(&mut self, final_bit: bool, now: Instant) {
        match &self.state {
            State::Establishing(_) if final_bit => self.end(ReleaseCause::Refused),
            State::Releasing(_) if final_bit => {
                self.finish_release(ReleaseCause::Requested, now);
            }
            // Q.921 5.8.7: unasked for, and in the middle of a poll too, it means that the peer
            // has forgotten the link.
            State::Connected(transfer) if !final_bit || transfer.polls() => self.recover(now),
            State::Disconnected
            | State::Establishing(_)
            | State::Connected(_)
            | State::Releasing(_) => self.core.counters.unexpected += 1,
        }
    }

    fn begin(&mut self, cause: Cause, now: Instant) {
        self.core
            .command(Unnumbered::SetAsynchronousBalancedModeExtended);
        self.state = State::Establishing(Establishing {
            attempts: 0,
            answer_by: now + self.core.config.answer_within,
            cause,
        });
    }

    fn recover(&mut self, now: Instant) {
        self.core.counters.recoveries += 1;
        let discarded = self.core.discard();
        self.core.event(Event::Interrupted { discarded });
        self.begin(Cause::Recovered, now);
    }

    fn connect(&mut self, cause: Cause, now: Instant) {
        self.core.counters.established += 1;
        self.core.event(Event::Established(cause));
        let mut transfer = Transfer::new(&self.core.config, now);
        transfer.flush(&mut self.core, now);
        self.state = State::Connected(transfer);
    }

    fn end(&mut self, cause: ReleaseCause) {
        self.core.discard();
        self.state = State::Disconnected;
        self.core.event(Event::Released(cause));
    }

    fn finish_release(&mut self, cause: ReleaseCause, now: Instant) {
        let again = matches!(&self.state, State::Releasing(state) if state.establish_after);
        self.end(cause);
        if again {
            self.begin(Cause::Requested, now);
        }
    }
}

impl Core {
    pub(super) fn transmit(&mut self, kind: Kind, frame: &Frame<'_>) {
        let octets = frame.encode();
        self.outputs.push_back(Output::Transmit { kind, octets });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// SABME and DISC always poll (Q.921 5.5.1, 5.5.3).
    fn command(&mut self, function: Unnumbered) {
        let frame = Frame::Unnumbered {
            function,
            poll_final: true,
            payload: &[],
        };
        self.transmit(Kind::Command, &frame);
    }

    fn respond(&mut self, function: Unnumbered, final_bit: bool) {
        let frame = Frame::Unnumbered {
            function,
            poll_final: final_bit,
            payload: &[],
        };
        self.transmit(Kind::Response, &frame);
    }

    fn discard(&mut self) -> usize {
        let discarded = self.queue.len();
        self.counters.discarded += discarded as u64;
        self.queue.clear();
        discarded
    }
}

/// What a frame is where no address field says it.
fn natural_kind(frame: &Frame<'_>) -> Kind {
    match frame {
        Frame::Information { .. } => Kind::Command,
        Frame::Supervisory { .. } => Kind::Response,
        Frame::Unnumbered { function, .. } => match function {
            Unnumbered::SetAsynchronousBalancedModeExtended
            | Unnumbered::Disconnect
            | Unnumbered::UnnumberedInformation
            | Unnumbered::ExchangeIdentification => Kind::Command,
            Unnumbered::DisconnectedMode
            | Unnumbered::UnnumberedAcknowledgement
            | Unnumbered::FrameReject => Kind::Response,
        },
    }
}
