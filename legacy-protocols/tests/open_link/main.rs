//! Both ends of the open link profile against each other, over lines that are good and bad.

mod world;

use std::collections::BTreeMap;

use legacy_protocols::command::{
    Answer, CallRef, CallSetup, Cause, Command, Keys, OutputId, Purpose, RequestRef, Switch,
    Verdict,
};
use legacy_protocols::event::{CallRequest, Event, Faults, Origin, StationState, TalkMode, Talker};
use legacy_protocols::port::{Input, LinkState, Output, Picture};
use legacy_protocols::priority::{Priority, Scale};
use legacy_protocols::text::Text;
use world::{GATEWAY, Line, MILLISECOND, SECOND, SERVER, World, party};

fn state(number: u32, state: StationState) -> Event {
    let station = party(1, &number.to_string());
    Event::StationState { station, state }
}

fn request(request: u64) -> CallRequest {
    CallRequest {
        request: RequestRef(request),
        from: party(1, "2101"),
        to: Some(party(2, "2001")),
        priority: Priority::new(5, Scale::OneIsHighest).expect("on the scale"),
        text: Some(Text::clip("Gate East")),
    }
}

#[test]
fn a_line_is_up_only_after_the_whole_picture() {
    let mut world = World::new(1);
    let mut picture: Vec<Event> = (2100..2200).map(|n| state(n, StationState::Idle)).collect();
    picture.push(Event::RequestNew(request(7)));
    world.picture = Some(picture.clone());
    world.plug();
    world.pass(SECOND);
    let said = &world.said[GATEWAY];
    let up = Output::Link(LinkState::Up(Picture::Whole));
    let up_at = said.iter().position(|output| *output == up).unwrap();
    let items = said.iter().filter_map(|output| match output {
        Output::Happened { event, from } if from.origin == Origin::Snapshot => Some(event.clone()),
        _ => None,
    });
    assert_eq!(items.collect::<Vec<_>>(), picture);
    let last = said
        .iter()
        .rposition(|output| matches!(output, Output::Happened { .. }));
    assert!(last.unwrap() < up_at);
}

#[test]
fn an_end_that_tells_no_picture_is_partly_known_and_said_to_be() {
    let mut world = World::new(1);
    world.picture = None;
    world.plug();
    world.pass(SECOND * 14);
    assert_eq!(world.ports[GATEWAY].link(), LinkState::Syncing);
    world.pass(SECOND * 2);
    assert_eq!(world.ports[GATEWAY].link(), LinkState::Up(Picture::Partial));
}

#[test]
fn b9_every_command_arrives_as_it_was_given() {
    let mut world = World::up(3);
    let setup = CallSetup {
        call: CallRef(77),
        from: party(2, "4001"),
        to: party(9, "2101"),
        priority: Priority::NORMAL,
        mode: TalkMode::Simplex(Talker::Called),
        text: Some(Text::clip("K\u{fc}che")),
        sound: None,
    };
    let station = party(1, "2101");
    let commands = [
        Command::CallSetup(setup),
        Command::CallRelease {
            call: CallRef(77),
            cause: Cause::NORMAL,
        },
        Command::Transfer {
            call: CallRef(77),
            to: party(5, "0007"),
        },
        Command::Keys {
            station,
            keys: Keys::new("12*#").unwrap(),
        },
        Command::RequestFile(request(8)),
        Command::RequestWithdraw {
            request: RequestRef(8),
        },
        Command::RequestClaim {
            request: RequestRef(9),
            by: party(2, "4001"),
        },
        Command::ShowText {
            station,
            text: Text::clip("Wait"),
        },
        Command::SetPrivacy {
            station,
            privacy: Switch::On,
        },
        Command::LineTest { station },
    ];
    for (reference, command) in (1..).zip(commands.clone()) {
        world.ask(GATEWAY, reference, command);
        world.pass(SECOND);
    }
    assert_eq!(world.asked(SERVER), commands);
    let done: Vec<_> = (1..=10).map(|n| (n, Verdict::Done)).collect();
    assert_eq!(world.verdicts(GATEWAY), done);
}

#[test]
fn a_claim_tells_the_loser_who_was_faster() {
    let mut world = World::up(4);
    world.obliging = false;
    let by = party(2, "4001");
    world.ask(
        GATEWAY,
        1,
        Command::RequestClaim {
            request: RequestRef(9),
            by,
        },
    );
    world.pass(SECOND);
    let Some(Output::Asked { ask: Some(ask), .. }) = world.said[SERVER].last().cloned() else {
        panic!("{:?}", world.said[SERVER]);
    };
    let winner = party(1, "2002");
    let answer = Answer {
        by: Some(winner),
        ..Verdict::AlreadyTaken.into()
    };
    world.give(SERVER, Input::Answer { ask, answer });
    world.pass(SECOND);
    assert!(matches!(
        world.said[GATEWAY].last(),
        Some(Output::Done { answer, .. })
            if answer.verdict == Verdict::AlreadyTaken && answer.by == Some(winner)
    ));
}

#[test]
fn b9_a_door_opens_once_for_one_id_however_often_it_is_asked() {
    let mut world = World::up(5);
    let door = world.door(1);
    world.ask(GATEWAY, 1, Command::DoorOpen(door.clone()));
    world.pass(SECOND * 2);
    world.ask(GATEWAY, 2, Command::DoorOpen(door));
    world.pass(SECOND * 2);
    assert_eq!(
        world.verdicts(GATEWAY),
        [(1, Verdict::Done), (2, Verdict::AlreadyTaken)]
    );
    assert_eq!(world.asked(SERVER).len(), 1);
}

#[test]
fn b9_a_test_drives_no_output_at_either_end() {
    let mut world = World::up(6);
    let door = Command::DoorOpen(world.door(1));
    world.ask_as(GATEWAY, 1, door, Purpose::Test);
    world.pass(SECOND);
    assert_eq!(world.verdicts(GATEWAY), [(1, Verdict::TestRefused)]);
    // Anything else may be tried; the other end is told that it is a trial.
    let station = party(1, "2101");
    world.ask_as(GATEWAY, 2, Command::LineTest { station }, Purpose::Test);
    world.pass(SECOND);
    assert!(matches!(
        world.said[SERVER].last(),
        Some(Output::Asked { from, .. }) if from.purpose == Purpose::Test
    ));
}

#[test]
fn b9_a_door_command_that_was_underway_when_the_line_broke_is_not_replayed() {
    let mut world = World::up(7);
    let door = Command::DoorOpen(world.door(1));
    world.ask(GATEWAY, 1, door);
    world.cut();
    assert_eq!(world.verdicts(GATEWAY), [(1, Verdict::LineLost)]);
    world.plug();
    world.pass(SECOND * 30);
    assert!(matches!(world.ports[GATEWAY].link(), LinkState::Up(_)));
    assert_eq!(world.asked(SERVER), []);
}

#[test]
fn b9_a_door_command_that_was_held_up_beyond_its_validity_drives_nothing() {
    let mut world = World::up(8);
    let mut door = world.door(1);
    door.valid_until = world.now + MILLISECOND * 600;
    // The first copies are lost; the link sends it again after it has expired.
    world.line.lost = 1000;
    world.ask(GATEWAY, 1, Command::DoorOpen(door));
    world.pass(MILLISECOND * 900);
    world.line.lost = 0;
    world.pass(SECOND * 2);
    assert_eq!(world.verdicts(GATEWAY), [(1, Verdict::Expired)]);
    assert_eq!(world.asked(SERVER), []);
    assert_eq!(world.ports[SERVER].counters().outputs_refused_to_them, 1);
}

#[test]
fn a_silent_other_end_is_suspected_then_given_up() {
    let mut world = World::up(9);
    world.line.lost = 1000;
    let station = party(1, "2101");
    world.pass(SECOND * 9);
    world.ask(GATEWAY, 1, Command::LineTest { station });
    world.pass(SECOND * 40);
    let links = world.said[GATEWAY]
        .iter()
        .filter_map(|output| match output {
            Output::Link(state) => Some(*state),
            _ => None,
        });
    assert!(links.into_iter().any(|state| state == LinkState::Down));
    assert_eq!(world.verdicts(GATEWAY), [(1, Verdict::LineLost)]);
    assert!(!matches!(world.ports[GATEWAY].link(), LinkState::Up(_)));
}

#[test]
fn events_that_did_not_fit_bring_a_new_picture() {
    let mut world = World::up(10);
    let fault = Event::StationFaults {
        station: party(1, "2101"),
        faults: Faults::TAMPER,
    };
    world.picture = Some(vec![fault.clone()]);
    for number in 0..18_000 {
        world.give(SERVER, Input::Tell(state(number, StationState::InCall)));
    }
    assert!(world.ports[SERVER].line_counters().overflows > 1000);
    world.pass(SECOND * 60);
    assert_eq!(world.ports[GATEWAY].line_counters().gaps, 1);
    assert_eq!(world.events(GATEWAY).last(), Some(&fault));
}

#[test]
fn on_a_bad_line_no_command_is_lost_or_doubled() {
    for seed in 0..12 {
        let mut world = World::up(seed);
        world.line = Line {
            lost: 60,
            doubled: 60,
            flipped: 60,
            delayed: 300,
        };
        let mut given = 0;
        for _ in 0..200 {
            let door = Command::DoorOpen(world.door(given + 1));
            given += 1;
            world.ask(GATEWAY, given, door);
            let pause = MILLISECOND * (world.draw() % 60) as u32;
            world.pass(pause);
        }
        world.line = Line::default();
        world.pass(SECOND * 60);
        check(&world, given, seed);
    }
}

/// Each command has one answer; each was carried out at most once; and where the answer says that it
/// was carried out, it was.
fn check(world: &World, given: u64, seed: u64) {
    let mut carried_out: BTreeMap<OutputId, u32> = BTreeMap::new();
    for command in world.asked(SERVER) {
        let output = command.output().expect("only doors were asked for");
        *carried_out.entry(output.id).or_default() += 1;
    }
    let verdicts = world.verdicts(GATEWAY);
    let answered: BTreeMap<u64, Verdict> = verdicts.iter().copied().collect();
    assert_eq!(answered.len() as u64, given, "seed {seed}: one answer each");
    assert_eq!(verdicts.len() as u64, given, "seed {seed}: not two answers");
    let mut done = 0;
    for (reference, verdict) in answered {
        let times = carried_out.get(&OutputId(reference)).copied().unwrap_or(0);
        assert!(
            times <= 1,
            "seed {seed}: {reference} was carried out {times} times"
        );
        match verdict {
            Verdict::Done => {
                done += 1;
                assert_eq!(times, 1, "seed {seed}: {reference} was not carried out");
            }
            // Not known by the asker, and at most once all the same.
            Verdict::LineLost | Verdict::NoAnswer => {}
            refused => assert_eq!(times, 0, "seed {seed}: {reference} {refused:?}"),
        }
    }
    assert!(
        done > given / 4,
        "seed {seed}: only {done} of {given} got through"
    );
}
