//! The answer and the caller's giving up cross on the wire.

use scenarios::clock::{MILLISECOND, SECOND};
use scenarios::phone::Act;

use crate::four;

/// The callee answers, and so many milliseconds later (or before) the caller gives up.
fn cross(answer_at: u32, cancel_at: u32) {
    let mut world = four();
    world.network.weather.delay = 50 * MILLISECOND;
    world.dial("101", "102");
    world.wait(2 * SECOND);
    let (first, second) = (answer_at.min(cancel_at), answer_at.max(cancel_at));
    let (early, late) = match answer_at <= cancel_at {
        true => (("102", Act::Answer), ("101", Act::HangUp)),
        false => (("101", Act::HangUp), ("102", Act::Answer)),
    };
    world.wait(first * MILLISECOND);
    world.act(early.0, early.1);
    world.wait((second - first) * MILLISECOND);
    world.act(late.0, late.1);
    world.wait(3 * SECOND);
    for number in ["101", "102"] {
        let lines = world.phone(number).lines().count();
        assert_eq!(
            lines, 0,
            "answer at {answer_at}, cancel at {cancel_at}: {number} still has a call"
        );
    }
    assert_eq!(world.gateway.records.len(), 2, "one record for each leg");
    world.expect_nothing_left();
}

#[test]
fn whichever_comes_first_both_ends_agree_that_the_call_is_over() {
    for answer_at in (0..300).step_by(25) {
        for cancel_at in (0..300).step_by(25) {
            cross(answer_at, cancel_at);
        }
    }
}

#[test]
fn on_a_bad_network_too() {
    for seed in 0..20 {
        let mut world = four();
        world.network.weather = scenarios::network::Weather::FOUL;
        world.wait(SECOND * seed);
        world.dial("101", "102");
        world.wait(4 * SECOND);
        world.act("102", Act::Answer);
        world.wait((seed % 5) * 100 * MILLISECOND);
        world.act("101", Act::HangUp);
        world.wait(100 * SECOND);
        for number in ["101", "102"] {
            assert_eq!(
                world.phone(number).lines().count(),
                0,
                "{seed}: {number} still has a call"
            );
        }
        world.network.weather = scenarios::network::Weather::FAIR;
        world.expect_nothing_left();
    }
}
