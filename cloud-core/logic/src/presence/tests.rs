use proptest::prelude::*;

use super::*;

const KEEP_ALIVE: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(seconds * 1000)
}

fn grace() -> Grace {
    Grace::of(KEEP_ALIVE, limits::WILL_DELAY)
}

fn opened(epoch: i64) -> Input {
    Input::Opened {
        epoch: Epoch(epoch),
        grace: grace(),
    }
}

fn numbers(boot: i64, conn: i64) -> Numbers {
    let counter = |value| Counter::new(value).expect("small");
    Numbers {
        boot: counter(boot),
        conn: counter(conn),
    }
}

/// What happens when, and what is to come of it; a `None` lets the time pass.
fn check(steps: &[(i64, Option<Input>, Option<Change>)]) -> Presence {
    let mut presence = Presence::default();
    for (step, (seconds, input, expected)) in steps.iter().enumerate() {
        let change = match input {
            Some(input) => presence.handle(*input, at(*seconds)),
            None => presence.handle_timeout(at(*seconds)),
        };
        assert_eq!(change, *expected, "step {step}: {input:?}");
    }
    presence
}

#[test]
fn a_device_that_is_back_in_time_was_never_away_d2() {
    let ended = Some(Input::Ended { epoch: Epoch(1) });
    check(&[
        (0, Some(opened(1)), Some(Change::Online)),
        (10, ended, None),
        (39, None, None),
        (39, Some(opened(2)), None),
        (60, None, None),
    ]);
}

#[test]
fn a_device_that_stays_away_is_offline_after_the_longer_of_both_waits_d2() {
    // 1.5 x 30 s after it was heard last is later than 30 s after the end.
    check(&[
        (0, Some(opened(1)), Some(Change::Online)),
        (1, Some(Input::Ended { epoch: Epoch(1) }), None),
        (44, None, None),
        (45, None, Some(Change::Offline)),
        (46, None, None),
    ]);
    // Heard at the end: the will's delay does not shorten the silence.
    check(&[
        (0, Some(opened(1)), Some(Change::Online)),
        (100, Some(Input::Heard { epoch: Epoch(1) }), None),
        (130, Some(Input::Ended { epoch: Epoch(1) }), None),
        (159, None, None),
        (160, None, Some(Change::Offline)),
    ]);
}

#[test]
fn silence_alone_is_enough_where_no_socket_tells_d2() {
    check(&[
        (0, Some(opened(1)), Some(Change::Online)),
        (30, Some(Input::Heard { epoch: Epoch(1) }), None),
        (74, None, None),
        (75, None, Some(Change::Offline)),
    ]);
}

#[test]
fn the_end_of_an_older_connection_ends_nothing_d2() {
    let presence = check(&[
        (0, Some(opened(1)), Some(Change::Online)),
        (5, Some(opened(2)), None),
        (6, Some(Input::Ended { epoch: Epoch(1) }), None),
        (6, Some(opened(1)), None),
        (50, Some(Input::Heard { epoch: Epoch(1) }), None),
        (50, None, Some(Change::Offline)),
    ]);
    assert_eq!(presence, Presence::default());
}

#[test]
fn a_will_counts_for_its_own_connection_only_d2() {
    let hello = |epoch, boot, conn| {
        Some(Input::Hello {
            epoch: Epoch(epoch),
            numbers: numbers(boot, conn),
        })
    };
    let will = |boot, conn| {
        Some(Input::Will {
            numbers: numbers(boot, conn),
        })
    };
    check(&[
        (0, Some(opened(1)), Some(Change::Online)),
        (1, will(17, 88), None),
        (2, hello(1, 17, 88), None),
        (3, Some(opened(2)), None),
        (3, will(17, 88), None),
        (4, hello(2, 17, 89), None),
        (5, will(17, 88), None),
        (5, will(16, 89), None),
        (6, will(17, 89), Some(Change::Offline)),
        (7, will(17, 89), None),
    ]);
}

#[test]
fn a_removed_device_is_offline_at_once() {
    check(&[
        (0, Some(Input::Removed), None),
        (0, Some(opened(1)), Some(Change::Online)),
        (1, Some(Input::Removed), Some(Change::Offline)),
        (2, Some(Input::Ended { epoch: Epoch(1) }), None),
    ]);
}

#[test]
fn a_device_cannot_ask_to_be_held_online_for_ever() {
    let grace = Grace::of(KEEP_ALIVE, Duration::from_secs(u64::from(u32::MAX)));
    check(&[
        (
            0,
            Some(Input::Opened {
                epoch: Epoch(1),
                grace,
            }),
            Some(Change::Online),
        ),
        (1, Some(Input::Ended { epoch: Epoch(1) }), None),
        (301, None, Some(Change::Offline)),
    ]);
}

fn any_input() -> impl Strategy<Value = Option<Input>> {
    let epoch = || (0..5_i64).prop_map(Epoch);
    let numbers = || (0..2_i64, 0..3_i64).prop_map(|(boot, conn)| numbers(boot, conn));
    prop_oneof![
        epoch().prop_map(|epoch| Some(Input::Opened {
            epoch,
            grace: grace()
        })),
        (epoch(), numbers()).prop_map(|(epoch, numbers)| Some(Input::Hello { epoch, numbers })),
        epoch().prop_map(|epoch| Some(Input::Heard { epoch })),
        epoch().prop_map(|epoch| Some(Input::Ended { epoch })),
        numbers().prop_map(|numbers| Some(Input::Will { numbers })),
        Just(Some(Input::Removed)),
        Just(None),
    ]
}

proptest! {
    #[test]
    fn changes_alternate_and_no_deadline_lies_in_the_past(
        steps in prop::collection::vec((0..40_i64, any_input()), 0..60),
    ) {
        let mut presence = Presence::default();
        let mut now = 0;
        let mut online = false;
        for (later, input) in steps {
            now += later;
            let mut changes = vec![presence.handle_timeout(at(now))];
            if let Some(input) = input {
                changes.push(presence.handle(input, at(now)));
            }
            for change in changes.into_iter().flatten() {
                prop_assert_eq!(change == Change::Online, !online);
                online = !online;
            }
            prop_assert_eq!(presence.is_online(), online);
            prop_assert!(presence.deadline().is_none_or(|deadline| deadline > at(now)));
            let before = presence.clone();
            prop_assert_eq!(presence.handle_timeout(at(now)), None);
            prop_assert_eq!(before, presence.clone());
        }
    }
}
