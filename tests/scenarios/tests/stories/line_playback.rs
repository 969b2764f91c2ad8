//! B9: recorded messages and audio programmes for stations of ours: asked for from behind the line,
//! or ordered here. A programme is below every call.

use std::time::Duration;

use exchange::{
    Announcements, Answer, OperatorCommand, OperatorError, OrderError, PlaybackError, StationOrder,
};
use legacy_protocols::command::{Command, Programme, Verdict};
use legacy_protocols::priority::Priority;
use media::{Recording, Repeat, SampleRate, Sound};
use model::{CallNumber, StationState};
use scenarios::clock::SECOND;
use scenarios::old_server::here;
use scenarios::phone::Act;
use scenarios::site::{Site, station};
use scenarios::world::World;
use scenarios::world::lines::line_to;

const NUMBERS: [&str; 3] = ["101", "102", "103"];

/// Message 7 and programmes 3 and 4 are there; two seconds for each.
fn world() -> World {
    let site = Site::of(&NUMBERS).behind("hall", "2101");
    let words = || Recording::new(&[100; 2 * 8_000], SampleRate::Hz8000);
    let mut world = World::with_lines(&site, 1, vec![line_to("hall")], |config| {
        config.sounds.announcements = Announcements {
            messages: [(7, words())].into(),
            programmes: [(3, words()), (4, words())].into(),
            ..Announcements::default()
        };
    });
    world.add_phones(&NUMBERS);
    world.wait(SECOND);
    world.expect_up(0);
    world.skip();
    world
}

fn asks(world: &mut World, command: Command) -> Verdict {
    world.old_asks(0, command);
    world.wait(SECOND);
    let done = world.old(0).take_done();
    *done.last().expect("it is answered")
}

fn programme(number: &str, programme: Programme) -> Command {
    Command::Programme {
        station: here(number),
        programme,
    }
}

fn announce(number: &str, message: u8) -> Command {
    Command::Announce {
        station: here(number),
        message,
        priority: Priority::NORMAL,
    }
}

fn state(world: &World, number: &str) -> StationState {
    world.gateway.state().calls().station_state(station(number))
}

/// Whether it hears something that does not end.
fn hears_programme(world: &World, number: &str) -> bool {
    let sound = world.sound_at(number);
    matches!(sound, Some(Sound::Recording { repeat, .. }) if *repeat == Repeat::UntilStopped)
}

#[test]
fn b9_a_message_is_heard_in_a_call_of_its_own_that_ends_with_it() {
    let mut world = world();
    assert_eq!(asks(&mut world, announce("101", 7)), Verdict::Accepted);
    world.expect("101", &["rings: anonymous, opens", "talks"]);
    assert!(matches!(
        world.sound_at("101"),
        Some(Sound::Recording { repeat, .. }) if *repeat == Repeat::ONCE
    ));
    assert_eq!(state(&world, "101"), StationState::InCall);
    // Whoever is in a call is not spoken to over it.
    assert_eq!(asks(&mut world, announce("101", 7)), Verdict::Busy);
    world.sound_ends("101");
    world.wait(SECOND);
    assert_eq!(world.phone("101").lines().count(), 0);
    assert_eq!(state(&world, "101"), StationState::Idle);
    // What is not there is refused with the reason, and counted.
    assert_eq!(asks(&mut world, announce("101", 8)), Verdict::Unsupported);
    assert_eq!(world.gateway.state().lines()[0].totals.unsupported, 1);
    assert_eq!(asks(&mut world, announce("999", 7)), Verdict::NoSuchNumber);
    world.expect_nothing_left();
}

#[test]
fn b9_a_programme_comes_back_after_a_restart() {
    let mut world = world();
    let on = programme("101", Programme::Channel(3));
    assert_eq!(asks(&mut world, on), Verdict::Done);
    world.crash();
    world.wait(10 * SECOND);
    world.start_gateway();
    world.wait(30 * SECOND);
    assert!(hears_programme(&world, "101"));
    assert!(!hears_programme(&world, "102"));
}

#[test]
fn b9_a_programme_gives_way_to_every_call_and_comes_back_afterwards() {
    let mut world = world();
    let on = programme("101", Programme::Channel(3));
    assert_eq!(asks(&mut world, on), Verdict::Done);
    assert!(hears_programme(&world, "101"));
    assert_eq!(state(&world, "101"), StationState::Idle, "it can be called");
    // It lasts longer than any conversation.
    world.wait(Duration::from_secs(1_200));
    assert!(hears_programme(&world, "101"));
    world.skip();
    world.dial("102", "101");
    world.wait(SECOND);
    world.act("101", Act::Answer);
    world.wait(SECOND);
    world.expect_talk("101", "102", "G722");
    assert!(!hears_programme(&world, "101"));
    world.act("102", Act::HangUp);
    world.wait(10 * SECOND);
    assert!(hears_programme(&world, "101"));
    // Its own call ends it, too.
    world.dial("101", "103");
    world.wait(SECOND);
    assert!(!hears_programme(&world, "101"));
    world.act("101", Act::HangUp);
    world.wait(10 * SECOND);
    assert!(hears_programme(&world, "101"));
    assert_eq!(
        asks(&mut world, programme("101", Programme::Off)),
        Verdict::Done
    );
    world.wait(20 * SECOND);
    assert_eq!(world.phone("101").lines().count(), 0);
    assert_eq!(
        asks(&mut world, programme("101", Programme::Channel(5))),
        Verdict::Unsupported
    );
    world.expect_nothing_left();
}

#[test]
fn b9_another_programme_takes_the_place_of_the_first() {
    let mut world = world();
    for channel in [3, 4, 4] {
        let on = programme("101", Programme::Channel(channel));
        assert_eq!(asks(&mut world, on), Verdict::Done);
    }
    world.wait(60 * SECOND);
    assert!(hears_programme(&world, "101"));
    assert_eq!(world.phone("101").lines().count(), 1);
    assert_eq!(world.gateway.state().counters().programmes_begun, 3);
    // A reload that takes the station away takes its programme too.
    let site = Site::of(&NUMBERS).without("101").behind("hall", "2101");
    world.reload(&site);
    world.wait(SECOND);
    assert_eq!(world.phone("101").lines().count(), 0);
    let off = programme("101", Programme::Off);
    assert_eq!(asks(&mut world, off), Verdict::NoSuchNumber);
}

#[test]
fn b9_messages_and_programmes_are_ordered_here_as_well() {
    let mut world = world();
    let number = CallNumber::parse("101").expect("digits");
    let order = |order| OperatorCommand::Order(number, order);
    let programme = |programme| order(StationOrder::Programme(programme));
    let on = world.operator(programme(Programme::Channel(3)));
    assert!(matches!(on, Answer::Done));
    world.wait(SECOND);
    assert!(hears_programme(&world, "101"));
    let Answer::Stations(stations) = world.operator(OperatorCommand::Stations) else {
        panic!("stations");
    };
    let shown = stations.iter().find(|station| station.number == number);
    assert_eq!(shown.and_then(|station| station.programme), Some(3));
    let message = order(StationOrder::Announce {
        message: 7,
        priority: model::Priority::DEFAULT,
    });
    assert!(matches!(world.operator(message), Answer::Done));
    world.wait(SECOND);
    assert!(!hears_programme(&world, "101"));
    world.sound_ends("101");
    world.wait(10 * SECOND);
    assert!(hears_programme(&world, "101"));
    let off = world.operator(programme(Programme::Off));
    assert!(matches!(off, Answer::Done));
    let unknown = world.operator(programme(Programme::Channel(9)));
    assert!(matches!(
        unknown,
        Answer::Refused(OperatorError::Order(OrderError::Playback(
            PlaybackError::NoSuchProgramme(9)
        )))
    ));
    world.expect_nothing_left();
}
