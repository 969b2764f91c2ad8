//! B9: stations of ours that the other end diverts, or an order here; and who hears whom in a call
//! over the line, as the other end wants it.

use std::net::SocketAddr;

use exchange::{Answer, Diversion, OperatorCommand, StationOrder, StationView};
use legacy_protocols::command::{CallRef, CallSetup, Command, Divert, Verdict};
use legacy_protocols::event::{Event, TalkMode, Talker};
use legacy_protocols::priority::Priority;
use legacy_protocols::sound::{SoundCodecs, SoundEnd, SoundKeys};
use model::{CallNumber, TalkStyle};
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;
use scenarios::world::lines::line_to;

const CALL: CallRef = CallRef(CallRef::OF_PORT | 7);

fn site() -> Site {
    Site::of(&["101", "102", "103"])
        .behind("hall", "2101")
        .behind("hall", "2102")
}

fn world(site: &Site) -> World {
    let numbers = ["101", "102", "103"];
    let mut world = World::with_line(site, &numbers, line_to("hall"), Vec::new());
    world.old(0).take_told();
    world.skip();
    world
}

fn diverts(world: &mut World, number: &str, divert: Divert) -> Verdict {
    let station = here(number);
    world.old_asks(0, Command::Divert { station, divert });
    world.wait(SECOND);
    let done = world.old(0).take_done();
    *done.last().expect("it is answered")
}

fn shown(world: &mut World, number: &str) -> StationView {
    let Answer::Stations(stations) = world.operator(OperatorCommand::Stations) else {
        panic!("stations");
    };
    let mut stations = stations.into_iter();
    let found = stations.find(|station| station.number.as_str() == number);
    found.expect("a station of the site")
}

/// Whom a call of 103 for 102 rings within a second.
#[track_caller]
fn rings(world: &mut World, who: &str) {
    world.dial("103", "102");
    world.wait(SECOND);
    world.expect(who, &["rings: 103"]);
    world.act("103", Act::HangUp);
    world.wait(SECOND);
    world.skip_log();
}

#[test]
fn b9_a_station_that_its_older_neighbours_divert_is_forwarded_until_they_take_it_away() {
    let mut world = world(&site());
    assert_eq!(
        diverts(&mut world, "102", Divert::Always(here("101"))),
        Verdict::Done
    );
    let view = shown(&mut world, "102");
    let rule = view.diversion.expect("it is shown");
    assert_eq!(rule.to, scenarios::site::number("101"));
    rings(&mut world, "101");
    // It is not the directory's, and outlives a change of it.
    world.reload(&site());
    world.wait(SECOND);
    world.skip_log();
    rings(&mut world, "101");
    assert_eq!(diverts(&mut world, "102", Divert::Off), Verdict::Done);
    assert_eq!(shown(&mut world, "102").diversion, None);
    rings(&mut world, "102");
    // To nobody, and of nobody.
    let nowhere = Divert::Always(here("999"));
    assert_eq!(diverts(&mut world, "102", nowhere), Verdict::NoSuchNumber);
    let theirs = Divert::Always(here("101"));
    assert_eq!(diverts(&mut world, "998", theirs), Verdict::NoSuchNumber);
    rings(&mut world, "102");
}

#[test]
fn b9_a_diversion_outlives_a_restart_as_long_as_its_target_is_there() {
    let mut world = world(&site());
    diverts(&mut world, "102", Divert::Always(here("101")));
    diverts(&mut world, "103", Divert::NoReply(there("2102")));
    let before = ["102", "103"].map(|number| shown(&mut world, number).diversion);
    assert!(before.iter().all(Option::is_some));
    restart(&mut world);
    let after = ["102", "103"].map(|number| shown(&mut world, number).diversion);
    assert_eq!(after, before);
    rings(&mut world, "101");
    // Taken back is taken back.
    assert_eq!(diverts(&mut world, "102", Divert::Off), Verdict::Done);
    world.reload(&Site::of(&["101", "102", "103"]));
    restart(&mut world);
    let after = ["102", "103"].map(|number| shown(&mut world, number).diversion);
    assert_eq!(after, [None, None]);
    rings(&mut world, "102");
}

fn restart(world: &mut World) {
    world.crash();
    world.wait(SECOND);
    world.start_gateway();
    world.wait(30 * SECOND);
    world.skip_log();
}

#[test]
fn b9_a_busy_station_is_diverted_to_one_behind_the_line() {
    let mut world = world(&site());
    diverts(&mut world, "102", Divert::Busy(there("2102")));
    world.dial("101", "102");
    world.wait(SECOND);
    world.act("102", Act::Answer);
    world.wait(SECOND);
    world.old(0).take_asked();
    world.dial("103", "102");
    world.wait(SECOND);
    let asked = world.old(0).take_asked();
    let [Command::CallSetup(setup)] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(setup.to, there("2102"));
}

#[test]
fn b9_an_order_here_diverts_a_station_and_takes_any_diversion_away() {
    let mut world = world(&site());
    let number = |text| CallNumber::parse(text).expect("digits");
    let order = |diversion| OperatorCommand::Order(number("102"), StationOrder::Divert(diversion));
    let always = order(Diversion::Always(number("101")));
    assert!(matches!(world.operator(always), Answer::Done));
    rings(&mut world, "101");
    let nowhere = order(Diversion::Always(number("999")));
    assert!(matches!(world.operator(nowhere), Answer::Refused(_)));
    assert!(matches!(
        world.operator(order(Diversion::Off)),
        Answer::Done
    ));
    rings(&mut world, "102");
}

#[test]
fn b9_two_stations_diverted_to_each_other_end_the_call_and_not_the_machine() {
    let mut world = world(&site());
    diverts(&mut world, "101", Divert::Always(here("102")));
    diverts(&mut world, "102", Divert::Always(here("101")));
    world.dial("103", "102");
    world.wait(SECOND);
    world.expect("103", &["refused: 482 (Exchange routing error)"]);
}

/// 2101 has called 101, who has answered; where the gateway hears the one behind the line.
fn talk(world: &mut World) -> SocketAddr {
    let setup = CallSetup {
        call: CALL,
        from: there("2101"),
        to: here("101"),
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: Some(SoundEnd {
            address: ([10, 0, 2, 1], 4000).into(),
            codecs: SoundCodecs::ALL,
            keys: SoundKeys::Events,
        }),
    };
    world.old_asks(0, Command::CallSetup(setup));
    world.wait(SECOND);
    world.act("101", Act::Answer);
    world.wait(SECOND);
    world.expect("101", &["rings: 2101", "talks"]);
    world.old(0).take_done();
    world.old(0).take_asked();
    let told = world.old(0).take_told();
    let sound = told.iter().find_map(|event| match event {
        Event::CallConnected(connected) => connected.sound,
        _ => None,
    });
    sound.expect("it was told where").address
}

/// Whether the two ends hear each other: 101, and the one behind the line.
fn heard(world: &World, from_them: SocketAddr) -> (bool, bool) {
    let from_101 = world.speaks_to("101").expect("it talks");
    let arrives = |port| !world.gateway.media.passes_on(port, 9).is_empty();
    (arrives(from_them), arrives(from_101))
}

#[test]
fn b9_the_other_end_says_who_hears_whom() {
    let mut world = world(&site());
    let from_them = talk(&mut world);
    assert_eq!(heard(&world, from_them), (true, true));
    for (mode, expected) in [
        // Of the caller, who is theirs.
        (TalkMode::ListenOnly, (false, true)),
        (TalkMode::TalkOnly, (true, false)),
        (TalkMode::Simplex(Talker::Caller), (true, false)),
        (TalkMode::Simplex(Talker::Called), (false, true)),
        (TalkMode::OpenDuplex, (true, true)),
    ] {
        world.old_asks(0, Command::SetTalkMode { call: CALL, mode });
        world.wait(SECOND);
        assert_eq!(world.old(0).take_done(), [Verdict::Done], "{mode:?}");
        assert_eq!(heard(&world, from_them), expected, "{mode:?}");
        assert_eq!(world.old(0).take_asked(), [], "it is not told what it said");
    }
    let unknown = Command::SetTalkMode {
        call: CallRef(CallRef::OF_PORT | 8),
        mode: TalkMode::OpenDuplex,
    };
    world.old_asks(0, unknown);
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::NoSuchNumber]);
}

#[test]
fn b9_a_station_that_talks_by_its_key_is_not_opened_for_good() {
    let site = site().change("101", |station| station.talk = TalkStyle::Simplex);
    let mut world = world(&site);
    talk(&mut world);
    let mode = TalkMode::OpenDuplex;
    world.old_asks(0, Command::SetTalkMode { call: CALL, mode });
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::NotAllowed]);
}
