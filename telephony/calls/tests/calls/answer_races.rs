//! An answer meets a hang-up, a time-out, another answer.

use calls::Input;
use model::{EndCause, LegId};

use crate::support::directory::stations;
use crate::support::{SECOND, Site};

#[test]
fn the_caller_hangs_up_while_it_rings_and_the_answer_comes_too_late() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.rings(2);
    site.skip();
    site.hangs_up(1);
    site.expect(&[
        "record of L1: cancelled caller_gave_up",
        "L2 ends: caller_gave_up",
        "record of L2: cancelled caller_gave_up",
    ]);
    // The answer was on its way: the leg is told once more, and nothing else happens.
    site.answers(2);
    site.expect(&["L2 ends: answered_elsewhere"]);
    assert_eq!(site.engine.counters().stale_inputs, 1);
    site.expect_quiet();
}

#[test]
fn the_answer_is_first_and_the_hang_up_ends_a_conversation() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.input(Input::LegEnded {
        leg: LegId::new(1),
        cause: EndCause::CallerGaveUp,
    });
    site.expect(&[
        "L1-L2 parted",
        "record of L1: answered caller_gave_up",
        "L2 ends: caller_gave_up",
        "record of L2: answered caller_gave_up",
    ]);
}

#[test]
fn an_answer_at_the_very_moment_of_the_time_out_is_too_late() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.skip();
    site.now += site.config.answer_timeout;
    site.answers(2);
    site.expect(&[
        "L2 ends: no_answer",
        "record of L2: no_answer no_answer",
        "L1 is refused: no_answer",
        "record of L1: no_answer no_answer",
        "L2 ends: answered_elsewhere",
    ]);
}

#[test]
fn of_two_answers_the_second_loses_and_is_told_so_b3() {
    let mut site = Site::new(
        stations(&["101", "102", "103"])
            .group("500", &["102", "103"])
            .build(),
    );
    site.arrives("101", "500");
    site.skip();
    site.answers(3);
    site.expect(&[
        "L1 is answered",
        "L1-L3 talk",
        "L2 ends: answered_elsewhere",
        "record of L2: answered_elsewhere answered_elsewhere",
    ]);
    site.answers(2);
    site.expect(&["L2 ends: answered_elsewhere"]);
    site.wait(SECOND);
    site.hangs_up(3);
    site.expect_quiet();
}

#[test]
fn a_second_answer_of_the_same_leg_changes_nothing() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    site.answers(2);
    site.rings(2);
    site.answers(1);
    site.expect(&[]);
    assert_eq!(site.engine.counters().unfit_inputs, 2);
}
