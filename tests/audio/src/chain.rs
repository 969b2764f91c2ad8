//! A real relay between two stations, in virtual time.
//!
//! Carries RTP packets of one codec in and collects those of the other codec
//! that come out, each with the time at which it left.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use media::rtp::{self, Header};
use media::{
    Arrival, Config, Direction, LatchPolicy, LegKey, LegSetup, Medium, Network as Peers, Output,
    PortKey, Protection, Relay, Remote, RtcpAddress, SessionId, Sink,
};

use crate::Spoken;
use crate::network::Network;

const CALL: SessionId = SessionId(1);
const SPEAKER: LegKey = LegKey(1);
const LISTENER: LegKey = LegKey(2);

/// How long the relay may go on after the last packet.
const TAIL: Duration = Duration::from_millis(300);

/// In packets: RFC 3550 6.2 has five seconds between reports, and half of that before the first.
const REPORT_EVERY: usize = 250;
const REPORT_FIRST: usize = 50;

/// What left the relay for the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// From the beginning.
    pub at: Duration,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

/// Sends the payloads through the network into the relay.
pub fn carry(
    from: Spoken,
    to: Spoken,
    payloads: &[Vec<u8>],
    network: &Network,
) -> Result<Vec<Departure>> {
    carry_reported(from, to, payloads, network, 0.0)
}

/// As [`carry`], with a listener that reports this loss, 0 to 1, from its first second on.
pub fn carry_reported(
    from: Spoken,
    to: Spoken,
    payloads: &[Vec<u8>],
    network: &Network,
    reported: f64,
) -> Result<Vec<Departure>> {
    let mut call = Call::new(from, to)?;
    let mut end = Duration::ZERO;
    for (count, passage) in network.carry(payloads.len()).into_iter().enumerate() {
        call.pass_until(passage.arrives);
        if count % REPORT_EVERY == REPORT_FIRST {
            call.report((reported * 256.0) as u8)?;
        }
        call.hear(&packet(from, passage.number, &payloads[passage.number]));
        end = passage.arrives;
    }
    call.pass_until(end + TAIL);
    let format = to.format();
    let mut departures = Vec::new();
    for (at, packet) in call.wire.0 {
        let header = Header::parse(&packet).context("the relay sends RTP")?;
        ensure!(
            header.payload_type == format.payload_type,
            "payload type {} for {}",
            header.payload_type,
            to.name()
        );
        departures.push(Departure {
            at,
            sequence: header.sequence,
            timestamp: header.timestamp,
            payload: header.payload(&packet).to_vec(),
        });
    }
    Ok(departures)
}

struct Call {
    relay: Relay,
    start: Instant,
    now: Instant,
    deadline: Option<Instant>,
    wire: Wire,
}

#[derive(Default)]
struct Wire(Vec<(Duration, Vec<u8>)>);

/// The wire with the time on it.
struct Timed<'w> {
    wire: &'w mut Wire,
    at: Duration,
}

impl Sink for Timed<'_> {
    fn send(&mut self, port: PortKey, _: SocketAddr, packet: &[u8]) {
        if port == rtp_port(LISTENER) && rtp::kind(packet) == Ok(rtp::Kind::Rtp) {
            self.wire.0.push((self.at, packet.to_vec()));
        }
    }
}

impl Call {
    fn new(from: Spoken, to: Spoken) -> Result<Call> {
        // Only differences of it count.
        let start = Instant::now();
        let mut relay = Relay::new(Config::default(), 42);
        relay.open(CALL, SPEAKER, leg(SPEAKER, from), start)?;
        relay.open(CALL, LISTENER, leg(LISTENER, to), start)?;
        relay.connect(CALL, SPEAKER, LISTENER, start)?;
        let mut call = Call {
            relay,
            start,
            now: start,
            deadline: None,
            wire: Wire::default(),
        };
        call.drain();
        Ok(call)
    }

    fn hear(&mut self, packet: &[u8]) {
        let arrival = Arrival {
            port: rtp_port(SPEAKER),
            from: peer(SPEAKER),
            at: self.now,
        };
        let mut sink = Timed {
            wire: &mut self.wire,
            at: self.now - self.start,
        };
        self.relay
            .receive(&arrival, &mut packet.to_vec(), &mut sink);
        self.drain();
    }

    /// The listener reports on what it hears (RFC 3550 6.4.2), on its RTP port (RFC 5761).
    fn report(&mut self, lost: u8) -> Result<()> {
        let Some((_, packet)) = self.wire.0.last() else {
            return Ok(());
        };
        let ssrc = Header::parse(packet).context("the relay sends RTP")?.ssrc;
        let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
        report.extend_from_slice(&ssrc.to_be_bytes());
        report.extend_from_slice(&[lost, 0, 0, 0]);
        report.extend_from_slice(&[0; 16]);
        let arrival = Arrival {
            port: rtp_port(LISTENER),
            from: peer(LISTENER),
            at: self.now,
        };
        let mut sink = Timed {
            wire: &mut self.wire,
            at: self.now - self.start,
        };
        self.relay.receive(&arrival, &mut report, &mut sink);
        self.drain();
        Ok(())
    }

    fn pass_until(&mut self, end: Duration) {
        let end = self.start + end;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            let mut sink = Timed {
                wire: &mut self.wire,
                at: self.now - self.start,
            };
            self.relay.handle_timeout(self.now, &mut sink);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        loop {
            if let Output::Timeout(deadline) = self.relay.poll_output() {
                self.deadline = deadline;
                return;
            }
        }
    }
}

pub(crate) fn leg(key: LegKey, codec: Spoken) -> LegSetup {
    LegSetup {
        rtp: rtp_port(key),
        rtcp: None,
        medium: Medium::Audio,
        remote: Remote {
            rtp: Some(peer(key)),
            rtcp: RtcpAddress::SharesRtp,
            latch: LatchPolicy::Symmetric {
                network: Some(Peers::host(peer(key).ip())),
            },
        },
        formats: vec![codec.format()],
        direction: Direction::SendReceive,
        protection: Protection::Plain,
    }
}

pub(crate) fn rtp_port(leg: LegKey) -> PortKey {
    PortKey(leg.0 as u32)
}

pub(crate) fn peer(leg: LegKey) -> SocketAddr {
    ([192, 0, 2, leg.0 as u8], 4000).into()
}

/// RFC 3550 5.1; numbers and times wrap early in the call.
pub(crate) fn packet(codec: Spoken, number: usize, payload: &[u8]) -> Vec<u8> {
    let format = codec.format();
    let sequence = (number as u16).wrapping_add(65_500);
    let timestamp = (number as u32)
        .wrapping_mul(format.clock_rate / 50)
        .wrapping_add(u32::MAX - 100_000);
    let mut packet = vec![0x80, format.payload_type];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&7u32.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}
