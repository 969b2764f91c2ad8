//! B1, C1, C5: calls over the link between a gateway and the core, and browsers at their ends.

use std::sync::Arc;
use std::time::Duration;

use calls::Alert;
use exchange::{Input, WebCommand, WebEvent, WebParty, WebProgress};
use model::{
    Address, CallNumber, CloudUserId, DialStatus, Directory, EndCause, LegId, LegRole, Lists,
    Reach, Station, StationId, StationKind,
};
use scenarios::clock::SECOND;
use scenarios::pair::{CORE, GATEWAY, OTHER, Pair};

fn number(number: &str) -> Address {
    Address::Local(CallNumber::parse(number).expect("a test dials digits"))
}

/// Those that ring at the core, in the order of their users.
fn ringing(pair: &mut Pair) -> Vec<WebParty> {
    let told = pair.told(CORE);
    let rings = told
        .into_iter()
        .filter_map(|(party, command)| match command {
            WebCommand::Ring(ring) => Some((ring.user, party)),
            _ => None,
        });
    let mut rings: Vec<_> = rings.collect();
    rings.sort_by_key(|(user, _)| *user);
    rings.into_iter().map(|(_, party)| party).collect()
}

/// A call from the gateway that two browsers of the core ring for.
fn ringing_pair() -> (Pair, WebParty, Vec<WebParty>) {
    let mut pair = Pair::new(&[("500", &[2, 3])]);
    let caller = pair.dial(GATEWAY, 1, 1, number("500"));
    pair.wait(SECOND / 2);
    let rings = ringing(&mut pair);
    (pair, caller, rings)
}

#[test]
fn the_first_browser_that_answers_has_the_call_and_the_other_is_told_who_was_faster() {
    let (mut pair, caller, rings) = ringing_pair();
    let [first, second] = rings[..] else {
        panic!("two browsers ring, not {rings:?}")
    };
    pair.web(CORE, second, WebEvent::Ringing);
    pair.wait(SECOND / 2);
    let ringback = WebCommand::Progress(WebProgress::Ringing);
    assert!(pair.told(GATEWAY).contains(&(caller, ringback)));

    pair.answer(CORE, first);
    let cause = EndCause::AnsweredElsewhere;
    assert_eq!(pair.told(CORE), [(second, WebCommand::End { cause })]);
    pair.wait(SECOND / 2);
    let told = pair.told(GATEWAY);
    assert!(matches!(&told[..], [(party, WebCommand::Accept { .. })] if *party == caller));

    pair.wait(10 * SECOND);
    let cause = EndCause::HungUp;
    pair.web(GATEWAY, caller, WebEvent::Ended { cause });
    pair.wait(SECOND);
    assert_eq!(pair.told(CORE), [(first, WebCommand::End { cause })]);
    // Each leg of each end has one record, and the talk is one of them.
    let legs: Vec<_> = pair.ends[CORE]
        .records
        .iter()
        .map(|r| (r.role, r.status))
        .collect();
    assert_eq!(legs.len(), 3, "{legs:?}");
    assert!(
        legs.contains(&(LegRole::Callee, DialStatus::Answered)),
        "{legs:?}"
    );
    assert_eq!(pair.ends[GATEWAY].records.len(), 2);
}

#[test]
fn the_caller_is_who_the_gateway_says_and_the_alert_is_a_ring() {
    let mut pair = Pair::new(&[("500", &[2])]);
    pair.dial(GATEWAY, 1, 1, number("500"));
    pair.wait(SECOND);
    let told = pair.told(CORE);
    let Some((_, WebCommand::Ring(ring))) = told.first() else {
        panic!("nobody rings: {told:?}")
    };
    assert_eq!(ring.alert, Alert::Ring);
    assert_eq!(ring.caller.name.reveal(), "User 1");
    assert_eq!(ring.dialled, Some(number("500")));
}

#[test]
fn what_is_said_over_the_link_is_encrypted_and_here_it_is_plain() {
    let (mut pair, _, rings) = ringing_pair();
    pair.answer(CORE, rings[0]);
    pair.wait(SECOND);
    assert!(pair.ends[CORE].encrypts());
    assert!(pair.ends[GATEWAY].encrypts());
}

#[test]
fn a_browser_of_the_core_calls_somebody_at_the_gateway() {
    let mut pair = Pair::new(&[]);
    // Nobody has this number there: the refusal comes back in its own words.
    let node = OTHER;
    let number = CallNumber::parse("201").expect("digits");
    let caller = pair.dial(CORE, 1, 2, Address::Remote { node, number });
    pair.wait(SECOND);
    let told = pair.told(CORE);
    let refused = |(party, command): &(WebParty, WebCommand)| {
        *party == caller
            && matches!(
                command,
                WebCommand::Refuse {
                    cause: EndCause::UnknownNumber,
                    ..
                }
            )
    };
    assert!(told.iter().any(refused), "{told:?}");
}

#[test]
fn a_neighbour_that_is_not_there_is_unreachable_at_once() {
    let mut pair = Pair::new(&[("500", &[2])]);
    pair.cut();
    let caller = pair.dial(GATEWAY, 1, 1, number("500"));
    let told = pair.told(GATEWAY);
    let cause = EndCause::Unreachable;
    let retry_after = None;
    assert_eq!(told, [(caller, WebCommand::Refuse { cause, retry_after })]);
    pair.link();
    pair.dial(GATEWAY, 2, 1, number("500"));
    pair.wait(SECOND);
    assert_eq!(ringing(&mut pair).len(), 1);
}

#[test]
fn a_call_outlives_a_minute_without_its_signalling() {
    let (mut pair, caller, rings) = ringing_pair();
    pair.answer(CORE, rings[0]);
    pair.wait(SECOND);
    pair.told(GATEWAY);
    pair.told(CORE);
    pair.cut();
    pair.wait(60 * SECOND);
    assert_eq!(pair.told(GATEWAY), []);
    assert_eq!(pair.told(CORE), []);
    pair.link();
    let cause = EndCause::HungUp;
    pair.web(CORE, rings[0], WebEvent::Ended { cause });
    pair.wait(2 * SECOND);
    assert_eq!(pair.told(GATEWAY), [(caller, WebCommand::End { cause })]);
}

#[test]
fn words_about_a_call_that_is_over_change_nothing() {
    let (mut pair, _, rings) = ringing_pair();
    pair.answer(CORE, rings[0]);
    pair.answer(CORE, rings[1]);
    pair.web(CORE, WebParty::Called(LegId::new(99)), WebEvent::Ringing);
    pair.web(CORE, WebParty::Caller(99), WebEvent::Ringing);
    assert_eq!(pair.ends[CORE].exchange.counters().web_events_ignored, 3);
    // A name is used once.
    pair.dial(GATEWAY, 1, 1, number("500"));
    assert_eq!(pair.ends[GATEWAY].exchange.counters().web_events_ignored, 1);
}

#[test]
fn a_browser_that_answers_what_nobody_can_use_is_ended_and_the_next_may_answer() {
    let (mut pair, _, rings) = ringing_pair();
    let answer = "nonsense".into();
    pair.web(CORE, rings[0], WebEvent::Answered { answer });
    let cause = EndCause::MediaMismatch;
    assert_eq!(pair.told(CORE), [(rings[0], WebCommand::End { cause })]);
    pair.answer(CORE, rings[1]);
    pair.wait(Duration::from_millis(100));
    let told = pair.told(GATEWAY);
    assert!(
        told.iter()
            .any(|(_, command)| matches!(command, WebCommand::Accept { .. }))
    );
}

#[test]
fn the_number_of_a_person_rings_her_browser() {
    let mut pair = Pair::new(&[("500", &[3])]);
    let her = CloudUserId::new(2);
    let id = StationId::from_key("her");
    let digits = CallNumber::parse("500").expect("digits");
    let number_of_hers = Station::new(id, digits, StationKind::Generic, Reach::User(her));
    let lists = Lists {
        stations: vec![number_of_hers],
        ..Lists::default()
    };
    let directory = Arc::new(Directory::build(lists).expect("a directory of one"));
    pair.tell(CORE, Input::DirectoryChanged(directory, Vec::new()));
    let caller = pair.dial(GATEWAY, 1, 1, number("500"));
    pair.wait(SECOND / 2);
    let rings = ringing(&mut pair);
    pair.answer(CORE, rings[0]);
    pair.wait(SECOND / 2);
    let told = pair.told(GATEWAY);
    let accepted = |(party, command): &(WebParty, WebCommand)| {
        *party == caller && matches!(command, WebCommand::Accept { .. })
    };
    assert!(told.iter().any(accepted), "{told:?}");
    let cause = EndCause::HungUp;
    pair.web(CORE, rings[0], WebEvent::Ended { cause });
    pair.wait(SECOND);
    let records = &pair.ends[CORE].records;
    assert!(
        records
            .iter()
            .any(|record| record.party.station == Some(id))
    );
}
