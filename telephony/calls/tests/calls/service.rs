//! Load, draining, reload, commands, states: the engine in daily service.

use std::sync::Arc;
use std::time::Duration;

use calls::{Command, CommandError, Config, Done, Input, Output, Privacy};
use model::{EndCause, Faults, Priority, PrivacyRight, StationState};

use crate::support::directory::{Plan, stations};
use crate::support::{SECOND, Site, number, station};

fn plan() -> Plan {
    stations(&["101", "102", "103", "104"])
        .change("104", |s| s.priority = Priority::DEFAULT_ALARM)
        .group("500", &["102", "103"])
}

#[test]
fn overload_is_told_with_a_time_to_come_back() {
    let config = Config {
        max_calls: 1,
        ..Config::default()
    };
    let mut site = Site::with(config, plan().build());
    site.arrives("101", "102");
    site.arrives("103", "102");
    let wait = site.outputs.iter().find_map(|o| match o {
        Output::RefuseLeg {
            cause: EndCause::Overload,
            retry_after,
            ..
        } => *retry_after,
        _ => None,
    });
    let wait = wait.expect("refused with a time");
    assert!(wait >= 5 * SECOND && wait < 10 * SECOND, "{wait:?}");
    let dial = Command::Dial {
        from: number("103"),
        to: number("101"),
        priority: None,
    };
    assert_eq!(site.command(dial), Err(CommandError::Overload));
}

#[test]
fn one_station_cannot_use_up_all_places() {
    let config = Config {
        max_legs_per_station: 1,
        ..Config::default()
    };
    let mut site = Site::with(config, plan().build());
    site.arrives("101", "102");
    site.skip();
    site.arrives("101", "103");
    site.expect(&["L3 is refused: overload", "record of L3: refused overload"]);
}

#[test]
fn a_graceful_stop_lets_calls_end_and_alarms_in() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.input(Input::Drain);
    site.arrives("103", "102");
    site.expect(&["L3 is refused: stopping", "record of L3: refused stopping"]);
    let dial = Command::Dial {
        from: number("103"),
        to: number("101"),
        priority: None,
    };
    assert_eq!(site.command(dial), Err(CommandError::Stopping));
    site.arrives("104", "103");
    site.expect(&["L5 calls 103 (opens)", "L4 is shown trying"]);
    site.hangs_up(4);
    site.expect_events(&[]);
    site.hangs_up(1);
    site.expect_events(&["drained"]);
    // An alarm after that is served too, and its end is told again.
    site.arrives("104", "103");
    site.hangs_up(6);
    site.expect_events(&["drained"]);
}

#[test]
fn without_calls_the_stop_is_at_once() {
    let mut site = Site::new(plan().build());
    site.input(Input::Drain);
    site.expect_events(&["drained"]);
    site.input(Input::Drain);
    site.expect_events(&[]);
}

#[test]
fn a_reload_does_not_touch_calls_even_of_stations_that_are_gone() {
    let mut site = Site::new(plan().build());
    site.seen(&["101", "102"]);
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.input(Input::DirectoryChanged(Arc::new(
        stations(&["103"]).build(),
    )));
    site.expect(&[]);
    assert_eq!(
        site.engine.station_state(station("101")),
        StationState::InCall
    );
    site.wait(60 * SECOND);
    site.hangs_up(1);
    site.expect(&[
        "L1-L2 parted",
        "record of L1: answered hung_up",
        "L2 ends: hung_up",
        "record of L2: answered hung_up",
    ]);
    site.expect_station("101", "unknown");
}

#[test]
fn a_call_by_command_rings_the_one_and_then_the_other() {
    let mut site = Site::new(plan().build());
    let dial = Command::Dial {
        from: number("101"),
        to: number("102"),
        priority: None,
    };
    let Ok(Done::Call(call)) = site.command(dial) else {
        panic!("no call")
    };
    site.expect(&["L1 calls 101 (expected)"]);
    site.answers(1);
    site.expect(&["L1 hears Ringback", "L2 calls 102"]);
    site.answers(2);
    site.expect(&["L1-L2 talk"]);
    site.command(Command::EndCall { call }).unwrap();
    site.expect(&[
        "L1-L2 parted",
        "L1 ends: ended_by_operator",
        "record of L1: answered ended_by_operator",
        "L2 ends: ended_by_operator",
        "record of L2: answered ended_by_operator",
    ]);
    assert_eq!(
        site.command(Command::EndCall { call }),
        Err(CommandError::NoSuchCall)
    );
}

#[test]
fn a_call_by_command_that_is_not_answered_ends() {
    let mut site = Site::new(plan().build());
    let dial = |from, to| Command::Dial {
        from: number(from),
        to: number(to),
        priority: None,
    };
    site.command(dial("101", "102")).unwrap();
    site.wait(15 * SECOND);
    site.expect(&[
        "L1 calls 101 (expected)",
        "L1 ends: no_answer",
        "record of L1: no_answer no_answer",
    ]);
    assert_eq!(
        site.command(dial("999", "102")),
        Err(CommandError::NoSuchAddress)
    );
    assert_eq!(
        site.command(dial("101", "999")),
        Err(CommandError::NoSuchAddress)
    );
    assert_eq!(
        site.command(dial("500", "101")),
        Err(CommandError::NotASingleDevice)
    );
    site.arrives("101", "102");
    assert_eq!(
        site.command(dial("101", "103")),
        Err(CommandError::StationBusy)
    );
}

#[test]
fn a_station_of_which_nothing_is_known_is_never_shown_as_idle() {
    let mut site = Site::new(plan().build());
    site.expect_station("101", "unknown");
    site.seen(&["101"]);
    site.expect_station("101", "idle");
    site.input(Input::StationLost {
        station: station("101"),
    });
    site.expect_station("101", "unknown");
    let (id, faults) = (station("101"), Faults::LINE_OPEN);
    site.input(Input::StationFaults {
        station: id,
        faults,
    });
    site.expect_station("101", "out_of_service");
    site.arrives("102", "101");
    site.expect(&[
        "L1 is refused: out_of_service",
        "record of L1: unreachable out_of_service",
    ]);
    site.input(Input::StationFaults {
        station: id,
        faults: Faults::NONE,
    });
    site.expect_station("101", "unknown");
}

#[test]
fn who_may_not_hide_cannot() {
    let plan = plan().change("102", |s| s.privacy = PrivacyRight::Forbidden);
    let mut site = Site::new(plan.build());
    site.seen(&["102"]);
    site.input(Input::SetPrivacy {
        station: station("102"),
        privacy: Privacy::On,
    });
    site.expect_station("102", "idle");
}

#[test]
fn time_that_runs_backwards_is_not_believed() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.wait(20 * SECOND);
    site.skip();
    site.now -= 15 * SECOND;
    site.rings(2);
    site.now += 15 * SECOND;
    site.wait(10 * SECOND);
    site.expect(&[
        "L1 is shown ringing",
        "L2 ends: no_answer",
        "record of L2: no_answer no_answer",
        "L1 is refused: no_answer",
        "record of L1: no_answer no_answer",
    ]);
}

#[test]
fn a_clock_set_during_a_call_does_not_bend_its_record() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.answers(2);
    site.wait(30 * SECOND);
    site.input(Input::ClockSet(model::Timestamp::from_unix_ms(1_000)));
    site.hangs_up(1);
    let records = site.outputs.iter().filter_map(|o| match o {
        Output::Record(record) => Some(record),
        _ => None,
    });
    for record in records {
        assert_eq!(record.ended.unix_ms() - record.started.unix_ms(), 30_000);
        assert_eq!(record.talked_for, Duration::from_secs(30));
    }
}

#[test]
fn after_a_busy_hour_nothing_is_left() {
    let mut site = Site::new(plan().build());
    for _ in 0..200 {
        let caller = site.arrives("101", "500").get();
        site.answers(caller + 1);
        site.hangs_up(caller);
        site.skip();
    }
    assert_eq!(site.engine.gauges(), calls::Gauges::default());
    assert_eq!(site.engine.counters().answered, 400);
}
