//! C4, B2: doors behind a line, and ours for those behind it. No output without a fresh, permitted id.

use std::time::Duration;

use exchange::{Answer, LineConfig, OperatorCommand, Trusted};
use legacy_protocols::command::{
    Authority, Command, OutputAction, OutputCommand, OutputId, Switch, Verdict,
};
use legacy_protocols::event::{Door as Theirs, Event};
use model::{DoorId, DoorResult, Feedback};
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::site::{Site, door, station};
use scenarios::world::World;
use scenarios::world::lines::line_to;

fn site(feedback: Feedback) -> Site {
    let site = Site::of(&["101", "102"])
        .behind("hall", "2101")
        .door("2101", "gate", None)
        .door_by_url("101", "ours", None);
    site.change("2101", |station| station.doors[0].feedback = feedback)
}

fn world(feedback: Feedback, line: LineConfig) -> World {
    let mut world = World::with_line(&site(feedback), &["101"], line, Vec::new());
    // Commands of before the start are not taken for ten seconds.
    world.wait(11 * SECOND);
    world.old(0).take_told();
    world.skip();
    world
}

fn opens(world: &mut World, which: &str) -> Answer {
    let command = world.gateway.fresh_command();
    let at: DoorId = door(which);
    world.operator(OperatorCommand::Open(command, at))
}

/// What the server was asked to open.
#[track_caller]
fn asked(world: &mut World) -> OutputCommand {
    match &world.old(0).take_asked()[..] {
        [Command::DoorOpen(asked)] => asked.clone(),
        other => panic!("one door: {other:?}"),
    }
}

fn result(world: &World) -> Option<DoorResult> {
    match &world.gateway.door_records[..] {
        [] => None,
        [record] => Some(record.result),
        more => panic!("one command has one record: {more:?}"),
    }
}

fn state(state: Theirs, command: Option<OutputId>) -> Event {
    Event::DoorState {
        station: there("2101"),
        output: 1,
        state,
        command,
    }
}

#[test]
fn c4_a_door_behind_the_line_has_opened_only_when_its_station_says_so() {
    let mut world = world(Feedback::Station, line_to("hall"));
    assert!(matches!(opens(&mut world, "gate"), Answer::Done));
    world.wait(SECOND);
    let asked = asked(&mut world);
    assert_eq!((asked.station, asked.output), (there("2101"), 1));
    assert!(matches!(asked.action, OutputAction::Pulse(_)));
    // It was answered "done": the command has reached the output.
    assert_eq!(result(&world), None);
    world.old_tells(0, state(Theirs::Opened, Some(asked.id)));
    world.wait(SECOND);
    assert_eq!(result(&world), Some(DoorResult::Opened));
}

#[test]
fn c4_a_contact_confirms_a_door_and_others_do_not() {
    use legacy_protocols::command::Switch;
    let mut world = world(Feedback::Contact { input: 2 }, line_to("hall"));
    opens(&mut world, "gate");
    world.wait(Duration::from_millis(100));
    let contact = |input| Event::InputState {
        station: there("2101"),
        input,
        state: Switch::On,
    };
    world.old_tells(0, contact(1));
    world.wait(Duration::from_millis(100));
    assert_eq!(result(&world), None);
    world.old_tells(0, contact(2));
    world.wait(Duration::from_millis(100));
    assert_eq!(result(&world), Some(DoorResult::Opened));
}

#[test]
fn c4_a_door_that_says_nothing_is_sent_and_not_confirmed() {
    let mut world = world(Feedback::Station, line_to("hall"));
    opens(&mut world, "gate");
    world.wait(5 * SECOND);
    assert_eq!(result(&world), Some(DoorResult::SentNotConfirmed));
    // Too late to change what was written down.
    world.old_tells(0, state(Theirs::Opened, None));
    world.wait(SECOND);
    assert_eq!(result(&world), Some(DoorResult::SentNotConfirmed));
}

#[test]
fn c4_a_line_that_drops_between_request_and_confirmation_opens_nothing_twice() {
    let mut world = world(Feedback::Station, line_to("hall"));
    world.old(0).answers = None;
    opens(&mut world, "gate");
    world.wait(Duration::from_millis(100));
    let first = asked(&mut world);
    world.cut_line(0);
    world.wait(5 * SECOND);
    assert_eq!(result(&world), Some(DoorResult::SentNotConfirmed));
    world.old(0).picture = vec![state(Theirs::Opened, Some(first.id))];
    world.mend_line(0);
    world.wait(120 * SECOND);
    world.expect_up(0);
    // Nothing is replayed, and a picture confirms nothing.
    assert_eq!(world.old(0).take_asked(), []);
    assert_eq!(result(&world), Some(DoorResult::SentNotConfirmed));
    assert_eq!(world.gateway.state().calls().counters().door_pulses, 1);
}

#[test]
fn c4_a_door_behind_a_lost_line_fails_at_once_and_is_not_kept_for_later() {
    let mut world = world(Feedback::Station, line_to("hall"));
    world.cut_line(0);
    opens(&mut world, "gate");
    world.wait(SECOND);
    assert_eq!(result(&world), Some(DoorResult::Failed));
    world.mend_line(0);
    world.wait(120 * SECOND);
    world.expect_up(0);
    assert_eq!(world.old(0).take_asked(), []);
}

#[test]
fn c4_a_repeated_command_id_reaches_the_line_once() {
    let mut world = world(Feedback::None, line_to("hall"));
    let id = world.gateway.fresh_command();
    let command = OperatorCommand::Open(id, door("gate"));
    assert!(matches!(world.operator(command.clone()), Answer::Done));
    world.wait(30 * SECOND);
    assert!(matches!(world.operator(command), Answer::Refused(_)));
    world.wait(SECOND);
    asked(&mut world);
}

#[test]
fn c4_without_an_authority_the_line_drives_no_output() {
    let mut line = line_to("hall");
    line.authority = Authority::default();
    let mut world = world(Feedback::None, line);
    opens(&mut world, "gate");
    world.wait(SECOND);
    assert_eq!(world.old(0).take_asked(), []);
    assert_eq!(result(&world), Some(DoorResult::Failed));
}

// ---- ours, for those behind the line --------------------------------------------------

fn open_ours(world: &World, id: u64, valid: Duration) -> OutputCommand {
    OutputCommand {
        id: OutputId(id),
        station: here("101"),
        output: 1,
        action: OutputAction::Pulse(3 * SECOND),
        authority: Authority::new(b"night desk").expect("it is short"),
        valid_until: world.now + valid,
    }
}

/// The desk behind the line, which may open the door of 101.
fn desk_may_open() -> World {
    let site = site(Feedback::None).change("2101", |desk| desk.may_open.push(door("ours")));
    let mut line = line_to("hall");
    line.trusted = vec![Trusted {
        authority: Authority::new(b"night desk").expect("it is short"),
        station: station("2101"),
    }];
    let mut world = World::with_line(&site, &["101"], line, Vec::new());
    world.wait(11 * SECOND);
    world.skip();
    world.old(0).take_told();
    world
}

#[test]
fn c4_a_desk_behind_the_line_opens_a_door_of_ours_once_for_one_id() {
    let mut world = desk_may_open();
    let asked = open_ours(&world, 7, 5 * SECOND);
    world.old_asks(0, Command::DoorOpen(asked.clone()));
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Accepted]);
    let sent = Event::DoorState {
        station: here("101"),
        output: 1,
        state: Theirs::Sent,
        command: Some(OutputId(7)),
    };
    let told = world.old(0).take_told();
    assert!(told.contains(&sent), "{told:?}");
    // The port of this end refuses it first; should the line have been new, the engine does.
    world.wait(61 * SECOND);
    let again = OutputCommand {
        valid_until: world.now + 5 * SECOND,
        ..asked
    };
    world.old_asks(0, Command::DoorOpen(again));
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::AlreadyTaken]);
    assert_eq!(world.gateway.url_requests.len(), 1);
}

#[test]
fn c4_who_shows_no_token_that_is_trusted_opens_nothing() {
    let mut world = world(Feedback::None, line_to("hall"));
    let asked = open_ours(&world, 8, 5 * SECOND);
    world.old_asks(0, Command::DoorOpen(asked));
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::NotAllowed]);
    assert_eq!(world.gateway.url_requests.len(), 0);
}

#[test]
fn c4_a_command_that_expires_on_the_way_or_claims_too_much_opens_nothing() {
    let mut world = desk_may_open();
    let long = open_ours(&world, 9, 50 * SECOND);
    world.old_asks(0, Command::DoorOpen(long));
    world.wait(2 * SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::NotAllowed]);
    let short = open_ours(&world, 10, Duration::from_micros(1));
    world.old_asks(0, Command::DoorOpen(short));
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Expired]);
    assert_eq!(world.gateway.url_requests.len(), 0);
}

#[test]
fn b9_an_output_of_ours_is_driven_only_where_it_is_a_door_and_only_by_its_rules() {
    let mut world = desk_may_open();
    let ask = |world: &mut World, asked: OutputCommand| {
        world.old_asks(0, Command::OutputSet(asked));
        world.wait(SECOND);
        world.old(0).take_done()
    };
    let asked = open_ours(&world, 11, 5 * SECOND);
    let held = OutputCommand {
        action: OutputAction::Set(Switch::On),
        ..asked
    };
    assert_eq!(ask(&mut world, held), [Verdict::NotAllowed]);
    let lamp = OutputCommand {
        output: 7,
        ..open_ours(&world, 12, 5 * SECOND)
    };
    assert_eq!(ask(&mut world, lamp), [Verdict::NoSuchNumber]);
    let stranger = OutputCommand {
        authority: Authority::new(b"day desk").expect("it is short"),
        ..open_ours(&world, 13, 5 * SECOND)
    };
    assert_eq!(ask(&mut world, stranger), [Verdict::NotAllowed]);
    assert_eq!(world.gateway.url_requests.len(), 0);
    let asked = open_ours(&world, 14, 5 * SECOND);
    assert_eq!(ask(&mut world, asked), [Verdict::Accepted]);
    assert_eq!(world.gateway.url_requests.len(), 1);
}
