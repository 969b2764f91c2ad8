//! Two talk with each other.

use calls::Input;
use model::{EndCause, LegId};

use crate::support::directory::stations;
use crate::support::{SECOND, Site};

#[test]
fn one_calls_the_other_answers_and_one_hangs_up() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.seen(&["101", "102"]);
    site.arrives("101", "102");
    site.expect(&["L2 calls 102", "L1 is shown trying"]);
    site.expect_station("102", "ringing");
    site.rings(2);
    site.expect(&["L1 is shown ringing"]);
    site.wait(3 * SECOND);
    site.answers(2);
    site.expect(&["L1 is answered", "L1-L2 talk"]);
    site.expect_station("101", "in_call");
    site.wait(60 * SECOND);
    site.hangs_up(1);
    site.expect(&[
        "L1-L2 parted",
        "record of L1: answered hung_up",
        "L2 ends: hung_up",
        "record of L2: answered hung_up",
    ]);
    site.expect_station("101", "idle");
    site.expect_quiet();
}

#[test]
fn a_record_tells_who_when_and_how_long() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.wait(4 * SECOND);
    site.answers(2);
    site.wait(60 * SECOND);
    site.hangs_up(2);
    let records = site.outputs.iter().filter_map(|o| match o {
        calls::Output::Record(record) => Some(record),
        _ => None,
    });
    for record in records {
        assert_eq!(
            (record.rang_for, record.talked_for),
            (4 * SECOND, 60 * SECOND)
        );
        let answered = record.answered.unwrap();
        assert_eq!(answered.unix_ms() - record.started.unix_ms(), 4_000);
        assert_eq!(record.ended.unix_ms() - answered.unix_ms(), 60_000);
        assert!(record.talked_with.is_some());
    }
}

#[test]
fn a_busy_station_refuses_and_says_so() {
    let mut site = Site::new(stations(&["101", "102", "103"]).build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.arrives("103", "102");
    site.expect(&["L3 is refused: busy", "record of L3: busy busy"]);
}

#[test]
fn the_wrong_number_and_the_wrong_caller_are_refused() {
    let mut site = Site::new(stations(&["101"]).build());
    site.arrives("101", "999");
    site.expect(&[
        "L1 is refused: unknown_number",
        "record of L1: refused unknown_number",
    ]);
    site.arrives("777", "101");
    site.expect(&[
        "L2 is refused: not_allowed",
        "record of L2: refused not_allowed",
    ]);
    site.arrives("101", "101");
    site.skip();
    site.expect_quiet();
}

#[test]
fn a_leg_that_arrives_twice_or_with_a_foreign_id_changes_nothing() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    let leg = LegId::new(4_000);
    let arrival = calls::Arrival {
        leg,
        from: calls::Origin::Station(crate::support::station("101")),
        dialled: crate::support::number("102"),
        priority: None,
        video: calls::Video::None,
    };
    site.engine.handle(Input::LegArrived(arrival), site.now);
    assert_eq!(site.engine.gauges().legs, 0);
    assert_eq!(site.engine.counters().unfit_inputs, 1);
    site.input(Input::LegEnded {
        leg,
        cause: EndCause::HungUp,
    });
    assert_eq!(site.engine.counters().stale_inputs, 1);
}
