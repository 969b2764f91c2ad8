//! C7, G2: the record of each leg says how its sound travelled.

use std::time::Duration;

use exchange::{Answer, Input, MediaEvent, OperatorCommand};
use model::CallRecord;
use scenarios::clock::SECOND;
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;

use crate::talk;

fn two() -> World {
    World::of(&Site::of(&["101", "102"]), &["101", "102"])
}

fn packets(record: &CallRecord) -> Option<u64> {
    record.audio.map(|audio| audio.received.packets)
}

#[test]
fn c7_g2_the_record_of_each_leg_carries_the_last_figures_of_that_leg() {
    let mut world = two();
    talk(&mut world, "101", "102");
    world.act("101", Act::HangUp);
    world.wait(SECOND);
    let records = &world.gateway.records;
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(packets(record), Some(record.leg.get()));
    }
}

#[test]
fn c7_a_media_thread_that_says_nothing_costs_the_figures_and_not_the_record() {
    let mut world = two();
    world.gateway.media.speaks = false;
    talk(&mut world, "101", "102");
    world.act("101", Act::HangUp);
    world.wait(Duration::from_millis(400));
    assert_eq!(world.gateway.records.len(), 0);
    world.wait(SECOND);
    let found: Vec<_> = world.gateway.records.iter().map(packets).collect();
    assert_eq!(found, [None, None]);
}

#[test]
fn c7_whoever_stops_the_gateway_finds_all_records_written_with_what_was_known() {
    let mut world = two();
    world.gateway.media.speaks = false;
    talk(&mut world, "101", "102");
    let now = world.now;
    let legs: Vec<_> = world.gateway.state().calls().calls().collect();
    let legs = legs.iter().flat_map(|call| &call.legs).map(|leg| leg.leg);
    let known = legs.map(|leg| (leg, world.gateway.media.last_figures(leg).unwrap()));
    let figures = MediaEvent::Figures(known.collect());
    world.gateway.tell(Input::Media(figures), now);
    world.gateway.tell(Input::Stop, now);
    let records = &world.gateway.records;
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(packets(record), Some(record.leg.get()));
    }
}

#[test]
fn g2_the_live_view_shows_each_leg_as_its_thread_saw_it_last() {
    let mut world = two();
    talk(&mut world, "101", "102");
    let now = world.now;
    let legs: Vec<_> = world.gateway.state().calls().calls().collect();
    let first = legs[0].legs[0].leg;
    let audio = world.gateway.media.last_figures(first).unwrap();
    let figures = MediaEvent::Figures(vec![(first, audio)]);
    world.gateway.tell(Input::Media(figures), now);
    world.wait(3 * SECOND);
    let now = world.now;
    let Answer::Calls(calls) = world.gateway.operator(OperatorCommand::Calls, now) else {
        panic!("calls were asked for");
    };
    let shown: Vec<_> = calls[0].audio.iter().collect();
    let [(leg, view)] = shown[..] else {
        panic!("{shown:?}");
    };
    assert_eq!((*leg, view.audio, view.age), (first, audio, 3 * SECOND));
}
