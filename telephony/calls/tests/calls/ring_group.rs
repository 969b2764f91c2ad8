//! Several ring, one gets the call (B3, C5).

use calls::{Output, Progress};
use model::{EarlyMedia, EndCause};

use crate::support::directory::stations;
use crate::support::{SECOND, Site, number};

const MANY: [&str; 33] = [
    "101", "102", "103", "104", "105", "106", "107", "108", "109", "110", "111", "112", "113",
    "114", "115", "116", "117", "118", "119", "120", "121", "122", "123", "124", "125", "126",
    "127", "128", "129", "130", "131", "132", "133",
];

#[test]
fn thirty_two_ring_at_once_and_thirty_one_stop_in_the_drain_of_the_answer_c5() {
    let mut site = Site::new(stations(&MANY).group("500", &MANY[1..]).build());
    site.arrives("101", "500");
    let started = |o: &&Output| matches!(o, Output::StartLeg(_));
    assert_eq!(site.outputs.iter().filter(started).count(), 32);
    for leg in 2..=33 {
        site.rings(leg);
    }
    site.skip();
    site.answers(20);
    let ended = |o: &&Output| {
        matches!(
            o,
            Output::EndLeg {
                cause: EndCause::AnsweredElsewhere,
                ..
            }
        )
    };
    assert_eq!(site.outputs.iter().filter(ended).count(), 31);
    site.hangs_up(20);
    site.expect_quiet();
}

#[test]
fn nobody_answers_and_the_caller_hears_so() {
    let mut site = Site::new(
        stations(&["101", "102", "103"])
            .group("500", &["102", "103"])
            .build(),
    );
    site.arrives("101", "500");
    site.refuses(2, EndCause::Unreachable);
    site.skip();
    site.wait(30 * SECOND);
    site.expect(&[
        "L3 ends: no_answer",
        "record of L3: no_answer no_answer",
        "L1 is refused: no_answer",
        "record of L1: no_answer no_answer",
    ]);
}

#[test]
fn what_people_said_counts_more_than_what_machines_said() {
    let plan = stations(&["101", "102", "103"]).group("500", &["102", "103"]);
    let mut site = Site::new(plan.build());
    site.arrives("101", "500");
    site.refuses(2, EndCause::Declined);
    site.skip();
    site.refuses(3, EndCause::Unreachable);
    site.expect(&[
        "record of L3: unreachable unreachable",
        "L1 is refused: declined",
        "record of L1: declined declined",
    ]);
}

#[test]
fn the_call_goes_on_to_what_follows_the_group() {
    let plan = stations(&["101", "102", "103", "104"])
        .group("501", &["104"])
        .group("500", &["102", "103"])
        .change_group(|g| g.then = Some(number("501")));
    let mut site = Site::new(plan.build());
    site.arrives("101", "500");
    site.wait(29 * SECOND);
    site.skip();
    site.wait(SECOND);
    site.expect(&[
        "L2 ends: no_answer",
        "record of L2: no_answer no_answer",
        "L3 ends: no_answer",
        "record of L3: no_answer no_answer",
        "L4 calls 104",
    ]);
    site.answers(4);
    site.expect(&["L1 is answered", "L1-L4 talk"]);
}

#[test]
fn busy_members_are_passed_over_and_the_caller_is_never_rung_itself() {
    let plan = stations(&["101", "102", "103"]).group("500", &["101", "102", "103"]);
    let mut site = Site::new(plan.build());
    site.arrives("102", "103");
    site.answers(2);
    site.skip();
    site.arrives("101", "500");
    site.expect(&["L3 is refused: busy", "record of L3: busy busy"]);
    site.expect_events(&["skipped 102: busy", "skipped 103: busy"]);
}

#[test]
fn with_early_media_all_who_ring_see_the_caller_and_the_caller_hears_the_first_c1() {
    let plan = stations(&["101", "102", "103"])
        .group("500", &["102", "103"])
        .change_group(|g| g.early_media = EarlyMedia::On);
    let mut site = Site::new(plan.build());
    site.arrives("101", "500");
    site.rings(2);
    site.skip();
    site.early(3);
    site.expect(&[
        "L1 is seen by L3",
        "L1 is shown early media of L3",
        "L3 is seen by L1",
    ]);
    site.early(2);
    site.expect(&["L1 is seen by L2"]);
    // The one who was heard refuses; the other one goes on ringing and may be heard instead.
    site.refuses(3, EndCause::Declined);
    site.skip();
    site.early(2);
    site.expect(&[
        "L1 is seen by L2",
        "L1 is shown early media of L2",
        "L2 is seen by L1",
    ]);
    site.answers(2);
    site.expect(&["L1 is answered", "L1-L2 talk"]);
}

#[test]
fn without_early_media_nobody_is_seen_before_the_answer() {
    let mut site = Site::new(
        stations(&["101", "102", "103"])
            .group("500", &["102", "103"])
            .build(),
    );
    site.arrives("101", "500");
    site.skip();
    for leg in [2, 3] {
        let leg = model::LegId::new(leg);
        let progress = Progress::EarlyMedia;
        site.input(calls::Input::LegProgress { leg, progress });
    }
    site.expect(&["L1 is shown ringing"]);
}
