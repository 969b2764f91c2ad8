//! Group calls: one talks, many listen (B9).

use calls::{Input, Key};
use model::{AnswerBack, EndCause, LegId, Priority};

use crate::support::directory::{Plan, stations};
use crate::support::{SECOND, Site};

fn plan() -> Plan {
    let mut plan = stations(&["101", "102", "103", "104"]).group_call("530", &["102", "103"]);
    plan.0.group_calls[0].priority = Priority::new(30).unwrap();
    plan
}

#[test]
fn the_stations_open_and_listen() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "530");
    site.expect(&["L2 calls 102 (opens)", "L3 calls 103 (opens)"]);
    site.answers(2);
    site.expect(&[
        "L1 is answered",
        "L1 in the room: Talk",
        "L2 hears Announce",
        "L2 in the room: Listen",
    ]);
    site.expect_station("102", "listening");
    site.answers(3);
    site.expect(&["L3 hears Announce", "L3 in the room: Listen"]);
    site.hangs_up(1);
    site.expect(&[
        "L1 out of the room",
        "record of L1: answered hung_up",
        "L2 out of the room",
        "L3 out of the room",
        "L2 ends: hung_up",
        "record of L2: answered hung_up",
        "L3 ends: hung_up",
        "record of L3: answered hung_up",
    ]);
    site.expect_quiet();
}

#[test]
fn when_nobody_can_listen_the_caller_hears_why() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "530");
    site.refuses(2, EndCause::Busy);
    site.skip();
    site.wait(30 * SECOND);
    site.expect(&[
        "L3 ends: no_answer",
        "record of L3: no_answer no_answer",
        "L1 is refused: no_answer",
        "record of L1: no_answer no_answer",
    ]);
    site.arrives("102", "103");
    site.answers(5);
    site.skip();
    site.arrives("101", "530");
    site.expect(&["L6 is refused: busy", "record of L6: busy busy"]);
}

#[test]
fn a_listener_may_answer_back_where_that_is_allowed() {
    let mut plan = plan();
    plan.0.group_calls[0].answer_back = AnswerBack::Allowed;
    let mut site = Site::new(plan.build());
    site.arrives("101", "530");
    site.answers(2);
    site.answers(3);
    site.skip();
    let (owner, listener) = (LegId::new(1), LegId::new(3));
    site.input(Input::TalkKey {
        leg: listener,
        key: Key::Pressed,
    });
    site.expect(&["L1 in the room: Listen", "L3 in the room: Talk"]);
    // The one who makes the announcement takes the word back at any time.
    site.input(Input::TalkKey {
        leg: owner,
        key: Key::Pressed,
    });
    site.expect(&["L1 in the room: Talk", "L3 in the room: Listen"]);
}

#[test]
fn where_it_is_not_allowed_the_key_means_nothing() {
    let mut site = Site::new(plan().build());
    site.arrives("101", "530");
    site.answers(2);
    site.skip();
    site.input(Input::TalkKey {
        leg: LegId::new(2),
        key: Key::Pressed,
    });
    site.expect(&[]);
}

#[test]
fn strangers_do_not_make_announcements() {
    let mut site = Site::new(plan().build());
    site.stranger("530");
    site.expect(&[
        "L1 is refused: not_allowed",
        "record of L1: refused not_allowed",
    ]);
}
