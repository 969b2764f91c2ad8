//! B2: lines to older intercom servers come up, tell what is behind them, and are lost.

use std::time::Duration;

use exchange::Driver;
use legacy_protocols::event::{Event, Faults, StationState as Theirs};
use legacy_protocols::port::LinkState;
use model::StationState;
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::site::{Site, station};
use scenarios::world::World;
use scenarios::world::lines::line_to;

fn site() -> Site {
    Site::of(&["101"])
        .behind("hall", "2101")
        .behind("hall", "2102")
}

fn state(world: &World, number: &str) -> StationState {
    world.gateway.state().calls().station_state(station(number))
}

fn does(number: &str, state: Theirs) -> Event {
    Event::StationState {
        station: there(number),
        state,
    }
}

#[test]
fn a_line_comes_up_and_both_ends_know_what_is() {
    let mut world = World::with_line(
        &site(),
        &[],
        line_to("hall"),
        vec![does("2101", Theirs::Idle), does("2102", Theirs::InCall)],
    );
    world.expect_up(0);
    assert_eq!(state(&world, "2101"), StationState::Idle);
    assert_eq!(state(&world, "2102"), StationState::InCall);
    assert_eq!(state(&world, "101"), StationState::Unknown);
}

#[test]
fn stations_behind_a_lost_line_are_unknown_until_its_server_has_told_anew() {
    let mut world = World::with_line(
        &site(),
        &[],
        line_to("hall"),
        vec![does("2101", Theirs::Idle), does("2102", Theirs::Idle)],
    );
    world.cut_line(0);
    assert_eq!(state(&world, "2101"), StationState::Unknown);
    assert_eq!(state(&world, "2102"), StationState::Unknown);
    world.wait(90 * SECOND);
    world.old(0).picture = vec![does("2101", Theirs::Idle)];
    world.mend_line(0);
    world.wait(120 * SECOND);
    world.expect_up(0);
    assert_eq!(state(&world, "2101"), StationState::Idle);
    // Nobody has said what became of it.
    assert_eq!(state(&world, "2102"), StationState::Unknown);
    assert_eq!(world.gateway.state().lines()[0].port.losses, 1);
}

#[test]
fn faults_put_a_station_out_of_service_until_they_are_gone() {
    let mut world = World::with_line(
        &site(),
        &[],
        line_to("hall"),
        vec![does("2101", Theirs::Idle)],
    );
    let faults = |faults| Event::StationFaults {
        station: there("2101"),
        faults,
    };
    world.old_tells(0, faults(Faults(Faults::LINE_OPEN.0 | Faults::TAMPER.0)));
    world.wait(SECOND);
    assert_eq!(state(&world, "2101"), StationState::OutOfService);
    world.old_tells(0, faults(Faults::TAMPER));
    world.wait(SECOND);
    assert_eq!(state(&world, "2101"), StationState::Idle);
    let shown = world.gateway.state().calls().faults(station("2101"));
    assert_eq!(shown, model::Faults::TAMPER);
}

#[test]
fn the_other_end_is_told_of_our_stations() {
    let mut world = World::with_line(&site(), &[], line_to("hall"), Vec::new());
    world.wait(SECOND);
    world.add_phones(&["101"]);
    let idle = Event::StationState {
        station: here("101"),
        state: Theirs::Idle,
    };
    assert!(world.old(0).told.contains(&idle), "{:?}", world.old(0).told);
}

#[test]
fn what_is_told_of_stations_that_nobody_knows_is_counted() {
    let mut world = World::with_line(
        &site(),
        &[],
        line_to("hall"),
        vec![does("2999", Theirs::Idle)],
    );
    world.expect_up(0);
    assert_eq!(world.gateway.state().lines()[0].totals.unknown_stations, 1);
}

#[test]
fn a_line_without_a_driver_says_so_and_nothing_else() {
    let mut line = line_to("hall");
    line.driver = Driver::Missing {
        why: "no driver for GEV; give a manifest".into(),
    };
    let mut world = World::with_line(&site(), &[], line, Vec::new());
    world.wait(Duration::from_secs(600));
    let [view] = &world.gateway.state().lines()[..] else {
        panic!("one line");
    };
    assert_eq!(view.link, LinkState::Down);
    assert_eq!(view.driver, "missing");
    assert!(
        view.missing
            .as_deref()
            .is_some_and(|why| why.contains("GEV"))
    );
    assert_eq!(state(&world, "2101"), StationState::Unknown);
}
