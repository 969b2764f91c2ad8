//! B9: what people here order of stations behind a line: texts, programmes, diversions, outputs.

use std::time::Duration;

use exchange::{
    Answer, Diversion, LineConfig, OperatorCommand, OperatorError, OrderError, StationOrder,
};
use legacy_protocols::command::{Authority, Command, Divert, OutputAction, Programme, Switch};
use legacy_protocols::command::{OutputCommand, Verdict};
use legacy_protocols::priority;
use legacy_protocols::text::Text;
use model::{CallNumber, Priority};
use scenarios::clock::SECOND;
use scenarios::old_server::{here, there};
use scenarios::site::Site;
use scenarios::world::World;
use scenarios::world::lines::{isdn_to, line_to};

const OUTPUT: StationOrder = StationOrder::Output {
    output: 4,
    action: OutputAction::Pulse(Duration::from_secs(3)),
};

fn world(line: LineConfig) -> World {
    let site = Site::of(&["101"])
        .behind("hall", "2101")
        .behind("hall", "2102")
        .door("2101", "gate", None);
    let mut world = World::with_line(&site, &["101"], line, Vec::new());
    world.old(0).take_asked();
    world.skip();
    world
}

fn of(number: &str, order: StationOrder) -> OperatorCommand {
    OperatorCommand::Order(CallNumber::parse(number).expect("digits"), order)
}

/// What whoever orders is answered within a second.
fn ordered(world: &mut World, number: &str, order: StationOrder) -> Answer {
    let asker = world.order(of(number, order));
    world.wait(SECOND);
    let answer = world.gateway.answer_to(asker);
    answer.expect("an order is answered")
}

fn refused(world: &mut World, number: &str, order: StationOrder) -> OrderError {
    match ordered(world, number, order) {
        Answer::Refused(OperatorError::Order(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn verdict(answer: &Answer) -> Option<Verdict> {
    match answer {
        Answer::OfLine(answer) => Some(answer.verdict),
        _ => None,
    }
}

#[test]
fn b9_each_order_reaches_the_station_and_is_answered_by_its_server() {
    let mut world = world(line_to("hall"));
    let station = there("2101");
    let orders = [
        (
            StationOrder::ShowText(Text::clip("please wait")),
            Command::ShowText {
                station,
                text: Text::clip("please wait"),
            },
        ),
        (
            StationOrder::Programme(Programme::Channel(3)),
            Command::Programme {
                station,
                programme: Programme::Channel(3),
            },
        ),
        (
            StationOrder::Announce {
                message: 7,
                priority: Priority::DEFAULT_ALARM,
            },
            Command::Announce {
                station,
                message: 7,
                priority: priority::Priority::new(10, priority::Scale::OneIsHighest)
                    .expect("of its scale"),
            },
        ),
        (
            StationOrder::Divert(Diversion::NoReply(
                CallNumber::parse("101").expect("digits"),
            )),
            Command::Divert {
                station,
                divert: Divert::NoReply(here("101")),
            },
        ),
        (
            StationOrder::Divert(Diversion::Always(
                CallNumber::parse("2102").expect("digits"),
            )),
            Command::Divert {
                station,
                divert: Divert::Always(there("2102")),
            },
        ),
        (
            StationOrder::Privacy(Switch::On),
            Command::SetPrivacy {
                station,
                privacy: Switch::On,
            },
        ),
        (StationOrder::Test, Command::LineTest { station }),
    ];
    for (order, command) in orders {
        let answer = ordered(&mut world, "2101", order);
        assert_eq!(verdict(&answer), Some(Verdict::Done), "{answer:?}");
        assert_eq!(world.old(0).take_asked(), [command]);
    }
    world.old(0).answers = Some(Verdict::Unsupported);
    let answer = ordered(&mut world, "2101", StationOrder::Test);
    assert_eq!(verdict(&answer), Some(Verdict::Unsupported));
}

#[test]
fn b9_an_output_is_driven_with_our_token_a_fresh_id_and_ten_seconds_to_live() {
    let mut world = world(line_to("hall"));
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = ordered(&mut world, "2101", OUTPUT);
        assert_eq!(verdict(&answer), Some(Verdict::Done), "{answer:?}");
        // At most one a second for one output.
        world.wait(SECOND);
        let asked = world.old(0).take_asked();
        let [
            Command::OutputSet(OutputCommand {
                id,
                authority,
                output,
                valid_until,
                ..
            }),
        ] = asked.as_slice()
        else {
            panic!("{asked:?}");
        };
        assert_eq!((*output, authority.as_bytes()), (4, &b"gateway"[..]));
        assert!(*valid_until <= world.now + 10 * SECOND);
        ids.push(*id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn b9_what_cannot_go_is_refused_with_the_reason_and_nothing_is_sent() {
    let mut world = world(line_to("hall"));
    let test = || StationOrder::Test;
    assert!(matches!(
        refused(&mut world, "999", test()),
        OrderError::NoSuchStation(_)
    ));
    assert!(matches!(
        refused(&mut world, "101", test()),
        OrderError::NotBehindLine(_)
    ));
    // The output of a door is the door's.
    let door = StationOrder::Output {
        output: 1,
        action: OutputAction::Set(Switch::On),
    };
    assert!(matches!(
        refused(&mut world, "2101", door),
        OrderError::IsDoor { output: 1, .. }
    ));
    assert_eq!(world.old(0).take_asked(), []);

    let no_token = LineConfig {
        authority: Authority::default(),
        ..line_to("hall")
    };
    let mut world = self::world(no_token);
    assert!(matches!(
        refused(&mut world, "2101", OUTPUT),
        OrderError::NoAuthority { .. }
    ));
    assert_eq!(world.old(0).take_asked(), []);
}

#[test]
fn b9_a_driver_without_the_word_is_named() {
    let mut world = world(isdn_to("hall"));
    let error = refused(&mut world, "2101", StationOrder::Test);
    let said = error.to_string();
    assert!(
        said.contains("\"isdn\"") && said.contains("line_test"),
        "{said}"
    );
}

#[test]
fn b9_an_order_for_a_line_that_is_down_is_refused_and_never_replayed() {
    let mut world = world(line_to("hall"));
    // One is on its way when the line breaks: nobody knows what came of it.
    world.old(0).answers = None;
    let asker = world.order(of("2101", OUTPUT));
    world.wait(SECOND / 10);
    assert_eq!(world.old(0).take_asked().len(), 1);
    world.cut_line(0);
    world.wait(SECOND);
    let answer = world.gateway.answer_to(asker).expect("it is answered");
    assert_eq!(verdict(&answer), Some(Verdict::LineLost));
    assert!(matches!(
        refused(&mut world, "2101", OUTPUT),
        OrderError::NotUp { .. }
    ));
    world.mend_line(0);
    world.wait(120 * SECOND);
    world.expect_up(0);
    assert_eq!(world.old(0).take_asked(), []);
}
