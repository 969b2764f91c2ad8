//! Random owners on a network that loses, doubles and reorders: whatever they do, each session ends
//! once, nothing is said of it afterwards, and nothing is left behind.
//!
//! A seed that fails is printed; add it to `KNOWN`.

use std::collections::BTreeSet;

use sip::endpoint::{Event, SessionTimerSettings, Settings};
use sip::message::{NameAddr, StatusCode};
use sip::session::{
    CommandError, Delivery, Progress, Refer, ReferAnswer, Reject, ReliableProvisional, Sdp,
    SessionEvent, SessionId,
};

use crate::world::{ALICE, ANSWER, BOB, HELD, HOLD, Noise, OFFER, World, bytes, ms, secs, uri};

/// Seeds that found something once.
const KNOWN: &[u64] = &[];

#[test]
fn every_session_ends_once_whatever_happens() {
    for seed in KNOWN.iter().copied().chain(0..60) {
        run(
            seed,
            Noise {
                state: seed,
                loss: 15,
                double: 10,
                jitter_ms: 300,
            },
        );
    }
}

#[test]
fn every_session_ends_once_on_a_good_network() {
    for seed in 1_000..1_040 {
        run(
            seed,
            Noise {
                state: seed,
                loss: 0,
                double: 0,
                jitter_ms: 3,
            },
        );
    }
}

#[test]
fn every_session_ends_once_when_almost_nothing_arrives() {
    for seed in 2_000..2_020 {
        run(
            seed,
            Noise {
                state: seed,
                loss: 70,
                double: 30,
                jitter_ms: 2_000,
            },
        );
    }
}

#[test]
fn equal_seeds_and_inputs_make_equal_worlds() {
    let noise = || Noise {
        state: 5,
        loss: 15,
        double: 10,
        jitter_ms: 300,
    };
    assert_eq!(run(5, noise()), run(5, noise()));
    assert_ne!(run(5, noise()), run(6, noise()));
}

/// What an owner remembers of its sessions.
#[derive(Default)]
struct Owner {
    alive: BTreeSet<SessionId>,
    started: usize,
    ended: usize,
}

fn run(seed: u64, noise: Noise) -> Vec<String> {
    let session_timer = SessionTimerSettings {
        interval: Some(secs(90)),
        ..Default::default()
    };
    let mut world = World::with(Settings {
        session_timer,
        ..Settings::default()
    });
    world.noise = Some(noise);
    let mut dice = Noise {
        state: seed ^ 0xd1ce,
        loss: 0,
        double: 0,
        jitter_ms: 0,
    };
    let mut owners = [Owner::default(), Owner::default()];
    for _ in 0..150 {
        act(&mut world, &mut owners, &mut dice);
        world.run(ms(dice.next(1_500)));
        listen(&mut world, &mut owners, &mut dice);
    }
    // Calls can still arrive late; their owners end them like the others.
    for _ in 0..4 {
        for id in [ALICE, BOB] {
            for session in owners[id].alive.iter().copied().collect::<Vec<_>>() {
                let _ = world.tell(id, |endpoint, now| endpoint.end(session, None, now));
            }
        }
        world.run(secs(20));
        listen(&mut world, &mut owners, &mut dice);
    }
    world.run(secs(200));
    listen(&mut world, &mut owners, &mut dice);
    for id in [ALICE, BOB] {
        let owner = &owners[id];
        assert!(
            owner.alive.is_empty(),
            "seed {seed}: sessions of {id} never ended"
        );
        assert_eq!(owner.started, owner.ended, "seed {seed}");
        let left = (
            world.endpoint(id).session_count(),
            world.endpoint(id).transaction_count(),
        );
        assert_eq!(
            left,
            (0, 0),
            "seed {seed}: sessions and transactions of {id} are left"
        );
    }
    std::mem::take(&mut world.trace)
}

/// The owner's idea may not fit the state; then nothing happens.
fn may_fail<T>(_: Result<T, CommandError>) {}

fn act(world: &mut World, owners: &mut [Owner; 2], dice: &mut Noise) {
    let id = dice.next(2) as usize;
    let known: Vec<_> = owners[id].alive.iter().copied().collect();
    if known.is_empty() || dice.next(6) == 0 {
        let mut invite = world.call_to(1 - id);
        invite.offer = (dice.next(4) > 0).then(|| bytes(OFFER));
        invite.reliable = [
            ReliableProvisional::Off,
            ReliableProvisional::Supported,
            ReliableProvisional::Required,
        ][dice.next(3) as usize];
        let placed = world
            .tell(id, |endpoint, now| endpoint.invite(invite, now))
            .unwrap();
        owners[id].alive.insert(placed);
        owners[id].started += 1;
        return;
    }
    let session = known[dice.next(known.len() as u64) as usize];
    let sdp = || bytes(ANSWER);
    match dice.next(12) {
        0 => may_fail(world.tell(id, |endpoint, now| endpoint.end(session, None, now))),
        1 => may_fail(world.tell(id, |endpoint, now| {
            endpoint.reoffer(session, bytes(HOLD), now)
        })),
        2 => may_fail(world.tell(id, |endpoint, now| {
            endpoint.reoffer(session, bytes(HELD), now)
        })),
        3 => may_fail(world.tell(id, |endpoint, now| {
            endpoint.digit(session, '5', ms(100), now)
        })),
        4 => {
            let refer = Refer {
                to: NameAddr::new(uri("sip:9@10.0.0.9")),
                referred_by: None,
            };
            may_fail(world.tell(id, |endpoint, now| endpoint.refer(session, refer, now)));
        }
        5 => may_fail(world.tell(id, |endpoint, now| {
            endpoint.accept(session, Some(sdp()), now)
        })),
        6 => may_fail(world.tell(id, |endpoint, now| endpoint.accept(session, None, now))),
        7 => {
            let reject = Reject::new(StatusCode::BUSY_HERE);
            may_fail(world.tell(id, |endpoint, now| endpoint.reject(session, reject, now)));
        }
        8 => may_fail(world.tell(id, |endpoint, now| endpoint.answer(session, sdp(), now))),
        9 => may_fail(world.tell(id, |endpoint, now| {
            endpoint.refuse(session, StatusCode::NOT_ACCEPTABLE_HERE, now)
        })),
        10 => may_fail(world.tell(id, |endpoint, now| {
            endpoint.message(session, "text/plain", bytes(b"x"), now)
        })),
        _ => {
            let progress = Progress {
                sdp: (dice.next(2) == 0).then(sdp),
                delivery: [Delivery::Reliable, Delivery::Unreliable][dice.next(2) as usize],
                ..Progress::ringing()
            };
            may_fail(world.tell(id, |endpoint, now| {
                endpoint.progress(session, progress, now)
            }));
        }
    }
}

fn listen(world: &mut World, owners: &mut [Owner; 2], dice: &mut Noise) {
    loop {
        let mut heard = false;
        for id in [ALICE, BOB] {
            while world.has_event(id) {
                heard = true;
                let event = world.event(id);
                react(world, &mut owners[id], id, event, dice);
            }
        }
        if !heard {
            return;
        }
    }
}

fn react(world: &mut World, owner: &mut Owner, id: usize, event: Event, dice: &mut Noise) {
    match event {
        Event::Incoming(incoming) => {
            owner.started += 1;
            let fresh = owner.alive.insert(incoming.session);
            assert!(fresh, "a session id came twice");
            let session = incoming.session;
            if dice.next(3) > 0 {
                may_fail(world.tell(id, |endpoint, now| {
                    endpoint.accept(session, Some(bytes(ANSWER)), now)
                }));
            }
        }
        Event::Session { session, event } => {
            let known = owner.alive.contains(&session);
            assert!(
                known,
                "{id} says {event:?} of {session:?}, which is over: {}",
                world.story()
            );
            match event {
                SessionEvent::Rejected(_) | SessionEvent::Ended { .. } => {
                    owner.alive.remove(&session);
                    owner.ended += 1;
                }
                SessionEvent::Refer { refer, .. } => {
                    let answer = [
                        ReferAnswer::Accept,
                        ReferAnswer::Refuse(StatusCode::DECLINE),
                    ][dice.next(2) as usize];
                    may_fail(world.tell(id, |endpoint, now| {
                        endpoint.answer_refer(session, refer, answer, now)
                    }));
                    let code = [StatusCode::RINGING, StatusCode::OK][dice.next(2) as usize];
                    may_fail(world.tell(id, |endpoint, now| {
                        endpoint.notify_refer(session, refer, code, now)
                    }));
                }
                SessionEvent::Reoffer { .. }
                | SessionEvent::OfferWanted
                | SessionEvent::Accepted {
                    sdp: Some(Sdp::Offer(_)),
                    ..
                }
                | SessionEvent::Progress {
                    sdp: Some(Sdp::Offer(_)),
                    ..
                } if dice.next(4) > 0 => {
                    may_fail(world.tell(id, |endpoint, now| {
                        endpoint.answer(session, bytes(HELD), now)
                    }));
                }
                _ => {}
            }
        }
        Event::Message(message) => {
            let answered = world.tell(id, |endpoint, now| {
                endpoint.answer_message(message.message, StatusCode::OK, now)
            });
            answered.unwrap();
        }
        Event::RequestAnswered { .. } => {}
        other => panic!("{other:?}"),
    }
}
