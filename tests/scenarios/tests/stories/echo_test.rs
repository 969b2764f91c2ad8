//! The echo test: an integrator calls it from a station and hears that station.

use media::Sound;
use media::tones::{Region, Signal};
use scenarios::clock::{MINUTE, SECOND};
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;
use sip::sdp::Codec;

use crate::goodbye;

const NUMBERS: [&str; 2] = ["101", "102"];

fn world() -> World {
    World::of(&Site::of(&NUMBERS).echo_test("199"), &NUMBERS)
}

#[test]
fn each_hears_a_sign_and_itself_in_its_own_codec() {
    let mut world = world();
    world.phone_mut("102").codecs = vec![Codec::Opus];
    for (number, codec) in [("101", "G722"), ("102", "opus")] {
        world.dial(number, "199");
        world.wait(SECOND);
        assert_eq!(world.hears(number, number).as_deref(), Some(codec));
        let sign = Sound::Tone(Signal::EchoTest.tone(Region::Europe));
        assert_eq!(world.sound_at(number), Some(&sign));
    }
    assert_eq!(world.hears("101", "102"), None, "each is alone");
    goodbye(&mut world, &NUMBERS);
}

#[test]
fn c8_it_ends_by_itself() {
    let mut world = world();
    world.dial("101", "199");
    world.wait(10 * MINUTE - SECOND);
    assert!(world.hears("101", "101").is_some());
    world.wait(2 * SECOND);
    world.expect_nothing_left();
}

#[test]
fn who_holds_it_does_not_hear_itself() {
    let mut world = world();
    world.dial("101", "199");
    world.wait(SECOND);
    world.act("101", Act::Hold);
    world.wait(SECOND);
    assert_eq!(world.hears("101", "101"), None);
    world.act("101", Act::Resume);
    world.wait(SECOND);
    assert!(world.hears("101", "101").is_some());
    goodbye(&mut world, &["101"]);
}
