//! A caller that is refused is told why in words, where the site has recorded them.

use exchange::Announcements;
use media::{Recording, SampleRate};
use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

use crate::{goodbye, talk};

const NUMBERS: [&str; 3] = ["101", "102", "103"];

/// Three seconds for each.
fn site_with_words() -> World {
    let words = Recording::new(&[100; 3 * 8_000], SampleRate::Hz8000);
    let mut world = World::with(&Site::of(&NUMBERS), 1, |config| {
        config.sounds.announcements = Announcements {
            busy: Some(words.clone()),
            unknown_number: Some(words),
            ..Announcements::default()
        };
    });
    world.add_phones(&NUMBERS);
    world
}

#[test]
fn who_calls_a_busy_station_hears_so_and_is_refused_when_it_is_over() {
    let mut world = site_with_words();
    talk(&mut world, "101", "102");
    world.dial("103", "102");
    world.wait(2 * SECOND);
    world.expect("103", &["hears 183 with sound"]);
    assert!(world.sound_at("103").is_some());
    world.sound_ends("103");
    world.wait(SECOND / 2);
    world.expect("103", &["refused: 486 (User busy)"]);
    world.expect_talk("101", "102", "G722");
    goodbye(&mut world, &["101"]);
    world.expect_nothing_left();
}

#[test]
fn words_of_which_nobody_says_that_they_are_over_end_all_the_same() {
    let mut world = site_with_words();
    world.dial("101", "999");
    world.wait(4 * SECOND);
    world.expect("101", &["hears 183 with sound"]);
    world.wait(2 * SECOND);
    world.expect("101", &["refused: 404 (Unallocated number)"]);
    world.expect_nothing_left();
}

#[test]
fn who_hangs_up_while_it_is_told_leaves_nothing_behind() {
    let mut world = site_with_words();
    world.dial("101", "999");
    world.wait(SECOND);
    world.act("101", Act::HangUp);
    world.wait(2 * SECOND);
    assert_eq!(world.phone("101").lines().count(), 0);
    let stale = world.gateway.state().calls().counters().stale_inputs;
    assert_eq!(stale, 0);
    world.expect_nothing_left();
}

#[test]
fn who_could_not_hear_it_is_refused_at_once() {
    let mut world = site_with_words();
    // The far end leaves the offer to us.
    world.act("101", Act::DialWithoutOffer("999".into()));
    world.wait(SECOND);
    world.expect("101", &["refused: 404 (Unallocated number)"]);
    world.expect_nothing_left();
}
