//! Hold, resume, and a second call that waits (C2).

use calls::Input;
use model::{BusyPolicy, LegId};

use crate::support::Site;
use crate::support::directory::{Plan, stations};

fn plan() -> Plan {
    stations(&["101", "102", "103", "104", "105"])
        .change("102", |s| s.busy = BusyPolicy::Wait { up_to: 2 })
}

#[test]
fn hold_parts_the_two_and_resume_joins_them_again() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.input(Input::LegHeld { leg: LegId::new(2) });
    site.expect(&["L1-L2 parted", "L1 hears Hold"]);
    site.input(Input::LegHeld { leg: LegId::new(2) });
    site.expect(&[]);
    site.input(Input::LegResumed { leg: LegId::new(2) });
    site.expect(&["L1-L2 talk"]);
}

#[test]
fn when_both_hold_both_must_resume() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.answers(2);
    site.input(Input::LegHeld { leg: LegId::new(2) });
    site.skip();
    site.input(Input::LegHeld { leg: LegId::new(1) });
    site.expect(&[]);
    site.input(Input::LegResumed { leg: LegId::new(2) });
    site.expect(&["L2 hears Hold"]);
    site.input(Input::LegResumed { leg: LegId::new(1) });
    site.expect(&["L1-L2 talk"]);
}

#[test]
fn a_call_on_hold_can_end() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.answers(2);
    site.input(Input::LegHeld { leg: LegId::new(1) });
    site.skip();
    site.hangs_up(2);
    site.expect(&[
        "record of L2: answered hung_up",
        "L1 ends: hung_up",
        "record of L1: answered hung_up",
    ]);
}

#[test]
fn a_second_call_waits_and_taking_it_holds_the_first_c2() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.arrives("103", "102");
    site.expect(&["L4 calls 102 (waiting)", "L3 is shown trying"]);
    site.answers(4);
    site.expect(&[
        "L1-L2 parted",
        "L1 hears Hold",
        "L3 is answered",
        "L3-L4 talk",
    ]);
    site.hangs_up(3);
    site.skip();
    site.input(Input::LegResumed { leg: LegId::new(2) });
    site.expect(&["L1-L2 talk"]);
}

#[test]
fn no_more_calls_wait_than_the_station_lists() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.answers(2);
    site.arrives("103", "102");
    site.arrives("104", "102");
    site.skip();
    site.arrives("105", "102");
    site.expect(&["L7 is refused: busy", "record of L7: busy busy"]);
}
