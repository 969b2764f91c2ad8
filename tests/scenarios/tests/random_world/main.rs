//! A random world: everything that can happen at a site, in any order, at any moment.
//!
//! After each step the invariants of `reference` are checked; now and then the storm ends, and
//! nothing of it may be left (`calm`). A failing seed is printed with its last steps; found seeds
//! are kept in `SEEDS`.

mod calm;
mod house;
mod old_side;
mod reference;
mod transition;

use std::collections::BTreeMap;
use std::time::Duration;

use exchange::{Answer, OperatorCommand, Room, Trusted};
use legacy_protocols::command::Authority;
use media::{Recording, SampleRate};
use model::CallNumber;
use scenarios::clock::{HOUR, SECOND, start};
use scenarios::phone::{Act, Side, Stage};
use scenarios::random::Random;
use scenarios::site::{door, station};
use scenarios::world::World;
use scenarios::world::lines::line_to;
use sip::flow::Transport;
use sip::session::SessionId;

use house::PHONES;
use old_side::{OldAct, OldSide};
use reference::Reference;
use transition::{Scene, Transition};

/// Seeds that once found something.
const SEEDS: [u64; 0] = [];

/// Steps of one world.
const STEPS: usize = 150;

struct Storm {
    world: World,
    random: Random,
    reference: Reference,
    old_side: OldSide,
    calms: u64,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let site = house::site(random.below(house::VERSIONS));
        let mut line = line_to("hall");
        line.trusted = vec![Trusted {
            authority: Authority::new(old_side::TOKEN).expect("it is short"),
            station: station("2102"),
        }];
        line.surveillance = Some(Duration::from_secs(60));
        line.rooms = vec![Room {
            group: old_side::GROUP,
            number: CallNumber::parse("530").expect("digits"),
        }];
        let world = World::with_lines(&site, random.draw(), vec![line], |config| {
            config.calls.max_calls = 12;
            config.calls.alarm_reserve = 2;
            let words = || Recording::new(&[100; 8_000], SampleRate::Hz8000);
            let own = &mut config.sounds.announcements;
            own.messages.insert(7, words());
            own.programmes.insert(3, words());
        });
        let mut storm = Self {
            world,
            random,
            reference: Reference::default(),
            old_side: OldSide::default(),
            calms: 0,
        };
        for number in PHONES {
            let connected = house::CONNECTED.contains(&number);
            let transport = if connected {
                Transport::Tcp
            } else {
                Transport::Udp
            };
            storm.world.add_phone(number, transport);
            storm.world.phone_mut(number).registration.outbound = number == "105";
            storm.world.register(number);
        }
        storm.world.wait(SECOND);
        storm
    }

    fn choose(&mut self) -> Transition {
        let lines = self.lines(|_, _| true);
        let ringing = self.lines(|side, stage| side == Side::Callee && stage == Stage::Ringing);
        let scene = Scene {
            lines: &lines,
            ringing: &ringing,
            gateway_is_up: self.world.gateway.is_up(),
        };
        Transition::choose(&mut self.random, &scene)
    }

    fn lines(&self, wanted: impl Fn(Side, Stage) -> bool) -> Vec<(&'static str, SessionId)> {
        let phones = PHONES
            .into_iter()
            .map(|number| (number, self.world.phone(number)));
        let lines = phones.flat_map(|(number, phone)| {
            let fit = phone
                .lines()
                .filter(|(_, line)| wanted(line.side, line.stage));
            fit.map(move |(session, _)| (number, session))
                .collect::<Vec<_>>()
        });
        lines.collect()
    }

    fn step(&mut self, transition: Transition) {
        use Transition as T;
        let world = &mut self.world;
        match transition {
            T::Wait(time) => world.wait(time),
            T::Dial { from, to } => {
                // One person has two hands.
                if world.phone(from).lines().count() < 2 {
                    world.dial(from, to);
                }
            }
            T::Act { phone, line, act } => {
                if let Act::Press(key) = act {
                    self.reference.keys(&key.to_string());
                }
                match line {
                    Some(line) => world.act_on(phone, line, act),
                    None => world.act(phone, act),
                }
            }
            T::Keys { phone, code } => {
                if world.gateway.is_up() {
                    self.reference.keys(code);
                    world.keys_in_sound(phone, code);
                }
            }
            T::Manner { phone, manner } => world.manner(phone, manner),
            T::Register(phone) if world.phone(phone).is_on() => world.register(phone),
            T::Unregister(phone) if world.phone(phone).is_on() => world.unregister(phone),
            T::Register(_) | T::Unregister(_) => {}
            T::SwitchOff(phone) => world.switch_off(phone),
            T::SwitchOn(phone) => world.switch_on(phone),
            T::Break(phone) if world.phone(phone).is_on() => world.break_connections(phone),
            T::Break(_) => {}
            T::CutOff(phone) => {
                let host = world.host(phone);
                world.network.cut_off(host);
            }
            T::Join(phone) => {
                let host = world.host(phone);
                world.network.join(host);
            }
            T::Weather(weather) => world.network.weather = weather,
            T::Disk(disk) => world.gateway.storage.disk = disk,
            T::OperatorOpens(at) => self.operator_opens(at),
            T::OperatorEndsACall => self.operator_ends_a_call(),
            T::Reload { version } => world.reload(&house::site(version)),
            T::SetClock { hours } => {
                if world.gateway.is_up() {
                    let time = scenarios::gateway::wall(world.now + HOUR * hours);
                    world.tell(exchange::Input::ClockSet(time));
                }
            }
            T::Crash => {
                self.reference.crashes(world);
                world.crash();
            }
            T::Start if !world.gateway.is_up() => world.start_gateway(),
            T::Start => {}
            T::Old(act) => {
                if let OldAct::OpensOurs = act {
                    self.reference.old_side_opens("gate");
                }
                self.old_side.act(act, world, &mut self.random);
            }
            T::CalmDown => self.calm_down(),
        }
        self.old_side.look(&mut self.world);
        self.reference.check(&self.world);
        self.reference.check_yard(self.old_side.doors());
    }

    fn operator_opens(&mut self, at: &'static str) {
        if !self.world.gateway.is_up() {
            return;
        }
        let id = self.world.gateway.fresh_command();
        let answer = self.world.operator(OperatorCommand::Open(id, door(at)));
        if matches!(answer, Answer::Done) {
            self.reference.operator_opened(at);
            let again = self.world.operator(OperatorCommand::Open(id, door(at)));
            assert!(
                matches!(again, Answer::Refused(_)),
                "opened twice by one command"
            );
        }
    }

    fn operator_ends_a_call(&mut self) {
        if !self.world.gateway.is_up() {
            return;
        }
        let call = self
            .world
            .gateway
            .state()
            .calls()
            .calls()
            .next()
            .map(|call| call.call);
        if let Some(call) = call {
            let answer = self.world.operator(OperatorCommand::End(call));
            assert!(matches!(answer, Answer::Done), "{answer:?}");
        }
    }

    fn calm_down(&mut self) {
        self.calms += 1;
        self.reference.check(&self.world);
        calm::calm_down(&mut self.world, &mut self.old_side);
        self.reference.check(&self.world);
        match self.random.one_in(3) {
            true => calm::a_group_works(&mut self.world, &mut self.random),
            false => calm::the_house_works(&mut self.world, &mut self.random),
        }
    }
}

/// What one world came to, for comparing and for proof that it reaches something.
#[derive(Debug, PartialEq, Eq)]
struct Life {
    steps: Vec<String>,
    wire: String,
    counts: Vec<(&'static str, u64)>,
}

fn live(seed: u64, steps: usize) -> Life {
    let mut storm = Storm::new(seed);
    let mut told = Vec::new();
    let life = std::panic::AssertUnwindSafe(|| {
        for _ in 0..steps {
            let transition = storm.choose();
            let at = storm.world.now - start();
            told.push(format!("{at:?} {transition:?}"));
            storm.step(transition);
        }
        storm.calm_down();
    });
    if let Err(panic) = std::panic::catch_unwind(life) {
        let last = told.len().saturating_sub(30);
        eprintln!(
            "seed {seed}, step {}:\n{}",
            told.len(),
            told[last..].join("\n")
        );
        eprintln!("{}", storm.world.network.trace(150));
        std::panic::resume_unwind(panic);
    }
    let state = storm.world.gateway.state();
    let mut counts = state.calls().counters().each().to_vec();
    let line = &state.lines()[0];
    counts.extend([
        ("line_commands", line.port.commands),
        ("line_asked", line.port.asked),
        ("line_losses", line.port.losses),
        ("line_doors", storm.old_side.doors()),
        ("line_talks", storm.old_side.talks),
    ]);
    Life {
        steps: told,
        wire: storm.world.network.trace(400),
        counts,
    }
}

#[test]
fn nothing_that_must_never_happen_happens_in_random_worlds() {
    // More, for a longer look: WORLDS=2000 cargo test -p scenarios --test random_world
    let worlds = std::env::var("WORLDS").map_or(25, |n| n.parse().expect("a number of worlds"));
    let first = std::env::var("FIRST").map_or(1_000, |n| n.parse().expect("a seed"));
    for seed in SEEDS.into_iter().chain(first..first + worlds) {
        live(seed, STEPS);
    }
}

#[test]
fn the_random_world_reaches_what_it_is_for() {
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..8 {
        for (name, count) in live(seed, STEPS).counts {
            *total.entry(name).or_default() += count;
        }
    }
    for name in [
        "answered",
        "busy",
        "answered_elsewhere",
        "forwarded",
        "transfers",
        "door_pulses",
        "requests_connected",
        "line_commands",
        "line_asked",
        "line_losses",
        "line_doors",
        "line_talks",
    ] {
        assert!(total[name] > 0, "{name} never happened: {total:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    assert_eq!(live(11, 100), live(11, 100));
}
