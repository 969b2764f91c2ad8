//! Handing a conversation over.

use calls::Input;
use model::{BusyPolicy, EndCause, LegId};

use crate::support::directory::stations;
use crate::support::{SECOND, Site};

/// 101 talks with 102 (L1, L2).
fn talking() -> Site {
    let plan = stations(&["101", "102", "103", "104", "105"])
        .group("500", &["103", "104"])
        .desk("510", &["105"])
        .conference("520", &[])
        .change("102", |s| s.busy = BusyPolicy::Wait { up_to: 2 });
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site
}

#[test]
fn a_blind_transfer_is_done_when_the_third_answers() {
    let mut site = talking();
    site.transfers(2, "103");
    site.expect(&[
        "L1-L2 parted",
        "transfer of L2: trying",
        "L1 hears Ringback",
        "L3 calls 103",
    ]);
    site.rings(3);
    site.expect(&["transfer of L2: ringing"]);
    site.answers(3);
    site.expect(&[
        "L1-L3 talk",
        "transfer of L2: done",
        "L2 ends: transferred",
        "record of L2: answered transferred",
    ]);
}

#[test]
fn when_nobody_answers_the_two_talk_again() {
    let mut site = talking();
    site.transfers(2, "500");
    site.skip();
    site.wait(30 * SECOND);
    site.expect(&[
        "L3 ends: no_answer",
        "record of L3: no_answer no_answer",
        "L4 ends: no_answer",
        "record of L4: no_answer no_answer",
        "transfer of L2: failed, no_answer",
        "L2-L1 talk",
    ]);
    // The limit is still that of the first conversation.
    site.wait(540 * SECOND);
    site.expect(&["L2 hears LimitWarning", "L1 hears LimitWarning"]);
}

#[test]
fn who_held_the_call_before_still_holds_it_when_it_comes_back() {
    let mut site = talking();
    site.input(Input::LegHeld { leg: LegId::new(2) });
    site.expect(&["L1-L2 parted", "L1 hears Hold"]);
    site.transfers(2, "103");
    site.skip();
    site.refuses(3, EndCause::Busy);
    site.expect(&[
        "record of L3: busy busy",
        "transfer of L2: failed, busy",
        "L1 hears Hold",
    ]);
    site.input(Input::LegResumed { leg: LegId::new(2) });
    site.expect(&["L2-L1 talk"]);
}

#[test]
fn who_hands_over_may_leave_and_the_search_goes_on() {
    let mut site = talking();
    site.transfers(2, "103");
    site.skip();
    site.hangs_up(2);
    site.expect(&["record of L2: answered hung_up"]);
    site.answers(3);
    site.expect(&["L1-L3 talk"]);
}

#[test]
fn who_left_does_not_come_back_when_nobody_answers() {
    let mut site = talking();
    site.transfers(2, "103");
    site.hangs_up(2);
    site.skip();
    site.refuses(3, EndCause::Busy);
    site.expect(&[
        "record of L3: busy busy",
        "L1 ends: busy",
        "record of L1: answered busy",
    ]);
    site.expect_quiet();
}

#[test]
fn the_one_handed_over_may_give_up() {
    let mut site = talking();
    site.transfers(2, "103");
    site.skip();
    site.hangs_up(1);
    site.expect(&[
        "record of L1: answered hung_up",
        "L3 ends: caller_gave_up",
        "record of L3: cancelled caller_gave_up",
        "transfer of L2: failed, hung_up",
        "L2 ends: hung_up",
        "record of L2: answered hung_up",
    ]);
    site.expect_quiet();
}

#[test]
fn to_nobody_nothing_is_transferred() {
    let mut site = talking();
    site.transfers(2, "999");
    site.expect(&["transfer of L2: failed, unknown_number"]);
    site.transfers(2, "101");
    site.expect(&[
        "L1-L2 parted",
        "transfer of L2: trying",
        "L1 hears Ringback",
        "transfer of L2: failed, busy",
        "L2-L1 talk",
    ]);
}

#[test]
fn a_visitor_can_be_parked_at_a_desk_and_put_into_a_conference() {
    let mut site = talking();
    site.transfers(2, "510");
    site.expect(&[
        "L1-L2 parted",
        "transfer of L2: trying",
        "L1 hears Ringback",
        "L1 hears Hold",
        "transfer of L2: done",
        "L2 ends: transferred",
        "record of L2: answered transferred",
    ]);
    site.expect_station("101", "requesting");
    site.hangs_up(1);
    site.expect_quiet();
    let mut site = talking();
    site.transfers(2, "520");
    site.skip();
    site.expect_station("101", "in_conference");
}

#[test]
fn two_conversations_become_one() {
    let mut site = talking();
    site.input(Input::LegHeld { leg: LegId::new(2) });
    site.arrives("102", "103");
    site.answers(4);
    site.skip();
    site.input(Input::TransferAttended {
        leg: LegId::new(2),
        with: LegId::new(3),
    });
    site.expect(&[
        "L3-L4 parted",
        "transfer of L2: done",
        "L2 ends: transferred",
        "record of L2: answered transferred",
        "L3 ends: transferred",
        "record of L3: answered transferred",
        "L1-L4 talk",
    ]);
    site.hangs_up(4);
    site.expect_quiet();
}

#[test]
fn handed_over_before_the_third_answered() {
    let mut site = talking();
    site.input(Input::LegHeld { leg: LegId::new(2) });
    site.arrives("102", "103");
    site.rings(4);
    site.skip();
    site.input(Input::TransferAttended {
        leg: LegId::new(2),
        with: LegId::new(3),
    });
    site.expect(&[
        "L1 hears Ringback",
        "transfer of L2: done",
        "L2 ends: transferred",
        "record of L2: answered transferred",
        "L3 is refused: transferred",
        "record of L3: cancelled transferred",
    ]);
    site.answers(4);
    site.expect(&["L1-L4 talk"]);
}

#[test]
fn nobody_joins_the_conversations_of_others() {
    let mut site = talking();
    site.arrives("103", "104");
    site.answers(4);
    site.skip();
    site.input(Input::TransferAttended {
        leg: LegId::new(2),
        with: LegId::new(3),
    });
    site.expect(&["transfer of L2: failed, not_allowed"]);
    site.input(Input::TransferAttended {
        leg: LegId::new(2),
        with: LegId::new(2),
    });
    site.expect(&["transfer of L2: failed, not_allowed"]);
}

#[test]
fn strangers_do_not_move_others_about() {
    let mut site = talking();
    site.stranger("103");
    site.answers(4);
    site.skip();
    site.transfers(3, "104");
    site.expect(&["transfer of L3: failed, not_allowed"]);
}

#[test]
fn a_station_is_not_joined_with_itself() {
    let mut site = talking();
    site.arrives("101", "102");
    site.answers(4);
    site.skip();
    site.input(Input::TransferAttended {
        leg: LegId::new(2),
        with: LegId::new(4),
    });
    site.expect(&["transfer of L2: failed, not_allowed"]);
}
