//! Doors: permission, at most once, validity, and what may be called "opened" (C4).

use calls::{DoorReply, OpenDoor};
use model::{
    Address, Authority, BusyPolicy, CloudUserId, DoorDenial, DoorId, Feedback, InCallRight, LegId,
};

use crate::support::directory::{Plan, stations};
use crate::support::{SECOND, Site, number, station};

fn plan() -> Plan {
    stations(&["101", "102", "103"])
        .door("101", "front", Some("12"))
        .change_door("front", |d| d.feedback = Feedback::Contact { input: 1 })
        .door("101", "gate", Some("5"))
        .change("103", |s| s.may_open = vec![DoorId::from_key("gate")])
        .change("102", |s| s.busy = BusyPolicy::Wait { up_to: 3 })
}

/// The door station 101 (L1) talks with 102 (L2).
fn talking(plan: Plan) -> Site {
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site
}

#[test]
fn the_code_opens_during_the_call_and_the_contact_confirms() {
    let mut site = talking(plan());
    site.dials(2, "1");
    site.expect(&[]);
    site.wait(SECOND);
    site.dials(2, "2");
    site.expect(&["pulse of 3000 ms", "L2 hears DoorSent"]);
    site.door_says(DoorReply::Sent);
    site.expect(&[]);
    site.wait(SECOND);
    site.door_says(DoorReply::Opened);
    site.expect(&["door record: Opened"]);
    site.wait(10 * SECOND);
    site.expect(&[]);
}

#[test]
fn without_a_confirmation_it_was_sent_and_no_more() {
    let mut site = talking(plan());
    site.dials(2, "12");
    site.skip();
    let silent = site.now;
    site.wait(2 * SECOND);
    assert_eq!(site.now, silent + 2 * SECOND);
    site.expect(&["door record: SentNotConfirmed"]);
    // A door without feedback is concluded as soon as the command is out.
    site.dials(2, "5");
    site.skip();
}

#[test]
fn a_door_without_feedback_is_concluded_when_the_command_is_out() {
    let mut site = talking(plan());
    site.dials(2, "5");
    site.door_says(DoorReply::Sent);
    site.expect(&[
        "pulse of 3000 ms",
        "L2 hears DoorSent",
        "door record: SentNotConfirmed",
    ]);
    // A late confirmation does not make a second record.
    site.door_says(DoorReply::Opened);
    site.expect(&[]);
}

#[test]
fn digits_that_come_too_slowly_are_not_a_code() {
    let mut site = talking(plan());
    site.dials(2, "1");
    site.wait(3 * SECOND);
    site.dials(2, "2");
    site.expect(&[]);
    site.dials(2, "12");
    site.expect(&["pulse of 3000 ms", "L2 hears DoorSent"]);
}

#[test]
fn nobody_can_try_all_codes_in_one_call() {
    let mut site = talking(plan());
    site.dials(2, "99999");
    site.expect_events(&["codes of L2 locked"]);
    site.dials(2, "12");
    site.expect(&[]);
    assert_eq!(site.engine.counters().door_codes_wrong, 5);
}

#[test]
fn the_door_station_cannot_let_itself_in_and_the_visitor_neither() {
    let mut site = talking(plan());
    site.dials(1, "12");
    site.expect(&["L2 gets digit 1", "L2 gets digit 2"]);
}

#[test]
fn a_station_with_two_legs_in_one_conversation_does_not_let_itself_in() {
    let mut site = Site::new(plan().conference("520", &[]).build());
    site.arrives("101", "520");
    site.arrives("101", "520");
    site.skip();
    site.dials(1, "12");
    site.expect(&[]);
    let leg = Authority::Leg(LegId::new(1));
    assert_eq!(site.opens("front", leg), Err(DoorDenial::NotInCall));
    // Somebody else in the room may.
    site.arrives("102", "520");
    site.skip();
    site.dials(3, "12");
    site.expect(&["pulse of 3000 ms", "L3 hears DoorSent"]);
}

#[test]
fn before_the_answer_no_digit_opens() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "102");
    site.skip();
    site.dials(2, "12");
    site.expect(&[]);
}

#[test]
fn a_command_is_executed_at_most_once() {
    let mut site = talking(plan());
    let valid_until = site.now + 10 * SECOND;
    let (id, door) = (site.fresh_command(), DoorId::from_key("front"));
    let command = OpenDoor {
        id,
        door,
        authority: Authority::Operator,
        valid_until,
    };
    assert_eq!(site.opens_with(command), Ok(()));
    site.expect(&["pulse of 3000 ms"]);
    for wait in [0, 1, 5, 30, 30, 600] {
        site.wait(wait * SECOND);
        site.skip();
        assert!(site.opens_with(command).is_err());
        site.expect(if wait == 600 {
            &["door record: Denied(Expired)"]
        } else {
            &[]
        });
    }
    assert_eq!(site.engine.counters().doors_repeated, 5);
    assert_eq!(site.engine.counters().door_pulses, 1);
}

#[test]
fn a_command_after_its_validity_opens_nothing() {
    let mut site = talking(plan());
    site.wait(20 * SECOND);
    site.skip();
    let (id, door) = (site.fresh_command(), DoorId::from_key("front"));
    let open = |valid_until| OpenDoor {
        id,
        door,
        authority: Authority::Operator,
        valid_until,
    };
    let late = open(site.now);
    assert_eq!(site.opens_with(late), Err(DoorDenial::Expired));
    site.expect(&["door record: Denied(Expired)"]);
    // The same id does not come back to life with another validity.
    let again = open(site.now + SECOND);
    assert_eq!(site.opens_with(again), Err(DoorDenial::Repeated));
    site.expect(&[]);
}

#[test]
fn a_validity_from_another_clock_is_refused() {
    let mut site = talking(plan());
    let (id, door) = (site.fresh_command(), DoorId::from_key("front"));
    let valid_until = site.now + 3_600 * SECOND;
    let command = OpenDoor {
        id,
        door,
        authority: Authority::Operator,
        valid_until,
    };
    assert_eq!(site.opens_with(command), Err(DoorDenial::ValidTooLong));
}

#[test]
fn what_was_issued_before_the_start_may_have_been_executed_then() {
    let mut site = talking(plan());
    let (id, door) = (site.fresh_command(), DoorId::from_key("front"));
    let valid_until = site.now + 9 * SECOND;
    let command = OpenDoor {
        id,
        door,
        authority: Authority::Operator,
        valid_until,
    };
    assert_eq!(site.opens_with(command), Err(DoorDenial::FromBeforeStart));
}

#[test]
fn a_door_that_is_being_opened_is_busy() {
    let mut site = talking(plan());
    site.dials(2, "12");
    site.skip();
    site.dials(2, "12");
    site.expect(&["door record: Denied(Busy)", "L2 hears DoorRefused"]);
    // The other door is not.
    site.dials(2, "5");
    site.expect(&["pulse of 3000 ms", "L2 hears DoorSent"]);
    site.wait(3 * SECOND);
    site.skip();
    site.dials(2, "12");
    site.expect(&["pulse of 3000 ms", "L2 hears DoorSent"]);
    // One that failed may be tried again at once.
    site.door_says(DoorReply::Failed);
    site.dials(2, "12");
    site.expect(&[
        "door record: Failed",
        "pulse of 3000 ms",
        "L2 hears DoorSent",
    ]);
}

#[test]
fn who_may_open_from_the_idle_view_and_who_may_not() {
    let mut site = Site::new(plan().build());
    let of = |number| Authority::Station(station(number));
    assert_eq!(site.opens("gate", of("103")), Ok(()));
    assert_eq!(
        site.opens("front", of("103")),
        Err(DoorDenial::NotPermitted)
    );
    assert_eq!(
        site.opens("front", of("102")),
        Err(DoorDenial::NotPermitted)
    );
    assert_eq!(
        site.opens("front", of("101")),
        Err(DoorDenial::NotPermitted)
    );
    let user = Authority::CloudUser(CloudUserId::new(5));
    assert_eq!(site.opens("front", user), Err(DoorDenial::NotPermitted));
    assert_eq!(
        site.opens("cellar", Authority::Operator),
        Err(DoorDenial::UnknownDoor)
    );
    let leg = Authority::Leg(LegId::new(77));
    assert_eq!(site.opens("front", leg), Err(DoorDenial::NotInCall));
    assert_eq!(site.engine.counters().door_pulses, 1);
    assert_eq!(site.engine.counters().doors_denied, 6);
}

#[test]
fn in_a_call_the_rule_of_the_door_decides() {
    let listed = |d: &mut model::Door| {
        d.in_call = InCallRight::Listed;
        d.permitted = vec![number("103"), Address::CloudUser(CloudUserId::new(5))];
    };
    let mut site = talking(plan().change_door("front", listed));
    site.dials(2, "12");
    site.expect(&["door record: Denied(NotPermitted)", "L2 hears DoorRefused"]);
    let denied = Err(DoorDenial::NotPermitted);
    assert_eq!(
        site.opens("front", Authority::Station(station("102"))),
        denied
    );
    assert_eq!(
        site.opens("front", Authority::CloudUser(CloudUserId::new(5))),
        Ok(())
    );
    let nobody = |d: &mut model::Door| d.in_call = InCallRight::Nobody;
    let mut site = talking(plan().change_door("front", nobody));
    assert_eq!(site.opens("front", Authority::Leg(LegId::new(2))), denied);
    assert_eq!(site.opens("gate", Authority::Leg(LegId::new(2))), Ok(()));
    assert_eq!(
        site.opens("gate", Authority::Station(station("102"))),
        Err(DoorDenial::Busy)
    );
}

#[test]
fn the_right_ends_with_the_conversation() {
    let mut site = talking(plan());
    site.hangs_up(2);
    let leg = Authority::Leg(LegId::new(2));
    assert_eq!(site.opens("front", leg), Err(DoorDenial::NotInCall));
    let of = Authority::Station(station("102"));
    assert_eq!(site.opens("front", of), Err(DoorDenial::NotPermitted));
}

#[test]
fn what_is_remembered_is_bounded_and_forgotten_in_time() {
    let mut site = talking(plan());
    for _ in 0..5_000 {
        let _ = site.opens("cellar", Authority::Operator);
    }
    assert_eq!(site.engine.gauges().door_commands, 4_096);
    assert_eq!(
        site.opens("front", Authority::Operator),
        Err(DoorDenial::Overload)
    );
    site.wait(71 * SECOND);
    assert_eq!(site.engine.gauges().door_commands, 0);
    assert_eq!(site.opens("front", Authority::Operator), Ok(()));
}
