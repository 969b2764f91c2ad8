//! The contract of all machines: a drain ends, no deadline lies in the past
//! after it, equal inputs and seed give equal outputs, an early timeout
//! changes nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::tones::Tone;
use media::{
    Arrival, Config, Direction, LegKey, LegUpdate, Output, Part, PortKey, Relay, RoomKey,
    SessionId, Sound, SoundKey,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::bench::{Sent, Wire, audio, peer, remote, rtcp, rtp, setup};

#[derive(Debug, Clone)]
enum Input {
    Open(u64),
    Close(u64),
    CloseAll,
    Connect(u64, u64),
    Listen(u64, u64),
    Move(u64, u64),
    Disconnect(u64),
    Turn(u64, bool),
    Renew(u64),
    Play(u64, u16),
    Enter(u64, u64, u8),
    Leave(u64),
    StopSound(u64),
    Audio(u64, u16),
    Digit(u64, u16, u8),
    Report(u64),
    Pass(u64),
}

fn input() -> impl Strategy<Value = Input> {
    let leg = || 0..5u64;
    prop_oneof![
        4 => leg().prop_map(Input::Open),
        1 => leg().prop_map(Input::Close),
        1 => Just(Input::CloseAll),
        3 => (leg(), leg()).prop_map(|(a, b)| Input::Connect(a, b)),
        2 => (leg(), leg()).prop_map(|(a, b)| Input::Listen(a, b)),
        1 => (leg(), 1..3u64).prop_map(|(a, b)| Input::Move(a, b)),
        1 => leg().prop_map(Input::Disconnect),
        1 => (leg(), any::<bool>()).prop_map(|(a, hold)| Input::Turn(a, hold)),
        1 => leg().prop_map(Input::Renew),
        2 => (leg(), 1..900u16).prop_map(|(a, ms)| Input::Play(a, ms)),
        1 => leg().prop_map(Input::StopSound),
        4 => (leg(), 0..2u64, 0..3u8).prop_map(|(a, room, part)| Input::Enter(a, room, part)),
        1 => leg().prop_map(Input::Leave),
        6 => (leg(), any::<u16>()).prop_map(|(a, n)| Input::Audio(a, n)),
        3 => (leg(), any::<u16>(), any::<u8>()).prop_map(|(a, n, e)| Input::Digit(a, n, e)),
        2 => leg().prop_map(Input::Report),
        4 => (0..90_000u64).prop_map(Input::Pass),
    ]
}

const CALL: SessionId = SessionId(1);

/// Runs the inputs; with `early`, timeouts come before their time as well.
fn run(inputs: &[Input], start: Instant, early: bool) -> (Vec<Output>, Vec<Sent>) {
    let mut relay = Relay::new(Config::default(), 9);
    let mut now = start;
    let mut outputs = Vec::new();
    let mut wire = Wire::default();
    for input in inputs {
        if early {
            relay.handle_timeout(now, &mut wire);
            drain(&mut relay, now, &mut outputs);
        }
        // Commands for what is not there are refused, and that is all.
        match *input {
            Input::Open(leg) => {
                let _ = relay.open(CALL, LegKey(leg), setup(leg), now);
                let elsewhere = setup(leg + 100);
                let _ = relay.open(SessionId(2), LegKey(leg + 100), elsewhere, now);
            }
            Input::Close(leg) => {
                let _ = relay.close_leg(CALL, LegKey(leg), now, &mut wire);
            }
            Input::CloseAll => {
                let _ = relay.close(CALL, now, &mut wire);
            }
            Input::Connect(a, b) => {
                let _ = relay.connect(CALL, LegKey(a), LegKey(b), now);
            }
            Input::Listen(a, b) => {
                let _ = relay.listen(CALL, LegKey(a), LegKey(b), now);
            }
            Input::Move(leg, to) => {
                let _ = relay.move_leg(CALL, LegKey(leg), SessionId(to), now);
            }
            Input::Disconnect(leg) => {
                let _ = relay.disconnect(CALL, LegKey(leg));
            }
            Input::Turn(leg, hold) => {
                let direction = Some(match hold {
                    true => Direction::SendOnly,
                    false => Direction::SendReceive,
                });
                let update = LegUpdate {
                    direction,
                    ..Default::default()
                };
                let _ = relay.update(CALL, LegKey(leg), update, now);
            }
            Input::Renew(leg) => {
                let update = LegUpdate {
                    remote: Some(remote(peer(leg))),
                    formats: Some(setup(leg).formats),
                    ..Default::default()
                };
                let _ = relay.update(CALL, LegKey(leg), update, now);
            }
            Input::Play(leg, ms) => {
                let tone = Tone::of([425, 0], -16, &[(ms, 20)]).once();
                let key = SoundKey(u64::from(ms));
                let _ = relay.play(CALL, LegKey(leg), key, &Sound::Tone(tone), now);
            }
            Input::Enter(leg, room, part) => {
                let parts = [Part::TalkAndListen, Part::Talk, Part::Listen];
                let part = parts[usize::from(part)];
                let _ = relay.enter_room(CALL, LegKey(leg), RoomKey(room), part, now);
            }
            Input::Leave(leg) => {
                let _ = relay.leave_room(CALL, LegKey(leg));
            }
            Input::StopSound(leg) => {
                let _ = relay.stop_sound(CALL, LegKey(leg));
            }
            Input::Audio(leg, n) => {
                let port = PortKey(leg as u32 * 2);
                receive(
                    &mut relay,
                    port,
                    peer(leg),
                    now,
                    audio(leg as u32, n),
                    &mut wire,
                );
            }
            Input::Digit(leg, n, event) => {
                let port = PortKey(leg as u32 * 2);
                let payload = [event % 17, event & 0x80, 0, event];
                let packet = rtp(101, leg as u32, n, u32::from(n), &payload);
                receive(&mut relay, port, peer(leg), now, packet, &mut wire);
            }
            Input::Report(leg) => {
                let port = PortKey(leg as u32 * 2 + 1);
                let words = [leg as u32, 1, 2, 3, 4, 5];
                let mut from = peer(leg);
                from.set_port(4001);
                receive(
                    &mut relay,
                    port,
                    from,
                    now,
                    rtcp(&[(0, 200, &words)]),
                    &mut wire,
                );
            }
            Input::Pass(ms) => {
                let end = now + Duration::from_millis(ms);
                while let Some(due) = drain(&mut relay, now, &mut outputs) {
                    if due > end {
                        break;
                    }
                    now = due;
                    relay.handle_timeout(now, &mut wire);
                }
                now = end;
            }
        }
        drain(&mut relay, now, &mut outputs);
    }
    (outputs, wire.0)
}

fn receive(
    relay: &mut Relay,
    port: PortKey,
    from: SocketAddr,
    at: Instant,
    mut packet: Vec<u8>,
    wire: &mut Wire,
) {
    relay.receive(&Arrival { port, from, at }, &mut packet, wire);
}

fn drain(relay: &mut Relay, now: Instant, outputs: &mut Vec<Output>) -> Option<Instant> {
    for _ in 0..1000 {
        match relay.poll_output() {
            Output::Timeout(deadline) => {
                assert!(deadline.is_none_or(|deadline| deadline > now));
                return deadline;
            }
            output => outputs.push(output),
        }
    }
    panic!("the drain does not end");
}

proptest! {
    #[test]
    fn the_relay_keeps_the_contract_of_machines(inputs in vec(input(), 0..150)) {
        let start = Instant::now();
        let once = run(&inputs, start, false);
        prop_assert_eq!(&once, &run(&inputs, start, false));
        prop_assert_eq!(&once, &run(&inputs, start, true));
    }
}
