//! Random hands, a random gateway, a line that breaks: what must hold of the site after each step.
//! All chance comes from one seed, which is named when something does not hold.

use std::collections::BTreeMap;
use std::time::Duration;

use legacy_protocols::command::{
    Authority, CallRef, CallSetup, Cause, Command, Key, OutputAction, OutputCommand, OutputId,
    RequestRef, Switch, Verdict,
};
use legacy_protocols::event::{CallConnected, CallRequest, Event, Faults, TalkMode};
use legacy_protocols::port::{Input, Reference};
use legacy_protocols::priority::{Priority, Scale};

use super::world::{SECOND, World, desk, gate, party, phone_sound, reception};
use crate::site::calls::End;
use crate::site::doors::Move;
use crate::site::station::Busy;
use crate::site::*;

struct Chance(u64);

impl Chance {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % count
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn switch(&mut self) -> Switch {
        self.of(&[Switch::On, Switch::Off])
    }
}

fn stations() -> [Party; 3] {
    [gate(), desk(), party(1, "2102")]
}

fn hand(chance: &mut Chance) -> What {
    let other = chance.of(&stations());
    match chance.below(20) {
        0..=4 => What::Press(1 + chance.below(3) as usize),
        5 | 6 => What::Answer,
        7 | 8 => What::Cancel,
        9 => What::Take(None),
        10 => What::Dial(other, Priority::NORMAL),
        11 => What::Open(other, 1 + chance.below(3) as u16),
        12 => What::Group(1, chance.switch()),
        13 => What::Conference(1, chance.switch()),
        14 => What::Hold(chance.switch()),
        15 => What::Transfer(other),
        16 => What::Privacy(chance.switch()),
        17 => What::Break(chance.of(&[Faults::LINE_OPEN, Faults::MICROPHONE])),
        18 => What::Talk(Key::Pressed),
        _ => What::Mend,
    }
}

/// What the gateway does, of itself or to what it was asked.
fn gateway(world: &mut World, chance: &mut Chance, step: u64) {
    let station = chance.of(&stations());
    let call = CallRef(chance.below(step + 1));
    let command = match chance.below(8) {
        0 | 1 => Command::CallSetup(CallSetup {
            call: CallRef(step),
            from: reception(),
            to: station,
            priority: Priority::new(1 + chance.below(250) as u8, Scale::OneIsHighest).unwrap(),
            mode: TalkMode::OpenDuplex,
            text: None,
            sound: (chance.below(4) > 0).then(phone_sound),
        }),
        2 => Command::CallRelease {
            call,
            cause: Cause::NORMAL,
        },
        3 => Command::RequestFile(CallRequest {
            request: RequestRef(step),
            from: reception(),
            to: Some(desk()),
            priority: Priority::NORMAL,
            text: None,
        }),
        4 => Command::RequestClaim {
            request: RequestRef(CallRef::OF_PORT | chance.below(step + 1)),
            by: reception(),
        },
        5 => Command::DoorOpen(OutputCommand {
            id: OutputId(step),
            station,
            output: 1 + chance.below(2) as u16,
            action: OutputAction::Pulse(SECOND),
            authority: Authority::new(b"token").unwrap(),
            valid_until: world.now + SECOND * 10,
        }),
        6 => Command::Hold { call },
        _ => return answer(world, chance),
    };
    let input = Input::Command {
        reference: Reference(step),
        command,
        purpose: legacy_protocols::command::Purpose::Live,
    };
    world.gateway.handle(input, world.now);
}

fn answer(world: &mut World, chance: &mut Chance) {
    let Some((Some(ask), command)) = world.asked.pop() else {
        return;
    };
    let verdict = chance.of(&[Verdict::Accepted, Verdict::Done, Verdict::Busy]);
    let answer = verdict.into();
    world
        .gateway
        .handle(Input::Answer { ask, answer }, world.now);
    if let (Command::CallSetup(setup), Verdict::Accepted | Verdict::Done) = (command, verdict) {
        let event = match chance.below(3) {
            0 => Event::CallReleased {
                call: setup.call,
                cause: Cause::BUSY,
            },
            _ => Event::CallConnected(CallConnected {
                call: setup.call,
                from: None,
                to: None,
                mode: None,
                sound: Some(phone_sound()),
            }),
        };
        world.gateway.handle(Input::Tell(event), world.now);
    }
}

fn holds(site: &Site) {
    let mut in_calls = BTreeMap::new();
    let mut ends = 0;
    for (id, call) in &site.calls {
        for end in [call.from, call.to] {
            match end {
                End::Station(party) => {
                    assert_eq!(site.stations[&party].call(), Some(*id), "{call:?}");
                    assert_eq!(in_calls.insert(party, *id), None, "in two calls");
                }
                End::Line(_) => {}
            }
        }
        ends += usize::from(call.carries_sound());
    }
    assert_eq!(site.wires.taken(), ends, "ends of sound");
    for (party, station) in &site.stations {
        if let Some(call) = station.call() {
            assert!(
                site.calls.contains_key(&call),
                "{} is in no call",
                party.number
            );
        }
        let asks = site.requests.ours().filter(|r| r.from == *party).count();
        assert_eq!(asks, usize::from(station.request.is_some()), "requests");
        let gathered = matches!(
            station.busy,
            Busy::Conference(_) | Busy::Listening(_) | Busy::Announcing(_)
        );
        let gathering = site.gatherings.values().filter(|g| g.has(*party)).count();
        assert_eq!(gathering, usize::from(gathered), "gatherings");
        for (index, door) in station.doors.iter().enumerate() {
            let lets_go = |(_, timer): &(Instant, Timer)| matches!(timer, Timer::Door(of, at, Move::LetGo(_)) if of == party && *at == index);
            let minded = site.timers.iter().any(lets_go);
            assert!(door.relay == Switch::Off || minded, "a relay for ever");
        }
    }
}

/// What came of it, to be compared.
fn live(seed: u64, start: fn() -> World) -> String {
    let mut world = start();
    let mut chance = Chance(seed);
    for step in 1..150 {
        match chance.below(12) {
            0 => world.cut(),
            1 if !world.site.lines()[0].is_up() => world.plug(),
            2..=6 => {
                let (station, what) = (chance.of(&stations()), hand(&mut chance));
                // Much of it cannot be done, and is refused.
                let _ = world.site.act(&Act { station, what }, world.now);
            }
            _ => gateway(&mut world, &mut chance, step),
        }
        let time = [10, 200, 5_000, 40_000][chance.below(4) as usize];
        world.pass(Duration::from_millis(time));
        holds(&world.site);
    }
    world.cut();
    world.pass(SECOND * 2000);
    holds(&world.site);
    assert!(world.site.calls.is_empty(), "no call outlives its limit");
    for station in world.site.stations() {
        assert!(station.doors().iter().all(|door| door.relay == Switch::Off));
    }
    format!("{:?} {:?}", world.circuits, world.streams)
}

#[test]
fn b9_whatever_hands_and_gateways_do_the_site_stays_in_order() {
    for (start, seeds) in [
        (World::up as fn() -> World, 60),
        (World::over_isdn, 20),
        (World::over_acdp, 20),
    ] {
        for seed in 0..seeds {
            let lived = std::panic::catch_unwind(|| live(seed, start));
            assert!(lived.is_ok(), "seed {seed}");
        }
    }
}

#[test]
fn equal_hands_at_equal_times_make_an_equal_site() {
    for seed in 0..5 {
        assert_eq!(live(seed, World::up), live(seed, World::up), "seed {seed}");
    }
}
