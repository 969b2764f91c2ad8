//! What must hold for any datagrams at a relay with plain, secure and transcoded legs: nothing
//! leaves for a stranger, and nothing readable on a leg with keys. The fuzz target `relay` feeds
//! the same body.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::rtcp::Compound;
use media::rtp::Header;
use media::srtp::{MAX_GROWTH, MasterKey, Receiver, Sender, Suite};
use media::{
    Arrival, Codec, Config, Direction, Format, LatchPolicy, LegKey, LegSetup, LegUpdate, Medium,
    Network, Output, PortKey, Protection, Relay, Remote, RtcpAddress, SessionId, Sink,
};

/// Pairs that talk: plain with secure, secure with plain in another codec, two secure ones, and a
/// plain one with one whose keys never come.
const LEGS: [(Option<Suite>, Codec); 8] = [
    (None, Codec::Pcma),
    (Some(Suite::AesCm128HmacSha1_80), Codec::Pcma),
    (Some(Suite::AeadAes128Gcm), Codec::G722),
    (None, Codec::Pcma),
    (Some(Suite::AeadAes256Gcm), Codec::Opus),
    (Some(Suite::AesCm256HmacSha1_32), Codec::Opus),
    (None, Codec::Pcmu),
    (None, Codec::Pcmu),
];
/// The one whose keys never come.
const WAITING: usize = 7;

/// Reads `script` as what happens at the ports. Each event is a head of four octets (what, which
/// leg, milliseconds since the last, length), then octets.
pub(crate) fn house(script: &[u8]) {
    let mut now = Instant::now();
    let mut relay = relay(now);
    let mut judge = Judge {
        phones: std::array::from_fn(Phone::new),
    };
    let mut rest = script;
    while let Some(([what, leg, ms, len], after)) = rest.split_first_chunk() {
        let (octets, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        now += Duration::from_millis(u64::from(*ms));
        relay.handle_timeout(now, &mut judge);
        let leg = usize::from(*leg) % LEGS.len();
        let rtcp = u32::from(what & 0x80 != 0);
        let mut arrival = Arrival {
            port: PortKey(leg as u32 * 2 + rtcp),
            from: address(leg, rtcp as u16),
            at: now,
        };
        let mut datagram = octets.to_vec();
        match what % 8 {
            // A stranger, or a neighbour on the telephone's own host.
            0 => arrival.from = address(LEGS.len() + leg, 0),
            1 => arrival.from.set_port(5000 + u16::from(*ms)),
            // The telephone's address, and none of its keys.
            2 => {}
            3 => {
                rekey(&mut relay, &mut judge.phones[leg], leg, *ms, now);
                continue;
            }
            4 => {
                hold(&mut relay, leg, *len, now);
                continue;
            }
            _ => datagram = judge.phones[leg].says(rtcp == 1, octets),
        }
        relay.receive(&arrival, &mut datagram, &mut judge);
        drain(&mut relay);
    }
    relay.handle_timeout(now + Duration::from_secs(6), &mut judge);
}

/// The far end of a leg.
struct Phone {
    keys: Option<(Sender, Receiver)>,
    payload_type: u8,
    sequence: u16,
}

impl Phone {
    fn new(leg: usize) -> Phone {
        let keys = LEGS[leg].0.map(|suite| {
            let (ours, theirs) = keys(suite, leg, 0);
            (Sender::new(theirs), Receiver::new(ours))
        });
        Phone {
            keys,
            payload_type: formats(leg)[0].payload_type,
            sequence: 0,
        }
    }

    /// The octets as its next packet, under its keys.
    fn says(&mut self, rtcp: bool, octets: &[u8]) -> Vec<u8> {
        let mut packet = if rtcp {
            vec![0x80, 200, 0, 6, 0, 0, 0, 7]
        } else {
            self.sequence = self.sequence.wrapping_add(1);
            let mut packet = vec![0x80, self.payload_type];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
            packet.extend([0, 0, 0, 7]);
            packet
        };
        packet.extend(octets);
        let Some((sender, _)) = &mut self.keys else {
            return packet;
        };
        let len = packet.len();
        packet.resize(len + MAX_GROWTH, 0);
        let protected = match rtcp {
            true => sender.protect_rtcp(&mut packet, len),
            false => sender.protect_rtp(&mut packet, len),
        };
        packet.truncate(protected.expect("a new packet of ours"));
        packet
    }
}

/// Judges what leaves.
struct Judge {
    phones: [Phone; LEGS.len()],
}

impl Sink for Judge {
    fn send(&mut self, port: PortKey, to: SocketAddr, packet: &[u8]) {
        let leg = port.0 as usize / 2;
        assert_eq!(to.ip(), address(leg, 0).ip(), "to a stranger");
        assert_ne!(leg, WAITING, "without keys");
        let mut packet = packet.to_vec();
        let rtcp = matches!(packet[1], 192..=223);
        let len = match &mut self.phones[leg].keys {
            None => packet.len(),
            Some((_, receiver)) => {
                let opened = match rtcp {
                    true => receiver.unprotect_rtcp(&mut packet),
                    false => receiver.unprotect_rtp(&mut packet),
                };
                opened.expect("under the keys of this leg and of no other")
            }
        };
        match rtcp {
            true => drop(Compound::parse(&packet[..len]).expect("a report of ours")),
            false => drop(Header::parse(&packet[..len]).expect("a packet of ours")),
        }
    }
}

fn rekey(relay: &mut Relay, phone: &mut Phone, leg: usize, number: u8, now: Instant) {
    let (Some(suite), Some((sender, receiver))) = (LEGS[leg].0, &mut phone.keys) else {
        return;
    };
    // A key must not come back after many others.
    let (ours, theirs) = keys(suite, leg, number % 4);
    sender.rekey(theirs.clone());
    receiver.rekey(ours.clone());
    let update = LegUpdate {
        protection: Some(Protection::Secure { ours, theirs }),
        ..LegUpdate::default()
    };
    relay
        .update(session(leg), LegKey(leg as u64), update, now)
        .expect("the leg is there");
}

fn hold(relay: &mut Relay, leg: usize, how: u8, now: Instant) {
    let update = LegUpdate {
        direction: Some(match how % 3 {
            0 => Direction::Inactive,
            1 => Direction::SendOnly,
            _ => Direction::SendReceive,
        }),
        ..LegUpdate::default()
    };
    relay
        .update(session(leg), LegKey(leg as u64), update, now)
        .expect("the leg is there");
}

fn keys(suite: Suite, leg: usize, number: u8) -> (MasterKey, MasterKey) {
    let key = |direction: u8| {
        let mut keying = [number; 46];
        keying[0] = leg as u8;
        keying[1] = direction;
        MasterKey::new(suite, &keying[..suite.keying_len()]).expect("the length fits")
    };
    (key(0), key(1))
}

fn session(leg: usize) -> SessionId {
    SessionId(leg as u64 / 2)
}

fn address(leg: usize, component: u16) -> SocketAddr {
    ([10, 0, 0, leg as u8], 4000 + component).into()
}

fn formats(leg: usize) -> Vec<Format> {
    let (payload_type, clock_rate) = match LEGS[leg].1 {
        Codec::Pcma => (8, 8000),
        Codec::G722 => (9, 8000),
        Codec::Opus => (96, 48_000),
        _ => (0, 8000),
    };
    let format = |payload_type, codec, clock_rate| Format {
        payload_type,
        codec,
        clock_rate,
    };
    vec![
        format(payload_type, LEGS[leg].1, clock_rate),
        format(101, Codec::TelephoneEvent, clock_rate),
    ]
}

fn relay(now: Instant) -> Relay {
    let mut relay = Relay::new(Config::default(), 1);
    for (leg, (suite, _)) in LEGS.into_iter().enumerate() {
        let protection = match suite {
            _ if leg == WAITING => Protection::Awaited,
            None => Protection::Plain,
            Some(suite) => {
                let (ours, theirs) = keys(suite, leg, 0);
                Protection::Secure { ours, theirs }
            }
        };
        let setup = LegSetup {
            rtp: PortKey(leg as u32 * 2),
            rtcp: Some(PortKey(leg as u32 * 2 + 1)),
            medium: Medium::Audio,
            remote: Remote {
                rtp: Some(address(leg, 0)),
                rtcp: RtcpAddress::NextPort,
                latch: LatchPolicy::Symmetric {
                    network: Some(Network::host(address(leg, 0).ip())),
                },
            },
            formats: formats(leg),
            direction: Direction::SendReceive,
            protection,
        };
        relay
            .open(session(leg), LegKey(leg as u64), setup, now)
            .expect("the leg is new");
    }
    for leg in (0..LEGS.len()).step_by(2) {
        let (a, b) = (LegKey(leg as u64), LegKey(leg as u64 + 1));
        relay
            .connect(session(leg), a, b, now)
            .expect("both legs are open");
    }
    drain(&mut relay);
    relay
}

fn drain(relay: &mut Relay) {
    loop {
        match relay.poll_output() {
            Output::Peer {
                port,
                remote: Some(remote),
            } => assert_eq!(remote.ip(), address(port.0 as usize / 2, 0).ip()),
            Output::Timeout(_) => return,
            _ => {}
        }
    }
}
