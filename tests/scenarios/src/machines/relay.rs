//! The media relay of one thread, with telephones that send to it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use media::{
    Arrival, Codec, Config, Direction, Format, LatchPolicy, LegKey, LegSetup, LegUpdate, Medium,
    Output, PortKey, Protection, Relay, Remote, RtcpAddress, SessionId, Sink,
};

use media::srtp::{MasterKey, Suite};

use crate::contract::{Machine, Step};
use crate::random::Random;

/// See the module.
#[derive(Debug)]
pub struct MediaRelay {
    relay: Relay,
    sent: Sent,
    sequence: u16,
}

/// What left while packets came in.
#[derive(Debug, Default)]
struct Sent(VecDeque<String>);

impl Sink for Sent {
    fn send(&mut self, port: PortKey, to: SocketAddr, packet: &[u8]) {
        self.0.push_back(format!("{port:?} to {to}: {packet:02x?}"));
    }
}

#[derive(Debug)]
pub enum RelayInput {
    Open(SessionId, LegKey, Box<LegSetup>),
    Update(SessionId, LegKey, Box<LegUpdate>),
    Connect(SessionId, LegKey, LegKey),
    Listen(SessionId, LegKey, LegKey),
    Disconnect(SessionId, LegKey),
    CloseLeg(SessionId, LegKey),
    Close(SessionId),
    Packet(PortKey, SocketAddr, Vec<u8>),
}

/// Four sessions of up to three legs; each leg has two ports of its own.
fn ports(session: u64, leg: u64) -> (PortKey, PortKey) {
    let first = (session * 3 + leg) as u32 * 2;
    (PortKey(first), PortKey(first + 1))
}

fn telephone(session: u64, leg: u64) -> SocketAddr {
    ([10, 0, session as u8, leg as u8], 4_000).into()
}

/// Some have a codec in common, the others are carried over.
fn formats(random: &mut Random) -> Vec<Format> {
    let format = |payload_type, codec| Format {
        payload_type,
        codec,
        clock_rate: 8_000,
    };
    let voice = random.pick(&[
        (8, Codec::Pcma),
        (8, Codec::Pcma),
        (0, Codec::Pcmu),
        (9, Codec::G722),
    ]);
    vec![format(voice.0, voice.1), format(101, Codec::TelephoneEvent)]
}

fn setup(session: u64, leg: u64, random: &mut Random) -> LegSetup {
    let (rtp, rtcp) = ports(session, leg);
    LegSetup {
        rtp,
        rtcp: (!random.one_in(4)).then_some(rtcp),
        medium: random.pick(&[Medium::Audio, Medium::Audio, Medium::Video]),
        remote: remote(session, leg, random),
        formats: formats(random),
        direction: Direction::SendReceive,
        protection: protection(random),
    }
}

fn protection(random: &mut Random) -> Protection {
    let key = |fill| MasterKey::new(Suite::AeadAes128Gcm, &[fill; 28]);
    match (random.below(6), key(1), key(2)) {
        (0, Ok(ours), Ok(theirs)) => Protection::Secure { ours, theirs },
        (1, ..) => Protection::Awaited,
        _ => Protection::Plain,
    }
}

fn remote(session: u64, leg: u64, random: &mut Random) -> Remote {
    Remote {
        rtp: (!random.one_in(5)).then_some(telephone(session, leg)),
        rtcp: random.pick(&[
            RtcpAddress::NextPort,
            RtcpAddress::SharesRtp,
            RtcpAddress::None,
        ]),
        latch: random.pick(&[LatchPolicy::Fixed, LatchPolicy::Symmetric { network: None }]),
    }
}

impl MediaRelay {
    /// Sound, a key, a report, or nothing that makes sense.
    fn packet(&mut self, random: &mut Random) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence.to_be_bytes();
        let time = (u32::from(self.sequence) * 160).to_be_bytes();
        let header = |payload_type: u8| {
            let mut packet = vec![0x80, payload_type];
            packet.extend(sequence);
            packet.extend(time);
            packet.extend([0, 0, 0, 7]);
            packet
        };
        match random.below(10) {
            0 => vec![random.draw() as u8; random.below(40)],
            1 => vec![
                0x80, 200, 0, 6, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 0, 0, 0, 1, 0, 0,
                0, 9,
            ],
            2..=3 => {
                let mut packet = header(101);
                let end = random.pick(&[0x0a, 0x8a]);
                packet.extend([random.below(12) as u8, end, 0, 160]);
                packet
            }
            _ => {
                let mut packet = header(random.pick(&[8, 8, 0, 9]));
                packet.extend([0xd5; 160]);
                packet
            }
        }
    }
}

impl Machine for MediaRelay {
    type Input = RelayInput;

    fn new(seed: u64, _now: Instant) -> Self {
        Self {
            relay: Relay::new(Config::default(), seed),
            sent: Sent::default(),
            sequence: 0,
        }
    }

    fn choose(&mut self, random: &mut Random, _now: Instant) -> RelayInput {
        let (session, leg) = (random.draw() % 4, random.draw() % 3);
        let other = LegKey((leg + 1 + random.draw() % 2) % 3);
        let (id, key) = (SessionId(session), LegKey(leg));
        match random.below(30) {
            0..=5 => RelayInput::Open(id, key, Box::new(setup(session, leg, random))),
            6 => {
                let update = LegUpdate {
                    remote: random.one_in(2).then(|| remote(session, leg, random)),
                    formats: None,
                    direction: Some(random.pick(&[
                        Direction::SendReceive,
                        Direction::SendOnly,
                        Direction::Inactive,
                    ])),
                    protection: random.one_in(4).then(|| protection(random)),
                };
                RelayInput::Update(id, key, Box::new(update))
            }
            7..=9 => RelayInput::Connect(id, key, other),
            10 => RelayInput::Listen(id, key, other),
            11 => RelayInput::Disconnect(id, key),
            12 => RelayInput::CloseLeg(id, key),
            13 if random.one_in(3) => RelayInput::Close(id),
            _ => {
                let (rtp, rtcp) = ports(session, leg);
                let mut from = telephone(session, leg);
                if random.one_in(10) {
                    from.set_port(9_999);
                }
                let port = if random.one_in(6) { rtcp } else { rtp };
                RelayInput::Packet(port, from, self.packet(random))
            }
        }
    }

    fn handle(&mut self, input: RelayInput, now: Instant) {
        let relay = &mut self.relay;
        // Commands that make no sense are refused and change nothing.
        let _ = match input {
            RelayInput::Open(session, leg, setup) => relay.open(session, leg, *setup, now).is_ok(),
            RelayInput::Update(session, leg, update) => {
                relay.update(session, leg, *update, now).is_ok()
            }
            RelayInput::Connect(session, a, b) => relay.connect(session, a, b, now).is_ok(),
            RelayInput::Listen(session, ear, mouth) => {
                relay.listen(session, ear, mouth, now).is_ok()
            }
            RelayInput::Disconnect(session, leg) => relay.disconnect(session, leg).is_ok(),
            RelayInput::CloseLeg(session, leg) => {
                relay.close_leg(session, leg, now, &mut self.sent).is_ok()
            }
            RelayInput::Close(session) => relay.close(session, now, &mut self.sent).is_ok(),
            RelayInput::Packet(port, from, mut packet) => {
                let arrival = Arrival {
                    port,
                    from,
                    at: now,
                };
                relay.receive(&arrival, &mut packet, &mut self.sent);
                true
            }
        };
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.relay.handle_timeout(now, &mut self.sent);
    }

    fn poll(&mut self) -> Step {
        if let Some(sent) = self.sent.0.pop_front() {
            return Step::Said(sent);
        }
        match self.relay.poll_output() {
            Output::Timeout(at) => Step::Timeout(at),
            output => Step::Said(format!("{output:?}")),
        }
    }
}
