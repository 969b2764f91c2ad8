//! A random world: everything that can happen at a site, in any order, at any moment.
//!
//! The invariants are those of `support::checker`, after every single step; on top of them a few
//! things that only the world knows: who had the right to open a door, who may win a claim. A
//! failing seed is printed. What it found becomes a story of its own: a seed means something else as
//! soon as one more thing can happen.

mod plan;
mod transition;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use calls::{
    Claimant, Command, CommandError, Config, Done, FileRequest, Home, Input, OpenDoor, Origin,
    Output, RequestStatus, Withdrawal,
};
use model::{Address, Authority, CommandId, DeskId, DoorId, InCallRight, LegId, Pii, RequestId};

use crate::support::{NOON, SECOND, Site, number, station};

use plan::{STATIONS, directory};
use transition::{Random, Transition};

struct World {
    site: Site,
    random: Random,
    version: u64,
    /// Legs of any time, to speak of those that are over.
    legs: Vec<LegId>,
    requests: Vec<RequestId>,
    /// The last pulse.
    pulse: Option<CommandId>,
    /// Door commands as they were given, to come again.
    commands: Vec<OpenDoor>,
    /// All outputs so far, in words.
    told: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config = Config {
            start_count: 3,
            max_calls: 6 + random.below(20),
            alarm_reserve: 2 + random.below(4),
            max_requests: 4,
            max_legs_per_station: 6,
            ..Config::default()
        };
        let version = random.next() % 6;
        let mut site = Site::with(config, directory(version));
        let there: Vec<&str> = STATIONS.into_iter().filter(|_| !random.one_in(4)).collect();
        site.seen(&there);
        let (legs, requests, commands) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            site,
            random,
            version,
            legs,
            requests,
            pulse: None,
            commands,
            told: Vec::new(),
        }
    }

    fn step(&mut self, transition: Transition) {
        use Transition as T;
        let before = self.site.outputs.len();
        match transition {
            T::Press { from, to, priority } => {
                let origin = Origin::Station(station(from));
                let leg = self.site.arrives_with(origin, number(to), priority);
                self.legs.push(leg);
            }
            T::StrangerCalls { to } => {
                let leg = self.site.stranger(to);
                self.legs.push(leg);
            }
            T::Rings { leg } => self.site.rings(leg.get()),
            T::ShowsPicture { leg } => self.site.early(leg.get()),
            T::Answers { leg } => self.site.answers(leg.get()),
            T::Refuses { leg, cause } => self.site.refuses(leg.get(), cause),
            T::Redirects { leg, to } => {
                let to = number(to);
                self.site.input(Input::LegRedirected { leg, to });
            }
            T::HangsUp { leg } => self.site.hangs_up(leg.get()),
            T::Holds { leg } => self.site.input(Input::LegHeld { leg }),
            T::Resumes { leg } => self.site.input(Input::LegResumed { leg }),
            T::Key { leg, key } => self.site.input(Input::TalkKey { leg, key }),
            T::Types { leg, digits } => self.site.dials(leg.get(), digits),
            T::Transfers { leg, to } => self.site.transfers(leg.get(), to),
            T::TransfersAttended { leg, with } => {
                self.site.input(Input::TransferAttended { leg, with });
            }
            T::TakesOver { station, replaced } => {
                self.legs.extend(self.site.takes_over(station, replaced));
            }
            T::Opens { door, authority } => {
                let id = self.site.fresh_command();
                let (now, valid) = (self.site.now, self.site.config.door_validity);
                let (door, valid_until) = (DoorId::from_key(door), now + valid);
                self.open(OpenDoor {
                    id,
                    door,
                    authority,
                    valid_until,
                });
            }
            T::OpensAgain { command } => {
                let result = self.site.opens_with(command);
                assert!(result.is_err(), "executed a second time");
            }
            T::DoorSays { reply } => {
                if let Some(command) = self.pulse {
                    self.site.input(Input::DoorReply { command, reply });
                }
            }
            T::Files {
                from,
                desk,
                priority,
                home,
            } => {
                let (from, desk) = (number(from), DeskId::from_key(desk));
                let file = FileRequest {
                    from,
                    name: Pii::default(),
                    desk,
                    priority,
                    home,
                };
                // It may be refused for any good reason; the checker sees what came of it.
                let _ = self.site.command(Command::FileRequest(file));
            }
            T::Claims { request, by } => self.claim(request, by),
            T::TakesNext { desk, by } => {
                let desk = DeskId::from_key(desk);
                let _ = self.site.command(Command::TakeNext { desk, by });
            }
            T::Dismisses { request, by } => {
                let _ = self.site.command(Command::Dismiss { request, by });
            }
            T::Withdraws { request, why } => {
                let _ = self.site.command(Command::Withdraw { request, why });
            }
            T::Verdict { request, verdict } => {
                self.site.input(Input::ClaimVerdict { request, verdict });
            }
            T::Dials { from, to } => {
                let (from, to) = (number(from), number(to));
                let _ = self.site.command(Command::Dial {
                    from,
                    to,
                    priority: None,
                });
            }
            T::OperatorEndsLeg { leg } => {
                let _ = self.site.command(Command::EndLeg { leg });
            }
            T::Comes { station } => self.site.input(Input::StationSeen { station }),
            T::Goes { station } => self.site.input(Input::StationLost { station }),
            T::Faults { station, faults } => {
                self.site.input(Input::StationFaults { station, faults });
            }
            T::Hides { station, privacy } => {
                self.site.input(Input::SetPrivacy { station, privacy });
            }
            T::Waits { time } => self.site.wait(time),
            T::Reloads { version } => {
                self.version = version;
                self.site
                    .input(Input::DirectoryChanged(Arc::new(directory(version))));
            }
            T::SetsClock => {
                let hours = Duration::from_secs(3_600 * (self.random.next() % 2_000));
                self.site.input(Input::ClockSet(NOON.saturating_add(hours)));
            }
            T::Drains => {
                self.site.input(Input::Drain);
            }
        }
        self.look_at_outputs(before);
        self.check_nothing_waits_behind_timeout();
    }

    fn look_at_outputs(&mut self, before: usize) {
        for output in &self.site.outputs[before..] {
            match output {
                Output::StartLeg(start) => self.legs.push(start.leg),
                Output::Event(calls::Event::Request { request, .. })
                    if self.requests.last() != Some(request) =>
                {
                    self.requests.push(*request);
                }
                Output::PulseDoor(pulse) => self.pulse = Some(pulse.command),
                _ => {}
            }
        }
        if self.legs.len() > 500 {
            self.legs.drain(..250);
        }
        self.told.extend(self.site.take_log());
    }

    /// A pulse implies a right, as the world sees it: an operator, a right of one's own, or a
    /// conversation with the door's station.
    fn open(&mut self, command: OpenDoor) {
        let right = self.has_right(command.door, command.authority);
        let pulses = self.site.engine.counters().door_pulses;
        let result = self.site.opens_with(command);
        let pulsed = self.site.engine.counters().door_pulses - pulses;
        assert_eq!(pulsed, u64::from(result.is_ok()));
        assert!(right || result.is_err(), "opened without a right");
        self.commands.push(command);
    }

    fn has_right(&self, door: DoorId, authority: Authority) -> bool {
        let engine = &self.site.engine;
        let Some((at, door)) = engine.directory().door(door) else {
            return false;
        };
        let calls: Vec<_> = engine.calls().collect();
        let mut talking = Vec::new();
        for call in &calls {
            let answered = call
                .legs
                .iter()
                .filter(|l| l.answer == calls::AnswerView::Answered);
            let answered: Vec<_> = answered.collect();
            if answered.iter().any(|l| l.party.station == Some(at.id)) {
                talking.extend(
                    answered
                        .into_iter()
                        .filter(|l| l.party.station != Some(at.id)),
                );
            }
        }
        let listed = |address: &Option<Address>| {
            address
                .as_ref()
                .is_some_and(|address| door.permitted.contains(address))
        };
        let in_call = |address: &Option<Address>| match door.in_call {
            InCallRight::Anybody => true,
            InCallRight::Listed => listed(address),
            InCallRight::Nobody => false,
        };
        match authority {
            Authority::Operator => true,
            Authority::Leg(leg) => talking
                .iter()
                .any(|l| l.leg == leg && in_call(&l.party.address)),
            Authority::Station(id) => {
                let own = engine.directory().station(id);
                own.is_some_and(|s| s.may_open.contains(&door.id))
                    || talking
                        .iter()
                        .any(|l| l.party.station == Some(id) && in_call(&l.party.address))
            }
            Authority::CloudUser(user) => {
                let address = Some(Address::CloudUser(user));
                listed(&address)
                    || talking
                        .iter()
                        .any(|l| l.party.address == address && in_call(&address))
            }
        }
    }

    /// Only a request that waits can be won.
    fn claim(&mut self, request: RequestId, by: Claimant) {
        let before = self
            .site
            .engine
            .request(request)
            .map(|r| (r.status, r.home));
        let result = self.site.command(Command::Claim { request, by });
        match (before, result) {
            (Some((RequestStatus::Waiting, Home::Here)), Ok(done)) => {
                assert_eq!(done, Done::Request(request));
            }
            (Some((RequestStatus::Waiting, Home::Node(_))), Ok(done)) => {
                assert_eq!(done, Done::Asked(request));
            }
            (Some((RequestStatus::TakenBy(winner), _)), Err(error)) => {
                assert_eq!(error, CommandError::TakenBy(winner));
            }
            (Some((RequestStatus::InHand, _)), Err(error)) => {
                assert_eq!(error, CommandError::BeingTaken);
            }
            (None, Err(error)) => assert_eq!(error, CommandError::NoSuchRequest),
            (Some((RequestStatus::Waiting, _)), Err(_)) => {}
            (before, result) => panic!("a claim of {before:?} gave {result:?}"),
        }
    }

    /// An early timeout changes nothing.
    fn check_nothing_waits_behind_timeout(&mut self) {
        let next = self.site.engine.poll_output();
        self.site.engine.handle_timeout(self.site.now);
        assert_eq!(self.site.engine.poll_output(), next);
    }

    /// Everybody goes home; nothing is left.
    fn end(&mut self) {
        let mut rounds = 0;
        while self.site.engine.gauges().legs > 0 {
            let legs: Vec<LegId> = self
                .site
                .engine
                .calls()
                .flat_map(|c| c.legs)
                .map(|l| l.leg)
                .collect();
            for leg in legs {
                self.site.hangs_up(leg.get());
            }
            rounds += 1;
            assert!(rounds < 100, "calls that do not end");
        }
        for request in std::mem::take(&mut self.requests) {
            let why = Withdrawal::ByRequester;
            let _ = self.site.command(Command::Withdraw { request, why });
        }
        while self.site.engine.gauges().legs > 0 {
            let call = self.site.engine.calls().next().expect("a leg has a call");
            let _ = self.site.command(Command::EndCall { call: call.call });
        }
        self.site.wait(120 * SECOND);
        let gauges = self.site.engine.gauges();
        assert_eq!(gauges, calls::Gauges::default(), "something is left");
    }
}

fn live(seed: u64, steps: usize) -> (calls::Counters, Vec<String>, Vec<String>) {
    let mut world = World::new(seed);
    let mut story = Vec::new();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..steps {
            if let Some(transition) = world.choose() {
                story.push(format!("{transition:?}"));
                world.step(transition);
            }
        }
        world.end();
    }));
    if let Err(panic) = result {
        let last = story.len().saturating_sub(25);
        eprintln!(
            "seed {seed}, step {}:\n{}",
            story.len(),
            story[last..].join("\n")
        );
        std::panic::resume_unwind(panic);
    }
    (*world.site.engine.counters(), story, world.told)
}

#[test]
fn nothing_that_must_never_happen_happens_in_random_worlds() {
    // More, for a longer look: WORLDS=5000 cargo test -p calls world
    let worlds = std::env::var("WORLDS").map_or(40, |n| n.parse().expect("a number of worlds"));
    for seed in 1_000..1_000 + worlds {
        live(seed, 500);
    }
}

#[test]
fn the_random_world_reaches_everything() {
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    let mut told = String::new();
    for seed in 0..20 {
        let (counters, _, words) = live(seed, 600);
        for (name, count) in counters.each() {
            *total.entry(name).or_default() += count;
        }
        told.push_str(&words.join("\n"));
    }
    let never: Vec<_> = total.iter().filter(|(_, count)| **count == 0).collect();
    assert!(never.is_empty(), "never happened: {never:?}");
    for words in [
        "call Summoning",
        "call Escalating",
        "call Transferring",
        "call Held",
        "call Conference",
        "call GroupCall",
        "alarm goes on",
        "asked at home",
        "request alsoat",
        "request returned",
        "request closed: Connected",
        "request closed: Escalated",
        "request closed: TakenElsewhere",
        "(waiting)",
        "(opens)",
        "hears LimitWarning",
        "hears DoorSent",
        "is seen by",
        "now simplex",
        "in the room: Talk\n",
        "codes of",
        "drained",
        "transfer of",
    ] {
        assert!(told.contains(words), "never happened: {words}");
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    assert_eq!(live(11, 400), live(11, 400));
}
