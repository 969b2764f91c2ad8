//! One line of the open link profile, either end of it (section 5).
//!
//! The gateway's end establishes the link; then both say hello, each asks the other for a picture of
//! what is, and an end is up when its picture is complete. A gap in the numbers of events, or a link
//! that was established anew, brings a new picture. Whatever waited when a link broke is dropped on
//! both ends; the port answers the commands that were open.
//!
//! Invariant: while the session is up it has a deadline, the next keep-alive.

mod config;
mod incoming;
mod outgoing;
mod picture;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

pub use config::{Config, Role};

use super::codec::{Deframer, FrameFault, frame};
use super::link_time::LinkTime;
use super::message::Body;
use super::pdu::Flags;
use crate::command::{Answer, Command, Purpose, Verdict};
use crate::counters::LineCounters;
use crate::coverage::Coverage;
use crate::event::Event;
use crate::link::{self, Link};
use crate::port::{AskId, LinkState, Picture, Reference};
use crate::session::Said;
use config::link_config;
use picture::Pending;

/// Version 1.1 of the profile; the first octet has to agree.
const VERSION: u16 = 0x0101;
/// All that section 4.5 lists.
const CAPABILITIES: u32 = 0x7F;
/// Commands of ours whose late answers are still known.
const MOST_SENT: usize = 1024;

#[derive(Debug)]
pub struct Session {
    config: Config,
    deframer: Deframer,
    link: Link,
    time: LinkTime,
    phase: Phase,
    /// How whole the last picture was.
    picture: Picture,
    keep_alive_at: Option<Instant>,
    /// Keep-alive times in which nothing came.
    silent: u32,
    heard: bool,
    next_reference: u16,
    next_event: u16,
    /// The number of the other end's next event, once known.
    expected_event: Option<u16>,
    next_ask: u64,
    /// Commands of ours without a result.
    sent: BTreeMap<u16, Reference>,
    /// Commands of theirs without a result.
    asked: BTreeMap<AskId, Asked>,
    counters: LineCounters,
    said: VecDeque<Said>,
}

#[derive(Debug)]
enum Phase {
    Closed,
    /// The link is being established.
    Linking,
    Greeting {
        until: Instant,
    },
    Up,
    /// A picture is coming; before the first one is whole the session is not up.
    Picturing(Pending),
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    reference: u16,
    items: u16,
    picture: bool,
}

impl Session {
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            link: Link::new(link_config(&config)),
            config,
            deframer: Deframer::default(),
            time: LinkTime::new(now),
            phase: Phase::Closed,
            picture: Picture::None,
            keep_alive_at: None,
            silent: 0,
            heard: false,
            next_reference: 1,
            next_event: 1,
            expected_event: None,
            next_ask: 1,
            sent: BTreeMap::new(),
            asked: BTreeMap::new(),
            counters: LineCounters::default(),
            said: VecDeque::new(),
        }
    }

    /// What the link engine has refused, repeated and given up.
    pub fn link_counters(&self) -> link::Counters {
        self.link.counters()
    }

    // ---- the link ------------------------------------------------------------------

    fn pump(&mut self, now: Instant) {
        loop {
            match self.link.poll_output() {
                link::Output::Transmit { octets, .. } => {
                    self.said.push_back(Said::Send(frame(&octets)));
                }
                link::Output::Event(event) => self.link_event(event, now),
                link::Output::Timeout(_) => return,
            }
        }
    }

    fn link_event(&mut self, event: link::Event, now: Instant) {
        match event {
            link::Event::Established(_) => self.established(now),
            link::Event::Interrupted { .. } => self.begin_anew(Phase::Linking),
            link::Event::Released(cause) => {
                self.begin_anew(Phase::Linking);
                // The server waits for the gateway to come back on the same transport.
                if self.config.role == Role::Gateway {
                    self.broken(match cause {
                        link::ReleaseCause::NoAnswer => {
                            "the other end does not answer; check speed, cabling and its protocol"
                        }
                        link::ReleaseCause::Refused => "the other end refuses the link",
                        link::ReleaseCause::Peer => "the other end has released the link",
                        link::ReleaseCause::Requested | link::ReleaseCause::Abandoned => {
                            "the link was released"
                        }
                    });
                }
            }
            link::Event::Received(payload) => self.payload(&payload, now),
            link::Event::UnsolicitedAnswer => {}
        }
    }

    fn established(&mut self, now: Instant) {
        self.begin_anew(Phase::Greeting {
            until: now + self.config.picture_within,
        });
        self.time = LinkTime::new(now);
        self.said.push_back(Said::Link(LinkState::Syncing));
        let hello = self.hello(now);
        self.send(&Body::Hello(hello), now);
    }

    /// Forgets what belonged to the link that was.
    fn begin_anew(&mut self, phase: Phase) {
        if !matches!(self.phase, Phase::Closed | Phase::Linking) {
            self.said.push_back(Said::Link(LinkState::Connecting));
        }
        self.phase = phase;
        self.keep_alive_at = None;
        self.silent = 0;
        self.next_event = 1;
        self.expected_event = None;
        self.sent.clear();
        self.asked.clear();
    }

    fn broken(&mut self, why: &'static str) {
        self.said.push_back(Said::Broken(why));
    }
}

impl crate::session::Session for Session {
    fn coverage(&self) -> Coverage {
        Coverage::ALL
    }

    fn counters(&self) -> &LineCounters {
        &self.counters
    }

    fn opened(&mut self, now: Instant) {
        self.deframer.clear();
        self.phase = Phase::Linking;
        self.link = Link::new(link_config(&self.config));
        if self.config.role == Role::Gateway {
            self.link.establish(now);
        }
        self.pump(now);
    }

    fn closed(&mut self) {
        self.phase = Phase::Closed;
        self.begin_anew(Phase::Closed);
        self.link = Link::new(link_config(&self.config));
        self.said.clear();
    }

    fn received(&mut self, bytes: &[u8], now: Instant) {
        for octet in bytes {
            match self.deframer.push(*octet) {
                None => {}
                Some(Ok(octets)) => {
                    self.counters.frames += 1;
                    self.link.receive(None, &octets, now);
                    self.pump(now);
                }
                Some(Err(FrameFault::BadCheck | FrameFault::Aborted)) => {
                    self.counters.bad_checksums += 1;
                }
                Some(Err(FrameFault::TooShort)) => self.counters.noise += 1,
                Some(Err(FrameFault::TooLong)) => self.counters.oversize += 1,
            }
        }
    }

    fn command(&mut self, reference: Reference, command: &Command, purpose: Purpose, now: Instant) {
        if *command == Command::Snapshot {
            if matches!(self.phase, Phase::Up) {
                self.ask_picture(false, 1, Some(reference), now);
                self.pump(now);
            } else {
                // One is already coming.
                self.said
                    .push_back(Said::Done(reference, Verdict::Busy.into()));
            }
            return;
        }
        let flags = match purpose {
            Purpose::Live => Flags::NONE,
            Purpose::Test => Flags::TEST,
        };
        let wire = self.reference();
        if self.reply_with(&Body::Command(command.clone()), wire, flags, now) {
            // The port has answered those that nobody else did.
            if self.sent.len() >= MOST_SENT {
                self.sent.pop_first();
            }
            self.sent.insert(wire, reference);
        } else {
            self.said
                .push_back(Said::Done(reference, Verdict::Busy.into()));
        }
        self.pump(now);
    }

    fn tell(&mut self, event: &Event, now: Instant) {
        // What we did not understand ourselves we tell nobody.
        if matches!(event, Event::Opaque { .. }) {
            return;
        }
        let number = self.next_event;
        // A number that is used up and not sent is how the other end learns of the loss.
        self.next_event = number.wrapping_add(1);
        self.reply(&Body::Event(event.clone()), number, now);
        self.pump(now);
    }

    fn item(&mut self, ask: AskId, event: &Event, now: Instant) {
        let Some(asked) = self.asked.get_mut(&ask) else {
            return;
        };
        asked.items = asked.items.wrapping_add(1);
        let reference = asked.reference;
        self.reply(&Body::Item(event.clone()), reference, now);
        self.pump(now);
    }

    fn answer(&mut self, ask: AskId, answer: &Answer, now: Instant) {
        let Some(asked) = self.asked.remove(&ask) else {
            return;
        };
        let body = if asked.picture {
            Body::ItemsEnd(asked.items)
        } else {
            Body::Result(answer.clone())
        };
        self.reply(&body, asked.reference, now);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.link.deadline().is_some_and(|at| at <= now) {
            self.link.handle_timeout(now);
            self.pump(now);
        }
        if self.keep_alive_at.is_some_and(|at| at <= now) {
            self.keep_alive(now);
            self.pump(now);
        }
        match &self.phase {
            Phase::Greeting { until } if *until <= now => {
                self.broken("no hello came; the other end speaks something else");
                self.phase = Phase::Linking;
            }
            Phase::Picturing(pending) if pending.until <= now => {
                self.picture_again(now);
                self.pump(now);
            }
            Phase::Closed
            | Phase::Linking
            | Phase::Greeting { .. }
            | Phase::Up
            | Phase::Picturing(_) => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Greeting { until } => Some(*until),
            Phase::Picturing(pending) => Some(pending.until),
            Phase::Closed | Phase::Linking | Phase::Up => None,
        };
        let deadlines = [self.link.deadline(), self.keep_alive_at, phase];
        deadlines.into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}
