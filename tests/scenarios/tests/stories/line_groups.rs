//! B2, C8: group calls and conferences over a line, with their sound: one talker behind it is heard
//! by many here, and one here by many behind it.

use std::net::SocketAddr;

use exchange::{LineConfig, Room};
use legacy_protocols::command::{CallRef, Command, GroupRef, Verdict};
use legacy_protocols::event::{CallConnected, Event, TalkMode};
use legacy_protocols::number::Party;
use legacy_protocols::priority::Priority;
use legacy_protocols::sound::{SoundCodecs, SoundEnd, SoundKeys};
use model::CallNumber;
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;
use scenarios::world::lines::line_to;

const GROUP: GroupRef = GroupRef(4);
const CONFERENCE: GroupRef = GroupRef(5);

fn world() -> World {
    let site = Site::of(&["101", "102", "103"])
        .behind("hall", "2101")
        .behind("hall", "2102")
        .group_call("530", &["102", "103", "2101", "2102"])
        .conference("520");
    let room = |group, number| Room {
        group,
        number: CallNumber::parse(number).expect("digits"),
    };
    let line = LineConfig {
        rooms: vec![room(GROUP, "530"), room(CONFERENCE, "520")],
        ..line_to("hall")
    };
    let mut world = World::with_line(&site, &["101", "102", "103"], line, Vec::new());
    world.old(0).take_told();
    world.old(0).take_asked();
    world.skip();
    world
}

fn start(world: &mut World, talker: Party) -> Verdict {
    let priority = Priority::NORMAL;
    let start = Command::GroupStart {
        group: GROUP,
        talker,
        priority,
    };
    world.old_asks(0, start);
    world.wait(SECOND);
    let done = world.old(0).take_done();
    *done.last().expect("it is answered")
}

/// The stations behind the line that are called: the call of each, and where the gateway takes sound.
fn called(world: &mut World) -> Vec<(Party, CallRef, SocketAddr)> {
    let asked = world.old(0).take_asked();
    let setups = asked.into_iter().filter_map(|command| match command {
        Command::CallSetup(setup) => {
            let sound = setup.sound.expect("the call has sound");
            Some((setup.to, setup.call, sound.address))
        }
        _ => None,
    });
    setups.collect()
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 2, 1], port))
}

fn answers(world: &mut World, call: CallRef, port: u16) {
    let sound = SoundEnd {
        address: at(port),
        codecs: SoundCodecs::ALL,
        keys: SoundKeys::Events,
    };
    let connected = Event::CallConnected(CallConnected {
        call,
        from: None,
        to: None,
        mode: None,
        sound: Some(sound),
    });
    world.old_tells(0, connected);
    world.wait(SECOND);
}

#[test]
fn c8_a_talker_behind_the_line_starts_a_group_call_and_all_hear_the_one_call() {
    let mut world = world();
    assert_eq!(start(&mut world, there("2101")), Verdict::Accepted);
    // The talker is called for its sound, and nobody else before it is there.
    let talker = called(&mut world);
    let [(party, call, from_talker)] = talker[..] else {
        panic!("{talker:?}");
    };
    assert_eq!(party, there("2101"));
    world.expect("102", &[]);
    answers(&mut world, call, 4000);
    // Of the other members one is behind the line too.
    let listeners = called(&mut world);
    let [(party, other, from_other)] = listeners[..] else {
        panic!("{listeners:?}");
    };
    assert_eq!(party, there("2102"));
    for member in ["102", "103"] {
        world.expect(member, &["rings: 2101"]);
        world.act(member, Act::Answer);
    }
    answers(&mut world, other, 4002);
    let mut heard: Vec<_> = world.gateway.media.passes_on(from_talker, 9);
    heard.sort();
    let mut all = vec![(at(4002), 9)];
    let phones = ["102", "103"].map(|member| {
        let (_, line) = world.phone(member).lines().last().expect("it listens");
        (line.media_port(), 9)
    });
    all.extend(phones);
    all.sort();
    assert_eq!(heard, all);
    // Nobody else is heard.
    assert_eq!(world.gateway.media.passes_on(from_other, 9), []);
    let of_102 = world.speaks_to("102").expect("it is in the room");
    assert_eq!(world.gateway.media.passes_on(of_102, 9), []);
    // Its end is the end for all.
    let stop = Command::GroupStop {
        group: GROUP,
        talker: there("2101"),
    };
    world.old_asks(0, stop);
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Done]);
    assert_eq!(world.phone("102").lines().count(), 0);
    world.expect_nothing_left();
}

#[test]
fn c8_a_talker_here_is_heard_by_the_members_behind_the_line() {
    let mut world = world();
    assert_eq!(start(&mut world, here("101")), Verdict::Accepted);
    world.act("101", Act::Answer);
    world.wait(SECOND);
    let listeners = called(&mut world);
    assert_eq!(listeners.len(), 2, "{listeners:?}");
    for ((_, call, _), port) in listeners.iter().zip([4000, 4002]) {
        answers(&mut world, *call, port);
    }
    let of_101 = world.speaks_to("101").expect("it talks");
    let mut heard = world.gateway.media.passes_on(of_101, 9);
    heard.sort();
    assert_eq!(heard, [(at(4000), 9), (at(4002), 9)]);
    assert_eq!(world.gateway.media.passes_on(listeners[0].2, 9), []);
    // One leaves by itself; the end of the talker is the end for all.
    world.old(0).take_asked();
    let (first, second) = (listeners[0].1, listeners[1].1);
    let cause = legacy_protocols::command::Cause::NORMAL;
    world.old_tells(0, Event::CallReleased { call: first, cause });
    world.wait(SECOND);
    assert_eq!(world.gateway.media.passes_on(of_101, 9), [(at(4002), 9)]);
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    let released = world.old(0).take_asked();
    assert!(
        released.iter().any(|command| matches!(command,
            Command::CallRelease { call, .. } if *call == second)),
        "{released:?}"
    );
    world.act("102", Act::HangUp);
    world.act("103", Act::HangUp);
    world.expect_nothing_left();
}

#[test]
fn b2_a_station_behind_the_line_is_commanded_into_a_conference_and_out_of_it() {
    let mut world = world();
    world.dial("101", "520");
    let join = Command::ConferenceJoin {
        conference: CONFERENCE,
        station: there("2101"),
        mode: TalkMode::OpenDuplex,
    };
    world.old_asks(0, join);
    world.wait(SECOND);
    let joins = called(&mut world);
    let [(_, call, from_them)] = joins[..] else {
        panic!("{joins:?}");
    };
    answers(&mut world, call, 4000);
    assert_eq!(world.gateway.media.passes_on(from_them, 9).len(), 1);
    world.old(0).take_done();
    let leave = Command::ConferenceLeave {
        conference: CONFERENCE,
        station: there("2101"),
    };
    world.old_asks(0, leave);
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Done]);
    let released = world.old(0).take_asked();
    assert!(
        matches!(released[..], [Command::CallRelease { .. }]),
        "{released:?}"
    );
}
