//! C8: a conference, in which each hears all others.

use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;
use sip::sdp::Codec;

use super::goodbye;

const NUMBERS: [&str; 4] = ["101", "102", "103", "104"];

fn hear_each_other(world: &World, inside: &[&str]) {
    for from in NUMBERS {
        for to in NUMBERS.iter().filter(|to| **to != from) {
            let both = inside.contains(&from) && inside.contains(to);
            let heard = world.hears(to, from).is_some();
            assert_eq!(heard, both, "{to} hears {from}");
        }
    }
}

#[test]
fn c8_c9_each_in_a_conference_hears_all_others_whatever_their_codecs() {
    let mut world = World::of(&Site::of(&NUMBERS).conference("520"), &NUMBERS);
    world.phone_mut("102").codecs = vec![Codec::Opus];
    world.phone_mut("103").codecs = vec![Codec::Pcma];
    for (joined, number) in (1..).zip(NUMBERS) {
        world.dial(number, "520");
        world.wait(SECOND);
        hear_each_other(&world, &NUMBERS[..joined]);
    }
    assert_eq!(world.hears("103", "102").as_deref(), Some("PCMA"));
    world.act("102", Act::HangUp);
    world.wait(SECOND);
    hear_each_other(&world, &["101", "103", "104"]);
    goodbye(&mut world, &["101", "103", "104"]);
    world.expect_nothing_left();
}

#[test]
fn who_holds_the_conference_neither_hears_nor_is_heard() {
    let mut world = World::of(&Site::of(&NUMBERS).conference("520"), &NUMBERS);
    for number in &NUMBERS[..3] {
        world.dial(number, "520");
        world.wait(SECOND);
    }
    world.act("101", Act::Hold);
    world.wait(SECOND);
    hear_each_other(&world, &["102", "103"]);
    world.act("101", Act::Resume);
    world.wait(SECOND);
    hear_each_other(&world, &["101", "102", "103"]);
    goodbye(&mut world, &NUMBERS[..3]);
    world.expect_nothing_left();
}
