//! C8: a group call, in which one talks and all others listen.

use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

use super::goodbye;

#[test]
fn c8_the_members_of_a_group_call_hear_its_owner_and_not_each_other() {
    let numbers = ["101", "102", "103"];
    let site = Site::of(&numbers).group_call("530", &["102", "103"]);
    let mut world = World::of(&site, &numbers);
    world.dial("101", "530");
    world.wait(SECOND);
    for member in ["102", "103"] {
        world.act(member, Act::Answer);
        world.wait(SECOND);
        assert!(world.hears(member, "101").is_some(), "{member}");
    }
    for (to, from) in [("101", "102"), ("101", "103"), ("102", "103")] {
        assert_eq!(world.hears(to, from), None, "{to} hears {from}");
    }
    world.act("102", Act::HangUp);
    world.wait(SECOND);
    assert_eq!(world.hears("102", "101"), None);
    assert!(world.hears("103", "101").is_some());
    goodbye(&mut world, &["101"]);
    world.expect_nothing_left();
}
