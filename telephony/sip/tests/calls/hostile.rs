//! A peer that sends what a real call would, bent: bytes changed, lines lost, doubled or taken from
//! another message, in any order. The endpoint may refuse all of it; it must not fall, and must
//! forget all of it.

use sip::endpoint::{Event, Settings};
use sip::registrar;
use sip::session::{Progress, SessionEvent};

use crate::world::{ALICE, ANSWER, BOB, Noise, World, bytes, ms, secs};

#[test]
fn bent_messages_are_survived_and_forgotten() {
    let corpus = corpus();
    assert!(corpus.len() > 10);
    for seed in 0..40 {
        let mut dice = Noise {
            state: seed,
            loss: 0,
            double: 0,
            jitter_ms: 0,
        };
        let mut world = World::empty();
        let realm = sip::digest::server::Realm::new("house").unwrap();
        world.add(Settings {
            registrar: Some(registrar::Settings::new(realm)),
            ..Settings::default()
        });
        let peer = world.add_script();
        let mut sessions = Vec::new();
        for _ in 0..150 {
            let message = bend(&corpus, &mut dice);
            world.say(peer, ALICE, message);
            world.run(ms(dice.next(200)));
            while world.has_event(ALICE) {
                match world.event(ALICE) {
                    Event::Incoming(incoming) => {
                        let session = incoming.session;
                        sessions.push(session);
                        let ring = dice.next(2) == 0;
                        world
                            .tell(ALICE, |alice, now| {
                                if ring {
                                    alice.progress(session, Progress::ringing(), now)
                                } else {
                                    alice.accept(session, Some(bytes(ANSWER)), now)
                                }
                            })
                            .unwrap();
                    }
                    Event::Session {
                        session,
                        event: SessionEvent::Ended { .. } | SessionEvent::Rejected(_),
                    } => {
                        sessions.retain(|known| *known != session);
                    }
                    _ => {}
                }
            }
        }
        for session in sessions {
            let _ = world.tell(ALICE, |alice, now| alice.end(session, None, now));
        }
        world.run(secs(4_000));
        while world.has_event(ALICE) {
            world.event(ALICE);
        }
        let alice = world.endpoint(ALICE);
        let left = (
            alice.session_count(),
            alice.transaction_count(),
            alice.subscription_count(),
        );
        assert_eq!(left, (0, 0, 0), "seed {seed}");
    }
}

/// Every message of a call with all that can happen in it.
fn corpus() -> Vec<Vec<u8>> {
    let mut world = World::new();
    world.record();
    let (caller, callee) = world.ring();
    world
        .tell(BOB, |bob, now| {
            bob.progress(callee, Progress::ringing(), now)
        })
        .unwrap();
    world.settle();
    world.accept(BOB, callee);
    world.settle();
    world
        .tell(ALICE, |alice, now| alice.digit(caller, '5', ms(100), now))
        .unwrap();
    world
        .tell(BOB, |bob, now| {
            bob.reoffer(callee, bytes(crate::world::HELD), now)
        })
        .unwrap();
    world.settle();
    world
        .tell(ALICE, |alice, now| {
            alice.answer(caller, bytes(crate::world::HOLD), now)
        })
        .unwrap();
    world.settle();
    world.end(BOB, callee);
    world.settle();
    let caller = world.invite();
    world.settle();
    world.end(ALICE, caller);
    world.run(secs(1));
    let mut corpus = world.recorded();
    for method in [
        "REGISTER",
        "SUBSCRIBE",
        "MESSAGE",
        "OPTIONS",
        "PRACK",
        "UPDATE",
        "REFER",
        "NOTIFY",
    ] {
        let invite = String::from_utf8(corpus[0].clone()).unwrap();
        let more =
            "Event: dialog\r\nExpires: 60\r\nRAck: 1 1 INVITE\r\nRefer-To: <sip:1@h>\r\nVia:";
        corpus.push(
            invite
                .replace("INVITE", method)
                .replacen("Via:", more, 1)
                .into_bytes(),
        );
    }
    corpus
}

fn bend(corpus: &[Vec<u8>], dice: &mut Noise) -> Vec<u8> {
    let pick = |dice: &mut Noise| corpus[dice.next(corpus.len() as u64) as usize].clone();
    let mut message = pick(dice);
    for _ in 0..dice.next(4) {
        let mut lines: Vec<Vec<u8>> = message
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        if lines.is_empty() {
            return message;
        }
        let at = dice.next(lines.len() as u64) as usize;
        match dice.next(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = pick(dice);
                let theirs: Vec<_> = other.split_inclusive(|b| *b == b'\n').collect();
                lines[at] = theirs[dice.next(theirs.len() as u64) as usize].to_vec();
            }
            3 => {
                let place = dice.next(lines[at].len() as u64) as usize;
                lines[at][place] = dice.next(256) as u8;
            }
            4 => {
                // A new transaction, so that more than the first of a kind is looked at.
                let fresh = format!("z9hG4bKx{}", dice.next(1 << 40));
                let text = String::from_utf8_lossy(&lines.concat()).into_owned();
                let end = |rest: &str| rest.find([';', '\r', ',']).unwrap_or(rest.len());
                let bent = text.find("z9hG4bK").map(|start| {
                    let stop = start + end(&text[start..]);
                    format!("{}{fresh}{}", &text[..start], &text[stop..])
                });
                lines = vec![bent.unwrap_or(text).into_bytes()];
            }
            _ => lines.truncate(at + 1),
        }
        message = lines.concat();
    }
    message
}
