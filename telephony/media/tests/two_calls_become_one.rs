//! An attended transfer: the ends of two calls are joined, and nobody's ports change.

use std::net::SocketAddr;
use std::time::Instant;

use media::{
    Arrival, Codec, CommandError, Config, Direction, Format, LatchPolicy, LegKey, LegSetup, Medium,
    MoveError, PortKey, Protection, Relay, Remote, RtcpAddress, SessionId, Sink,
};

const FIRST: SessionId = SessionId(1);
const SECOND: SessionId = SessionId(2);

#[derive(Default)]
struct Sent(Vec<(PortKey, SocketAddr, Vec<u8>)>);

impl Sink for Sent {
    fn send(&mut self, port: PortKey, to: SocketAddr, packet: &[u8]) {
        self.0.push((port, to, packet.to_vec()));
    }
}

fn peer(leg: u64) -> SocketAddr {
    ([10, 0, 0, leg as u8], 4000).into()
}

fn setup(leg: u64) -> LegSetup {
    LegSetup {
        rtp: PortKey(leg as u32),
        rtcp: None,
        medium: Medium::Audio,
        remote: Remote {
            rtp: Some(peer(leg)),
            rtcp: RtcpAddress::None,
            latch: LatchPolicy::Fixed,
        },
        formats: vec![Format {
            payload_type: 8,
            codec: Codec::Pcma,
            clock_rate: 8000,
        }],
        direction: Direction::SendReceive,
        protection: Protection::Plain,
    }
}

fn speak(
    relay: &mut Relay,
    leg: u64,
    sequence: u16,
    now: Instant,
) -> Vec<(PortKey, SocketAddr, Vec<u8>)> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend((leg as u32).to_be_bytes());
    packet.extend([0xd5; 160]);
    let mut sent = Sent::default();
    let arrival = Arrival {
        port: PortKey(leg as u32),
        from: peer(leg),
        at: now,
    };
    relay.receive(&arrival, &mut packet, &mut sent);
    sent.0
}

#[test]
fn a_leg_that_moves_hears_its_new_partner_in_one_continuous_stream() {
    let now = Instant::now();
    let mut relay = Relay::new(Config::default(), 7);
    for (session, legs) in [(FIRST, [1, 2]), (SECOND, [3, 4])] {
        for leg in legs {
            relay.open(session, LegKey(leg), setup(leg), now).unwrap();
        }
        let [a, b] = legs.map(LegKey);
        relay.connect(session, a, b, now).unwrap();
    }
    let before = speak(&mut relay, 3, 100, now);
    assert_eq!(before[0].1, peer(4));

    let mut nobody = Sent::default();
    relay.close_leg(FIRST, LegKey(2), now, &mut nobody).unwrap();
    relay
        .close_leg(SECOND, LegKey(3), now, &mut nobody)
        .unwrap();
    relay.move_leg(SECOND, LegKey(4), FIRST, now).unwrap();
    relay.connect(FIRST, LegKey(1), LegKey(4), now).unwrap();

    let after = speak(&mut relay, 1, 9000, now);
    assert_eq!((after[0].0, after[0].1), (PortKey(4), peer(4)));
    let number = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
    assert_eq!(number(&after[0].2), number(&before[0].2).wrapping_add(1));
    assert_eq!(after[0].2[8..12], before[0].2[8..12], "the SSRC stays");
    assert_eq!(speak(&mut relay, 4, 50, now)[0].1, peer(1));
    assert_eq!(relay.totals().sessions, 1);
}

#[test]
fn a_leg_that_changes_its_relay_hears_its_new_partner_in_one_continuous_stream() {
    let now = Instant::now();
    let [mut old, mut new] = [7, 8].map(|seed| Relay::new(Config::default(), seed));
    for (relay, session, legs) in [(&mut old, FIRST, [1, 2]), (&mut new, SECOND, [3, 4])] {
        for leg in legs {
            relay.open(session, LegKey(leg), setup(leg), now).unwrap();
        }
        let [a, b] = legs.map(LegKey);
        relay.connect(session, a, b, now).unwrap();
    }
    let before = speak(&mut old, 2, 100, now);
    assert_eq!(before[0].1, peer(1));

    let moving = old.let_go(FIRST, LegKey(1)).unwrap();
    assert_eq!(moving.ports(), (PortKey(1), None));
    assert!(speak(&mut old, 1, 50, now).is_empty(), "it has gone");
    assert_eq!(old.totals().stray, 1);
    assert!(speak(&mut old, 2, 101, now).is_empty(), "nobody hears it");

    new.close_leg(SECOND, LegKey(3), now, &mut Sent::default())
        .unwrap();
    let third = SessionId(3);
    new.take_in(third, moving, PortKey(9), None, now).unwrap();
    new.move_leg(third, LegKey(1), SECOND, now).unwrap();
    new.connect(SECOND, LegKey(1), LegKey(4), now).unwrap();
    let after = speak(&mut new, 4, 9000, now);
    assert_eq!((after[0].0, after[0].1), (PortKey(9), peer(1)));
    let number = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
    assert_eq!(number(&after[0].2), number(&before[0].2).wrapping_add(1));
    assert_eq!(after[0].2[8..12], before[0].2[8..12], "the SSRC stays");
}

#[test]
fn a_leg_can_only_move_to_a_session_that_is_there() {
    let now = Instant::now();
    let mut relay = Relay::new(Config::default(), 7);
    relay.open(FIRST, LegKey(1), setup(1), now).unwrap();
    let moved = relay.move_leg(FIRST, LegKey(1), SECOND, now);
    assert_eq!(
        moved,
        Err(MoveError::Command(CommandError::NoSession(SECOND)))
    );
    assert_eq!(relay.move_leg(FIRST, LegKey(1), FIRST, now), Ok(()));
}
