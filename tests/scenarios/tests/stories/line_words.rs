//! B2: the other words of a line: talk keys and modes, rooms, privacy, hold, the picture of this side.

use exchange::{LineConfig, Room};
use legacy_protocols::command::{CallRef, CallSetup, Command, GroupRef, Key, Switch, Verdict};
use legacy_protocols::event::{
    CallConnected, CallProgress, Event, Faults, LineTest, Progress, StationState, TalkMode, Talker,
};
use legacy_protocols::number::Party;
use legacy_protocols::priority::Priority;
use legacy_protocols::sound::{SoundCodecs, SoundEnd, SoundKeys};
use legacy_protocols::text::Text;
use model::{CallNumber, TalkStyle};
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::phone::Act;
use scenarios::site::{Site, station};
use scenarios::world::World;
use scenarios::world::lines::line_to;

const CALL: CallRef = CallRef(CallRef::OF_PORT | 7);
const ROOM: GroupRef = GroupRef(3);

fn line() -> LineConfig {
    LineConfig {
        rooms: vec![Room {
            group: ROOM,
            number: CallNumber::parse("520").expect("digits"),
        }],
        ..line_to("hall")
    }
}

fn world(talk: TalkStyle) -> World {
    let site = Site::of(&["101", "102"])
        .behind("hall", "2101")
        .conference("520")
        .change("2101", |station| station.talk = talk);
    let mut world = World::with_line(&site, &["101", "102"], line(), Vec::new());
    world.old(0).take_told();
    world.skip();
    world
}

fn setup(from: Party, to: Party) -> CallSetup {
    CallSetup {
        call: CALL,
        from,
        to,
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: Some(SoundEnd {
            address: ([10, 0, 2, 1], 4000).into(),
            codecs: SoundCodecs::ALL,
            keys: SoundKeys::Events,
        }),
    }
}

/// 2101 has called 101, who has answered.
fn talk(world: &mut World) -> Vec<Event> {
    world.old_asks(0, Command::CallSetup(setup(there("2101"), here("101"))));
    world.wait(SECOND);
    world.act("101", Act::Answer);
    world.wait(SECOND);
    world.expect("101", &["rings: 2101", "talks"]);
    assert_eq!(world.old(0).take_done(), [Verdict::Accepted]);
    world.old(0).take_told()
}

fn simplex(talker: Talker) -> TalkMode {
    TalkMode::Simplex(talker)
}

#[test]
fn the_talk_key_of_a_simplex_station_decides_who_is_heard_on_both_sides() {
    let mut world = world(TalkStyle::Simplex);
    let told = talk(&mut world);
    // While the key is up it hears the other.
    let mode = told.iter().find_map(|event| match event {
        Event::CallConnected(CallConnected { mode, .. }) => *mode,
        _ => None,
    });
    assert_eq!(mode, Some(simplex(Talker::Called)));
    let station = there("2101");
    for (key, talker) in [
        (Key::Pressed, Talker::Caller),
        (Key::Released, Talker::Called),
    ] {
        world.old_asks(0, Command::TalkKey { station, key });
        world.wait(SECOND);
        assert_eq!(world.old(0).take_done(), [Verdict::Done]);
        let mode = simplex(talker);
        assert_eq!(
            world.old(0).take_asked(),
            [Command::SetTalkMode { call: CALL, mode }]
        );
    }
}

#[test]
fn the_other_end_holds_a_call_and_takes_it_back() {
    let mut world = world(TalkStyle::OpenDuplex);
    talk(&mut world);
    let phase = |world: &World| {
        let mut calls = world.gateway.state().calls().calls();
        calls.next().map(|call| call.phase)
    };
    world.old_asks(0, Command::Hold { call: CALL });
    world.wait(SECOND);
    assert_eq!(phase(&world), Some(calls::Phase::Held));
    world.old_asks(0, Command::Retrieve { call: CALL });
    world.wait(SECOND);
    assert_eq!(phase(&world), Some(calls::Phase::Talking));
    assert_eq!(world.old(0).take_done(), [Verdict::Done, Verdict::Done]);
}

#[test]
fn a_station_of_ours_is_commanded_into_a_conference_and_out_of_it() {
    let mut world = world(TalkStyle::OpenDuplex);
    let (conference, station) = (ROOM, here("101"));
    world.old_asks(
        0,
        Command::ConferenceJoin {
            conference,
            station,
            mode: TalkMode::OpenDuplex,
        },
    );
    world.wait(SECOND);
    world.act("101", Act::Answer);
    world.wait(SECOND);
    let known = self::station("101");
    let state = world.gateway.state().calls().station_state(known);
    assert!(
        matches!(state, model::StationState::InConference(_)),
        "{state:?}"
    );
    world.old_asks(
        0,
        Command::ConferenceLeave {
            conference,
            station,
        },
    );
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Accepted, Verdict::Done]);
    assert_eq!(world.phone("101").lines().count(), 0);
    let unknown = Command::ConferenceLeave {
        conference: GroupRef(9),
        station,
    };
    world.old_asks(0, unknown);
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::NoSuchNumber]);
}

#[test]
fn a_station_behind_the_line_joins_a_conference_by_calling_it() {
    let mut world = world(TalkStyle::OpenDuplex);
    world.dial("101", "520");
    world.old_asks(0, Command::CallSetup(setup(there("2101"), here("520"))));
    world.wait(SECOND);
    let told = world.old(0).take_told();
    assert!(
        told.iter()
            .any(|event| matches!(event, Event::CallConnected(_))),
        "{told:?}"
    );
    let said = world.speaks_to("101").expect("it is in the room");
    let heard = world.gateway.media.passes_on(said, 9);
    assert_eq!(heard, [(([10, 0, 2, 1], 4000).into(), 9)]);
}

#[test]
fn a_desk_behind_the_line_sets_a_station_of_ours_to_privacy() {
    let mut world = world(TalkStyle::OpenDuplex);
    let (station, privacy) = (here("102"), Switch::On);
    world.old_asks(0, Command::SetPrivacy { station, privacy });
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Done]);
    world.dial("101", "102");
    world.wait(SECOND);
    world.expect("101", &["refused: 603 (Call rejected)"]);
}

#[test]
fn the_picture_of_this_side_names_stations_and_calls_and_none_of_their_own() {
    let mut world = world(TalkStyle::OpenDuplex);
    talk(&mut world);
    world.old_asks(0, Command::Snapshot);
    world.wait(SECOND);
    let told = world.old(0).take_told();
    let is = |number: &str, wanted: StationState| {
        let known = |event: &Event| {
            matches!(event, Event::StationState { station, state }
                if *station == here(number) && *state == wanted)
        };
        told.iter().any(known)
    };
    assert!(
        is("101", StationState::InCall) && is("102", StationState::Idle),
        "{told:?}"
    );
    let theirs = |event: &Event| matches!(event, Event::StationState { station, .. } if *station == there("2101"));
    assert!(!told.iter().any(theirs), "{told:?}");
    let call = |event: &Event| {
        matches!(event, Event::CallConnected(connected) if connected.call == CALL
            && connected.from == Some(there("2101")) && connected.to == Some(here("101")))
    };
    assert!(told.iter().any(call), "{told:?}");
}

#[test]
fn who_waits_at_a_desk_of_ours_from_behind_the_line_is_told_so() {
    let site = Site::of(&["101"])
        .behind("hall", "2101")
        .desk("900", &["101"]);
    let mut world = World::with_line(&site, &["101"], line(), Vec::new());
    world.old(0).take_told();
    world.old_asks(0, Command::CallSetup(setup(there("2101"), here("900"))));
    world.wait(SECOND);
    let queued = |event: &Event| {
        matches!(
            event,
            Event::CallProgress(CallProgress {
                progress: Progress::Queued,
                ..
            })
        )
    };
    let told = world.old(0).take_told();
    assert!(told.iter().any(queued), "{told:?}");
    world.dial("101", "900");
    world.wait(SECOND);
    let told = world.old(0).take_told();
    assert!(
        told.iter()
            .any(|event| matches!(event, Event::CallConnected(_))),
        "{told:?}"
    );
}

#[test]
fn b9_a_text_for_a_phone_goes_to_it_as_a_message_and_is_answered_when_it_has_come() {
    let mut world = world(TalkStyle::OpenDuplex);
    let ask = |world: &mut World, station, text: &str| {
        let text = Text::clip(text);
        world.old_asks(0, Command::ShowText { station, text });
        world.wait(SECOND);
        world.old(0).take_done()
    };
    assert_eq!(ask(&mut world, here("101"), "gate open"), [Verdict::Done]);
    world.expect("101", &["shows: gate open"]);
    assert_eq!(ask(&mut world, here("101"), ""), [Verdict::Unsupported]);
    assert_eq!(ask(&mut world, here("999"), "x"), [Verdict::NoSuchNumber]);
    // It is not kept for one that is not there.
    world.unregister("102");
    world.wait(SECOND);
    assert_eq!(
        ask(&mut world, here("102"), "x"),
        [Verdict::NodeUnreachable]
    );
    world.register("102");
    world.wait(SECOND);
    assert!(
        !world
            .phone("102")
            .log()
            .iter()
            .any(|said| said.contains("shows"))
    );
}

#[test]
fn b9_a_test_of_a_phone_tells_whether_it_is_there_and_disturbs_no_call() {
    let mut world = world(TalkStyle::OpenDuplex);
    let test = |world: &mut World, number: &str| {
        world.old(0).take_told();
        let station = here(number);
        world.old_asks(0, Command::LineTest { station });
        world.wait(SECOND);
        assert_eq!(world.old(0).take_done(), [Verdict::Done]);
        let told = world.old(0).take_told();
        told.iter().find_map(|event| match event {
            Event::LineTested { result, .. } => Some(*result),
            _ => None,
        })
    };
    assert_eq!(test(&mut world, "101"), Some(LineTest::Passed));
    world.dial("101", "102");
    world.wait(SECOND);
    world.act("102", Act::Answer);
    world.wait(SECOND);
    assert_eq!(test(&mut world, "101"), Some(LineTest::Skipped));
    world.act("102", Act::HangUp);
    world.wait(SECOND);
    world.unregister("102");
    world.wait(SECOND);
    let gone = LineTest::Failed(Faults::NO_REPLY);
    assert_eq!(test(&mut world, "102"), Some(gone));
}
