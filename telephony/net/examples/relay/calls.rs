//! The handler between a media thread and its relay: sockets on one side, legs
//! on the other. Here each port pair is a whole call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use media::{
    Codec, Config, Direction, Format, LatchPolicy, LegKey, LegSetup, Medium, Network, Output,
    PortKey, Protection, Relay, Remote, RtcpAddress, SessionId, Sink,
};
use net::packets::{Arrival, Datagram, Handler, Io, PortPair, SocketKey};

/// Joins whoever sends to the one socket of the pair with whoever sends to the other.
pub(crate) struct Open(pub(crate) PortPair);

pub(crate) struct Calls {
    relay: Relay,
    /// By port key.
    sockets: Vec<Option<SocketKey>>,
    deadline: Option<Instant>,
}

impl Handler for Calls {
    type Command = Open;
    type Event = ();

    fn packet(&mut self, arrival: Arrival, datagram: &mut Datagram<'_>, io: &mut Io<()>) {
        let arrival = media::Arrival {
            port: PortKey(arrival.socket.index()),
            from: arrival.from,
            at: arrival.at,
        };
        let mut wire = Wire {
            io,
            sockets: &self.sockets,
        };
        self.relay.receive(&arrival, datagram.bytes(), &mut wire);
        self.drain(io);
    }

    fn command(&mut self, Open(pair): Open, now: Instant, io: &mut Io<()>) {
        // Both sockets of a pair carry RTP here, one for each side.
        let Ok((a, b)) = io.attach(pair) else {
            return;
        };
        let session = SessionId(a.index().into());
        for (leg, socket) in [(LegKey(0), a), (LegKey(1), b)] {
            let at = socket.index() as usize;
            self.sockets.resize(self.sockets.len().max(at + 1), None);
            self.sockets[at] = Some(socket);
            let _ = self.relay.open(session, leg, setup(socket), now);
        }
        let _ = self.relay.connect(session, LegKey(0), LegKey(1), now);
        self.drain(io);
    }

    fn timeout(&mut self, now: Instant, io: &mut Io<()>) {
        let mut wire = Wire {
            io,
            sockets: &self.sockets,
        };
        self.relay.handle_timeout(now, &mut wire);
        self.drain(io);
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Calls {
    pub(crate) fn new() -> Calls {
        Calls {
            relay: Relay::new(Config::default(), 1),
            sockets: Vec::new(),
            deadline: None,
        }
    }

    fn drain(&mut self, io: &mut Io<()>) {
        loop {
            match self.relay.poll_output() {
                Output::Peer { port, remote } => {
                    let Some(Some(socket)) = self.sockets.get(port.0 as usize) else {
                        continue;
                    };
                    let _ = match remote {
                        Some(remote) => io.connect(*socket, remote),
                        None => io.disconnect(*socket),
                    };
                }
                Output::Release { .. } | Output::Event { .. } => {}
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }
}

struct Wire<'a> {
    io: &'a mut Io<()>,
    sockets: &'a [Option<SocketKey>],
}

impl Sink for Wire<'_> {
    fn send(&mut self, port: PortKey, to: SocketAddr, packet: &[u8]) {
        if let Some(Some(socket)) = self.sockets.get(port.0 as usize) {
            self.io.send(*socket, to, packet);
        }
    }
}

fn setup(socket: SocketKey) -> LegSetup {
    let loopback = Network {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        prefix: 8,
    };
    LegSetup {
        rtp: PortKey(socket.index()),
        rtcp: None,
        medium: Medium::Audio,
        remote: Remote {
            rtp: None,
            rtcp: RtcpAddress::None,
            latch: LatchPolicy::Symmetric {
                network: Some(loopback),
            },
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
