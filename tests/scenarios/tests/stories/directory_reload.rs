//! Another directory holds from now on, and calls go on.

use model::ForwardWhen;
use scenarios::clock::SECOND;
use scenarios::site::Site;
use scenarios::world::World;

use crate::{goodbye, talk};

const ALL: [&str; 3] = ["101", "102", "103"];

#[test]
fn a_reload_keeps_the_call_and_new_rules_hold_for_the_next() {
    let site = Site::of(&ALL);
    let mut world = World::of(&site, &ALL);
    talk(&mut world, "101", "102");
    world.reload(&site.forward("102", ForwardWhen::Always, "103"));
    world.wait(SECOND);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
    world.skip();
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("103", &["rings: 101"]);
    world.expect("102", &[]);
    goodbye(&mut world, &["101"]);
}

#[test]
fn a_station_that_is_taken_out_is_gone_and_one_that_is_put_in_can_come() {
    let site = Site::of(&ALL);
    let mut world = World::of(&site, &ALL);
    let smaller = site.without("103").station("104");
    world.reload(&smaller);
    world.wait(SECOND);
    world.dial("101", "103");
    world.wait(SECOND);
    world.expect("101", &["refused: 404 (Unallocated number)"]);
    world.add_phones(&["104"]);
    talk(&mut world, "101", "104");
    goodbye(&mut world, &["104"]);
}

#[test]
fn a_call_of_a_station_that_is_taken_out_may_end_by_itself() {
    let site = Site::of(&ALL);
    let mut world = World::of(&site, &ALL);
    talk(&mut world, "101", "103");
    world.reload(&site.without("103"));
    world.wait(SECOND);
    goodbye(&mut world, &["101", "103"]);
    assert_eq!(world.gateway.records.len(), 2);
}
