//! A graceful stop: no new calls but alarms, running ones may end.

use calls::Event;
use exchange::Input;
use scenarios::clock::{MINUTE, SECOND};
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

use crate::talk;

const ALL: [&str; 4] = ["101", "102", "103", "199"];

#[test]
fn a_drain_refuses_new_calls_lets_running_ones_end_and_says_when_it_is_done() {
    let site = Site::of(&ALL).emergency_point("199", "103");
    let mut world = World::of(&site, &ALL);
    talk(&mut world, "101", "102");
    world.tell(Input::Drain);
    world.dial("103", "101");
    world.wait(SECOND);
    let log = world.phone_mut("103").take_log();
    assert!(
        log.len() == 1 && log[0].starts_with("refused: 503") && log[0].ends_with("later"),
        "{log:?}"
    );
    world.dial("199", "103");
    world.wait(2 * SECOND);
    world.expect_talk("199", "103", "G722");
    world.act("103", Act::HangUp);
    world.wait(MINUTE);
    world.expect_talk("101", "102", "G722");
    assert!(!world.gateway.events.contains(&Event::Drained));
    world.act("102", Act::HangUp);
    world.wait(SECOND);
    assert!(world.gateway.events.contains(&Event::Drained));
    world.expect_nothing_left();
}

#[test]
fn a_stop_ends_what_still_runs() {
    let site = Site::of(&ALL);
    let mut world = World::of(&site, &ALL);
    talk(&mut world, "101", "102");
    world.dial("103", "199");
    world.wait(SECOND);
    world.tell(Input::Drain);
    world.tell(Input::Stop);
    world.wait(SECOND);
    for number in ALL {
        assert_eq!(world.phone(number).lines().count(), 0, "{number}");
    }
    assert_eq!(world.gateway.records.len(), 4);
    world.expect_nothing_left();
}
