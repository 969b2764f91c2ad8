//! B9: stations behind a line are tested by the clock, never in a call; two failures in a row are a
//! fault, two passes take it away.

use std::time::Duration;

use exchange::{LineConfig, LineView};
use legacy_protocols::command::{Command, Verdict};
use legacy_protocols::event::{Event, Faults as TheirFaults, LineTest, StationState as TheirState};
use legacy_protocols::number::Party;
use model::{Faults, StationState};
use scenarios::clock::SECOND;
use scenarios::old_server::there;
use scenarios::site::{Site, station};
use scenarios::world::World;
use scenarios::world::lines::{isdn_to, line_to};

const PERIOD: Duration = Duration::from_secs(60);

fn tested(line: LineConfig) -> LineConfig {
    LineConfig {
        surveillance: Some(PERIOD),
        ..line
    }
}

fn world(stations: &[&str]) -> World {
    let behind = |site: Site, number: &&str| site.behind("hall", number);
    let site = stations.iter().fold(Site::of(&["101"]), behind);
    let idle = |number: &&str| Event::StationState {
        station: there(number),
        state: TheirState::Idle,
    };
    let picture = stations.iter().map(idle).collect();
    World::with_line(&site, &["101"], tested(line_to("hall")), picture)
}

/// The stations that have been asked for, with the time of each, while the server answers this.
fn round(world: &mut World, result: Option<LineTest>, time: Duration) -> Vec<(Duration, Party)> {
    let mut asked = Vec::new();
    let (begin, step) = (world.now, Duration::from_millis(50));
    while world.now < begin + time {
        world.wait(step);
        for command in world.old(0).take_asked() {
            let Command::LineTest { station } = command else {
                panic!("{command:?}");
            };
            asked.push((world.now - begin, station));
            if let Some(result) = result {
                world.old_tells(0, Event::LineTested { station, result });
            }
        }
    }
    asked
}

fn faults(world: &World, number: &str) -> Faults {
    world.gateway.state().calls().faults(station(number))
}

fn line(world: &World) -> LineView {
    world.gateway.state().lines().remove(0)
}

const MICROPHONE: LineTest = LineTest::Failed(TheirFaults::MICROPHONE);

#[test]
fn each_station_is_tested_once_in_the_time_that_is_set_and_not_all_at_once() {
    let numbers = ["2101", "2102", "2103", "2104"];
    let mut world = world(&numbers);
    let asked = round(&mut world, Some(LineTest::Passed), 10 * PERIOD);
    for number in numbers {
        let times = asked.iter().filter(|(_, who)| *who == there(number));
        let times: Vec<Duration> = times.map(|(at, _)| *at).collect();
        assert!((8..=12).contains(&times.len()), "{number}: {times:?}");
    }
    let pauses: Vec<Duration> = asked.windows(2).map(|two| two[1].0 - two[0].0).collect();
    let (least, most) = (pauses.iter().min(), pauses.iter().max());
    assert!(least > Some(&(11 * SECOND)), "{least:?}");
    assert_ne!(least, most, "the pauses are drawn");
    let totals = line(&world).totals;
    let made = u64::try_from(asked.len()).expect("few");
    assert_eq!((totals.tests, totals.tests_failed), (made, 0));
}

#[test]
fn two_failures_in_a_row_are_a_fault_and_two_passes_take_it_away() {
    let mut world = world(&["2101"]);
    let until_asked = |world: &mut World, result| {
        for _ in 0..100 {
            if !round(world, Some(result), SECOND).is_empty() {
                return faults(world, "2101");
            }
        }
        panic!("it is not tested");
    };
    assert_eq!(until_asked(&mut world, MICROPHONE), Faults::NONE);
    assert_eq!(until_asked(&mut world, LineTest::Passed), Faults::NONE);
    assert_eq!(until_asked(&mut world, MICROPHONE), Faults::NONE);
    assert_eq!(line(&world).faulty_stations, 0);
    assert_eq!(until_asked(&mut world, MICROPHONE), Faults::MICROPHONE);
    assert_eq!(line(&world).faulty_stations, 1);
    let told = |world: &World| {
        let events = world.gateway.events.iter();
        let changes = events.filter(|event| {
            matches!(event, calls::Event::StationChanged { faults, .. }
                if *faults == Faults::MICROPHONE)
        });
        changes.count()
    };
    assert_eq!(told(&world), 1);
    assert_eq!(
        until_asked(&mut world, LineTest::Skipped),
        Faults::MICROPHONE
    );
    assert_eq!(
        until_asked(&mut world, LineTest::Passed),
        Faults::MICROPHONE
    );
    // What the server says of it by itself is one thing, what we have found another.
    let (station, all) = (there("2101"), TheirFaults::TAMPER);
    world.old_tells(
        0,
        Event::StationFaults {
            station,
            faults: all,
        },
    );
    world.wait(SECOND);
    let both = Faults::MICROPHONE.with(Faults::TAMPER);
    assert_eq!(faults(&world, "2101"), both);
    assert_eq!(until_asked(&mut world, LineTest::Passed), Faults::TAMPER);
    assert_eq!(line(&world).totals.tests_failed, 3);
}

#[test]
fn tests_that_come_to_no_result_are_a_fault_too() {
    let mut world = world(&["2101"]);
    round(&mut world, None, 3 * PERIOD);
    assert_eq!(faults(&world, "2101"), Faults::TEST_OVERDUE);
    let state = world.gateway.state().calls().station_state(station("2101"));
    assert_eq!(state, StationState::Idle, "it can be called all the same");
    // The server refuses: nobody knows either.
    let mut world = self::world(&["2101"]);
    world.old(0).answers = Some(Verdict::NotAllowed);
    round(&mut world, None, 3 * PERIOD);
    assert_eq!(faults(&world, "2101"), Faults::TEST_OVERDUE);
    // It is in a call over there: that is no failure.
    let mut world = self::world(&["2101"]);
    world.old(0).answers = Some(Verdict::Busy);
    round(&mut world, None, 5 * PERIOD);
    assert_eq!(faults(&world, "2101"), Faults::NONE);
}

#[test]
fn a_station_in_a_call_is_not_tested() {
    let mut world = world(&["2101", "2102"]);
    let busy = |station, state| Event::StationState { station, state };
    world.old_tells(0, busy(there("2101"), TheirState::InCall));
    let asked = round(&mut world, Some(LineTest::Passed), 5 * PERIOD);
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|(_, who)| *who == there("2102")));
    assert!(line(&world).totals.tests_skipped >= 4);
    world.old_tells(0, busy(there("2101"), TheirState::Idle));
    let asked = round(&mut world, Some(LineTest::Passed), 2 * PERIOD);
    assert!(asked.iter().any(|(_, who)| *who == there("2101")));
}

#[test]
fn nothing_is_tested_and_nothing_remembered_while_the_line_is_down() {
    let mut world = world(&["2101"]);
    round(&mut world, Some(MICROPHONE), 3 * PERIOD);
    assert_eq!(faults(&world, "2101"), Faults::MICROPHONE);
    world.cut_line(0);
    let asked = round(&mut world, None, 3 * PERIOD);
    assert_eq!(asked, []);
    assert_eq!(faults(&world, "2101"), Faults::NONE, "nobody knows");
    world.mend_line(0);
    world.wait(PERIOD);
    world.expect_up(0);
    world.old(0).take_asked();
    round(&mut world, Some(MICROPHONE), 3 * PERIOD);
    assert_eq!(faults(&world, "2101"), Faults::MICROPHONE);
}

#[test]
fn a_line_whose_protocol_has_no_word_for_it_tests_nothing_and_raises_no_fault() {
    let site = Site::of(&["101"]).behind("hall", "2101");
    let line = tested(isdn_to("hall"));
    assert!(!line.driver.can_test());
    let mut world = World::with_line(&site, &["101"], line, Vec::new());
    assert_eq!(round(&mut world, None, 3 * PERIOD), []);
    assert_eq!(faults(&world, "2101"), Faults::NONE);
    assert_eq!(self::line(&world).surveillance, None);
    assert!(line_to("hall").driver.can_test());
}
