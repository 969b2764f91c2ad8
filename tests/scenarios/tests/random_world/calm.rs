//! The calm after a storm: whatever happened, nothing is left of it, and the house works as new.

use exchange::{Answer, OperatorCommand};
use scenarios::clock::{MINUTE, SECOND};
use scenarios::gateway::Disk;
use scenarios::network::Weather;
use scenarios::phone::{Act, Manner};
use scenarios::random::Random;
use scenarios::world::World;

use crate::house::PHONES;
use crate::old_side::OldSide;

/// Everything bad stops; everybody hangs up and registers.
pub(crate) fn calm_down(world: &mut World, old_side: &mut OldSide) {
    world.network.weather = Weather::FAIR;
    world.gateway.storage.disk = Disk::Works(SECOND / 200);
    if !world.gateway.is_up() {
        world.start_gateway();
    }
    for number in PHONES {
        let host = world.host(number);
        world.network.join(host);
        if !world.phone(number).is_on() {
            world.switch_on(number);
        }
        world.manner(number, Manner::Rings);
    }
    old_side.calm_down(world);
    hang_up(world);
    end_alarms(world);
    // What telephones still believe, or the gateway does, runs out by limits and repetitions; who
    // waits at a desk and is gone, after half an hour.
    world.wait(35 * MINUTE);
    old_side.calm_down(world);
    hang_up(world);
    world.expect_up(0);
    for number in PHONES {
        world.register(number);
    }
    world.wait(MINUTE);
    world.expect_nothing_left();
    for number in PHONES {
        assert!(
            world.phone(number).registration.is_on(),
            "{number} cannot register"
        );
    }
}

/// An alarm goes on though its caller is gone, until somebody takes it or an operator ends it.
fn end_alarms(world: &mut World) {
    let calls: Vec<_> = world.gateway.state().calls().calls().collect();
    for call in calls.into_iter().filter(|call| call.priority.is_alarm()) {
        let answer = world.operator(OperatorCommand::End(call.call));
        assert!(matches!(answer, Answer::Done), "{answer:?}");
    }
}

fn hang_up(world: &mut World) {
    for number in PHONES {
        let lines: Vec<_> = world.phone(number).lines().map(|(line, _)| line).collect();
        for line in lines {
            world.act_on(number, line, Act::HangUp);
        }
    }
    world.wait(40 * SECOND);
}

/// Two who have no rules of their own call each other, hold, resume, open a door if there is one.
pub(crate) fn the_house_works(world: &mut World, random: &mut Random) {
    let plain = ["101", "102", "104", "105", "108"];
    let from = random.pick(&plain);
    let others: Vec<&str> = plain.into_iter().filter(|number| *number != from).collect();
    let to = random.pick(&others);
    world.skip_log();
    world.dial(from, to);
    world.wait(2 * SECOND);
    let rang = world
        .phone(to)
        .log()
        .iter()
        .any(|line| line.starts_with("rings: "));
    assert!(
        rang,
        "{to} does not ring for {from}: {:?}",
        world.phone(from).log()
    );
    // A call of the high band opens by itself.
    world.act(to, Act::Answer);
    world.wait(2 * SECOND);
    world.expect_talk(from, to, "G722");
    let holds = random.pick(&[from, to]);
    world.act(holds, Act::Hold);
    world.wait(2 * SECOND);
    world.expect_no_talk(from, to);
    world.act(holds, Act::Resume);
    world.wait(2 * SECOND);
    world.expect_talk(from, to, "G722");
    world.act(random.pick(&[from, to]), Act::HangUp);
    world.wait(2 * SECOND);
    for number in [from, to] {
        assert_eq!(
            world.phone(number).lines().count(),
            0,
            "{number} still has a call"
        );
    }
}

/// The group rings, one answers, the others fall silent.
pub(crate) fn a_group_works(world: &mut World, random: &mut Random) {
    let members = ["102", "103", "104"];
    world.skip_log();
    world.dial("101", "500");
    world.wait(2 * SECOND);
    let first = random.pick(&members);
    let already = members.iter().find(|member| talks(world, member)).copied();
    world.act(first, Act::Answer);
    world.wait(2 * SECOND);
    let winner = already.unwrap_or(first);
    world.expect_talk("101", winner, "G722");
    for member in members.iter().filter(|member| **member != winner) {
        assert_eq!(
            world.phone(member).lines().count(),
            0,
            "{member} still rings"
        );
    }
    world.act("101", Act::HangUp);
    world.wait(2 * SECOND);
}

fn talks(world: &World, number: &str) -> bool {
    let mut lines = world.phone(number).lines();
    lines.any(|(_, line)| line.stage == scenarios::phone::Stage::Talking)
}
