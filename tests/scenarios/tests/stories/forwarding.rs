//! C6: forwarding rules, in the site's own time zone.

use model::{DateRange, DayPeriod, ForwardWhen, Schedule, Weekdays};
use scenarios::clock::{HOUR, SECOND};
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

use crate::{goodbye, talk};

const ALL: [&str; 3] = ["101", "102", "103"];

/// Who rings when 101 calls 102, at so many hours past noon of a Monday in Vienna.
fn rings_at(site: &Site, hours: u32) -> &'static str {
    let mut world = World::of(site, &ALL);
    world.wait(HOUR * hours);
    world.skip();
    world.dial("101", "102");
    world.wait(SECOND);
    let rang = ["102", "103"]
        .into_iter()
        .find(|number| !world.phone(number).log().is_empty());
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    world.expect_nothing_left();
    rang.unwrap_or("nobody")
}

#[test]
fn c6_a_rule_for_the_evenings_of_working_days_holds_then_and_only_then() {
    let evenings = Schedule {
        weekdays: Weekdays::parse("mon-fri").unwrap(),
        dates: None,
        period: Some(DayPeriod::parse("18:00", "06:00").unwrap()),
    };
    let site = Site::of(&ALL).forward_on("102", evenings, "103");
    assert_eq!(rings_at(&site, 0), "102", "noon");
    assert_eq!(rings_at(&site, 7), "103", "Monday evening");
    assert_eq!(rings_at(&site, 17), "103", "Tuesday, five in the morning");
    assert_eq!(rings_at(&site, 19), "102", "Tuesday, seven in the morning");
    // Saturday, seven in the evening.
    assert_eq!(rings_at(&site, 24 * 5 + 7), "102");
}

#[test]
fn c6_a_rule_for_a_date_holds_on_that_date() {
    let holiday = Schedule {
        dates: Some(DateRange::parse("2026-01-06", "2026-01-06").unwrap()),
        ..Schedule::ALWAYS
    };
    let site = Site::of(&ALL).forward_on("102", holiday, "103");
    assert_eq!(rings_at(&site, 11), "102", "an hour before midnight");
    assert_eq!(rings_at(&site, 13), "103", "an hour after");
    assert_eq!(rings_at(&site, 37), "102", "a day later");
}

#[test]
fn c6_who_is_busy_or_does_not_answer_or_is_away_is_forwarded() {
    let site = Site::of(&["101", "102", "103", "104"])
        .forward("102", ForwardWhen::Busy, "103")
        .forward("102", ForwardWhen::NoAnswer { after: 10 * SECOND }, "103")
        .forward("102", ForwardWhen::Unreachable, "103");
    let mut world = World::of(&site, &["101", "102", "103", "104"]);
    world.dial("101", "102");
    world.wait(9 * SECOND);
    world.expect("103", &[]);
    world.wait(2 * SECOND);
    world.expect(
        "102",
        &["rings: 101", "over: cancelled (No answer from user)"],
    );
    world.expect("103", &["rings: 101"]);
    world.act("103", Act::Answer);
    world.wait(SECOND);
    world.expect_talk("101", "103", "G722");
    goodbye(&mut world, &["101"]);

    world.skip();
    talk(&mut world, "104", "102");
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("103", &["rings: 101"]);
    world.expect("102", &[]);
    goodbye(&mut world, &["101", "104"]);

    world.skip();
    world.unregister("102");
    world.wait(SECOND);
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("103", &["rings: 101"]);
    goodbye(&mut world, &["101"]);
}

#[test]
fn c6_rules_that_lead_in_a_circle_end() {
    let site = Site::of(&ALL)
        .forward("102", ForwardWhen::Busy, "103")
        .forward("103", ForwardWhen::Busy, "102");
    let mut world = World::of(&site, &ALL);
    talk(&mut world, "102", "103");
    world.dial("101", "102");
    world.wait(SECOND);
    let log = world.phone_mut("101").take_log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("refused"), "{log:?}");
    goodbye(&mut world, &["102"]);
}
