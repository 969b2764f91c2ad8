//! Stories of a site in virtual time, one file each.

mod alarm_preempts;
mod announcements;
mod answer_against_cancel;
mod busy_unknown_no_answer;
mod conference;
mod directory_reload;
mod door_by_keys;
mod drain;
mod echo_test;
mod figures;
mod flow_lost;
mod forwarding;
mod glare;
mod group_call;
mod hold;
mod keys_passed_on;
mod line_calls;
mod line_diversions;
mod line_doors;
mod line_groups;
mod line_isdn;
mod line_orders;
mod line_playback;
mod line_requests;
mod line_surveillance;
mod line_trunk;
mod line_words;
mod lines;
mod lost_messages;
mod neighbours;
mod overload;
mod recording;
mod registration;
mod restart;
mod ring_group;
mod takeover;
mod ten_minutes;
mod timers_expire;
mod tones;
mod transfer;
mod two_stations_talk;

use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

/// Stations 101 to 104, all there.
fn four() -> World {
    let numbers = ["101", "102", "103", "104"];
    World::of(&Site::of(&numbers), &numbers)
}

/// Two who talk with each other; what happened until then is told elsewhere.
fn talk(world: &mut World, from: &str, to: &str) {
    world.dial(from, to);
    world.wait(SECOND);
    world.act(to, Act::Answer);
    world.wait(SECOND);
    world.expect_talk(from, to, "G722");
    world.skip();
}

/// All hang up, and nothing is left anywhere.
fn goodbye(world: &mut World, numbers: &[&str]) {
    for number in numbers {
        while world.phone(number).lines().next().is_some() {
            world.act(number, Act::HangUp);
            world.wait(SECOND);
        }
    }
    world.expect_nothing_left();
}
