//! The site as a machine: an intercom server of the 1990s with its stations, doors and desks.
//!
//! It is driven by hands (`Act`) and by its lines, each of which is the server's end of a `Port`. It
//! tells its lines what happens, says what may be heard where (`Circuit`), and lets everything about
//! it be looked at. It opens no sockets, plays no sound, reads no clock and draws nothing.
//!
//! Invariants: a station is in one thing at a time; a request is taken once; whatever a relay did
//! ends by itself; equal inputs give equal outputs; nothing waits behind `Output::Timeout`.

mod asked;
mod calls;
mod conferences;
mod doors;
mod hands;
mod kept;
mod lines;
mod picture;
mod plan;
mod requests;
mod station;
#[cfg(test)]
mod tests;
mod wires;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use legacy_protocols::event::{Event, StationState};
use legacy_protocols::number::{Node, Party};
use legacy_protocols::port::LinkState;

pub use calls::{Call, End, Phase};
pub use hands::{Act, Trouble, What};
pub use kept::Keeps;
pub use lines::Line;
pub use plan::{
    Answers, Button, Contact, DoorPlan, GroupPlan, LinePlan, MOST_MEMBERS, Plan, StationKind,
    StationPlan, Wish,
};
pub use requests::{Home, Request};
pub use station::{CallId, ContactState, Door, Hinge, Leaf, Station};
pub use wires::{Circuit, Member, Part, Stream, Voice};

use conferences::Gathering;
use doors::Move;
use kept::{Dialled, Kept};
use requests::Requests;
use wires::Wires;

#[derive(Debug)]
pub enum LineEvent<'a> {
    Opened,
    Closed,
    Received(&'a [u8]),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Line {
        line: usize,
        command: LineCommand,
    },
    LineState {
        line: usize,
        state: LinkState,
    },
    /// Who hears whom from now on.
    Circuit(Circuit),
    /// Where an end of our sound on the network sends to, and in which codec; None: nowhere.
    Stream {
        end: usize,
        to: Option<Stream>,
    },
    /// Something that a person at the site would notice.
    Note(String),
    /// Nothing more to do until then.
    Timeout(Option<Instant>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineCommand {
    Open,
    Send(Vec<u8>),
    Close {
        why: &'static str,
    },
    /// The sound of this B channel goes to and comes from this end of ours.
    Join {
        channel: u8,
        ours: std::net::SocketAddr,
    },
    Leave {
        channel: u8,
    },
}

#[derive(Debug)]
pub struct Site {
    name: String,
    nodes: Vec<(Node, String)>,
    stations: BTreeMap<Party, Station>,
    by_id: BTreeMap<String, Party>,
    groups: BTreeMap<u16, GroupPlan>,
    limits: Limits,
    lines: Vec<Line>,
    calls: BTreeMap<CallId, Call>,
    requests: Requests,
    keeps: Keeps,
    kept: BTreeMap<Party, Kept>,
    /// What each station has dialled that nobody has answered yet.
    dialled: BTreeMap<Party, Dialled>,
    gatherings: BTreeMap<u16, Gathering>,
    wires: Wires,
    timers: BTreeSet<(Instant, Timer)>,
    /// Stations whose lamps may have changed.
    touched: BTreeSet<Party>,
    next: u64,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    answer_within: std::time::Duration,
    longest_call: std::time::Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Unanswered(CallId),
    Longest(CallId),
    Door(Party, usize, Move),
    /// Whoever took a request did not call.
    NotCalled(Party),
    /// What is kept is tried again.
    Kept,
}

impl Site {
    pub fn new(plan: Plan, now: Instant) -> Self {
        let stations: BTreeMap<Party, Station> = plan
            .stations
            .into_iter()
            .map(|station| (station.party, Station::new(station)))
            .collect();
        let ids = stations.iter();
        let mut site = Self {
            by_id: ids.map(|(p, s)| (s.plan.id.clone(), *p)).collect(),
            name: plan.name,
            nodes: plan.nodes,
            stations,
            groups: plan.groups.into_iter().map(|g| (g.number, g)).collect(),
            limits: Limits {
                answer_within: plan.answer_within,
                longest_call: plan.longest_call,
            },
            lines: plan.lines.into_iter().map(|l| Line::new(l, now)).collect(),
            calls: BTreeMap::new(),
            requests: Requests::default(),
            keeps: plan.keeps,
            kept: BTreeMap::new(),
            dialled: BTreeMap::new(),
            gatherings: BTreeMap::new(),
            wires: Wires::new(plan.sound_ends),
            timers: BTreeSet::new(),
            touched: BTreeSet::new(),
            next: 1,
            outputs: VecDeque::new(),
        };
        site.settle(now);
        site
    }

    /// A hand does something at the site.
    pub fn act(&mut self, act: &Act, now: Instant) -> Result<(), Trouble> {
        let done = self.hand(act, now);
        self.settle(now);
        self.handle_timeout(now);
        done
    }

    /// Something happens on a line. Lines are counted from 0, as in the plan.
    pub fn line(&mut self, line: usize, event: LineEvent<'_>, now: Instant) {
        if let Some(line) = self.lines.get_mut(line) {
            line.handle(event, now);
        }
        self.settle(now);
        self.handle_timeout(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, timer)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            self.due(timer, now);
        }
        for line in &mut self.lines {
            line.handle_timeout(now);
        }
        self.settle(now);
    }

    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let timer = self.timers.first().map(|(at, _)| *at);
        let lines = self.lines.iter().filter_map(Line::deadline);
        Output::Timeout(lines.chain(timer).min())
    }

    // ---- to be looked at -----------------------------------------------------------

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn nodes(&self) -> &[(Node, String)] {
        &self.nodes
    }

    pub fn stations(&self) -> impl Iterator<Item = &Station> {
        self.stations.values()
    }

    pub fn station(&self, party: Party) -> Option<&Station> {
        self.stations.get(&party)
    }

    /// By the word that scripts use.
    pub fn party_of(&self, id: &str) -> Option<Party> {
        self.by_id.get(id).copied()
    }

    pub fn groups(&self) -> impl Iterator<Item = &GroupPlan> {
        self.groups.values()
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub fn call(&self, call: CallId) -> Option<&Call> {
        self.calls.get(&call)
    }

    /// What waits at a desk, the most urgent first, the older before the younger.
    pub fn queue(&self, desk: Party) -> Vec<&Request> {
        self.requests.at(desk)
    }

    /// A name for people: as it is written on the station, or its number.
    pub fn title(&self, party: Party) -> String {
        match self.stations.get(&party) {
            Some(station) => station.plan.name.clone(),
            None => party.number.to_string(),
        }
    }

    // ---- inside --------------------------------------------------------------------

    fn due(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Unanswered(call) => self.unanswered(call, now),
            Timer::Longest(call) => self.too_long(call, now),
            Timer::Door(station, door, what) => self.door_moves(station, door, what, now),
            Timer::NotCalled(station) => self.requests.not_called(station),
            // `settle` makes what is due.
            Timer::Kept => {}
        }
    }

    /// Lamps first, then the lines, until nobody has anything more to say.
    fn settle(&mut self, now: Instant) {
        // Each round answers something that was said; a line that asks for ever is its own end.
        for _ in 0..1000 {
            self.make_kept(now);
            self.tell_states(now);
            if !self.hear_lines(now) && self.touched.is_empty() {
                return;
            }
        }
    }

    fn tell_states(&mut self, now: Instant) {
        for party in std::mem::take(&mut self.touched) {
            let Some(station) = self.stations.get_mut(&party) else {
                continue;
            };
            let state = station.state();
            if station.told != state {
                station.told = state;
                self.tell_all(
                    &Event::StationState {
                        station: party,
                        state,
                    },
                    now,
                );
            }
        }
    }

    /// For all lines.
    fn tell_all(&mut self, event: &Event, now: Instant) {
        for line in &mut self.lines {
            line.tell(event.clone(), now);
        }
    }

    fn note(&mut self, text: String) {
        self.outputs.push_back(Output::Note(text));
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn is_ours(&self, party: Party) -> bool {
        self.nodes.iter().any(|(node, _)| *node == party.node)
    }

    /// The station, to be changed; its lamps will be told.
    fn change(&mut self, party: Party) -> Option<&mut Station> {
        let station = self.stations.get_mut(&party)?;
        self.touched.insert(party);
        Some(station)
    }

    /// The line that leads to a node.
    fn line_to(&self, node: Node) -> Option<usize> {
        self.lines.iter().position(|line| line.gateway == node)
    }

    fn is_free(&self, party: Party) -> bool {
        let state = self.stations.get(&party).map(Station::state);
        matches!(
            state,
            Some(StationState::Idle | StationState::Requesting | StationState::Privacy)
        )
    }
}
