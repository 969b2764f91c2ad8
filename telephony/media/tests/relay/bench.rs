//! A relay with its world: time, ports, what was sent, what was told.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use media::rtp::Header;
use media::{
    Arrival, Codec, Config, Direction, Event, Format, LatchPolicy, LegKey, LegSetup, Medium,
    Network, Output, Part, PortKey, Protection, Quality, Relay, Remote, RoomKey, RtcpAddress,
    SessionId, Sink, Sound, SoundKey,
};

pub(crate) const CALL: SessionId = SessionId(7);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) port: PortKey,
    pub(crate) to: SocketAddr,
    pub(crate) packet: Vec<u8>,
}

impl Sent {
    pub(crate) fn header(&self) -> Header {
        Header::parse(&self.packet).expect("what is sent parses")
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.header().payload(&self.packet)
    }
}

#[derive(Default)]
pub(crate) struct Wire(pub(crate) Vec<Sent>);

impl Sink for Wire {
    fn send(&mut self, port: PortKey, to: SocketAddr, packet: &[u8]) {
        let packet = packet.to_vec();
        self.0.push(Sent { port, to, packet });
    }
}

pub(crate) struct Bench {
    pub(crate) relay: Relay,
    pub(crate) now: Instant,
    pub(crate) outputs: Vec<Output>,
    pub(crate) deadline: Option<Instant>,
    /// What the relay reported of itself, and when.
    pub(crate) reports: Vec<(Instant, Sent)>,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Bench {
        Bench {
            relay: Relay::new(config, 42),
            now: Instant::now(),
            outputs: Vec::new(),
            deadline: None,
            reports: Vec::new(),
        }
    }

    /// A call between the legs 1 and 2.
    pub(crate) fn call() -> Bench {
        let mut bench = Bench::new();
        bench.open(1);
        bench.open(2);
        bench.connect(1, 2);
        bench
    }

    pub(crate) fn open(&mut self, leg: u64) {
        self.open_as(leg, setup(leg));
    }

    pub(crate) fn open_as(&mut self, leg: u64, setup: LegSetup) {
        self.relay
            .open(CALL, LegKey(leg), setup, self.now)
            .expect("the command is right");
        self.drain();
    }

    pub(crate) fn connect(&mut self, a: u64, b: u64) {
        self.relay
            .connect(CALL, LegKey(a), LegKey(b), self.now)
            .expect("the command is right");
        self.drain();
    }

    pub(crate) fn listen(&mut self, listener: u64, source: u64) {
        self.relay
            .listen(CALL, LegKey(listener), LegKey(source), self.now)
            .expect("the command is right");
        self.drain();
    }

    pub(crate) fn update(&mut self, leg: u64, update: media::LegUpdate) {
        self.relay
            .update(CALL, LegKey(leg), update, self.now)
            .expect("the command is right");
        self.drain();
    }

    pub(crate) fn turn(&mut self, leg: u64, direction: Direction) {
        let direction = Some(direction);
        self.update(
            leg,
            media::LegUpdate {
                direction,
                ..Default::default()
            },
        );
    }

    pub(crate) fn play(&mut self, leg: u64, key: u64, sound: &Sound) {
        self.relay
            .play(CALL, LegKey(leg), SoundKey(key), sound, self.now)
            .expect("the command is right");
        self.drain();
    }

    pub(crate) fn stop_sound(&mut self, leg: u64) {
        self.relay
            .stop_sound(CALL, LegKey(leg))
            .expect("the command is right");
        self.drain();
    }

    pub(crate) fn enter(&mut self, leg: u64, part: Part) {
        self.relay
            .enter_room(CALL, LegKey(leg), RoomKey(1), part, self.now)
            .expect("the command is right");
        self.drain();
    }

    pub(crate) fn leave(&mut self, leg: u64) {
        self.relay
            .leave_room(CALL, LegKey(leg))
            .expect("the command is right");
        self.drain();
    }

    pub(crate) fn close(&mut self, leg: u64) {
        self.close_hearing(leg);
    }

    /// Closes a leg; what was said with that.
    pub(crate) fn close_hearing(&mut self, leg: u64) -> Vec<Sent> {
        let mut wire = Wire::default();
        self.relay
            .close_leg(CALL, LegKey(leg), self.now, &mut wire)
            .expect("the command is right");
        self.drain();
        wire.0
    }

    /// A datagram from the leg's own peer at its RTP port.
    pub(crate) fn receive(&mut self, leg: u64, packet: &[u8]) -> Vec<Sent> {
        self.receive_from(rtp_port(leg), peer(leg), packet)
    }

    pub(crate) fn receive_from(
        &mut self,
        port: PortKey,
        from: SocketAddr,
        packet: &[u8],
    ) -> Vec<Sent> {
        let mut wire = Wire::default();
        let arrival = Arrival {
            port,
            from,
            at: self.now,
        };
        self.relay
            .receive(&arrival, &mut packet.to_vec(), &mut wire);
        self.drain();
        wire.0
    }

    /// Time passes, with everything that falls due; what was said by the clock. Reports are put
    /// aside.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Sent> {
        let mut said = Vec::new();
        let end = self.now + time;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            let mut wire = Wire::default();
            self.relay.handle_timeout(self.now, &mut wire);
            for sent in wire.0 {
                match media::rtp::kind(&sent.packet) {
                    Ok(media::rtp::Kind::Rtcp) => self.reports.push((self.now, sent)),
                    Ok(media::rtp::Kind::Rtp) | Err(_) => said.push(sent),
                }
            }
            self.drain();
            assert!(self.deadline.is_none_or(|next| next > self.now));
        }
        self.now = end;
        said
    }

    pub(crate) fn pass_ms(&mut self, ms: u64) -> Vec<Sent> {
        self.pass(Duration::from_millis(ms))
    }

    pub(crate) fn drain(&mut self) {
        loop {
            match self.relay.poll_output() {
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    return;
                }
                output => self.outputs.push(output),
            }
        }
    }

    pub(crate) fn quality(&self, leg: u64) -> Quality {
        let found = self.relay.quality(CALL, LegKey(leg), self.now);
        found.expect("the leg is open")
    }

    /// The events so far, and forgets them.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let event = |output| match output {
            Output::Event { event, .. } => Some(event),
            _ => None,
        };
        self.outputs.drain(..).filter_map(event).collect()
    }
}

pub(crate) fn rtp_port(leg: u64) -> PortKey {
    PortKey(leg as u32 * 2)
}

pub(crate) fn rtcp_port(leg: u64) -> PortKey {
    PortKey(leg as u32 * 2 + 1)
}

/// The RTP address in the leg's SDP.
pub(crate) fn peer(leg: u64) -> SocketAddr {
    (host(leg), 4000).into()
}

pub(crate) fn host(leg: u64) -> IpAddr {
    [10, 0, (leg >> 8) as u8, leg as u8].into()
}

pub(crate) fn format(payload_type: u8, codec: Codec, clock_rate: u32) -> Format {
    Format {
        payload_type,
        codec,
        clock_rate,
    }
}

pub(crate) fn setup(leg: u64) -> LegSetup {
    LegSetup {
        rtp: rtp_port(leg),
        rtcp: Some(rtcp_port(leg)),
        medium: Medium::Audio,
        remote: remote(peer(leg)),
        formats: vec![
            format(8, Codec::Pcma, 8000),
            format(101, Codec::TelephoneEvent, 8000),
        ],
        direction: Direction::SendReceive,
        protection: Protection::Plain,
    }
}

pub(crate) fn remote(rtp: SocketAddr) -> Remote {
    Remote {
        rtp: Some(rtp),
        rtcp: RtcpAddress::NextPort,
        latch: LatchPolicy::Symmetric {
            network: Some(Network::host(rtp.ip())),
        },
    }
}

pub(crate) fn video(leg: u64) -> LegSetup {
    LegSetup {
        medium: Medium::Video,
        formats: vec![format(96 + leg as u8, Codec::Other(264), 90_000)],
        ..setup(leg)
    }
}

/// An RTP packet of 20 ms PCMA: number n of a stream.
pub(crate) fn audio(ssrc: u32, n: u16) -> Vec<u8> {
    rtp(8, ssrc, n, u32::from(n) * 160, &[n as u8; 160])
}

pub(crate) fn rtp(
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// RTCP as a list of packets: (count or format, type, words).
pub(crate) fn rtcp(packets: &[(u8, u8, &[u32])]) -> Vec<u8> {
    let mut compound = Vec::new();
    for (count, kind, words) in packets {
        compound.extend_from_slice(&[0x80 | count, *kind]);
        compound.extend_from_slice(&(words.len() as u16).to_be_bytes());
        for word in *words {
            compound.extend_from_slice(&word.to_be_bytes());
        }
    }
    compound
}
