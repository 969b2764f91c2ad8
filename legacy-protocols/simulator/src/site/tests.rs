//! Stories of a site and a gateway on one line, in virtual time.

mod random;
mod world;

use legacy_protocols::command::{CallRef, Cause, Command, Verdict};
use legacy_protocols::event::{CallConnected, Door as Told, Event};
use legacy_protocols::isdn::link::{Side, Topology};
use legacy_protocols::isdn::session::{self as isdn, Dialect};
use legacy_protocols::priority::Priority;
use legacy_protocols::sound::{SoundCodec, SoundCodecs};

use super::*;
use world::{SECOND, SITE, World, channels, desk, gate, party, phone_sound, reception, to_gate};

#[test]
fn a_button_calls_over_the_line_and_both_hear_each_other() {
    let mut world = World::up();
    world.act(gate(), What::Press(1));
    assert_eq!(world.state(gate()), StationState::InCall);
    let Command::CallSetup(setup) = world.answer(Verdict::Accepted) else {
        panic!("a call was wanted");
    };
    assert_eq!((setup.from, setup.to), (gate(), reception()));
    assert_eq!(setup.sound.unwrap().codecs, SoundCodecs::ALL);
    world.tell(Event::CallConnected(CallConnected {
        call: setup.call,
        from: None,
        to: None,
        mode: None,
        sound: Some(phone_sound()),
    }));
    let heard: Vec<_> = world.circuits.last().unwrap().members.clone();
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|member| member.part == Part::BOTH));
    let stream = Stream {
        to: phone_sound().address,
        codec: SoundCodec::Pcma,
    };
    assert_eq!(world.streams.last(), Some(&(0, Some(stream))));
    world.act(gate(), What::Cancel);
    assert!(matches!(
        world.asked.last(),
        Some((_, Command::CallRelease { .. }))
    ));
    assert_eq!(world.state(gate()), StationState::Idle);
    assert_eq!(world.streams.last(), Some(&(0, None)));
}

#[test]
fn a_call_from_the_line_rings_is_answered_and_tells_where_its_sound_goes() {
    let mut world = World::up();
    let call = world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::Accepted);
    assert_eq!(world.state(gate()), StationState::Ringing);
    assert!(
        world.circuits.is_empty(),
        "nobody listens to a station that rings"
    );
    world.act(gate(), What::Answer);
    let connected = world.events.iter().find_map(|event| match event {
        Event::CallConnected(told) if told.call == call => told.sound,
        _ => None,
    });
    let codecs = SoundCodecs::new([SoundCodec::Pcma]).unwrap();
    assert_eq!(connected.unwrap().codecs, codecs, "what both speak");
    world.ask(
        2,
        Command::CallRelease {
            call,
            cause: Cause::NORMAL,
        },
    );
    assert_eq!(world.state(gate()), StationState::Idle);
}

#[test]
fn an_alarm_is_heard_at_once_whatever_its_station_does() {
    let mut world = World::up();
    world.act(gate(), What::Press(3));
    assert_eq!(world.state(desk()), StationState::Ringing);
    world.call_gate(5);
    assert_eq!(world.verdict(1), Verdict::Accepted);
    assert_eq!(world.state(gate()), StationState::InCall);
    assert_eq!(world.state(desk()), StationState::Idle);
}

#[test]
fn a_busy_station_and_one_with_privacy_refuse_with_their_reason() {
    let mut world = World::up();
    world.act(gate(), What::Press(3));
    world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::Busy);
    let mut world = World::up();
    world.act(gate(), What::Privacy(legacy_protocols::command::Switch::On));
    world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::NotAllowed);
}

#[test]
fn b9_a_request_is_taken_once_by_the_desk_or_over_the_line() {
    let mut world = World::up();
    world.act(gate(), What::Press(2));
    assert_eq!(world.state(gate()), StationState::Requesting);
    let request = world.events.iter().find_map(|event| match event {
        Event::RequestNew(request) => Some(request.request),
        _ => None,
    });
    let request = request.unwrap();
    world.act(desk(), What::Take(None));
    assert_eq!(world.state(gate()), StationState::InCall);
    assert_eq!(world.state(desk()), StationState::InCall);
    let by = reception();
    world.ask(5, Command::RequestClaim { request, by });
    let answer = &world.done.last().unwrap().1;
    assert_eq!(answer.verdict, Verdict::AlreadyTaken);
    assert_eq!(answer.by, Some(desk()));
}

#[test]
fn b9_whoever_claims_over_the_line_is_answered_by_the_station_at_once() {
    let mut world = World::up();
    world.act(gate(), What::Press(2));
    let request = world.site.queue(desk())[0].number;
    let by = reception();
    world.ask(5, Command::RequestClaim { request, by });
    assert_eq!(world.verdict(5), Verdict::Done);
    assert!(world.site.queue(desk()).is_empty());
    world.call_gate(70);
    assert_eq!(world.state(gate()), StationState::InCall);
}

#[test]
fn b9_a_desk_claims_what_the_gateway_queued_and_calls_only_when_it_won() {
    use legacy_protocols::command::RequestRef;
    use legacy_protocols::event::CallRequest;
    for (verdict, calls) in [(Verdict::Done, true), (Verdict::AlreadyTaken, false)] {
        let mut world = World::up();
        let request = CallRequest {
            request: RequestRef(3),
            from: reception(),
            to: Some(desk()),
            priority: Priority::NORMAL,
            text: None,
        };
        world.ask(5, Command::RequestFile(request));
        assert_eq!(world.verdict(5), Verdict::Done);
        world.act(desk(), What::Take(None));
        let claim = world.answer(verdict);
        assert!(matches!(claim, Command::RequestClaim { by, .. } if by == desk()));
        let called = matches!(world.asked.last(), Some((_, Command::CallSetup(_))));
        assert_eq!(called, calls);
    }
}

#[test]
fn b9_a_door_is_told_open_by_its_contact_only() {
    let told = |world: &World, output| -> Vec<Told> {
        let events = world.events.iter().filter_map(|event| match event {
            Event::DoorState {
                output: of, state, ..
            } if *of == output => Some(*state),
            _ => None,
        });
        events.collect()
    };
    let mut world = World::up();
    world.events.clear();
    world.open_gate(1, 1);
    assert_eq!(world.verdict(1), Verdict::Done);
    world.pass(SECOND * 8);
    assert_eq!(told(&world, 1), [Told::Sent, Told::Opened, Told::Closed]);
    world.open_gate(2, 2);
    world.pass(SECOND * 8);
    assert_eq!(told(&world, 2), [Told::Sent], "no contact is fitted");
    world.act(gate(), What::Hinge(1, Hinge::Stuck));
    world.events.clear();
    world.open_gate(3, 1);
    world.pass(SECOND * 8);
    assert_eq!(told(&world, 1), [Told::Sent], "it is stuck");
}

#[test]
fn a_line_that_is_lost_ends_its_calls_and_a_new_picture_tells_what_is() {
    let mut world = World::up();
    world.act(gate(), What::Press(1));
    world.answer(Verdict::Accepted);
    world.cut();
    assert_eq!(world.state(gate()), StationState::Idle);
    world.act(gate(), What::Press(2));
    world.events.clear();
    world.plug();
    let state = Event::StationState {
        station: gate(),
        state: StationState::Requesting,
    };
    assert!(world.events.contains(&state), "{:?}", world.events);
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::RequestNew(_)))
    );
}

#[test]
fn a_group_call_has_one_talker_and_ends_with_it() {
    use legacy_protocols::command::Switch;
    let mut world = World::up();
    world.act(desk(), What::Group(1, Switch::On));
    assert!(matches!(world.state(gate()), StationState::Listening(_)));
    let members = &world.circuits.last().unwrap().members;
    assert_eq!(members.iter().filter(|m| m.part.talks).count(), 1);
    world.act(desk(), What::Group(1, Switch::Off));
    assert_eq!(world.state(gate()), StationState::Idle);
    assert!(world.circuits.last().unwrap().members.is_empty());
}

#[test]
fn a_broken_station_is_out_of_service_and_what_it_did_ends() {
    use legacy_protocols::event::Faults;
    let mut world = World::up();
    world.call_gate(70);
    world.act(gate(), What::Answer);
    world.act(gate(), What::Break(Faults::LINE_OPEN));
    assert_eq!(world.state(gate()), StationState::OutOfService);
    assert!(
        world
            .events
            .iter()
            .any(|e| matches!(e, Event::CallReleased { .. }))
    );
    let press = Act {
        station: gate(),
        what: What::Press(1),
    };
    let trouble = world.site.act(&press, world.now).unwrap_err();
    assert_eq!(trouble, Trouble::Broken("gate".to_owned()));
}

#[test]
fn b9_over_acdp_a_desk_is_called_shows_its_queue_and_is_hung_up() {
    let mut world = World::over_acdp();
    world.events.clear();
    world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::Accepted);
    assert_eq!(world.state(gate()), StationState::Ringing);
    world.act(gate(), What::Answer);
    let connected = |event: &Event| {
        matches!(event, Event::CallConnected(told)
            if told.from == Some(reception()) && told.to == Some(gate()))
    };
    assert!(world.events.iter().any(connected), "{:?}", world.events);
    let call = CallRef(7);
    let cause = Cause::NORMAL;
    world.ask(2, Command::CallRelease { call, cause });
    assert_eq!(world.state(gate()), StationState::Idle);
    world.act(gate(), What::Press(2));
    let queued = |event: &Event| matches!(event, Event::RequestNew(told) if told.from == gate() && told.to == Some(desk()));
    assert!(world.events.iter().any(queued), "{:?}", world.events);
    world.act(desk(), What::Take(None));
    let closed = |event: &Event| matches!(event, Event::RequestClosed { .. });
    assert!(world.events.iter().any(closed));
}

#[test]
fn b9_over_isdn_calls_have_a_b_channel_while_they_last() {
    let mut world = World::over_isdn();
    world.act(gate(), What::Press(1));
    let Command::CallSetup(setup) = world.answer(Verdict::Accepted) else {
        panic!("a call was wanted");
    };
    assert_eq!(setup.from.number, gate().number);
    world.tell(Event::CallConnected(CallConnected {
        call: setup.call,
        from: None,
        to: None,
        mode: None,
        sound: None,
    }));
    world.pass(SECOND);
    let stream = Stream {
        to: channels(),
        codec: SoundCodec::Pcma,
    };
    assert_eq!(world.streams.last(), Some(&(0, Some(stream))));
    let Some(LineCommand::Join { channel, ours }) = world.bearings.last().cloned() else {
        panic!("no channel was joined: {:?}", world.bearings);
    };
    assert_eq!(ours, "127.0.0.1:40000".parse().unwrap());
    world.act(gate(), What::Cancel);
    world.pass(SECOND);
    assert_eq!(world.bearings.last(), Some(&LineCommand::Leave { channel }));
    assert_eq!(world.state(gate()), StationState::Idle);
    let released = |event: &Event| matches!(event, Event::CallReleased { .. });
    assert!(world.events.iter().any(released));
}

#[test]
fn b9_over_isdn_a_station_is_called_and_answers() {
    let mut world = World::over_isdn();
    let call = world.call_gate(70);
    world.pass(SECOND);
    assert_eq!(world.verdict(1), Verdict::Accepted);
    assert_eq!(world.state(gate()), StationState::Ringing);
    world.act(gate(), What::Answer);
    world.pass(SECOND);
    let connected =
        |event: &Event| matches!(event, Event::CallConnected(told) if told.call == call);
    assert!(world.events.iter().any(connected), "{:?}", world.events);
    let joined = |command: &LineCommand| matches!(command, LineCommand::Join { .. });
    assert!(world.bearings.iter().any(joined));
    let cause = Cause::NORMAL;
    world.ask(2, Command::CallRelease { call, cause });
    world.pass(SECOND);
    assert_eq!(world.state(gate()), StationState::Idle);
}

/// Each kind of line, and the site at either end of it.
fn all_isdn() -> Vec<(&'static str, World)> {
    let basic = |topology| move |side| isdn::Config::basic_rate(side, topology);
    let primary = |dialect| move |side| isdn::Config::primary_rate(side, dialect);
    let mut worlds = Vec::new();
    for side in [Side::Network, Side::User] {
        worlds.extend([
            (
                "primary",
                World::over_isdn_like(side, primary(Dialect::Dss1)),
            ),
            ("qsig", World::over_isdn_like(side, primary(Dialect::Qsig))),
            (
                "basic",
                World::over_isdn_like(side, basic(Topology::PointToPoint)),
            ),
            (
                "bus",
                World::over_isdn_like(side, basic(Topology::PointToMultipoint)),
            ),
        ]);
    }
    worlds
}

#[test]
fn b9_over_every_kind_of_isdn_and_at_either_end_calls_go_both_ways() {
    for (kind, mut world) in all_isdn() {
        world.pass(SECOND * 3);
        let call = world.call_gate(70);
        world.pass(SECOND);
        assert_eq!(world.verdict(1), Verdict::Accepted, "{kind}");
        world.act(gate(), What::Answer);
        world.pass(SECOND);
        let connected =
            |event: &Event| matches!(event, Event::CallConnected(told) if told.call == call);
        assert!(
            world.events.iter().any(connected),
            "{kind} {:?}",
            world.events
        );
        let cause = Cause::NORMAL;
        world.ask(2, Command::CallRelease { call, cause });
        world.pass(SECOND);
        assert_eq!(world.state(gate()), StationState::Idle, "{kind}");
        world.act(gate(), What::Press(1));
        let Command::CallSetup(setup) = world.answer(Verdict::Accepted) else {
            panic!("{kind}: a call was wanted");
        };
        assert_eq!(setup.to.number, reception().number);
        world.tell(Event::CallConnected(CallConnected {
            call: setup.call,
            from: None,
            to: None,
            mode: None,
            sound: None,
        }));
        world.pass(SECOND);
        let joined = |command: &&LineCommand| matches!(command, LineCommand::Join { .. });
        assert_eq!(world.bearings.iter().filter(joined).count(), 2, "{kind}");
        world.act(gate(), What::Cancel);
        world.pass(SECOND);
        assert_eq!(world.state(gate()), StationState::Idle, "{kind}");
    }
}

/// Calls of the site's own have numbers of their own, which no call of the line has.
#[test]
fn a_call_inside_the_site_answers_no_call_of_an_isdn_line() {
    let mut world = World::over_isdn();
    world.pass(SECOND);
    for reference in 1..9 {
        // A call of the site's own, and one of the line that nobody answers.
        world.act(party(SITE, "2102"), What::Press(3));
        world.ask(reference, Command::CallSetup(to_gate(reference)));
        world.pass(SECOND);
        world.act(desk(), What::Answer);
        world.pass(SECOND);
        let connected = |event: &Event| matches!(event, Event::CallConnected(_));
        assert!(!world.events.iter().any(connected), "{reference}");
        world.act(desk(), What::Cancel);
        let (call, cause) = (CallRef(reference), Cause::NORMAL);
        world.ask(100 + reference, Command::CallRelease { call, cause });
        world.pass(SECOND);
    }
}

#[test]
fn b9_over_mcip_who_was_asked_to_call_calls_and_the_request_is_over() {
    let mut world = World::over_mcip();
    let asks = Act {
        station: gate(),
        what: What::Press(4),
    };
    world.site.act(&asks, world.now).unwrap();
    world.pass(SECOND);
    assert_eq!(world.state(gate()), StationState::Requesting);
    let new = |event: &Event| matches!(event, Event::RequestNew(told) if told.from == gate());
    assert!(world.events.iter().any(new), "{:?}", world.events);
    let call = world.call_gate(70);
    assert_eq!(world.verdict(1), Verdict::Done);
    // It waits for this call, so it takes it at once.
    assert_eq!(world.state(gate()), StationState::InCall);
    let over = |event: &Event| matches!(event, Event::RequestCancelled { .. });
    assert!(world.events.iter().any(over), "{:?}", world.events);
    let connected = |event: &Event| matches!(event, Event::CallConnected(t) if t.call == call);
    assert!(world.events.iter().any(connected), "{:?}", world.events);
    world.act(gate(), What::Cancel);
    let ended =
        |event: &Event| matches!(event, Event::CallReleased { call: over, .. } if *over == call);
    assert!(world.events.iter().any(ended), "{:?}", world.events);
}

const ALARM: usize = 5;

#[test]
fn b2_an_alarm_pressed_while_the_line_is_down_waits_and_is_made_when_it_is_back() {
    let mut world = World::up();
    world.cut();
    world.act(gate(), What::Press(ALARM));
    assert_eq!(world.state(gate()), StationState::Requesting);
    world.asked.clear();
    world.plug();
    let Command::CallSetup(setup) = world.answer(Verdict::Accepted) else {
        panic!("a call was wanted");
    };
    assert_eq!((setup.from, setup.to), (gate(), reception()));
    assert_eq!(setup.priority.value(), 1);
    assert_eq!(world.state(gate()), StationState::InCall);
    // It breaks before anybody answers, twice.
    let mut call = setup.call;
    for _ in 0..2 {
        world.cut();
        assert_eq!(world.state(gate()), StationState::Requesting);
        world.plug();
        let Command::CallSetup(setup) = world.answer(Verdict::Accepted) else {
            panic!("a call was wanted again");
        };
        assert_ne!(setup.call, call);
        call = setup.call;
    }
    world.tell(Event::CallConnected(CallConnected {
        call,
        from: None,
        to: None,
        mode: None,
        sound: Some(phone_sound()),
    }));
    assert_eq!(world.state(gate()), StationState::InCall);
    world.cut();
    assert_eq!(
        world.state(gate()),
        StationState::Idle,
        "it was answered, so it is over"
    );
}

#[test]
fn an_alarm_that_waits_is_taken_back_and_other_calls_wait_only_where_it_is_set() {
    let mut world = World::up();
    world.cut();
    world.act(gate(), What::Press(ALARM));
    world.act(gate(), What::Cancel);
    assert_eq!(world.state(gate()), StationState::Idle);
    let press = Act {
        station: gate(),
        what: What::Press(1),
    };
    assert_eq!(world.site.act(&press, world.now), Err(Trouble::NoLine));
    world.site.set_keeps(Keeps::Everything);
    world.act(gate(), What::Press(1));
    world.asked.clear();
    world.plug();
    assert!(matches!(
        world.answer(Verdict::Accepted),
        Command::CallSetup(_)
    ));
}

/// A line that has no room takes it as soon as it has some.
#[test]
fn an_alarm_waits_for_room_too() {
    let mut world = World::up();
    world.cut();
    world.act(party(SITE, "2102"), What::Press(ALARM));
    world.act(gate(), What::Press(ALARM));
    world.asked.clear();
    world.plug();
    // There is one end of sound for both.
    let set_up = |world: &World| {
        let asked = world.asked.iter();
        let set_up = |(_, command): &&(_, Command)| matches!(command, Command::CallSetup(_));
        asked.filter(set_up).count()
    };
    assert_eq!(set_up(&world), 1);
    let waits = |world: &World| {
        let both = [gate(), party(SITE, "2102")];
        let waiting = both
            .into_iter()
            .filter(|s| world.state(*s) == StationState::Requesting);
        waiting.collect::<Vec<_>>()
    };
    let [last] = waits(&world)[..] else {
        panic!("one waits");
    };
    let first = [gate(), party(SITE, "2102")]
        .into_iter()
        .find(|s| *s != last)
        .unwrap();
    world.act(first, What::Cancel);
    world.pass(SECOND * 6);
    assert_eq!(set_up(&world), 2);
    assert_eq!(waits(&world), []);
}
