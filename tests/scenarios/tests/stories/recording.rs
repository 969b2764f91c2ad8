//! C8: which calls are recorded, and who is in a recording. The site records alarms.

use exchange::{Answer, CallSide, OperatorCommand, RecordingCommand};
use model::CallId;
use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

use crate::{four, goodbye, talk};

/// What was wanted so far: begun, sides of the legs that joined, ended.
fn wanted(world: &World) -> (usize, Vec<CallSide>, usize) {
    let (mut begun, mut sides, mut ended) = (0, Vec::new(), 0);
    for command in &world.gateway.recordings {
        match command {
            RecordingCommand::Begin { .. } => begun += 1,
            RecordingCommand::Join { side, .. } => sides.push(*side),
            RecordingCommand::End { .. } => ended += 1,
        }
    }
    (begun, sides, ended)
}

fn only_call(world: &World) -> CallId {
    let mut calls = world.gateway.state().calls().calls();
    calls.next().expect("a call").call
}

#[test]
fn c8_an_alarm_is_recorded_from_its_answer_to_its_end() {
    let all = ["101", "102", "103", "199"];
    let site = Site::of(&all).emergency_point("199", "102");
    let mut world = World::of(&site, &all);
    world.dial("199", "102");
    world.wait(2 * SECOND);
    let both = vec![CallSide::Caller, CallSide::Called];
    assert_eq!(wanted(&world), (1, both.clone(), 0));
    goodbye(&mut world, &["199"]);
    assert_eq!(wanted(&world), (1, both, 1));
}

#[test]
fn c8_another_call_is_not_recorded_unless_an_operator_asks() {
    let mut world = four();
    talk(&mut world, "101", "102");
    assert_eq!(wanted(&world), (0, Vec::new(), 0));
    let call = only_call(&world);
    let ask = |world: &mut World, command| matches!(world.operator(command), Answer::Done);
    assert!(!ask(&mut world, OperatorCommand::StopRecording(call)));
    assert!(ask(&mut world, OperatorCommand::Record(call)));
    assert!(
        !ask(&mut world, OperatorCommand::Record(call)),
        "it is already"
    );
    let both = vec![CallSide::Caller, CallSide::Called];
    assert_eq!(wanted(&world), (1, both.clone(), 0));
    assert!(ask(&mut world, OperatorCommand::StopRecording(call)));
    assert_eq!(wanted(&world), (1, both, 1));
    goodbye(&mut world, &["101"]);
    assert_eq!(wanted(&world).2, 1, "it ended before the call");
}

#[test]
fn c8_whoever_a_recorded_call_is_handed_to_is_heard_in_it_too() {
    let mut world = four();
    talk(&mut world, "101", "102");
    let call = only_call(&world);
    world.operator(OperatorCommand::Record(call));
    world.act("102", Act::Transfer("103".into()));
    world.wait(2 * SECOND);
    world.act("103", Act::Answer);
    world.wait(2 * SECOND);
    world.skip();
    let (begun, sides, _) = wanted(&world);
    assert_eq!(begun, 1);
    let all = [CallSide::Caller, CallSide::Called, CallSide::Called];
    assert_eq!(sides, all);
    goodbye(&mut world, &["101"]);
    assert_eq!(wanted(&world).2, 1);
}
