//! Alarms connect at once, make their way, and always find somebody.

use calls::{Config, Input, Privacy};
use model::{AutoAnswer, EndCause, Priority};

use crate::support::directory::{Plan, stations};
use crate::support::{SECOND, Site, number, station};

fn plan() -> Plan {
    stations(&["101", "102", "103", "104", "105", "106"])
        .change("105", |s| s.priority = Priority::DEFAULT_ALARM)
        .change("106", |s| s.priority = Priority::DEFAULT_ALARM)
        .group("500", &["102", "103"])
        .escalation(&["103", "500"])
}

#[test]
fn an_alarm_opens_the_station_and_is_announced() {
    let mut site = Site::new(plan().build());
    site.arrives("105", "102");
    site.expect(&["L2 calls 102 (opens)", "L1 is shown trying"]);
    site.answers(2);
    site.expect(&["L1 is answered", "L2 hears Announce", "L1-L2 talk"]);
}

#[test]
fn an_alarm_ends_a_lesser_call_and_takes_its_place() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.arrives("105", "102");
    site.expect(&[
        "L1-L2 parted",
        "L2 ends: pre_empted",
        "record of L2: answered pre_empted",
        "L1 ends: pre_empted",
        "record of L1: answered pre_empted",
        "L4 calls 102 (opens)",
        "L3 is shown trying",
    ]);
    site.expect_events(&["pre-empted"]);
}

#[test]
fn an_alarm_does_not_end_an_alarm_but_goes_on_to_somebody_else() {
    let mut site = Site::new(plan().build());
    site.arrives("105", "102");
    site.answers(2);
    site.skip();
    site.arrives("106", "102");
    site.expect(&["L3 is shown ringing", "L4 calls 103 (opens)"]);
    site.expect_events(&["alarm goes on to 103"]);
}

#[test]
fn an_alarm_that_nobody_answers_goes_round_until_somebody_does() {
    let mut site = Site::new(plan().build());
    site.arrives("105", "102");
    site.skip();
    site.wait(30 * SECOND);
    site.expect(&[
        "L2 ends: no_answer",
        "record of L2: no_answer no_answer",
        "L1 is shown ringing",
        "L3 calls 103 (opens)",
    ]);
    site.wait(20 * SECOND);
    site.expect(&[
        "L3 ends: no_answer",
        "record of L3: no_answer no_answer",
        "L1 is shown ringing",
        "L4 calls 102",
        "L5 calls 103",
    ]);
    // The list is through: a pause, and round again.
    site.refuses(4, EndCause::Unreachable);
    site.refuses(5, EndCause::Unreachable);
    site.skip();
    site.wait(5 * SECOND);
    site.expect(&["L1 is shown ringing", "L6 calls 103 (opens)"]);
    site.wait(3_600 * SECOND);
    assert_eq!(site.engine.gauges().calls, 1);
    site.hangs_up(1);
    site.expect_quiet();
}

#[test]
fn without_a_list_an_alarm_tries_again_where_it_wanted_to_go() {
    let plan = stations(&["101", "102"]).change("101", |s| s.priority = Priority::DEFAULT_ALARM);
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.refuses(2, EndCause::Unreachable);
    site.skip();
    site.wait(5 * SECOND);
    site.expect(&["L1 is shown ringing", "L3 calls 102 (opens)"]);
    site.hangs_up(1);
    site.expect_quiet();
    site.wait(60 * SECOND);
    assert_eq!(site.engine.gauges(), calls::Gauges::default());
}

#[test]
fn an_alarm_to_a_wrong_number_finds_somebody_too() {
    let mut site = Site::new(plan().build());
    site.arrives("105", "999");
    site.expect(&["L1 is shown ringing", "L2 calls 103 (opens)"]);
}

#[test]
fn an_alarm_to_a_group_rings_and_a_human_answers() {
    let mut site = Site::new(plan().build());
    site.arrives("105", "500");
    site.expect(&["L2 calls 102", "L3 calls 103", "L1 is shown trying"]);
}

#[test]
fn when_all_of_a_group_talk_the_least_urgent_makes_way() {
    let urgent = Some(Priority::new(45).unwrap());
    let plan = plan().change("104", |s| s.priority = Priority::new(45).unwrap());
    let mut site = Site::new(plan.build());
    let origin = calls::Origin::Station(station("104"));
    site.arrives_with(origin, number("102"), urgent);
    site.answers(2);
    site.arrives("101", "103");
    site.answers(4);
    site.skip();
    site.arrives("105", "500");
    site.expect(&[
        "L3-L4 parted",
        "L4 ends: pre_empted",
        "record of L4: answered pre_empted",
        "L3 ends: pre_empted",
        "record of L3: answered pre_empted",
        "L6 calls 103",
        "L5 is shown trying",
    ]);
}

#[test]
fn a_ringing_station_is_freed_for_an_alarm() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "500");
    site.skip();
    site.arrives("105", "103");
    site.expect(&[
        "L3 ends: pre_empted",
        "record of L3: busy pre_empted",
        "L5 calls 103 (opens)",
        "L4 is shown trying",
    ]);
    site.answers(2);
    site.expect(&["L1 is answered", "L1-L2 talk"]);
}

#[test]
fn privacy_is_for_lesser_calls() {
    let mut site = Site::new(plan().build());
    site.seen(&["102"]);
    site.input(Input::SetPrivacy {
        station: station("102"),
        privacy: Privacy::On,
    });
    site.expect_station("102", "privacy");
    site.arrives("101", "102");
    site.expect(&["L1 is refused: privacy", "record of L1: declined privacy"]);
    site.arrives("105", "102");
    site.expect(&["L3 calls 102 (opens)", "L2 is shown trying"]);
}

#[test]
fn a_station_whose_microphone_nobody_may_open_rings_even_for_an_alarm() {
    let plan = plan().change("102", |s| s.auto_answer = AutoAnswer::Never);
    let mut site = Site::new(plan.build());
    site.arrives("105", "102");
    site.expect(&["L2 calls 102", "L1 is shown trying"]);
}

#[test]
fn nobody_is_more_urgent_than_is_their_right() {
    let mut site = Site::new(plan().build());
    site.alarm("101", "102");
    let outside = calls::Origin::Outside {
        address: None,
        name: Default::default(),
    };
    site.arrives_with(outside, number("103"), Some(Priority::MOST_URGENT));
    let priorities: Vec<u8> = site.engine.calls().map(|c| c.priority.get()).collect();
    assert_eq!(priorities, [70, 41]);
}

#[test]
fn load_never_refuses_an_alarm() {
    let config = Config {
        max_calls: 2,
        alarm_reserve: 1,
        ..Config::default()
    };
    let mut site = Site::with(config, plan().build());
    site.arrives("101", "102");
    site.arrives("103", "104");
    site.skip();
    site.arrives("102", "104");
    site.expect(&["L5 is refused: overload", "record of L5: refused overload"]);
    site.arrives("105", "106");
    site.skip();
    // The reserve is used up: the youngest of the least urgent calls makes room.
    site.arrives("106", "101");
    site.expect(&[
        "L3 is refused: pre_empted",
        "record of L3: busy pre_empted",
        "L4 ends: pre_empted",
        "record of L4: busy pre_empted",
        "L1 is refused: pre_empted",
        "record of L1: busy pre_empted",
        "L2 ends: pre_empted",
        "record of L2: busy pre_empted",
        "L9 calls 101 (opens)",
        "L8 is shown trying",
    ]);
}
