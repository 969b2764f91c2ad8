//! B4: stations of any make register and call each other.

use scenarios::clock::SECOND;
use scenarios::phone::{Act, Manner};
use scenarios::site::Site;
use scenarios::world::World;
use sip::sdp::Codec;

#[test]
fn b4_c9_a_registered_station_calls_another_and_both_hear_the_codec_both_have() {
    let mut world = World::of(&Site::of(&["101", "102"]), &["101", "102"]);
    world.phone_mut("101").codecs = vec![Codec::Opus, Codec::G722, Codec::Pcma];
    world.phone_mut("102").codecs = vec![Codec::G722, Codec::Pcma];
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("102", &["rings: 101"]);
    world.expect("101", &["hears 180"]);
    world.act("102", Act::Answer);
    world.wait(SECOND);
    world.expect("101", &["talks"]);
    world.expect("102", &["talks"]);
    world.expect_talk("101", "102", "G722");
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    world.expect("101", &["over: hung up"]);
    world.expect(
        "102",
        &["over: the other end hung up (Normal call clearing)"],
    );
    assert_eq!(
        world.take_causes(),
        ["101: answered hung_up", "102: answered hung_up"]
    );
    world.expect_nothing_left();
}

#[test]
fn c9_whoever_has_no_codec_in_common_is_transcoded() {
    let mut world = World::of(&Site::of(&["101", "102"]), &["101", "102"]);
    world.phone_mut("101").codecs = vec![Codec::Opus];
    world.phone_mut("102").codecs = vec![Codec::Pcma];
    world.manner("102", Manner::Answers(SECOND));
    world.dial("101", "102");
    world.wait(3 * SECOND);
    world.expect("102", &["rings: 101", "talks"]);
    assert_eq!(world.hears("102", "101").as_deref(), Some("PCMA"));
    assert_eq!(world.hears("101", "102").as_deref(), Some("opus"));
}

#[test]
fn c9_nothing_to_talk_in_is_refused_and_said_so() {
    let mut world = World::of(&Site::of(&["101", "102"]), &["101", "102"]);
    world.phone_mut("102").codecs = Vec::new();
    world.manner("102", Manner::Answers(SECOND));
    world.dial("101", "102");
    world.wait(3 * SECOND);
    world.expect(
        "102",
        &["rings: 101, but no codec in common", "over: hung up"],
    );
    world.expect("101", &["refused: 488 (Incompatible destination)"]);
    world.expect_nothing_left();
}
