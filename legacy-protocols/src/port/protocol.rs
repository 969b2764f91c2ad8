//! The closed list of protocols a port can speak. It dispatches and does nothing else.

use std::time::Instant;

use crate::acdp;
use crate::command::{Answer, CallRef, Command, Purpose};
use crate::counters::LineCounters;
use crate::coverage::Coverage;
use crate::event::Event;
use crate::isdn;
use crate::open_link;
use crate::port::{AskId, Reference};
use crate::session::{Said, Session};
use crate::table;
use crate::text_servers::{McIpServer, OpenWebNetServer};

#[derive(Debug)]
pub enum Protocol {
    Acdp(Box<acdp::Session>),
    /// The server's end, for simulators.
    AcdpServer(Box<acdp::Server>),
    Isdn(Box<isdn::port::Session>),
    /// The server's end, for simulators.
    McIpServer(Box<McIpServer>),
    OpenLink(Box<open_link::Session>),
    /// The server's end, for simulators.
    OpenWebNetServer(Box<OpenWebNetServer>),
    Table(Box<table::Session>),
}

macro_rules! each {
    ($self:ident, $session:ident => $call:expr) => {
        match $self {
            Self::Acdp($session) => $call,
            Self::AcdpServer($session) => $call,
            Self::Isdn($session) => $call,
            Self::McIpServer($session) => $call,
            Self::OpenLink($session) => $call,
            Self::OpenWebNetServer($session) => $call,
            Self::Table($session) => $call,
        }
    };
}

impl Session for Protocol {
    fn coverage(&self) -> Coverage {
        each!(self, session => session.coverage())
    }

    fn counters(&self) -> &LineCounters {
        each!(self, session => session.counters())
    }

    fn channel(&self, call: CallRef) -> Option<u8> {
        each!(self, session => session.channel(call))
    }

    fn opened(&mut self, now: Instant) {
        each!(self, session => session.opened(now));
    }

    fn closed(&mut self) {
        each!(self, session => session.closed());
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        each!(self, session => session.received(bytes, now));
    }

    fn command(&mut self, reference: Reference, command: &Command, purpose: Purpose, now: Instant) {
        each!(self, session => session.command(reference, command, purpose, now));
    }

    fn tell(&mut self, event: &Event, now: Instant) {
        each!(self, session => session.tell(event, now));
    }

    fn item(&mut self, ask: AskId, event: &Event, now: Instant) {
        each!(self, session => session.item(ask, event, now));
    }

    fn answer(&mut self, ask: AskId, answer: &Answer, now: Instant) {
        each!(self, session => session.answer(ask, answer, now));
    }

    fn handle_timeout(&mut self, now: Instant) {
        each!(self, session => session.handle_timeout(now));
    }

    fn deadline(&self) -> Option<Instant> {
        each!(self, session => session.deadline())
    }

    fn poll(&mut self) -> Option<Said> {
        each!(self, session => session.poll())
    }
}
