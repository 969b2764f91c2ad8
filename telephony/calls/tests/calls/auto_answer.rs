//! Which stations open by themselves, and for whom.

use model::{AutoAnswer, BusyPolicy, Priority};

use crate::support::directory::stations;
use crate::support::{Site, number};

#[test]
fn the_band_and_the_right_decide_together() {
    use AutoAnswer::{Always, ByPriority, From, Never};
    let from_101 = From(vec![number("101")]);
    let check = |right: &AutoAnswer, priority: u64, opens: bool| {
        let plan = stations(&["101", "102"])
            .change("101", |s| s.priority = Priority::new(priority).unwrap())
            .change("102", |s| s.auto_answer = right.clone());
        let mut site = Site::new(plan.build());
        site.arrives("101", "102");
        let call = if opens {
            "L2 calls 102 (opens)"
        } else {
            "L2 calls 102"
        };
        site.expect(&[call, "L1 is shown trying"]);
    };
    for (right, alarm, high, normal, low) in [
        (&Never, false, false, false, false),
        (&ByPriority, true, true, false, false),
        (&from_101, true, true, true, false),
        (&From(vec![number("102")]), true, true, false, false),
        (&Always, true, true, true, false),
    ] {
        check(right, 10, alarm);
        check(right, 30, high);
        check(right, 70, normal);
        check(right, 150, low);
    }
}

#[test]
fn a_high_call_does_not_open_a_station_in_a_call() {
    let plan = stations(&["101", "102", "103"])
        .change("103", |s| s.priority = Priority::new(30).unwrap())
        .change("102", |s| s.busy = BusyPolicy::Wait { up_to: 1 });
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.arrives("103", "102");
    site.expect(&["L4 calls 102 (waiting)", "L3 is shown trying"]);
}
