//! Simplex: one at a time, by the talk key (B9).

use calls::{Input, Key};
use model::{LegId, TalkStyle};

use crate::support::Site;
use crate::support::directory::stations;

fn key(site: &mut Site, leg: u64, key: Key) {
    site.input(Input::TalkKey {
        leg: LegId::new(leg),
        key,
    });
}

#[test]
fn against_a_station_without_a_key_whoever_does_not_press_is_heard() {
    let plan = stations(&["101", "102"]).change("102", |s| s.talk = TalkStyle::Simplex);
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    key(&mut site, 2, Key::Pressed);
    site.expect(&["L1-L2 now simplex, the second is heard"]);
    key(&mut site, 2, Key::Released);
    site.expect(&["L1-L2 now simplex, the first is heard"]);
}

#[test]
fn of_two_keys_the_first_has_the_word_until_it_is_let_go() {
    let plan = stations(&["101", "102"])
        .change("101", |s| s.talk = TalkStyle::Simplex)
        .change("102", |s| s.talk = TalkStyle::Simplex);
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.answers(2);
    site.expect(&[
        "L2 calls 102",
        "L1 is shown trying",
        "L1 is answered",
        "L1-L2 simplex, nobody is heard",
    ]);
    key(&mut site, 2, Key::Pressed);
    site.expect(&["L1-L2 now simplex, the second is heard"]);
    key(&mut site, 1, Key::Pressed);
    site.expect(&[]);
    key(&mut site, 2, Key::Released);
    site.expect(&["L1-L2 now simplex, the first is heard"]);
    key(&mut site, 1, Key::Released);
    site.expect(&["L1-L2 now simplex, nobody is heard"]);
}

#[test]
fn in_open_duplex_the_key_means_nothing() {
    let mut site = Site::new(stations(&["101", "102"]).build());
    site.arrives("101", "102");
    site.answers(2);
    site.skip();
    key(&mut site, 2, Key::Pressed);
    site.expect(&[]);
}

#[test]
fn a_voice_switched_station_makes_the_conversation_one() {
    let plan = stations(&["101", "102"]).change("101", |s| s.talk = TalkStyle::VoiceSwitched);
    let mut site = Site::new(plan.build());
    site.arrives("101", "102");
    site.skip();
    site.answers(2);
    site.expect(&["L1 is answered", "L1-L2 talk in turns of voice"]);
}
