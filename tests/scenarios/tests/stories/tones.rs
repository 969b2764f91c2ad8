//! What users hear of the gateway itself: who is played which tone, and until when.

use media::Sound;
use media::tones::{Region, Signal};
use model::AutoAnswer;
use scenarios::clock::{MINUTE, SECOND};
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

use crate::{four, goodbye, talk};

#[track_caller]
fn expect_tone(world: &World, number: &str, signal: Option<Signal>) {
    let expected = signal.map(|signal| Sound::Tone(signal.tone(Region::Europe)));
    assert_eq!(world.sound_at(number), expected.as_ref(), "at {number}");
}

#[test]
fn c8_both_are_warned_half_a_minute_before_the_longest_duration() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.wait(10 * MINUTE - 35 * SECOND);
    expect_tone(&world, "101", None);
    world.wait(6 * SECOND);
    expect_tone(&world, "101", Some(Signal::LimitNear));
    expect_tone(&world, "102", Some(Signal::LimitNear));
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}

#[test]
fn who_is_held_hears_that_the_call_is_not_dead() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.act("102", Act::Hold);
    world.wait(SECOND);
    expect_tone(&world, "101", Some(Signal::Hold));
    expect_tone(&world, "102", None);
    world.act("102", Act::Resume);
    world.wait(SECOND);
    expect_tone(&world, "101", None);
    goodbye(&mut world, &["101"]);
}

#[test]
fn a_station_that_opens_by_itself_is_told_so() {
    let site = Site::of(&["101", "102"]).change("102", |station| {
        station.auto_answer = AutoAnswer::Always;
    });
    let mut world = World::of(&site, &["101", "102"]);
    world.dial("101", "102");
    world.wait(SECOND);
    expect_tone(&world, "101", None);
    world.act("102", Act::Answer);
    world.wait(SECOND);
    expect_tone(&world, "102", Some(Signal::AutoAnswer));
    expect_tone(&world, "101", None);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
}

/// The telephone makes its own ring-back from a 180.
#[test]
fn who_only_rings_somebody_is_played_nothing() {
    let mut world = four();
    world.dial("101", "102");
    world.wait(3 * SECOND);
    expect_tone(&world, "101", None);
    expect_tone(&world, "102", None);
    goodbye(&mut world, &["101"]);
    let unplayed = world.gateway.state().unplayed();
    assert_eq!((unplayed.no_agreement, unplayed.no_codec), (0, 0));
}

#[test]
fn who_is_transferred_to_somebody_who_rings_hears_it_ring() {
    let mut world = four();
    talk(&mut world, "101", "102");
    world.act("102", Act::Transfer("103".into()));
    world.wait(2 * SECOND);
    expect_tone(&world, "101", Some(Signal::RingBack));
    world.act("103", Act::Answer);
    world.wait(SECOND);
    expect_tone(&world, "101", None);
    world.expect_talk("101", "103", "G722");
    goodbye(&mut world, &["101"]);
}
