//! Wishes to be called, and the one who takes each.
//!
//! Invariant: a request is in the queue until it is taken, cancelled or withdrawn, and only once;
//! who comes second is told who came first, as long as that is remembered.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use legacy_protocols::command::{Answer, Cause, Command, RequestRef, Verdict};
use legacy_protocols::event::{CallRequest, Event};
use legacy_protocols::number::Party;
use legacy_protocols::priority::{Priority, Scale};
use legacy_protocols::text::Text;

use super::lines::{Pending, reason};
use super::station::Busy;
use super::{Site, Timer};

/// Requests that lines have queued at our desks at most, each.
const MOST_OF_A_LINE: usize = 256;
/// Requests that are over and whose taker is remembered.
const MOST_OVER: usize = 256;
/// Whoever took a request calls within so long, or the station is as it was before.
const CALLS_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub number: RequestRef,
    pub home: Home,
    pub from: Party,
    pub to: Option<Party>,
    pub priority: Priority,
    pub text: Option<Text>,
    pub since: Instant,
}

/// Where it lives: there it is decided who takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Home {
    Here,
    Line(usize),
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: BTreeMap<(Home, RequestRef), Request>,
    over: VecDeque<(RequestRef, Party)>,
    /// Stations that will be called by whoever took their request.
    expected: BTreeMap<Party, Party>,
}

impl Requests {
    pub(super) fn at(&self, desk: Party) -> Vec<&Request> {
        let here = self.waiting.values().filter(|r| r.to == Some(desk));
        let mut queue: Vec<&Request> = here.collect();
        queue.sort_by_key(|r| {
            (
                r.priority.on(Scale::OneIsHighest).value(),
                r.since,
                r.number,
            )
        });
        queue
    }

    pub(super) fn ours(&self) -> impl Iterator<Item = &Request> {
        self.waiting.values().filter(|r| r.home == Home::Here)
    }

    pub(super) fn is_expected(&self, station: Party, by: Party) -> bool {
        self.expected.get(&station) == Some(&by)
    }

    pub(super) fn called(&mut self, station: Party) {
        self.expected.remove(&station);
    }

    pub(super) fn not_called(&mut self, station: Party) {
        self.expected.remove(&station);
    }

    pub(super) fn withdraw(&mut self, line: usize, request: RequestRef) -> Option<Request> {
        self.waiting.remove(&(Home::Line(line), request))
    }

    pub(super) fn line_lost(&mut self, line: usize) {
        self.waiting
            .retain(|(home, _), _| *home != Home::Line(line));
    }

    fn of(&self, station: Party) -> Option<RequestRef> {
        let mut ours = self.ours();
        ours.find(|r| r.from == station).map(|r| r.number)
    }

    fn goes_to(&self, request: RequestRef, to: Party) -> bool {
        let known = self.waiting.get(&(Home::Here, request));
        known.is_some_and(|request| request.to == Some(to))
    }

    fn take(&mut self, number: RequestRef, by: Party) -> Option<Request> {
        let request = self.waiting.remove(&(Home::Here, number))?;
        if self.over.len() >= MOST_OVER {
            self.over.pop_front();
        }
        self.over.push_back((number, by));
        Some(request)
    }

    fn taken_by(&self, number: RequestRef) -> Option<Party> {
        let over = self.over.iter().find(|(known, _)| *known == number);
        over.map(|(_, by)| *by)
    }
}

impl Request {
    pub(super) fn told(&self) -> CallRequest {
        CallRequest {
            request: self.number,
            from: self.from,
            to: self.to,
            priority: self.priority,
            text: self.text.clone(),
        }
    }
}

impl Site {
    /// A station wishes to be called. One that waits already goes on waiting.
    pub(super) fn file(
        &mut self,
        from: Party,
        to: Party,
        priority: Priority,
        text: Option<Text>,
        now: Instant,
    ) {
        if self.requests.of(from).is_some() {
            return;
        }
        let fresh = self.fresh();
        // All lines are told the same number; those that cannot carry it have no requests.
        let number = RequestRef(fresh | legacy_protocols::command::CallRef::OF_PORT);
        let request = Request {
            number,
            home: Home::Here,
            from,
            to: Some(to),
            priority,
            text,
            since: now,
        };
        let told = request.told();
        self.requests.waiting.insert((Home::Here, number), request);
        if let Some(station) = self.change(from) {
            station.request = Some(number);
        }
        let (caller, desk) = (self.title(from), self.title(to));
        self.note(format!("{caller} asks to be called by {desk}"));
        self.tell_all(&Event::RequestNew(told), now);
    }

    /// Whoever asked takes it back.
    pub(super) fn cancel(&mut self, station: Party, now: Instant) -> bool {
        let Some(request) = self.requests.of(station) else {
            return false;
        };
        self.requests.waiting.remove(&(Home::Here, request));
        self.no_longer_asks(station);
        let title = self.title(station);
        self.note(format!("{title} takes its request back"));
        self.tell_all(&Event::RequestCancelled { request }, now);
        true
    }

    fn no_longer_asks(&mut self, station: Party) {
        if let Some(station) = self.change(station) {
            station.request = None;
        }
    }

    /// Exactly one gets it.
    fn win(&mut self, number: RequestRef, by: Party, now: Instant) -> Result<Request, Answer> {
        let Some(request) = self.requests.take(number, by) else {
            return Err(match self.requests.taken_by(number) {
                Some(by) => Answer {
                    by: Some(by),
                    ..Verdict::AlreadyTaken.into()
                },
                None => Verdict::NoSuchNumber.into(),
            });
        };
        self.no_longer_asks(request.from);
        let (taker, asker) = (self.title(by), self.title(request.from));
        self.note(format!("{taker} takes the request of {asker}"));
        let event = Event::RequestClosed {
            request: number,
            cause: Cause::NORMAL,
            by: Some(by),
        };
        self.tell_all(&event, now);
        Ok(request)
    }

    /// Somebody over a line takes a request of ours, and will call.
    pub(super) fn claim(
        &mut self,
        request: RequestRef,
        by: Party,
        now: Instant,
    ) -> Result<(), Answer> {
        let request = self.win(request, by, now)?;
        self.requests.expected.insert(request.from, by);
        let until = now + CALLS_WITHIN;
        self.timers.insert((until, Timer::NotCalled(request.from)));
        Ok(())
    }

    /// Whom a station asked to be called by calls it, over a line that has no word for taking.
    pub(super) fn fulfil(&mut self, station: Party, by: Party, now: Instant) {
        let asked = self.requests.of(station);
        let asked = asked.filter(|request| self.requests.goes_to(*request, by));
        let known = self.stations.get(&station);
        let can_hear = known.is_some_and(|known| known.works() && known.busy == Busy::No);
        if let Some(number) = asked.filter(|_| can_hear)
            && self.win(number, by, now).is_ok()
        {
            self.requests.expected.insert(station, by);
        }
    }

    /// A desk takes the request of somebody, or the most urgent. False: there is none.
    pub(super) fn take(&mut self, desk: Party, from: Option<Party>, now: Instant) -> bool {
        let queue = self.requests.at(desk);
        let mut chosen = queue.into_iter();
        let Some(request) = chosen.find(|r| from.is_none_or(|f| f == r.from)).cloned() else {
            return false;
        };
        match request.home {
            Home::Here => {
                if let Ok(request) = self.win(request.number, desk, now) {
                    self.requests.expected.insert(request.from, desk);
                    self.call_back(desk, &request, now);
                }
            }
            Home::Line(line) => {
                let pending = Pending::Claim {
                    desk,
                    request: request.number,
                };
                let command = Command::RequestClaim {
                    request: request.number,
                    by: desk,
                };
                self.lines[line].ask(command, pending, now);
            }
        }
        true
    }

    fn call_back(&mut self, desk: Party, request: &Request, now: Instant) {
        self.show(desk, "");
        if self
            .dial(desk, request.from, request.priority, None, now)
            .is_err()
        {
            self.show(desk, "cannot be reached");
        }
    }

    /// What became of our claim at the other end.
    pub(super) fn claimed(
        &mut self,
        line: usize,
        desk: Party,
        request: RequestRef,
        answer: &Answer,
        now: Instant,
    ) {
        let request = self.requests.withdraw(line, request);
        match (answer.verdict, request) {
            (Verdict::Done | Verdict::Accepted, Some(request)) => {
                self.call_back(desk, &request, now);
            }
            (Verdict::AlreadyTaken, _) => {
                let by = answer.by.map(|by| self.title(by));
                let by = by.unwrap_or_else(|| "somebody else".to_owned());
                self.show(desk, &format!("taken by {by}"));
            }
            _ => self.show(desk, &reason(answer)),
        }
    }

    /// The other end queues a request at one of our desks.
    pub(super) fn mirror(&mut self, line: usize, told: &CallRequest, now: Instant) -> Verdict {
        let home = Home::Line(line);
        let desk = told.to.filter(|desk| self.stations.contains_key(desk));
        let Some(desk) = desk else {
            return Verdict::NoSuchNumber;
        };
        let waiting = &mut self.requests.waiting;
        let key = (home, told.request);
        let of_line = waiting.keys().filter(|(known, _)| *known == home).count();
        if of_line >= MOST_OF_A_LINE && !waiting.contains_key(&key) {
            return Verdict::Busy;
        }
        let request = Request {
            number: told.request,
            home,
            from: told.from,
            to: Some(desk),
            priority: told.priority,
            text: told.text.clone(),
            since: now,
        };
        waiting.insert(key, request);
        let (caller, desk) = (self.title(told.from), self.title(desk));
        self.note(format!("{caller} asks to be called by {desk}"));
        Verdict::Done
    }
}
