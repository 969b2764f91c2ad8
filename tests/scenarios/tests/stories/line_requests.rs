//! Claim before connect over a line: a request has one home, and exactly one winner there.

use std::net::SocketAddr;
use std::time::Duration;

use calls::{Closure, Event as Ours, RequestChange};
use exchange::{Driver, LineConfig, LineSound, Trunk};
use legacy_protocols::acdp;
use legacy_protocols::command::{Answer, CallRef, CallSetup, Command, RequestRef, Verdict};
use legacy_protocols::event::{CallRequest, Event, StationState, TalkMode};
use legacy_protocols::number::Party;
use legacy_protocols::port::AskId;
use legacy_protocols::priority::Priority;
use legacy_protocols::sound::{SoundCodecs, SoundEnd, SoundKeys};
use model::DeskId;
use scenarios::clock::SECOND;
use scenarios::old_server::{OldServer, here, there};
use scenarios::phone::Act;
use scenarios::site::Site;
use scenarios::world::World;
use scenarios::world::lines::line_to;

const WISH: RequestRef = RequestRef(CallRef::OF_PORT | 3);
const MILLISECOND: Duration = Duration::from_millis(1);

/// 101 and 102 sit at desk 900, with desk station 2190 behind the line.
fn world() -> World {
    let site = Site::of(&["101", "102", "103"])
        .behind("hall", "2101")
        .behind("hall", "2190")
        .desk("900", &["101", "102", "2190"]);
    let mut line = line_to("hall");
    line.desk = Some(DeskId::from_key("900"));
    let mut world = World::with_line(&site, &["101", "102", "103"], line, Vec::new());
    world.old(0).take_told();
    world.old(0).answers = None;
    world.skip();
    world
}

fn wish(from: Party) -> CallRequest {
    CallRequest {
        request: WISH,
        from,
        to: None,
        priority: Priority::NORMAL,
        text: None,
    }
}

fn setup(from: Party, to: Party) -> CallSetup {
    let address = SocketAddr::from(([10, 0, 2, 1], 4000));
    let sound = SoundEnd {
        address,
        codecs: SoundCodecs::ALL,
        keys: SoundKeys::Events,
    };
    CallSetup {
        call: CallRef(CallRef::OF_PORT | 99),
        from,
        to,
        priority: Priority::NORMAL,
        mode: TalkMode::OpenDuplex,
        text: None,
        sound: Some(sound),
    }
}

fn waiting(world: &World) -> usize {
    world
        .gateway
        .state()
        .calls()
        .requests_at(DeskId::from_key("900"))
        .len()
}

fn closures(world: &World) -> Vec<Closure> {
    let events = world.gateway.events.iter();
    let closed = events.filter_map(|event| match event {
        Ours::Request {
            change: RequestChange::Closed { why },
            ..
        } => Some(*why),
        _ => None,
    });
    closed.collect()
}

/// The open question of the gateway, and what it asks.
fn open_ask(old: &mut OldServer) -> (AskId, Command) {
    match &std::mem::take(&mut old.asked)[..] {
        [(Some(ask), command)] => (*ask, command.clone()),
        other => panic!("one question: {other:?}"),
    }
}

#[test]
fn a_request_from_behind_the_line_waits_at_the_desk_until_it_is_taken_back() {
    let mut world = world();
    world.old_tells(0, Event::RequestNew(wish(there("2101"))));
    world.wait(SECOND);
    assert_eq!(waiting(&world), 1);
    // Told again it is the same wish.
    world.old_tells(0, Event::RequestUpdated(wish(there("2101"))));
    world.wait(SECOND);
    assert_eq!(waiting(&world), 1);
    world.old_tells(0, Event::RequestCancelled { request: WISH });
    world.wait(SECOND);
    assert_eq!(waiting(&world), 0);
    assert_eq!(closures(&world), [Closure::Withdrawn]);
}

#[test]
fn who_takes_it_here_is_connected_only_after_its_home_has_granted_it() {
    let mut world = world();
    world.old_tells(0, Event::RequestNew(wish(there("2101"))));
    world.wait(SECOND);
    world.dial("101", "900");
    world.wait(100 * MILLISECOND);
    let (ask, claim) = open_ask(world.old(0));
    let by = here("101");
    assert_eq!(claim, Command::RequestClaim { request: WISH, by });
    world.old_answers(0, ask, Verdict::Done.into());
    world.wait(SECOND);
    let (_, command) = open_ask(world.old(0));
    let Command::CallSetup(setup) = command else {
        panic!("the one who asked is called back: {command:?}");
    };
    assert_eq!((setup.from, setup.to), (here("101"), there("2101")));
}

#[test]
fn a_claim_by_its_desk_and_one_here_within_a_millisecond_has_exactly_one_winner() {
    for (desk_first, asked) in [(true, 0), (false, 1)] {
        let mut world = world();
        world.old_tells(0, Event::RequestNew(wish(there("2101"))));
        world.wait(SECOND);
        world.dial("101", "900");
        world.wait(100 * MILLISECOND);
        let (ask, _) = open_ask(world.old(0));
        // Its home decides, whoever came first there.
        let answer = match desk_first {
            true => Answer {
                by: Some(there("2190")),
                ..Verdict::AlreadyTaken.into()
            },
            false => Verdict::Done.into(),
        };
        world.old_answers(0, ask, answer);
        let closed = Event::RequestClosed {
            request: WISH,
            cause: legacy_protocols::command::Cause::NORMAL,
            by: Some(if desk_first {
                there("2190")
            } else {
                here("101")
            }),
        };
        world.old_tells(0, closed);
        world.wait(SECOND);
        assert_eq!(world.old(0).take_asked().len(), asked, "calls back");
        let log = world.phone_mut("101").take_log();
        let lost = log.iter().any(|line| line.contains("refused"));
        assert_eq!(lost, desk_first, "{log:?}");
    }
}

#[test]
fn two_who_take_the_same_request_here_are_told_apart_before_its_home_is_asked() {
    let mut world = world();
    world.old_tells(0, Event::RequestNew(wish(there("2101"))));
    world.wait(SECOND);
    world.dial("101", "900");
    world.dial("102", "900");
    world.wait(200 * MILLISECOND);
    // One question: the second had nothing left to take.
    let (ask, _) = open_ask(world.old(0));
    world.old_answers(0, ask, Verdict::Done.into());
    world.wait(SECOND);
    let refused = |world: &mut World, who| {
        let log = world.phone_mut(who).take_log();
        log.iter().any(|line| line.contains("refused"))
    };
    let lost = [refused(&mut world, "101"), refused(&mut world, "102")];
    assert_eq!(lost.iter().filter(|lost| **lost).count(), 1, "{lost:?}");
}

#[test]
fn a_claim_that_got_lost_with_the_line_is_neither_forgotten_nor_taken_twice() {
    let mut world = world();
    world.old_tells(0, Event::RequestNew(wish(there("2101"))));
    world.wait(SECOND);
    world.dial("101", "900");
    world.wait(100 * MILLISECOND);
    open_ask(world.old(0));
    world.cut_line(0);
    world.wait(SECOND);
    // It waits again: nobody knows whether it was granted.
    assert_eq!(waiting(&world), 1);
    world.mend_line(0);
    world.wait(120 * SECOND);
    world.expect_up(0);
    // Its home had granted it, so it is not in the picture any more.
    assert_eq!(waiting(&world), 1);
    world.skip();
    world.old(0).take_asked();
    world.dial("101", "900");
    world.wait(100 * MILLISECOND);
    let (ask, _) = open_ask(world.old(0));
    let ours = Answer {
        by: Some(here("101")),
        ..Verdict::AlreadyTaken.into()
    };
    world.old_answers(0, ask, ours);
    world.wait(SECOND);
    let (_, command) = open_ask(world.old(0));
    assert!(matches!(command, Command::CallSetup(_)), "{command:?}");
}

#[test]
fn what_a_picture_does_not_name_any_more_is_over() {
    let mut world = world();
    world.old_tells(0, Event::RequestNew(wish(there("2101"))));
    world.wait(SECOND);
    world.cut_line(0);
    world.wait(SECOND);
    assert_eq!(waiting(&world), 1, "a wish outlives the line");
    world.mend_line(0);
    world.wait(120 * SECOND);
    world.expect_up(0);
    assert_eq!(waiting(&world), 0);
    assert_eq!(closures(&world), [Closure::TakenElsewhere]);
}

#[test]
fn what_was_taken_back_while_events_were_lost_is_over_with_the_next_picture() {
    let mut world = world();
    world.old_tells(0, Event::RequestNew(wish(there("2101"))));
    let stays = RequestRef(WISH.0 + 1);
    let other = CallRequest {
        request: stays,
        ..wish(there("2190"))
    };
    world.old_tells(0, Event::RequestNew(other.clone()));
    world.wait(SECOND);
    assert_eq!(waiting(&world), 2);
    // More than the link can take in one moment: the last are lost, and the gap is noticed.
    let (station, state) = (there("2102"), StationState::Idle);
    for _ in 0..17_000 {
        world.old_tells(0, Event::StationState { station, state });
    }
    world.old_tells(0, Event::RequestCancelled { request: WISH });
    world.old(0).picture = vec![Event::RequestNew(other)];
    world.wait(60 * SECOND);
    world.expect_up(0);
    assert!(world.gateway.state().lines()[0].protocol.gaps > 0);
    assert_eq!(waiting(&world), 1);
    assert_eq!(closures(&world), [Closure::TakenElsewhere]);
}

/// The old server speaks another protocol, as the gateway sees it.
fn world_without_claims(sound: LineSound) -> World {
    let site = Site::of(&["101"])
        .behind("hall", "2101")
        .desk("900", &["101"]);
    let line = LineConfig {
        driver: Driver::Acdp(acdp::Config {
            own: acdp::Device { node: 2, device: 1 },
            server: acdp::Device {
                node: 1,
                device: 65,
            },
            checksum: acdp::Checksum::Required,
            hops: 1,
        }),
        sound,
        desk: Some(DeskId::from_key("900")),
        ..line_to("hall")
    };
    let mut world = World::with_line(&site, &["101"], line, Vec::new());
    world.wait(SECOND);
    world.expect_up(0);
    world.skip();
    world
}

#[test]
fn a_request_of_a_protocol_without_claims_is_answered_by_calling_back_or_not_at_all() {
    // Its calls go by SIP to the same server.
    let trunk = Trunk {
        host: ([10, 0, 9, 9], 5060).into(),
        transport: sip::flow::Transport::Udp,
    };
    let mut world = world_without_claims(LineSound::Sip(trunk));
    let wish = CallRequest {
        to: Some(here("900")),
        ..wish(there("2101"))
    };
    world.old_tells(0, Event::RequestNew(wish.clone()));
    world.wait(SECOND);
    assert_eq!(waiting(&world), 1);
    world.dial("101", "900");
    world.wait(SECOND);
    assert!(
        world.network.trace(20).contains("INVITE sip:2101@10.0.9.9"),
        "it is called back: {}",
        world.network.trace(20)
    );
    // It has neither claims nor sound: nobody here can answer, and that is said.
    let mut world = world_without_claims(LineSound::None);
    world.old_tells(0, Event::RequestNew(wish));
    world.wait(SECOND);
    world.dial("101", "900");
    world.wait(5 * SECOND);
    assert_eq!(waiting(&world), 1, "it waits for somebody who can");
    assert_eq!(
        world.gateway.state().lines()[0].totals.claims_without_word,
        1
    );
}

#[test]
fn a_request_of_ours_is_seen_at_the_desk_behind_the_line_and_taken_there() {
    let mut world = world();
    world.dial("103", "900");
    world.wait(SECOND);
    let (ask, command) = open_ask(world.old(0));
    let Command::RequestFile(filed) = command else {
        panic!("it is filed there: {command:?}");
    };
    assert_eq!((filed.from, filed.to), (here("103"), Some(there("2190"))));
    world.old_answers(0, ask, Verdict::Done.into());
    let by = there("2190");
    world.old_asks(
        0,
        Command::RequestClaim {
            request: filed.request,
            by,
        },
    );
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Done]);
    // Who takes it calls; the other one waits on the line.
    assert_eq!(world.old(0).take_asked(), []);
    world.old_asks(0, Command::CallSetup(setup(there("2190"), here("103"))));
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Accepted]);
    let log = world.phone_mut("103").take_log();
    assert!(log.iter().any(|line| line == "talks"), "{log:?}");
    assert_eq!(closures(&world), [Closure::Connected]);
    let told = world.old(0).take_told();
    let closed = |event: &Event| {
        matches!(event, Event::RequestClosed { request, by: Some(by), .. }
            if *request == filed.request && *by == there("2190"))
    };
    assert!(told.iter().any(closed), "{told:?}");
}

#[test]
fn a_request_of_ours_that_two_desks_claim_within_a_millisecond_has_exactly_one_winner() {
    for local_first in [true, false] {
        let mut world = world();
        world.dial("103", "900");
        world.wait(SECOND);
        let (ask, command) = open_ask(world.old(0));
        let Command::RequestFile(filed) = command else {
            panic!("it is filed there: {command:?}");
        };
        world.old_answers(0, ask, Verdict::Done.into());
        world.wait(SECOND);
        let (request, by) = (filed.request, there("2190"));
        if local_first {
            world.dial("101", "900");
            // The invitation needs a second round trip, for the password.
            world.wait(4 * MILLISECOND);
        }
        world.old_asks(0, Command::RequestClaim { request, by });
        if !local_first {
            world.dial("101", "900");
        }
        world.wait(2 * SECOND);
        let verdict = match local_first {
            true => Verdict::AlreadyTaken,
            false => Verdict::Done,
        };
        assert_eq!(world.old(0).take_done(), [verdict]);
        let log = world.phone_mut("101").take_log();
        let lost = log.iter().any(|line| line.contains("refused"));
        assert_eq!(lost, !local_first, "{log:?}");
    }
}

#[test]
fn a_desk_behind_the_line_that_takes_a_request_and_never_calls_gives_it_back() {
    let mut world = world();
    world.dial("103", "900");
    world.wait(SECOND);
    let (ask, command) = open_ask(world.old(0));
    let Command::RequestFile(filed) = command else {
        panic!("it is filed there: {command:?}");
    };
    world.old_answers(0, ask, Verdict::Done.into());
    let (request, by) = (filed.request, there("2190"));
    world.old_asks(0, Command::RequestClaim { request, by });
    world.wait(SECOND);
    assert_eq!(world.old(0).take_done(), [Verdict::Done]);
    world.wait(20 * SECOND);
    // It waits again, and is seen there again.
    assert_eq!(waiting(&world), 1);
    let asked = world.old(0).take_asked();
    assert!(matches!(asked[..], [Command::RequestFile(_)]), "{asked:?}");
}

#[test]
fn a_request_of_ours_that_is_taken_back_is_taken_back_there() {
    let mut world = world();
    world.dial("103", "900");
    world.wait(SECOND);
    let (ask, _) = open_ask(world.old(0));
    world.old_answers(0, ask, Verdict::Done.into());
    world.act("103", Act::HangUp);
    world.wait(SECOND);
    let told = world.old(0).take_told();
    let closed = |event: &Event| matches!(event, Event::RequestClosed { by: None, .. });
    assert!(told.iter().any(closed), "{told:?}");
    assert_eq!(waiting(&world), 0);
}

#[test]
fn a_claim_of_somebody_who_is_not_at_the_desk_is_refused() {
    let mut world = world();
    world.dial("103", "900");
    world.wait(SECOND);
    let (ask, command) = open_ask(world.old(0));
    let Command::RequestFile(filed) = command else {
        panic!("it is filed there: {command:?}");
    };
    world.old_answers(0, ask, Verdict::Done.into());
    for by in [there("2101"), there("2999")] {
        world.old_asks(
            0,
            Command::RequestClaim {
                request: filed.request,
                by,
            },
        );
    }
    world.wait(SECOND);
    assert_eq!(
        world.old(0).take_done(),
        [Verdict::NotAllowed, Verdict::NotAllowed]
    );
    assert_eq!(waiting(&world), 1);
}
