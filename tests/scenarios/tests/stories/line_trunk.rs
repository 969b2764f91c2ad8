//! B2: a line that only controls, while its calls go by SIP to the same server.

use exchange::{LineConfig, LineSound, Trunk};
use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::site::{Site, station};
use scenarios::world::World;
use scenarios::world::lines::line_to;
use sip::flow::Transport;

/// The SIP side of the server is the second host of the network, and knows itself as 2101.
const TRUNK: &str = "2101";

fn line() -> LineConfig {
    LineConfig {
        sound: LineSound::Sip(Trunk {
            host: ([10, 0, 1, 2], 5060).into(),
            transport: Transport::Udp,
        }),
        ..line_to("hall")
    }
}

fn world() -> World {
    let site = Site::of(&["101"]).behind("hall", TRUNK);
    let mut world = World::with_line(&site, &["101"], line(), Vec::new());
    world.add_device(TRUNK, TRUNK, Transport::Udp);
    world.skip();
    world
}

#[test]
fn a_call_to_a_station_behind_the_trunk_is_an_invite_to_its_number() {
    let mut world = world();
    world.dial("101", TRUNK);
    world.wait(SECOND);
    world.expect(TRUNK, &["rings: 101"]);
    world.act(TRUNK, Act::Answer);
    world.wait(SECOND);
    world.expect_talk("101", TRUNK, "G722");
    assert_eq!(world.old(0).take_asked(), []);
    // Control is lost with the line; the conversation is not.
    world.cut_line(0);
    world.wait(5 * SECOND);
    world.expect_talk("101", TRUNK, "G722");
}

#[test]
fn a_call_from_the_trunk_is_that_of_its_station() {
    let mut world = world();
    world.dial(TRUNK, "101");
    world.wait(SECOND);
    world.expect("101", &["rings: 2101"]);
    world.act("101", Act::Answer);
    world.wait(SECOND);
    let calls = world.gateway.state().calls();
    let call = calls.calls().next().expect("a call");
    assert_eq!(call.from.station, Some(station(TRUNK)));
}

#[test]
fn from_elsewhere_the_number_of_a_station_behind_the_trunk_proves_nothing() {
    let site = Site::of(&["101"]).behind("hall", TRUNK);
    let mut line = line();
    line.sound = LineSound::Sip(Trunk {
        host: ([10, 0, 9, 9], 5060).into(),
        transport: Transport::Udp,
    });
    let mut world = World::with_line(&site, &["101"], line, Vec::new());
    world.add_device(TRUNK, TRUNK, Transport::Udp);
    world.skip();
    world.dial(TRUNK, "101");
    world.wait(SECOND);
    let calls = world.gateway.state().calls();
    let from = calls.calls().next().map(|call| call.from);
    assert!(from.is_none_or(|from| from.station.is_none()));
}
