//! Forwarding: always, busy, no answer, unreachable, by schedule; and never in a circle (C6).

use std::sync::Arc;

use calls::Input;
use model::{DayPeriod, EndCause, ForwardWhen, Schedule, Weekdays};

use crate::support::directory::stations;
use crate::support::{NOON, SECOND, Site, station};

const ALL: [&str; 5] = ["101", "102", "103", "104", "105"];

#[test]
fn always_means_that_the_station_never_rings() {
    let mut site = Site::new(
        stations(&ALL)
            .forward("102", ForwardWhen::Always, "103")
            .build(),
    );
    site.arrives("101", "102");
    site.expect(&["L2 calls 103", "L1 is shown trying"]);
    site.expect_events(&["forwarded to 103 (Always)"]);
}

#[test]
fn busy_and_refused_calls_go_on() {
    let plan = stations(&ALL).forward("102", ForwardWhen::Busy, "103");
    let mut site = Site::new(plan.build());
    site.arrives("104", "102");
    site.answers(2);
    site.skip();
    site.arrives("101", "102");
    site.expect(&["L4 calls 103", "L3 is shown trying"]);
    site.hangs_up(1);
    site.skip();
    // The station itself says busy: the same.
    site.arrives("105", "102");
    site.refuses(6, EndCause::Busy);
    site.expect(&[
        "L6 calls 102",
        "L5 is shown trying",
        "record of L6: busy busy",
        "L5 is refused: busy",
        "record of L5: busy busy",
    ]);
    site.hangs_up(4);
    site.skip();
    site.arrives("105", "102");
    site.refuses(8, EndCause::Busy);
    site.expect(&[
        "L8 calls 102",
        "L7 is shown trying",
        "record of L8: busy busy",
        "L9 calls 103",
    ]);
}

#[test]
fn a_chain_of_no_answers_is_followed_with_the_time_of_each_rule() {
    let after = |seconds| ForwardWhen::NoAnswer {
        after: seconds * SECOND,
    };
    let plan = stations(&ALL)
        .forward("102", after(10), "103")
        .forward("103", after(20), "104");
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.skip();
    site.wait(10 * SECOND);
    site.expect(&[
        "L2 ends: no_answer",
        "record of L2: no_answer no_answer",
        "L3 calls 103",
    ]);
    site.wait(20 * SECOND);
    site.expect(&[
        "L3 ends: no_answer",
        "record of L3: no_answer no_answer",
        "L4 calls 104",
    ]);
    site.rings(4);
    site.answers(4);
    site.expect(&["L1 is shown ringing", "L1 is answered", "L1-L4 talk"]);
}

#[test]
fn a_station_that_is_not_there_is_stood_in_for() {
    let plan = stations(&ALL).forward("102", ForwardWhen::Unreachable, "103");
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.refuses(2, EndCause::Unreachable);
    site.expect(&[
        "L2 calls 102",
        "L1 is shown trying",
        "record of L2: unreachable unreachable",
        "L3 calls 103",
    ]);
    site.hangs_up(1);
    site.skip();
    // Once it is known to be lost, it is not even tried.
    site.input(Input::StationLost {
        station: station("102"),
    });
    site.arrives("101", "102");
    site.expect(&["L5 calls 103", "L4 is shown trying"]);
}

#[test]
fn a_lost_station_without_a_rule_is_tried_all_the_same() {
    let mut site = Site::new(stations(&ALL).build());
    site.input(Input::StationLost {
        station: station("102"),
    });
    site.arrives("101", "102");
    site.expect(&["L2 calls 102", "L1 is shown trying"]);
}

#[test]
fn a_rule_holds_at_its_times_in_the_zone_of_the_site() {
    let plan = stations(&ALL)
        .forward("102", ForwardWhen::Always, "103")
        .change("102", |s| {
            s.forwarding[0].schedule = Some(Schedule {
                weekdays: Weekdays::parse("mon-fri").unwrap(),
                dates: None,
                period: Some(DayPeriod::parse("18:00", "07:00").unwrap()),
            });
        });
    let mut lists = plan.0;
    lists.site = model::Site::in_zone("Europe/Vienna").unwrap();
    let mut site = Site::new(model::Directory::build(lists).unwrap());
    site.arrives("101", "102");
    site.expect(&["L2 calls 102", "L1 is shown trying"]);
    site.hangs_up(1);
    site.skip();
    site.wait(6 * 3_600 * SECOND);
    site.arrives("101", "102");
    site.expect(&["L4 calls 103", "L3 is shown trying"]);
    site.hangs_up(3);
    site.skip();
    // The clock is corrected back into the day.
    site.input(Input::ClockSet(NOON));
    site.arrives("101", "102");
    site.expect(&["L6 calls 102", "L5 is shown trying"]);
}

#[test]
fn two_that_stand_in_for_each_other_are_both_tried_once() {
    let after = ForwardWhen::NoAnswer { after: 10 * SECOND };
    let plan = stations(&ALL)
        .forward("102", after, "103")
        .forward("103", after, "102");
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.wait(10 * SECOND);
    site.skip();
    site.wait(10 * SECOND);
    site.expect(&[
        "L3 ends: no_answer",
        "record of L3: no_answer no_answer",
        "L1 is refused: forwarding_loop",
        "record of L1: refused forwarding_loop",
    ]);
    assert_eq!(site.engine.counters().forwarding_loops, 1);
}

#[test]
fn a_circle_that_only_a_schedule_closes_ends_at_once() {
    let always = |from: &str, to: &str, plan: crate::support::directory::Plan| {
        plan.forward(from, ForwardWhen::Always, to)
            .change(from, |s| s.forwarding[0].schedule = Some(Schedule::ALWAYS))
    };
    let plan = always(
        "104",
        "102",
        always("103", "104", always("102", "103", stations(&ALL))),
    );
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.expect(&[
        "L1 is refused: forwarding_loop",
        "record of L1: refused forwarding_loop",
    ]);
}

#[test]
fn a_group_does_not_follow_the_forwardings_of_its_members() {
    let plan = stations(&ALL)
        .forward("102", ForwardWhen::Always, "104")
        .group("500", &["102", "103"]);
    let mut site = Site::new(plan.build());
    site.arrives("101", "500");
    site.expect(&["L2 calls 102", "L3 calls 103", "L1 is shown trying"]);
}

#[test]
fn a_new_directory_decides_about_the_next_step_of_a_ringing_call() {
    let after = ForwardWhen::NoAnswer { after: 10 * SECOND };
    let mut site = Site::new(stations(&ALL).forward("102", after, "103").build());
    site.arrives("101", "102");
    site.skip();
    let other = stations(&ALL).forward("102", after, "104").build();
    site.input(Input::DirectoryChanged(Arc::new(other)));
    site.wait(10 * SECOND);
    site.expect(&[
        "L2 ends: no_answer",
        "record of L2: no_answer no_answer",
        "L3 calls 104",
    ]);
}

#[test]
fn a_diversion_at_the_device_counts_like_a_rule_and_cannot_go_in_circles() {
    let redirects = |site: &mut Site, leg, to| {
        let (leg, to) = (model::LegId::new(leg), crate::support::number(to));
        site.input(Input::LegRedirected { leg, to });
    };
    let mut site = Site::new(stations(&ALL).build());
    site.arrives("101", "102");
    site.skip();
    redirects(&mut site, 2, "103");
    site.expect(&["record of L2: cancelled transferred", "L3 calls 103"]);
    redirects(&mut site, 3, "102");
    site.expect(&[
        "record of L3: cancelled transferred",
        "L1 is refused: forwarding_loop",
        "record of L1: refused forwarding_loop",
    ]);
}

#[test]
fn where_several_ring_one_does_not_lead_the_call_away() {
    let mut site = Site::new(stations(&ALL).group("500", &["102", "103"]).build());
    site.arrives("101", "500");
    site.skip();
    let (leg, to) = (model::LegId::new(2), crate::support::number("104"));
    site.input(Input::LegRedirected { leg, to });
    site.expect(&["record of L2: declined declined"]);
    site.answers(3);
    site.expect(&["L1 is answered", "L1-L3 talk"]);
}
