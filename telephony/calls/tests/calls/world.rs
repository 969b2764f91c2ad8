//! A random world: everything that can happen at a site, in any order, at any moment.
//!
//! The invariants are those of `support::checker`, after every single step; on top of them a few
//! things that only the world knows: who had the right to open a door, who may win a claim. A
//! failing seed is printed; found seeds are kept in `SEEDS`.

use std::sync::Arc;
use std::time::Duration;

use calls::{
    ClaimVerdict, Claimant, Command, CommandError, Config, Done, DoorReply, FileRequest, Home,
    Input, Key, OpenDoor, Origin, Output, Privacy, RequestStatus, Withdrawal,
};
use model::{
    Address, AnswerBack, Authority, AutoAnswer, BusyPolicy, CloudUserId, CommandId, DeskId,
    Directory, DoorId, EarlyMedia, EndCause, Escalation, Faults, ForwardWhen, InCallRight, LegId,
    NodeId, Pii, Priority, RequestId, RoomTalk, StationId, TalkStyle,
};

use crate::support::directory::{Plan, stations};
use crate::support::{NOON, SECOND, Site, number, station};

/// Seeds that once found something.
const SEEDS: [u64; 1] = [1131];

const STATIONS: [&str; 12] = [
    "101", "102", "103", "104", "105", "106", "107", "108", "109", "110", "111", "112",
];
const NUMBERS: [&str; 20] = [
    "101", "102", "103", "104", "105", "106", "107", "108", "109", "110", "111", "112", "500",
    "501", "510", "511", "520", "521", "530", "999",
];
const DOORS: [&str; 4] = ["front", "gate", "barrier", "nowhere"];

/// Everything that can happen.
#[derive(Clone, Debug)]
enum Transition {
    Press {
        from: &'static str,
        to: &'static str,
        priority: Option<Priority>,
    },
    StrangerCalls {
        to: &'static str,
    },
    Rings {
        leg: LegId,
    },
    ShowsPicture {
        leg: LegId,
    },
    Answers {
        leg: LegId,
    },
    Refuses {
        leg: LegId,
        cause: EndCause,
    },
    Redirects {
        leg: LegId,
        to: &'static str,
    },
    HangsUp {
        leg: LegId,
    },
    Holds {
        leg: LegId,
    },
    Resumes {
        leg: LegId,
    },
    Key {
        leg: LegId,
        key: Key,
    },
    Digit {
        leg: LegId,
        digit: char,
    },
    Transfers {
        leg: LegId,
        to: &'static str,
    },
    TransfersAttended {
        leg: LegId,
        with: LegId,
    },
    Opens {
        door: &'static str,
        authority: Authority,
    },
    OpensAgain {
        command: OpenDoor,
    },
    DoorSays {
        reply: DoorReply,
    },
    Files {
        from: &'static str,
        desk: &'static str,
        priority: Option<Priority>,
        home: Home,
    },
    Claims {
        request: RequestId,
        by: Claimant,
    },
    TakesNext {
        desk: &'static str,
        by: Claimant,
    },
    Dismisses {
        request: RequestId,
        by: Claimant,
    },
    Withdraws {
        request: RequestId,
        why: Withdrawal,
    },
    Verdict {
        request: RequestId,
        verdict: ClaimVerdict,
    },
    Dials {
        from: &'static str,
        to: &'static str,
    },
    OperatorEndsLeg {
        leg: LegId,
    },
    Comes {
        station: StationId,
    },
    Goes {
        station: StationId,
    },
    Faults {
        station: StationId,
        faults: Faults,
    },
    Hides {
        station: StationId,
        privacy: Privacy,
    },
    Waits {
        time: Duration,
    },
    Reloads {
        version: u64,
    },
    SetsClock,
    Drains,
}

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

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// The site's directory in several versions, as a reload would bring them.
fn directory(version: u64) -> Directory {
    let mut plan: Plan = stations(&STATIONS)
        .door("101", "front", Some("12"))
        .door("101", "gate", Some("5"))
        .door("103", "barrier", Some("1#"))
        .change_door("gate", |d| {
            d.in_call = InCallRight::Listed;
            d.permitted = vec![number("102"), Address::CloudUser(CloudUserId::new(9))];
        })
        .change("105", |s| s.may_open = vec![DoorId::from_key("front")])
        .change("102", |s| s.busy = BusyPolicy::Wait { up_to: 3 })
        .change("106", |s| s.auto_answer = AutoAnswer::Always)
        .change("107", |s| s.auto_answer = AutoAnswer::Never)
        .change("108", |s| s.talk = TalkStyle::Simplex)
        .change("109", |s| s.talk = TalkStyle::VoiceSwitched)
        .change("110", |s| s.priority = Priority::DEFAULT_ALARM)
        .change("111", |s| s.priority = Priority::new(30).unwrap())
        .forward("103", ForwardWhen::Busy, "104")
        .forward("104", ForwardWhen::NoAnswer { after: 10 * SECOND }, "500")
        .forward("105", ForwardWhen::Unreachable, "510")
        .forward("106", ForwardWhen::Busy, "103")
        .forward("111", ForwardWhen::Busy, "112")
        .forward("112", ForwardWhen::Busy, "111")
        .group("501", &["107", "108", "109", "110"])
        .change_group(|g| g.early_media = EarlyMedia::On)
        .group("500", &["101", "102", "103", "104", "105"])
        .change_group(|g| g.then = Some(number("501")))
        .desk("511", &["104", "105"])
        .desk("510", &["102", "103", "112"])
        .change_desk(|d| {
            d.positions.push(Address::CloudUser(CloudUserId::new(9)));
            d.escalation = Some(Escalation {
                after: 40 * SECOND,
                to: number("511"),
            });
            d.expires_after = 300 * SECOND;
        })
        .conference("520", &[])
        .conference("521", &["104", "108"])
        .group_call("530", &["106", "107", "108", "109", "110"]);
    if version % 2 == 1 {
        plan.0.conferences[1].talk = RoomTalk::TalkKey;
        plan.0.group_calls[0].answer_back = AnswerBack::Allowed;
        plan = plan
            .forward("112", ForwardWhen::Always, "510")
            .escalation(&["104", "501", "511"]);
    }
    if version % 3 == 2 {
        plan.0.desks.remove(0);
        plan.0.desks[0].escalation = None;
        plan.0.site.escalation.retain(|to| *to != number("511"));
        plan.0.stations.retain(|s| s.id != station("109"));
        plan.0.ring_groups[0]
            .members
            .retain(|m| *m != number("109"));
        plan.0.group_calls[0]
            .members
            .retain(|m| *m != number("109"));
    }
    plan.build()
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

    fn leg(&mut self) -> Option<LegId> {
        let mut alive: Vec<LegId> = Vec::new();
        for call in self.site.engine.calls() {
            alive.extend(call.legs.iter().map(|leg| leg.leg));
        }
        let of = if alive.is_empty() || self.random.one_in(25) {
            &self.legs
        } else {
            &alive
        };
        if of.is_empty() {
            None
        } else {
            Some(self.random.pick(of))
        }
    }

    fn priority(&mut self) -> Option<Priority> {
        match self.random.below(6) {
            0 => Some(Priority::new(5).unwrap()),
            1 => Some(Priority::new(30).unwrap()),
            2 => Some(Priority::new(150).unwrap()),
            _ => None,
        }
    }

    fn claimant(&mut self) -> Claimant {
        if self.random.one_in(5) {
            Claimant::CloudUser(CloudUserId::new(9))
        } else {
            Claimant::Station(station(
                self.random.pick(&["102", "103", "104", "105", "112"]),
            ))
        }
    }

    fn authority(&mut self) -> Option<Authority> {
        Some(match self.random.below(5) {
            0 => Authority::Operator,
            1 => Authority::CloudUser(CloudUserId::new(9)),
            2 => Authority::Station(station(self.random.pick(&STATIONS))),
            _ => Authority::Leg(self.leg()?),
        })
    }

    fn choose(&mut self) -> Option<Transition> {
        use Transition as T;
        let r = &mut self.random;
        let from = r.pick(&STATIONS);
        let to = r.pick(&NUMBERS);
        let any = r.pick(&STATIONS);
        let request = (!self.requests.is_empty()).then(|| {
            let recent = self.requests.len().saturating_sub(6);
            self.random.pick(&self.requests[recent..])
        });
        Some(match self.random.below(100) {
            0..=15 => T::Press {
                from,
                to,
                priority: self.priority(),
            },
            16 => T::StrangerCalls { to },
            17..=22 => T::Rings { leg: self.leg()? },
            23..=25 => T::ShowsPicture { leg: self.leg()? },
            26..=41 => T::Answers { leg: self.leg()? },
            42..=45 => T::Refuses {
                leg: self.leg()?,
                cause: self.random.pick(&EndCause::ALL),
            },
            46 => T::Redirects {
                leg: self.leg()?,
                to,
            },
            47..=53 => T::HangsUp { leg: self.leg()? },
            54..=55 => T::Holds { leg: self.leg()? },
            56..=57 => T::Resumes { leg: self.leg()? },
            58..=59 => {
                let key = self.random.pick(&[Key::Pressed, Key::Released]);
                T::Key {
                    leg: self.leg()?,
                    key,
                }
            }
            60..=64 => {
                let digit = self.random.pick(&['1', '2', '5', '#', '9']);
                T::Digit {
                    leg: self.leg()?,
                    digit,
                }
            }
            65..=67 => T::Transfers {
                leg: self.leg()?,
                to,
            },
            68..=69 => T::TransfersAttended {
                leg: self.leg()?,
                with: self.leg()?,
            },
            70..=73 => {
                if !self.commands.is_empty() && self.random.one_in(3) {
                    let command = self.random.pick(&self.commands);
                    return Some(T::OpensAgain { command });
                }
                let door = self.random.pick(&DOORS);
                T::Opens {
                    door,
                    authority: self.authority()?,
                }
            }
            74..=75 => {
                let replies = [DoorReply::Sent, DoorReply::Opened, DoorReply::Failed];
                T::DoorSays {
                    reply: self.random.pick(&replies),
                }
            }
            76 => {
                let home = self.random.pick(&[Home::Here, Home::Node(NodeId::new(4))]);
                let desk = self.random.pick(&["510", "511"]);
                T::Files {
                    from,
                    desk,
                    priority: self.priority(),
                    home,
                }
            }
            77..=79 => T::Claims {
                request: request?,
                by: self.claimant(),
            },
            80 => T::TakesNext {
                desk: self.random.pick(&["510", "511"]),
                by: self.claimant(),
            },
            81 => T::Dismisses {
                request: request?,
                by: self.claimant(),
            },
            82 => {
                let why = [Withdrawal::ByRequester, Withdrawal::TakenElsewhere];
                T::Withdraws {
                    request: request?,
                    why: self.random.pick(&why),
                }
            }
            83 => {
                let verdicts = [ClaimVerdict::Granted, ClaimVerdict::TakenElsewhere];
                T::Verdict {
                    request: request?,
                    verdict: self.random.pick(&verdicts),
                }
            }
            84 => T::Dials { from, to },
            85 if self.random.one_in(4) => T::OperatorEndsLeg { leg: self.leg()? },
            85 | 86 => T::Comes {
                station: station(any),
            },
            87 => T::Goes {
                station: station(any),
            },
            88 => {
                let faults = [
                    Faults::NONE,
                    Faults::NONE,
                    Faults::TAMPER,
                    Faults::LINE_OPEN,
                ];
                T::Faults {
                    station: station(any),
                    faults: self.random.pick(&faults),
                }
            }
            89 => {
                let privacy = self.random.pick(&[Privacy::On, Privacy::Off, Privacy::Off]);
                T::Hides {
                    station: station(any),
                    privacy,
                }
            }
            90..=97 => {
                let times = [
                    1, 10, 500, 1_100, 3_000, 11_000, 31_000, 61_000, 200_000, 600_000,
                ];
                T::Waits {
                    time: Duration::from_millis(self.random.pick(&times)),
                }
            }
            98 => T::Reloads {
                version: self.random.next() % 6,
            },
            _ if self.random.one_in(30) => T::Drains,
            _ => T::SetsClock,
        })
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
            T::Digit { leg, digit } => self.site.dials(leg.get(), &digit.to_string()),
            T::Transfers { leg, to } => self.site.transfers(leg.get(), to),
            T::TransfersAttended { leg, with } => {
                self.site.input(Input::TransferAttended { leg, with });
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
    for seed in SEEDS.into_iter().chain(1_000..1_000 + worlds) {
        live(seed, 500);
    }
}

#[test]
fn the_random_world_reaches_everything() {
    let mut total: std::collections::BTreeMap<&str, u64> = Default::default();
    for seed in 0..20 {
        for (name, count) in live(seed, 600).0.each() {
            *total.entry(name).or_default() += count;
        }
    }
    let never: Vec<_> = total.iter().filter(|(_, count)| **count == 0).collect();
    assert!(never.is_empty(), "never happened: {never:?}");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    assert_eq!(live(11, 400), live(11, 400));
}
