//! One station, two devices: the second takes over what the first one has (RFC 3891).

use model::LegId;

use crate::support::directory::stations;
use crate::support::{SECOND, Site};

const FIRST: LegId = LegId::new(1);
const SECOND_LEG: LegId = LegId::new(2);

/// 101 calls 102 (L1, L2), which rings.
fn ringing() -> Site {
    let plan = stations(&["101", "102", "103"])
        .group("500", &["102", "103"])
        .conference("520", &["103"]);
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.rings(2);
    site.skip();
    site
}

fn talking() -> Site {
    let mut site = ringing();
    site.answers(2);
    site.skip();
    site
}

#[test]
fn what_rings_at_one_device_is_answered_at_another() {
    let mut site = ringing();
    site.takes_over("102", SECOND_LEG).unwrap();
    site.expect(&[
        "L1 is answered",
        "L3 is answered",
        "L1-L3 talk",
        "L2 ends: answered_elsewhere",
        "record of L2: answered_elsewhere answered_elsewhere",
    ]);
    site.hangs_up(3);
    site.skip();
    site.expect_quiet();
}

#[test]
fn a_conversation_goes_on_at_another_device_of_the_caller_or_of_the_called() {
    let mut site = talking();
    site.takes_over("102", SECOND_LEG).unwrap();
    site.expect(&[
        "L1-L2 parted",
        "L2 ends: transferred",
        "record of L2: answered transferred",
        "L3 is answered",
        "L3-L1 talk",
    ]);
    site.takes_over("101", FIRST).unwrap();
    site.expect(&[
        "L3-L1 parted",
        "L1 ends: transferred",
        "record of L1: answered transferred",
        "L4 is answered",
        "L4-L3 talk",
    ]);
}

/// C8: ten minutes are ten minutes, however often the device changes.
#[test]
fn the_limit_stays_that_of_the_conversation() {
    let mut site = talking();
    site.wait(300 * SECOND);
    site.takes_over("102", SECOND_LEG).unwrap();
    site.skip();
    site.wait(300 * SECOND);
    let log = site.take_log();
    assert!(log.contains(&"L1 ends: time_limit".to_owned()), "{log:?}");
    site.expect_quiet();
}

#[test]
fn nobody_takes_over_what_is_another_ones() {
    let mut site = talking();
    assert_eq!(site.takes_over("103", SECOND_LEG), None);
    assert_eq!(site.takes_over("101", SECOND_LEG), None);
    assert_eq!(site.takes_over("102", LegId::new(99)), None);
    site.hangs_up(1);
    site.skip();
    assert_eq!(site.takes_over("102", SECOND_LEG), None);
}

#[test]
fn a_caller_who_waits_and_a_member_of_a_room_are_not_taken_over() {
    let mut site = ringing();
    assert_eq!(site.takes_over("101", FIRST), None);
    let member = site.arrives("103", "520");
    site.skip();
    assert_eq!(site.takes_over("103", member), None);
}
