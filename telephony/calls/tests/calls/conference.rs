//! Conferences: many talk to many (B9).

use calls::{Input, Key};
use model::{LegId, RoomTalk};

use crate::support::directory::stations;
use crate::support::{SECOND, Site};

const ALL: [&str; 4] = ["101", "102", "103", "104"];

#[test]
fn people_come_and_go_and_the_room_ends_with_the_last() {
    let mut site = Site::new(stations(&ALL).conference("520", &[]).build());
    site.seen(&["101"]);
    site.arrives("101", "520");
    site.expect(&["L1 is answered", "L1 in the room: TalkAndListen"]);
    site.expect_station("101", "in_conference");
    site.arrives("102", "520");
    site.expect(&["L2 is answered", "L2 in the room: TalkAndListen"]);
    assert_eq!(site.engine.gauges().calls, 1, "one room, not two");
    site.hangs_up(1);
    site.expect(&["L1 out of the room", "record of L1: answered hung_up"]);
    site.expect_station("101", "idle");
    site.hangs_up(2);
    site.expect(&["L2 out of the room", "record of L2: answered hung_up"]);
    site.expect_quiet();
}

#[test]
fn a_fixed_conference_calls_its_members() {
    let mut site = Site::new(
        stations(&ALL)
            .conference("520", &["101", "102", "103"])
            .build(),
    );
    site.arrives("101", "520");
    site.expect(&[
        "L1 is answered",
        "L1 in the room: TalkAndListen",
        "L2 calls 102",
        "L3 calls 103",
    ]);
    site.answers(3);
    site.expect(&["L3 in the room: TalkAndListen"]);
    site.wait(30 * SECOND);
    site.expect(&["L2 ends: no_answer", "record of L2: no_answer no_answer"]);
    site.hangs_up(1);
    site.hangs_up(3);
    site.expect_quiet();
}

#[test]
fn when_the_only_one_leaves_those_still_called_are_let_go() {
    let mut site = Site::new(stations(&ALL).conference("520", &["102"]).build());
    site.arrives("101", "520");
    site.skip();
    site.hangs_up(1);
    site.expect(&[
        "L1 out of the room",
        "record of L1: answered hung_up",
        "L2 ends: caller_gave_up",
        "record of L2: cancelled caller_gave_up",
    ]);
}

#[test]
fn with_a_talk_key_one_has_the_word_and_keeps_it() {
    let mut plan = stations(&ALL).conference("520", &[]);
    plan.0.conferences[0].talk = RoomTalk::TalkKey;
    let mut site = Site::new(plan.build());
    site.arrives("101", "520");
    site.arrives("102", "520");
    site.skip();
    let (one, other) = (LegId::new(1), LegId::new(2));
    site.input(Input::TalkKey {
        leg: one,
        key: Key::Pressed,
    });
    site.expect(&["L1 in the room: Talk"]);
    site.input(Input::TalkKey {
        leg: other,
        key: Key::Pressed,
    });
    site.expect(&[]);
    site.input(Input::TalkKey {
        leg: one,
        key: Key::Released,
    });
    site.expect(&["L1 in the room: Listen", "L2 in the room: Talk"]);
    site.hangs_up(2);
    site.expect(&["L2 out of the room", "record of L2: answered hung_up"]);
}

#[test]
fn a_member_on_hold_is_out_of_the_room_for_that_time() {
    let mut site = Site::new(stations(&ALL).conference("520", &[]).build());
    site.arrives("101", "520");
    site.arrives("102", "520");
    site.skip();
    site.input(Input::LegHeld { leg: LegId::new(1) });
    site.expect(&["L1 out of the room"]);
    site.input(Input::LegResumed { leg: LegId::new(1) });
    site.expect(&["L1 in the room: TalkAndListen"]);
}

#[test]
fn a_conference_has_a_limit_too_c8() {
    let mut site = Site::new(stations(&ALL).conference("520", &[]).build());
    site.arrives("101", "520");
    site.wait(570 * SECOND);
    site.skip();
    site.wait(30 * SECOND);
    site.expect(&[
        "L1 out of the room",
        "L1 ends: time_limit",
        "record of L1: answered time_limit",
    ]);
}
