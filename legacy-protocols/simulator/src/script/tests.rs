//! What is understood, and what is said about the rest.

use std::time::{Duration, Instant};

use legacy_protocols::number::{Node, Number, Party};
use legacy_protocols::priority::Priority;

use super::*;
use crate::site::{Answers, Leaf, Plan, Site, StationKind, StationPlan, What};

fn party(node: u16, number: &str) -> Party {
    Party {
        node: Node(node),
        number: Number::new(number).unwrap(),
    }
}

fn site() -> Site {
    let station = |id: &str, number, kind| StationPlan {
        id: id.to_owned(),
        name: id.to_owned(),
        party: party(1, number),
        kind,
        buttons: Vec::new(),
        doors: Vec::new(),
        inputs: Vec::new(),
        answers: Answers::ByHand,
    };
    let plan = Plan {
        name: "Works".to_owned(),
        nodes: vec![(Node(1), "Hall".to_owned())],
        stations: vec![
            station("gate", "2101", StationKind::Door),
            station("desk", "2001", StationKind::Desk),
        ],
        groups: Vec::new(),
        lines: Vec::new(),
        answer_within: Duration::from_secs(30),
        longest_call: Duration::from_secs(600),
        keeps: Keeps::Alarms,
        sound_ends: Vec::new(),
    };
    Site::new(plan, Instant::now())
}

fn read(line: &str) -> Result<Option<Order>, ScriptError> {
    parse(line, &site())
}

fn act(line: &str) -> (Party, What) {
    match read(line) {
        Ok(Some(Order::Act(Act { station, what }))) => (station, what),
        other => panic!("{line}: {other:?}"),
    }
}

fn trouble(line: &str) -> String {
    read(line).unwrap_err().to_string()
}

#[test]
fn orders_are_read_with_their_usual_values() {
    let gate = party(1, "2101");
    assert_eq!(act("press gate"), (gate, What::Press(1)));
    assert_eq!(act("press 2101 3"), (gate, What::Press(3)));
    assert_eq!(
        act("dial 1/2101 2/102"),
        (gate, What::Dial(party(2, "102"), Priority::NORMAL))
    );
    assert_eq!(act("open gate"), (gate, What::Open(gate, 1)));
    assert_eq!(act("open gate 2"), (gate, What::Open(gate, 2)));
    let desk = party(1, "2001");
    assert_eq!(act("open desk gate"), (desk, What::Open(gate, 1)));
    assert_eq!(
        act("open desk 2/101 2"),
        (desk, What::Open(party(2, "101"), 2))
    );
    assert_eq!(act("take desk next"), (desk, What::Take(None)));
    assert_eq!(act("take desk gate"), (desk, What::Take(Some(gate))));
    assert!(matches!(act("keys gate 12#").1, What::Keys(_)));
    assert_eq!(read("  # said to people"), Ok(None));
    assert_eq!(read(""), Ok(None));
}

#[test]
fn waits_are_read_with_their_time() {
    let wait = |seconds, wanted| {
        Ok(Some(Order::Wait {
            wanted,
            within: Duration::from_secs(seconds),
        }))
    };
    let gate = party(1, "2101");
    let open = Condition::Door(gate, 1, Leaf::Open);
    assert_eq!(
        read("wait door gate 1 open within 3"),
        wait(3, open.clone())
    );
    assert_eq!(read("wait door gate 1 open"), wait(10, open));
    let text = Condition::Text(gate, "taken by 102".to_owned());
    assert_eq!(read("wait text gate taken by 102"), wait(10, text));
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    assert_eq!(
        trouble("sing gate"),
        "\"sing\" is no order; `help` lists them"
    );
    assert_eq!(
        trouble("press cellar"),
        "there is no station \"cellar\" here; there are: desk, gate"
    );
    assert_eq!(trouble("privacy gate maybe"), "\"maybe\" is not on or off");
    assert_eq!(trouble("keys gate"), "after \"gate\", the keys is missing");
    assert_eq!(trouble("answer gate twice"), "\"twice\" is too much");
    assert_eq!(
        trouble("wait"),
        "after \"wait\", what to wait for is missing"
    );
}

#[test]
fn a_condition_is_of_the_site_as_it_is_now() {
    let site = site();
    let holds = |line: &str| match parse(line, &site) {
        Ok(Some(Order::Wait { wanted, .. })) => wanted.holds(&site),
        other => panic!("{line}: {other:?}"),
    };
    assert!(holds("wait station gate idle"));
    assert!(!holds("wait station gate ringing"));
    assert!(holds("wait queue desk 0"));
    assert!(holds("wait call gate none"));
    assert!(!holds("wait door gate 1 open"), "it has no door");
}
