//! B2, B6: calls over ISDN, whose sound goes through B channels.

use legacy_protocols::command::{CallRef, CallSetup, Cause, Command, Verdict};
use legacy_protocols::event::{CallConnected, CallProgress, Event, Progress, TalkMode};
use legacy_protocols::number::Party;
use legacy_protocols::priority::Priority;
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::phone::{Act, Manner};
use scenarios::site::Site;
use scenarios::world::World;
use scenarios::world::lines::{channel, isdn_to};

fn world() -> World {
    let site = Site::of(&["101", "102"]).behind("hall", "2101");
    let mut world = World::with_line(&site, &["101", "102"], isdn_to("hall"), Vec::new());
    world.wait(3 * SECOND);
    world.expect_up(0);
    world.open_channels(0);
    world.old(0).answers = None;
    world.skip();
    world
}

fn setup(from: Party, to: Party) -> Command {
    Command::CallSetup(CallSetup {
        call: CallRef(7),
        from,
        to,
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: None,
    })
}

/// The one channel that is joined, and the gateway's end of it.
fn joined(world: &mut World) -> u8 {
    let channels = world.old(0).channels.clone();
    let [(number, ours)] = channels.into_iter().collect::<Vec<_>>()[..] else {
        panic!("one channel");
    };
    // PCMA from the channel reaches somebody.
    assert_eq!(world.gateway.media.passes_on(ours, 8).len(), 1);
    number
}

#[test]
fn b6_a_call_from_the_line_rings_is_answered_and_joined_with_its_channel() {
    let mut world = world();
    world.old_asks(0, setup(there("2101"), here("101")));
    world.wait(SECOND);
    world.expect("101", &["rings: 2101"]);
    let rings = |event: &Event| {
        matches!(
            event,
            Event::CallProgress(CallProgress {
                progress: Progress::Ringing,
                ..
            })
        )
    };
    let told = world.old(0).take_told();
    assert!(told.iter().any(rings), "{told:?}");
    world.act("101", Act::Answer);
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    let told = world.old(0).take_told();
    assert!(
        told.iter()
            .any(|event| matches!(event, Event::CallConnected(_))),
        "{told:?}"
    );
    let number = joined(&mut world);
    let said = world.speaks_to("101").expect("it talks");
    assert_eq!(
        world.gateway.media.passes_on(said, 9),
        [(channel(number), 8)]
    );
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    let told = world.old(0).take_told();
    let over = |event: &Event| {
        matches!(
            event,
            Event::CallReleased {
                cause: Cause::NORMAL,
                ..
            }
        )
    };
    assert!(told.iter().any(over), "{told:?}");
    assert!(world.old(0).channels.is_empty());
    world.expect_nothing_left();
}

#[test]
fn b6_a_call_to_the_line_is_joined_when_it_is_answered_there() {
    let mut world = world();
    world.dial("101", "2101");
    world.wait(SECOND);
    let (ask, call) = match &world.old(0).asked[..] {
        [(Some(ask), Command::CallSetup(setup))] => (*ask, setup.call),
        other => panic!("one set-up: {other:?}"),
    };
    world.old_answers(0, ask, Verdict::Accepted.into());
    world.old_tells(
        0,
        Event::CallProgress(CallProgress {
            call,
            progress: Progress::Ringing,
            from: None,
            to: None,
            priority: None,
            sound: None,
        }),
    );
    world.wait(SECOND);
    world.expect("101", &["hears 180"]);
    world.old_tells(
        0,
        Event::CallConnected(CallConnected {
            call,
            from: None,
            to: None,
            mode: None,
            sound: None,
        }),
    );
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    joined(&mut world);
    let cause = Cause::NORMAL;
    world.old_tells(0, Event::CallReleased { call, cause });
    world.wait(SECOND);
    world.expect(
        "101",
        &["over: the other end hung up (Normal call clearing)"],
    );
    assert!(world.old(0).channels.is_empty());
    world.expect_nothing_left();
}

fn progress(call: CallRef, progress: Progress) -> Event {
    Event::CallProgress(CallProgress {
        call,
        progress,
        from: None,
        to: None,
        priority: None,
        sound: None,
    })
}

#[test]
fn tones_of_the_network_are_heard_before_it_answers() {
    let mut world = world();
    world.dial("101", "2101");
    world.wait(SECOND);
    let (ask, call) = match &world.old(0).asked[..] {
        [(Some(ask), Command::CallSetup(setup))] => (*ask, setup.call),
        other => panic!("one set-up: {other:?}"),
    };
    world.old_answers(0, ask, Verdict::Accepted.into());
    world.old_tells(0, progress(call, Progress::Audible));
    world.wait(SECOND);
    world.expect("101", &["hears 183 with sound"]);
    let number = joined(&mut world);
    world.old_tells(0, progress(call, Progress::Ringing));
    let cause = Cause(28);
    world.old_tells(0, Event::CallReleased { call, cause });
    world.wait(SECOND);
    assert!(world.old(0).channels.is_empty(), "{number} is left");
    world.expect_nothing_left();
}

#[test]
fn tones_of_a_telephone_are_announced_to_the_network_and_heard_there() {
    let mut world = world();
    world.manner("101", Manner::EarlySound);
    world.old_asks(0, setup(there("2101"), here("101")));
    world.wait(SECOND);
    world.expect("101", &["rings: 2101"]);
    let told = world.old(0).take_told();
    let said: Vec<Progress> = told
        .iter()
        .filter_map(|event| match event {
            Event::CallProgress(told) => Some(told.progress),
            _ => None,
        })
        .collect();
    let stages = [Progress::Trying, Progress::Ringing, Progress::Audible];
    assert_eq!(said, stages, "{told:?}");
    assert_eq!(world.old(0).channels.len(), 1);
    world.act("101", Act::Answer);
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    joined(&mut world);
}

#[test]
fn the_cause_of_a_network_reaches_the_telephone() {
    let mut world = world();
    for (cause, heard) in [
        (17, "refused: 486 (User busy)"),
        (19, "refused: 480 (No answer from user)"),
    ] {
        world.dial("101", "2101");
        world.wait(SECOND);
        let (ask, call) = match &std::mem::take(&mut world.old(0).asked)[..] {
            [(Some(ask), Command::CallSetup(setup))] => (*ask, setup.call),
            other => panic!("one set-up: {other:?}"),
        };
        world.old_answers(0, ask, Verdict::Accepted.into());
        let cause = Cause(cause);
        world.old_tells(0, Event::CallReleased { call, cause });
        world.wait(SECOND);
        world.expect("101", &[heard]);
    }
    world.old_asks(0, setup(there("2101"), here("999")));
    world.wait(SECOND);
    let done = std::mem::take(&mut world.old(0).done);
    assert_eq!(done[0].1.cause, Some(Cause(1)));
}

#[test]
fn a_call_is_refused_while_the_shell_has_no_channels() {
    let site = Site::of(&["101"]).behind("hall", "2101");
    let mut world = World::with_line(&site, &["101"], isdn_to("hall"), Vec::new());
    world.wait(3 * SECOND);
    world.skip();
    world.old_asks(0, setup(there("2101"), here("101")));
    world.wait(SECOND);
    world.expect("101", &[]);
    let done = std::mem::take(&mut world.old(0).done);
    assert_eq!(done[0].1.cause, Some(Cause(42)));
}
