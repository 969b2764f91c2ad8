//! How the network end of a point-to-multipoint line hands out identifiers and finds out who is
//! still there, and whether two claim the same (Q.921 5.3.2 to 5.3.4).
//!
//! Invariant: at most [`Config::terminals`] identifiers are in use, each with one link.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::link::Link;

use super::Config;
use super::address::Tei;
use super::management::{Message, What};

#[derive(Debug)]
pub(super) struct Terminals {
    known: BTreeMap<Tei, Known>,
    /// When a frame from an unknown terminal was last answered by removing it.
    removed_unknown: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Known {
    pub(super) link: Link,
    check: Option<Check>,
}

/// A check under way.
#[derive(Debug)]
struct Check {
    /// Who answered.
    answers: u8,
    requests: u8,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Send(Message),
    Assigned(Tei),
    /// Its link must be abandoned.
    Removed(Tei, Removal),
    Denied,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    Silent,
    Doubled,
}

impl Terminals {
    pub(super) fn new() -> Self {
        Self {
            known: BTreeMap::new(),
            removed_unknown: None,
        }
    }

    pub(super) fn link(&mut self, tei: Tei) -> Option<&mut Link> {
        Some(&mut self.known.get_mut(&tei)?.link)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = (Tei, &Link)> {
        self.known.iter().map(|(tei, known)| (*tei, &known.link))
    }

    pub(super) fn teis(&self) -> Vec<Tei> {
        self.known.keys().copied().collect()
    }

    /// Takes a terminal out of the table; what it says last is the caller's to read.
    pub(super) fn remove(&mut self, tei: Tei) -> Option<Link> {
        Some(self.known.remove(&tei)?.link)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let checks = self.known.values().filter_map(|known| known.check.as_ref());
        checks.map(|check| check.until).min()
    }

    pub(super) fn receive(&mut self, message: Message, config: &Config, now: Instant) -> Vec<Act> {
        match message.what {
            What::Request => self.request(message, config, now),
            What::CheckResponse => {
                if let Some(known) = self.known.get_mut(&message.tei)
                    && let Some(check) = &mut known.check
                {
                    check.answers = check.answers.saturating_add(1);
                    Vec::new()
                } else if self.known.contains_key(&message.tei) {
                    Vec::new()
                } else {
                    remove_twice(message.tei)
                }
            }
            What::Verify if self.known.contains_key(&message.tei) => {
                self.check(message.tei, config, now).into_iter().collect()
            }
            What::Verify => remove_twice(message.tei),
            What::Assigned | What::Denied | What::CheckRequest | What::Remove => Vec::new(),
        }
    }

    /// Asks whoever has this identifier to show up; None while a check is under way.
    pub(super) fn check(&mut self, tei: Tei, config: &Config, now: Instant) -> Option<Act> {
        let known = self.known.get_mut(&tei)?;
        if known.check.is_some() {
            return None;
        }
        known.check = Some(Check {
            answers: 0,
            requests: 1,
            until: now + config.check_within,
        });
        Some(check_request(tei))
    }

    /// A frame came from a terminal that has no identifier of ours: it forgets it, then asks.
    pub(super) fn unknown(&mut self, tei: Tei, config: &Config, now: Instant) -> Vec<Act> {
        let recently = |at: Instant| now < at + config.check_within;
        if self.removed_unknown.is_some_and(recently) {
            return Vec::new();
        }
        self.removed_unknown = Some(now);
        remove_twice(tei)
    }

    pub(super) fn handle_timeout(&mut self, config: &Config, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        for (tei, known) in &mut self.known {
            let Some(check) = known.check.as_mut().filter(|check| check.until <= now) else {
                continue;
            };
            match check.answers {
                0 if check.requests < 2 => {
                    check.requests += 1;
                    check.until = now + config.check_within;
                    acts.push(check_request(*tei));
                }
                0 => acts.push(Act::Removed(*tei, Removal::Silent)),
                1 => known.check = None,
                _ => {
                    acts.push(Act::Removed(*tei, Removal::Doubled));
                    acts.extend(remove_twice(*tei));
                }
            }
        }
        acts
    }

    fn request(&mut self, message: Message, config: &Config, now: Instant) -> Vec<Act> {
        let free = Tei::automatic().find(|tei| !self.known.contains_key(tei));
        match free.filter(|_| self.known.len() < config.terminals) {
            Some(tei) => {
                let link = Link::new(config.link);
                self.known.insert(tei, Known { link, check: None });
                let answer = Message {
                    what: What::Assigned,
                    reference: message.reference,
                    tei,
                };
                vec![Act::Send(answer), Act::Assigned(tei)]
            }
            None => {
                let answer = Message {
                    what: What::Denied,
                    reference: message.reference,
                    tei: Tei::BROADCAST,
                };
                let mut acts = vec![Act::Send(answer), Act::Denied];
                // Q.921 5.3.3: perhaps some have left without a word.
                for tei in self.teis() {
                    acts.extend(self.check(tei, config, now));
                }
                acts
            }
        }
    }
}

fn check_request(tei: Tei) -> Act {
    Act::Send(Message {
        what: What::CheckRequest,
        reference: 0,
        tei,
    })
}

/// Q.921 5.3.4.1: UI frames are not acknowledged, so it is said twice.
pub(super) fn remove_twice(tei: Tei) -> Vec<Act> {
    let message = Message {
        what: What::Remove,
        reference: 0,
        tei,
    };
    vec![Act::Send(message); 2]
}
