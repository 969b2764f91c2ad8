//! B2, C9: calls between stations behind an older server and telephones of any make.

use std::net::SocketAddr;

use exchange::{ChannelTarget, LineConfig, PrefixMap};
use legacy_protocols::command::{CallRef, CallSetup, Cause, Command, Keys, Programme, Verdict};
use legacy_protocols::event::{CallConnected, CallProgress, Event, Progress, TalkMode};
use legacy_protocols::number::Party;
use legacy_protocols::priority::{Priority, Scale};
use legacy_protocols::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};
use model::CallNumber;
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;
use scenarios::world::lines::line_to;

const CALL: CallRef = CallRef(CallRef::OF_PORT | 7);

fn site() -> Site {
    Site::of(&["101", "102"]).behind("hall", "2101")
}

fn their_sound(codecs: &[SoundCodec]) -> SoundEnd {
    SoundEnd {
        address: SocketAddr::from(([10, 0, 2, 1], 4000)),
        codecs: SoundCodecs::new(codecs.iter().copied()).expect("a codec"),
        keys: SoundKeys::Events,
    }
}

fn setup(from: Party, to: Party) -> CallSetup {
    CallSetup {
        call: CALL,
        from,
        to,
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: Some(their_sound(&SoundCodec::ALL)),
    }
}

fn world(line: LineConfig) -> World {
    let mut world = World::with_line(&site(), &["101", "102"], line, Vec::new());
    world.expect_up(0);
    world.old(0).take_told();
    world.skip();
    world
}

/// The sound that the gateway told in its last answer.
fn our_sound(told: &[Event]) -> SoundEnd {
    let mut sounds = told.iter().filter_map(|event| match event {
        Event::CallConnected(connected) => connected.sound,
        _ => None,
    });
    sounds.next_back().expect("an answer with its sound")
}

fn connected(world: &World, number: &str, ours: SocketAddr) {
    let theirs = their_sound(&SoundCodec::ALL).address;
    let to_them = world.speaks_to(number).expect("the telephone talks");
    let heard = world.gateway.media.passes_on(to_them, 9);
    assert_eq!(heard, [(theirs, 9)], "what they hear");
    let heard = world.gateway.media.passes_on(ours, 9);
    assert!(
        heard.iter().any(|(_, number)| *number == 9),
        "what {number} hears: {heard:?}"
    );
}

#[test]
fn b2_c9_a_station_behind_the_line_rings_a_telephone_and_both_hear_wideband() {
    let mut world = world(line_to("hall"));
    world.old_asks(0, Command::CallSetup(setup(there("2101"), here("101"))));
    world.wait(SECOND);
    world.expect("101", &["rings: 2101"]);
    assert_eq!(world.old(0).take_done(), [Verdict::Accepted]);
    let told = world.old(0).take_told();
    let rings = |event: &Event| {
        matches!(
            event,
            Event::CallProgress(CallProgress {
                call: CALL,
                progress: Progress::Ringing,
                ..
            })
        )
    };
    assert!(told.iter().any(rings), "{told:?}");
    world.act("101", Act::Answer);
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    let sound = our_sound(&world.old(0).take_told());
    assert_eq!(sound.codecs.best(), SoundCodec::G722);
    connected(&world, "101", sound.address);
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    let told = world.old(0).take_told();
    let over = Event::CallReleased {
        call: CALL,
        cause: Cause::NORMAL,
    };
    assert!(told.contains(&over), "{told:?}");
    assert_eq!(
        world.take_causes(),
        ["101: answered hung_up", "2101: answered hung_up"]
    );
    world.expect_nothing_left();
}

#[test]
fn b2_c9_a_telephone_calls_a_station_behind_the_line_and_it_hangs_up() {
    let mut world = world(line_to("hall"));
    world.dial("101", "2101");
    world.wait(SECOND);
    let [Command::CallSetup(asked)] = &world.old(0).take_asked()[..] else {
        panic!("one set-up");
    };
    assert_eq!((asked.from, asked.to), (here("101"), there("2101")));
    let call = asked.call;
    let offered = asked.sound.expect("sound is offered");
    assert_eq!(offered.codecs.best(), SoundCodec::G722);
    world.old_tells(0, ringing(call));
    world.wait(SECOND);
    world.expect("101", &["hears 180"]);
    world.old_tells(0, answered(call, &SoundCodec::ALL));
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    connected(&world, "101", offered.address);
    let cause = Cause::NORMAL;
    world.old_tells(0, Event::CallReleased { call, cause });
    world.wait(SECOND);
    world.expect(
        "101",
        &["over: the other end hung up (Normal call clearing)"],
    );
    world.expect_nothing_left();
}

fn ringing(call: CallRef) -> Event {
    Event::CallProgress(CallProgress {
        call,
        progress: Progress::Ringing,
        from: None,
        to: None,
        priority: None,
        sound: None,
    })
}

fn answered(call: CallRef, codecs: &[SoundCodec]) -> Event {
    Event::CallConnected(CallConnected {
        call,
        from: None,
        to: None,
        mode: None,
        sound: Some(their_sound(codecs)),
    })
}

/// Dials a station behind the line, and it answers.
fn talk(world: &mut World) -> CallRef {
    world.dial("101", "2101");
    world.wait(SECOND);
    let [Command::CallSetup(asked)] = &world.old(0).take_asked()[..] else {
        panic!("one set-up");
    };
    let call = asked.call;
    world.old_tells(0, answered(call, &SoundCodec::ALL));
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    call
}

#[test]
fn a_server_that_only_speaks_a_law_is_heard_all_the_same() {
    let mut world = world(line_to("hall"));
    world.dial("101", "2101");
    world.wait(SECOND);
    let [Command::CallSetup(asked)] = &world.old(0).take_asked()[..] else {
        panic!("one set-up");
    };
    let call = asked.call;
    world.old_tells(0, answered(call, &[SoundCodec::Pcma]));
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    let to_them = world.speaks_to("101").expect("it talks");
    let heard = world.gateway.media.passes_on(to_them, 8);
    assert_eq!(heard, [(their_sound(&SoundCodec::ALL).address, 8)]);
}

#[test]
fn the_reason_of_a_refusal_is_passed_on_both_ways() {
    let mut world = world(line_to("hall"));
    for (cause, heard) in [
        (17, "refused: 486 (User busy)"),
        (19, "refused: 480 (No answer from user)"),
        (21, "refused: 603 (Call rejected)"),
        (27, "refused: 502 (Destination out of order)"),
        (16, "refused: 480 (Normal call clearing)"),
        (1, "refused: 404 (Unallocated number)"),
    ] {
        world.dial("101", "2101");
        world.wait(SECOND);
        let [Command::CallSetup(asked)] = &world.old(0).take_asked()[..] else {
            panic!("one set-up");
        };
        let (call, cause) = (asked.call, Cause(cause));
        world.old_tells(0, Event::CallReleased { call, cause });
        world.wait(SECOND);
        world.expect("101", &[heard]);
    }
    world.act("101", Act::Dial("102".into()));
    world.wait(SECOND);
    world.act("102", Act::Answer);
    world.wait(SECOND);
    world.old_asks(0, Command::CallSetup(setup(there("2101"), here("101"))));
    world.old_asks(
        0,
        Command::CallSetup(CallSetup {
            call: CallRef(CallRef::OF_PORT | 8),
            ..setup(there("2101"), here("999"))
        }),
    );
    world.wait(SECOND);
    let done = world.old(0).take_done();
    assert_eq!(done, [Verdict::Busy, Verdict::NoSuchNumber]);
}

#[test]
fn an_alarm_of_a_station_behind_the_line_stays_an_alarm() {
    let mut world = world(line_to("hall"));
    world.dial("101", "102");
    world.wait(SECOND);
    world.act("102", Act::Answer);
    world.wait(SECOND);
    world.skip();
    let urgent = Priority::new(5, Scale::OneIsHighest).expect("a priority");
    world.old_asks(
        0,
        Command::CallSetup(CallSetup {
            priority: urgent,
            ..setup(there("2101"), here("102"))
        }),
    );
    world.wait(SECOND);
    let log = world.phone_mut("102").take_log();
    assert!(
        log.iter().any(|line| line.starts_with("rings: 2101")),
        "{log:?}"
    );
    let calls = world.gateway.state().calls().counters();
    // Both legs of the conversation in its way.
    assert_eq!((calls.alarms, calls.pre_empted), (1, 2));
}

#[test]
fn when_the_line_breaks_its_calls_are_over_and_others_are_not() {
    let mut world = world(line_to("hall"));
    talk(&mut world);
    world.cut_line(0);
    world.wait(SECOND);
    world.expect(
        "101",
        &["over: the other end hung up (Network out of order)"],
    );
    assert_eq!(
        world.take_causes(),
        [
            "2101: failed connection_lost",
            "101: failed connection_lost"
        ]
        .map(|line| line.replace("failed", "answered"))
    );
    world.dial("101", "2101");
    world.wait(SECOND);
    world.expect("101", &["refused: 480 (Subscriber absent)"]);
    world.expect_nothing_left();
}

#[test]
fn a_call_without_a_described_sound_is_refused_and_said_why() {
    let mut world = world(line_to("hall"));
    world.old_asks(
        0,
        Command::CallSetup(CallSetup {
            sound: None,
            ..setup(there("2101"), here("101"))
        }),
    );
    world.wait(SECOND);
    world.expect("101", &[]);
    assert_eq!(world.old(0).take_done(), [Verdict::Unsupported]);
    assert_eq!(
        world.gateway.state().counters().calls_refused_at_the_edge,
        1
    );
}

#[test]
fn b6_the_number_of_a_channel_reaches_its_one_target() {
    let mut line = line_to("hall");
    line.targets = vec![ChannelTarget {
        number: CallNumber::parse("9001").expect("digits"),
        to: scenarios::site::number("102"),
    }];
    let mut world = world(line);
    world.old_asks(0, Command::CallSetup(setup(there("2101"), here("9001"))));
    world.wait(SECOND);
    world.expect("102", &["rings: 2101"]);
}

#[test]
fn b2_numbers_differ_on_both_sides_of_the_line() {
    let mut line = line_to("hall");
    line.node.prefixes = PrefixMap::new([("2", "6")]).expect("prefixes");
    line.node.block = Some(CallNumber::parse("77").expect("digits"));
    line.numbering.prefixes = PrefixMap::new([("1", "81")]).expect("prefixes");
    let mut world = world(line);
    world.dial("101", "2101");
    world.wait(SECOND);
    // A station that no directory lists is dialled behind the block number of its system.
    world.dial("102", "775555");
    world.wait(SECOND);
    let asked: Vec<_> = world.old(0).take_asked();
    let ends = asked.iter().filter_map(|command| match command {
        Command::CallSetup(setup) => Some((setup.from, setup.to)),
        _ => None,
    });
    assert_eq!(
        ends.collect::<Vec<_>>(),
        [(here("8101"), there("6101")), (here("8102"), there("5555"))]
    );
    world.old_asks(0, Command::CallSetup(setup(there("6101"), here("8102"))));
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done().len(), 1);
}

#[test]
fn keys_reach_the_station_behind_the_line_and_come_from_it() {
    let mut world = world(line_to("hall"));
    talk(&mut world);
    world.act("101", Act::Press('5'));
    world.wait(SECOND);
    let keys = Keys::new("5").expect("a key");
    let station = there("2101");
    assert_eq!(
        world.old(0).take_asked(),
        [Command::Keys {
            station,
            keys: keys.clone()
        }]
    );
    world.old_asks(0, Command::Keys { station, keys });
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Done]);
    assert_eq!(world.events_at("101"), "5");
}

#[test]
fn a_server_transfers_and_both_of_ours_talk() {
    let mut world = world(line_to("hall"));
    let call = talk(&mut world);
    world.old_asks(
        0,
        Command::Transfer {
            call,
            to: here("102"),
        },
    );
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Accepted]);
    world.act("102", Act::Answer);
    world.wait(SECOND);
    world.expect_talk("101", "102", "G722");
}

#[test]
fn what_is_not_there_to_be_heard_is_refused_and_counted() {
    let mut world = world(line_to("hall"));
    world.old_asks(
        0,
        Command::Programme {
            station: here("101"),
            programme: Programme::Channel(9),
        },
    );
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Unsupported]);
    assert_eq!(world.gateway.state().lines()[0].totals.unsupported, 1);
}
