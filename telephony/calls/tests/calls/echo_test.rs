//! The echo test: whoever calls its number hears themselves.

use calls::Input;
use model::LegId;

use crate::support::directory::stations;
use crate::support::{SECOND, Site, digits};

const ONE: LegId = LegId::new(1);

fn site() -> Site {
    let mut plan = stations(&["101", "102"]);
    plan.0.site.echo_test = Some(digits("199"));
    let mut site = Site::new(plan.build());
    site.seen(&["101", "102"]);
    site
}

#[test]
fn who_calls_it_hears_a_sign_and_then_itself() {
    let mut site = site();
    site.arrives("101", "199");
    site.expect(&["L1 is answered", "L1 hears itself", "L1 hears EchoTest"]);
    site.expect_station("101", "in_call");
    site.hangs_up(1);
    site.expect(&["L1 out of the room", "record of L1: answered hung_up"]);
    site.expect_quiet();
}

#[test]
fn two_who_test_do_not_meet() {
    let mut site = site();
    site.arrives("101", "199");
    site.arrives("102", "199");
    assert_eq!(site.engine.gauges().calls, 2);
    site.hangs_up(1);
    site.hangs_up(2);
    site.expect_quiet();
}

#[test]
fn it_has_a_limit_like_any_call_c8() {
    let mut site = site();
    site.arrives("101", "199");
    site.skip();
    site.wait(570 * SECOND);
    site.expect(&["L1 hears LimitWarning"]);
    site.wait(30 * SECOND);
    site.expect(&[
        "L1 out of the room",
        "L1 ends: time_limit",
        "record of L1: answered time_limit",
    ]);
}

#[test]
fn who_holds_it_hears_nothing_for_that_time() {
    let mut site = site();
    site.arrives("101", "199");
    site.skip();
    site.input(Input::LegHeld { leg: ONE });
    site.expect(&["L1 out of the room"]);
    site.input(Input::LegResumed { leg: ONE });
    site.expect(&["L1 hears itself"]);
}
