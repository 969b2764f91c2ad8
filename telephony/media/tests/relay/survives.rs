//! What must hold for any datagrams at any ports. The fuzz target `rtp` feeds
//! the same body.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::rtcp::Compound;
use media::rtp::Header;
use media::{
    Arrival, Codec, Config, Direction, Format, LatchPolicy, LegKey, LegSetup, Medium, Network,
    Output, PortKey, Protection, Relay, Remote, RtcpAddress, SessionId, Sink,
};

/// Two calls: audio between the legs 0 and 1, video between 2 and 3. Leg n has
/// the ports 2n and 2n + 1.
const LEGS: u32 = 4;

/// Reads `script` as datagrams and delivers them. Each is a head of four
/// octets (port, sender, milliseconds since the last, length), then its own.
pub(crate) fn traffic(script: &[u8]) {
    let mut now = Instant::now();
    let mut relay = calls(now);
    let mut rest = script;
    while let Some(([port, sender, ms, len], after)) = rest.split_first_chunk() {
        let (datagram, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        now += Duration::from_millis(u64::from(*ms));
        relay.handle_timeout(now, &mut Nobody);
        let arrival = Arrival {
            port: PortKey(u32::from(*port) % (2 * LEGS + 1)),
            from: sender_of(*sender),
            at: now,
        };
        let mut judge = Judge {
            arrival,
            longest: datagram.len(),
            sent: 0,
        };
        relay.receive(&arrival, &mut datagram.to_vec(), &mut judge);
        assert!(judge.sent <= 1, "a leg is heard by one other here");
        drain(&mut relay, now);
    }
    for leg in 0..LEGS {
        let session = SessionId(u64::from(leg / 2));
        let quality = relay.quality(session, LegKey(leg.into()), now);
        let quality = quality.expect("no datagram closes a leg");
        assert!(quality.packets + quality.lost >= quality.expected);
    }
}

/// Legs with a common codec send nothing by the clock.
struct Nobody;

impl Sink for Nobody {
    fn send(&mut self, _port: PortKey, _to: SocketAddr, packet: &[u8]) {
        panic!("{packet:?} leaves unasked");
    }
}

/// Judges what leaves.
struct Judge {
    arrival: Arrival,
    longest: usize,
    sent: usize,
}

impl Sink for Judge {
    fn send(&mut self, port: PortKey, to: SocketAddr, packet: &[u8]) {
        self.sent += 1;
        let [from, to_leg] = [self.arrival.port.0 / 2, port.0 / 2];
        assert_eq!(from ^ 1, to_leg, "nothing leaks between calls");
        assert_eq!(to.ip(), address(to_leg).ip(), "nor to strangers");
        match Header::parse(packet) {
            Ok(_) => assert_eq!(packet.len(), self.longest),
            Err(_) => {
                let compound = Compound::parse(packet).expect("what leaves is RTP or RTCP");
                assert!(compound.packets().count() >= 2, "a report and our name");
            }
        }
    }
}

fn calls(now: Instant) -> Relay {
    let mut relay = Relay::new(Config::default(), 1);
    for leg in 0..LEGS {
        let session = SessionId(u64::from(leg / 2));
        relay
            .open(session, LegKey(leg.into()), setup(leg), now)
            .expect("the leg is new");
    }
    for (session, a, b) in [(0, 0, 1), (1, 2, 3)] {
        relay
            .connect(SessionId(session), LegKey(a), LegKey(b), now)
            .expect("the legs are open");
    }
    drain(&mut relay, now);
    relay
}

fn drain(relay: &mut Relay, now: Instant) {
    loop {
        if let Output::Timeout(deadline) = relay.poll_output() {
            assert!(deadline.is_none_or(|deadline| deadline > now));
            return;
        }
    }
}

fn address(leg: u32) -> SocketAddr {
    ([10, 0, 0, leg as u8], 4000).into()
}

/// Mostly the legs' own addresses, some near them, some far.
fn sender_of(choice: u8) -> SocketAddr {
    let mut address = address(u32::from(choice) % (LEGS + 1));
    address.set_port(4000 + u16::from(choice) / 64);
    address
}

fn setup(leg: u32) -> LegSetup {
    let format = |payload_type, codec, clock_rate| Format {
        payload_type,
        codec,
        clock_rate,
    };
    let (medium, formats) = if leg < 2 {
        let digits = format(101, Codec::TelephoneEvent, 8000);
        (Medium::Audio, vec![format(8, Codec::Pcma, 8000), digits])
    } else {
        (Medium::Video, vec![format(96, Codec::Other(1), 90_000)])
    };
    LegSetup {
        rtp: PortKey(2 * leg),
        rtcp: Some(PortKey(2 * leg + 1)),
        medium,
        remote: Remote {
            rtp: Some(address(leg)),
            rtcp: RtcpAddress::NextPort,
            latch: LatchPolicy::Symmetric {
                network: Some(Network::host(address(leg).ip())),
            },
        },
        formats,
        direction: Direction::SendReceive,
        protection: Protection::Plain,
    }
}
