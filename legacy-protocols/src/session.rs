//! What every protocol's session can do for its port.
//!
//! A session turns bytes into neutral words and back. It does not reopen lines, does not keep
//! commands for later and does not judge outputs: the port does that for all of them.

use std::time::Instant;

use crate::command::{Answer, CallRef, Command, Purpose};
use crate::counters::LineCounters;
use crate::coverage::Coverage;
use crate::event::{Event, Provenance};
use crate::port::{AskId, LinkState, PictureStage, Reference};

pub(crate) trait Session {
    fn coverage(&self) -> Coverage;
    fn counters(&self) -> &LineCounters;

    /// The channel that carries the sound of a call, on lines that have channels.
    fn channel(&self, _call: CallRef) -> Option<u8> {
        None
    }

    /// There is a transport; forget whatever an earlier one has left.
    fn opened(&mut self, now: Instant);
    fn closed(&mut self);
    fn received(&mut self, bytes: &[u8], now: Instant);

    /// Only while the line is up, and only what the coverage holds.
    fn command(&mut self, reference: Reference, command: &Command, purpose: Purpose, now: Instant);
    fn tell(&mut self, event: &Event, now: Instant);
    /// One item of the picture that the other end asked for.
    fn item(&mut self, ask: AskId, event: &Event, now: Instant);
    fn answer(&mut self, ask: AskId, answer: &Answer, now: Instant);

    fn handle_timeout(&mut self, now: Instant);
    fn deadline(&self) -> Option<Instant>;
    fn poll(&mut self) -> Option<Said>;
}

/// What a session has to say to its port.
#[derive(Debug)]
pub(crate) enum Said {
    Send(Vec<u8>),
    Link(LinkState),
    Picture(PictureStage),
    Happened(Event, Provenance),
    /// None where the protocol has no way to answer.
    Asked(Option<AskId>, Command, Provenance),
    Done(Reference, Answer),
    /// This connection is beyond repair.
    Broken(&'static str),
}
