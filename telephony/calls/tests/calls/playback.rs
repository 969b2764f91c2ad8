//! What a station alone is played: messages as calls like any other, programmes below every call.

use calls::{Command, CommandError, Input, Playback};
use model::Priority;

use crate::support::directory::stations;
use crate::support::{SECOND, Site, station};

fn site() -> Site {
    let mut site = Site::new(stations(&["101", "102", "103"]).build());
    site.seen(&["101", "102", "103"]);
    site
}

fn play(site: &mut Site, to: &str, playback: Playback) -> Result<calls::Done, CommandError> {
    site.command(Command::Play {
        to: station(to),
        playback,
        priority: Priority::DEFAULT,
    })
}

#[test]
fn a_programme_opens_by_itself_and_leaves_its_station_idle() {
    let mut site = site();
    play(&mut site, "101", Playback::Programme).unwrap();
    site.expect(&["L1 calls 101 (opens)"]);
    site.answers(1);
    site.expect(&["L1 hears what is played"]);
    site.expect_station("101", "idle");
    assert_eq!(
        play(&mut site, "101", Playback::Programme),
        Err(CommandError::StationBusy)
    );
    // It has no limit.
    site.wait(3600 * SECOND);
    site.expect(&[]);
}

#[test]
fn any_call_of_its_station_ends_a_programme_first() {
    let mut site = site();
    play(&mut site, "101", Playback::Programme).unwrap();
    site.answers(1);
    site.skip();
    site.arrives("102", "101");
    site.expect(&[
        "L1 out of the room",
        "L1 ends: pre_empted",
        "record of L1: answered pre_empted",
        "L3 calls 101",
        "L2 is shown trying",
    ]);
    site.hangs_up(2);
    site.skip();
    play(&mut site, "101", Playback::Programme).unwrap();
    site.answers(4);
    site.skip();
    site.arrives("101", "103");
    site.expect(&[
        "L4 out of the room",
        "L4 ends: pre_empted",
        "record of L4: answered pre_empted",
        "L6 calls 103",
        "L5 is shown trying",
    ]);
    assert_eq!(
        play(&mut site, "101", Playback::Programme),
        Err(CommandError::StationBusy)
    );
}

#[test]
fn a_message_is_a_call_and_waits_for_no_other() {
    let mut site = site();
    play(&mut site, "101", Playback::Programme).unwrap();
    site.answers(1);
    site.skip();
    play(&mut site, "101", Playback::Message).unwrap();
    site.expect(&[
        "L1 out of the room",
        "L1 ends: pre_empted",
        "record of L1: answered pre_empted",
        "L2 calls 101 (opens)",
    ]);
    site.answers(2);
    site.expect(&["L2 hears what is played"]);
    site.expect_station("101", "in_call");
    assert_eq!(
        play(&mut site, "101", Playback::Message),
        Err(CommandError::StationBusy)
    );
}

#[test]
fn a_station_that_does_not_open_is_not_called_for_ever() {
    let mut site = site();
    play(&mut site, "101", Playback::Message).unwrap();
    site.skip();
    site.wait(16 * SECOND);
    site.expect(&["L1 ends: no_answer", "record of L1: no_answer no_answer"]);
    site.expect_quiet();
}

#[test]
fn programmes_take_no_place_of_a_call_and_end_when_the_machine_stops() {
    let mut site = site();
    for to in ["101", "102"] {
        play(&mut site, to, Playback::Programme).unwrap();
    }
    site.answers(1);
    site.answers(2);
    site.skip();
    site.input(Input::Drain);
    site.expect(&[
        "L1 out of the room",
        "L1 ends: stopping",
        "record of L1: answered stopping",
        "L2 out of the room",
        "L2 ends: stopping",
        "record of L2: answered stopping",
    ]);
    assert_eq!(
        play(&mut site, "101", Playback::Programme),
        Err(CommandError::Stopping)
    );
    site.expect_quiet();
}
