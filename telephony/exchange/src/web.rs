//! Browsers: parties of a call that an edge of the owner speaks for.
//!
//! ICE, DTLS and the browser's own words are the edge's business. In here such a party has a plain
//! description, with packets on this machine alone; so it talks with every other leg, and the media
//! threads know nothing of it. One party is one leg. That a user has several browsers the edge knows
//! as well: it rings them all, and the first that answers is the party.
//!
//! Invariant: a party ends exactly once, by [`WebCommand::Refuse`] or [`WebCommand::End`], or by its
//! own word.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use calls::{
    Alert, Arrival, CallerProgress, Input, Origin, Progress, Prospect, StartLeg, Target,
    TransferStatus, Video,
};
use model::{
    Address, CloudUserId, Digit, EarlyMedia, Encryption, EndCause, LegId, Party, Pii, Priority,
    Reach,
};

use crate::io::Output;
use crate::keys::KeyForm;
use crate::plan::{Offered, Signalling, Start, Taker, Terms};
use crate::state::Exchange;

/// Where the edge gives and takes packets.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One browser's part in one call. Who begins the call names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebParty {
    /// It is called.
    Called(LegId),
    /// It calls; the edge's number, never used twice.
    Caller(u64),
}

/// What a browser wants, in the edge's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebEvent {
    /// A signed-in user calls.
    Arrived(Box<WebArrival>),
    Ringing,
    /// It takes the call; plain packets go to and come from what stands here.
    Answered {
        answer: Bytes,
    },
    /// It is called and will not, or cannot be, reached.
    Refused {
        cause: EndCause,
    },
    Ended {
        cause: EndCause,
    },
    Digit(Digit),
    Held,
    Resumed,
    Transfer {
        to: Address,
    },
    /// Join the other sides of two calls of one browser.
    TransferTo(WebParty),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebArrival {
    /// Proved by the edge.
    pub user: CloudUserId,
    pub name: Pii<String>,
    pub dialled: Address,
    pub offer: Bytes,
}

/// What the edge is to do for a party.
#[derive(Clone, Debug, PartialEq)]
pub enum WebCommand {
    /// Ring the user's browsers; `Answered` or `Refused` tells what came of it.
    Ring(Box<WebRing>),
    /// To one that calls.
    Progress(WebProgress),
    /// To one that calls: it is connected.
    Accept {
        answer: Bytes,
    },
    /// To one that calls and was not connected.
    Refuse {
        cause: EndCause,
        retry_after: Option<Duration>,
    },
    End {
        cause: EndCause,
    },
    TransferStatus(TransferStatus),
}

#[derive(Clone, Debug, PartialEq)]
pub struct WebRing {
    pub user: CloudUserId,
    pub caller: Party,
    /// Whom the caller wanted, where it is not this user.
    pub dialled: Option<Address>,
    pub alert: Alert,
    pub priority: Priority,
    pub offer: Bytes,
    /// Sound and picture of the caller come before the answer.
    pub early_media: EarlyMedia,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebProgress {
    Ringing,
    Queued,
    /// Sound or picture comes before the answer.
    EarlyMedia {
        answer: Bytes,
    },
}

/// Which leg a party is.
#[derive(Debug, Default)]
pub(crate) struct Web {
    legs: BTreeMap<LegId, WebLeg>,
    callers: BTreeMap<u64, LegId>,
}

#[derive(Debug)]
struct WebLeg {
    party: WebParty,
    talks: bool,
}

impl Web {
    pub(crate) fn has_leg(&self, leg: LegId) -> bool {
        self.legs.contains_key(&leg)
    }

    fn insert(&mut self, leg: LegId, party: WebParty) {
        if let WebParty::Caller(number) = party {
            self.callers.insert(number, leg);
        }
        let talks = false;
        self.legs.insert(leg, WebLeg { party, talks });
    }

    fn leg_of(&self, party: WebParty) -> Option<LegId> {
        match party {
            WebParty::Called(leg) => self.legs.contains_key(&leg).then_some(leg),
            WebParty::Caller(number) => self.callers.get(&number).copied(),
        }
    }

    fn remove(&mut self, leg: LegId) -> Option<WebLeg> {
        let entry = self.legs.remove(&leg)?;
        if let WebParty::Caller(number) = entry.party {
            self.callers.remove(&number);
        }
        Some(entry)
    }
}

impl Exchange {
    pub(crate) fn web_says(&mut self, party: WebParty, event: WebEvent, now: Instant) {
        if let WebEvent::Arrived(arrival) = event {
            return self.web_arrives(party, *arrival, now);
        }
        let Some(leg) = self.web.leg_of(party) else {
            // Its words and ours have crossed.
            self.counters.web_events_ignored += 1;
            return;
        };
        match event {
            WebEvent::Arrived(_) => {}
            WebEvent::Ringing => {
                let progress = Progress::Ringing;
                self.calls.handle(Input::LegProgress { leg, progress }, now);
            }
            WebEvent::Answered { answer } => self.web_answered(leg, &answer, now),
            WebEvent::Refused { cause } | WebEvent::Ended { cause } => {
                self.web_over(leg, cause, now);
            }
            WebEvent::Digit(digit) => self.key_pressed(leg, digit, KeyForm::Info, now),
            WebEvent::Held => self.calls.handle(Input::LegHeld { leg }, now),
            WebEvent::Resumed => self.calls.handle(Input::LegResumed { leg }, now),
            WebEvent::Transfer { to } => match self.dialled_by_web(to) {
                Some(to) => self.calls.handle(Input::Transfer { leg, to }, now),
                None => self.tell_web(
                    leg,
                    WebCommand::TransferStatus(TransferStatus::Failed(EndCause::UnknownNumber)),
                ),
            },
            WebEvent::TransferTo(other) => match self.web.leg_of(other) {
                Some(with) => self
                    .calls
                    .handle(Input::TransferAttended { leg, with }, now),
                None => self.tell_web(
                    leg,
                    WebCommand::TransferStatus(TransferStatus::Failed(EndCause::HungUp)),
                ),
            },
        }
    }

    fn web_arrives(&mut self, party: WebParty, arrival: WebArrival, now: Instant) {
        let refused = match party {
            WebParty::Caller(_) if self.web.leg_of(party).is_none() => {
                self.admit_web(party, arrival, now)
            }
            WebParty::Caller(_) | WebParty::Called(_) => {
                self.counters.web_events_ignored += 1;
                return;
            }
        };
        if let Err(cause) = refused {
            self.counters.calls_refused_at_the_edge += 1;
            let retry_after =
                (cause == EndCause::Overload).then_some(self.config.calls.retry_after);
            let command = WebCommand::Refuse { cause, retry_after };
            self.out(Output::Web { party, command });
        }
    }

    fn admit_web(
        &mut self,
        party: WebParty,
        arrival: WebArrival,
        now: Instant,
    ) -> Result<(), EndCause> {
        let dialled = self.dialled_by_web(arrival.dialled);
        let dialled = dialled.ok_or(EndCause::UnknownNumber)?;
        let from = Origin::CloudUser {
            user: arrival.user,
            name: arrival.name,
        };
        let leg = self.calls.next_leg();
        let taker = match self.calls.prospect(&from, None) {
            Prospect::Usual => Some(Taker::Usual),
            Prospect::Alarm => Some(Taker::Alarm),
            Prospect::Refused => None,
        };
        let offered = match taker {
            Some(taker) => {
                let planned = self.plan.arrived(leg, begin(taker), Some(&arrival.offer));
                planned.map_err(|error| error.cause())?
            }
            None => Offered { video: Video::None },
        };
        self.web.insert(leg, party);
        let arrival = Arrival {
            leg,
            from,
            dialled,
            priority: None,
            video: offered.video,
        };
        self.calls.handle(Input::LegArrived(arrival), now);
        Ok(())
    }

    /// Whom a browser may mean: whoever can be dialled here. It is no way to the outside.
    fn dialled_by_web(&self, address: Address) -> Option<Address> {
        match address {
            Address::Local(number) => Some(self.with_block(number)),
            Address::Sip(_) => None,
            Address::Remote { .. }
            | Address::CloudUser(_)
            | Address::Group(_)
            | Address::Desk(_) => Some(address),
        }
    }

    /// The user at the other end, if the leg goes to a browser.
    pub(crate) fn user_towards(&self, target: &Target) -> Option<CloudUserId> {
        match target {
            Target::Elsewhere(Address::CloudUser(user)) => Some(*user),
            Target::Elsewhere(_) => None,
            Target::Station(id) => match self.directory.station(*id)?.reach {
                Reach::User(user) => Some(user),
                Reach::Account(_) | Reach::Direct(_) | Reach::Behind(_) => None,
            },
        }
    }

    pub(crate) fn ring_web(&mut self, start: &StartLeg, user: CloudUserId) -> Result<(), EndCause> {
        let taker = match start.priority.is_alarm() {
            true => Taker::Alarm,
            false => Taker::Usual,
        };
        let leg = start.leg;
        let offer = self.plan.offer(leg, begin(taker), start.offer_of);
        let offer = offer.map_err(|error| error.cause())?;
        self.web.insert(leg, WebParty::Called(leg));
        if let (EarlyMedia::On, Some(caller)) = (start.early_media, start.offer_of) {
            self.plan.early_media(caller, leg);
        }
        let ring = WebRing {
            user,
            caller: start.caller.clone(),
            dialled: start.dialled.clone(),
            alert: start.alert,
            priority: start.priority,
            offer,
            early_media: start.early_media,
        };
        self.tell_web(leg, WebCommand::Ring(Box::new(ring)));
        Ok(())
    }

    fn web_answered(&mut self, leg: LegId, answer: &[u8], now: Instant) {
        match self.plan.answered(leg, answer) {
            Ok(()) => {
                if let Some(entry) = self.web.legs.get_mut(&leg) {
                    entry.talks = true;
                }
                self.calls.handle(Input::LegAnswered { leg }, now);
            }
            Err(error) => {
                let cause = error.cause();
                self.end_web(leg, cause);
                self.calls.handle(Input::LegRefused { leg, cause }, now);
            }
        }
    }

    /// It went by itself.
    fn web_over(&mut self, leg: LegId, cause: EndCause, now: Instant) {
        let Some(entry) = self.web.remove(leg) else {
            return;
        };
        self.plan.close(leg);
        let over = match (entry.party, entry.talks) {
            (WebParty::Called(_), false) => Input::LegRefused { leg, cause },
            (WebParty::Called(_) | WebParty::Caller(_), _) => Input::LegEnded { leg, cause },
        };
        self.calls.handle(over, now);
    }

    pub(crate) fn show_progress_to_web(&mut self, leg: LegId, progress: CallerProgress) {
        let progress = match progress {
            CallerProgress::Trying => return,
            CallerProgress::Ringing => WebProgress::Ringing,
            CallerProgress::Queued => WebProgress::Queued,
            CallerProgress::EarlyMedia { from } => match self.plan.early_answer(leg, from) {
                Ok(answer) => WebProgress::EarlyMedia { answer },
                // What rings without a picture still rings.
                Err(_) => WebProgress::Ringing,
            },
        };
        self.tell_web(leg, WebCommand::Progress(progress));
    }

    pub(crate) fn answer_web(&mut self, leg: LegId, now: Instant) {
        match self.plan.final_answer(leg) {
            Ok(Some(answer)) => {
                if let Some(entry) = self.web.legs.get_mut(&leg) {
                    entry.talks = true;
                }
                self.tell_web(leg, WebCommand::Accept { answer });
            }
            // A browser always offers.
            Ok(None) => {}
            Err(error) => {
                let cause = error.cause();
                self.refuse_web(leg, cause, None);
                self.calls.handle(Input::LegEnded { leg, cause }, now);
            }
        }
    }

    pub(crate) fn refuse_web(
        &mut self,
        leg: LegId,
        cause: EndCause,
        retry_after: Option<Duration>,
    ) {
        self.plan.close(leg);
        if let Some(WebLeg { party, .. }) = self.web.remove(leg) {
            let command = WebCommand::Refuse { cause, retry_after };
            self.out(Output::Web { party, command });
        }
    }

    pub(crate) fn end_web(&mut self, leg: LegId, cause: EndCause) {
        self.plan.close(leg);
        if let Some(WebLeg { party, .. }) = self.web.remove(leg) {
            let command = WebCommand::End { cause };
            self.out(Output::Web { party, command });
        }
    }

    pub(crate) fn tell_web(&mut self, leg: LegId, command: WebCommand) {
        if let Some(WebLeg { party, .. }) = self.web.legs.get(&leg) {
            let party = *party;
            self.out(Output::Web { party, command });
        }
    }
}

/// Packets of browsers are protected beyond the edge; on this machine they are plain.
fn begin(taker: Taker) -> Start {
    Start {
        taker,
        local: HERE,
        peer: HERE,
        terms: Terms {
            encryption: Encryption::Off,
            signalling: Signalling::Private,
        },
    }
}
