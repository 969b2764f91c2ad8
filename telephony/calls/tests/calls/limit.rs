//! A conversation lasts at most ten minutes (C8).

use calls::Input;
use model::LegId;

use crate::support::directory::stations;
use crate::support::{SECOND, Site};

#[test]
fn both_are_warned_half_a_minute_before_the_end() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.wait(20 * SECOND);
    site.answers(2);
    site.skip();
    site.wait(570 * SECOND - SECOND / 1_000);
    site.expect(&[]);
    site.wait(SECOND / 1_000);
    site.expect(&["L1 hears LimitWarning", "L2 hears LimitWarning"]);
    site.wait(30 * SECOND);
    site.expect(&[
        "L1-L2 parted",
        "L1 ends: time_limit",
        "record of L1: answered time_limit",
        "L2 ends: time_limit",
        "record of L2: answered time_limit",
    ]);
}

#[test]
fn hold_does_not_stop_the_clock() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.answers(2);
    site.wait(300 * SECOND);
    site.input(Input::LegHeld { leg: LegId::new(1) });
    site.wait(299 * SECOND);
    assert_eq!(site.engine.gauges().calls, 1);
    site.wait(SECOND);
    site.expect_quiet();
}

#[test]
fn the_limit_does_not_outlive_the_call() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.answers(2);
    site.hangs_up(1);
    assert_eq!(site.engine.gauges(), calls::Gauges::default());
}
