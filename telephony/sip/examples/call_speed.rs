//! What a call through a B2BUA costs in this crate: `cargo run --release -p sip --example call_speed`.
//!
//! A caller, a gateway and a callee share one process; only the time inside the gateway's endpoint
//! counts. No sockets, no media, no call rules: 14 messages pass it per call.

#![expect(clippy::print_stdout, reason = "what it measures is what it prints")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::admission::{self, Network};
use sip::endpoint::{Capacity, Endpoint, Event, Listener, Output, Settings};
use sip::flow::{Destination, Flow, Hop, ListenerId, Transport};
use sip::message::{NameAddr, Uri};
use sip::session::{Invite, Progress, Sdp, SessionEvent, SessionId};

const SDP: &[u8] = b"v=0\r\no=- 3724394400 3724394405 IN IP4 192.0.2.5\r\ns=call\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n\
    m=audio 49172 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

const CALLER: usize = 0;
const GATEWAY: usize = 1;
const CALLEE: usize = 2;

fn main() {
    let mut world = World::new();
    for _ in 0..2_000 {
        world.call();
    }
    world.spent = Duration::ZERO;
    let calls = 50_000;
    for _ in 0..calls {
        world.call();
    }
    let each = world.spent.as_secs_f64() / f64::from(calls);
    println!(
        "{:.1} us per call, {:.0} calls per second and core",
        each * 1e6,
        1.0 / each
    );
    println!(
        "{} transactions live at the gateway at that pace",
        world.endpoints[GATEWAY].transaction_count()
    );

    let mut world = World::new();
    world.call();
    let (before, sessions) = (resident(), 4_000);
    for _ in 0..sessions {
        world.establish();
    }
    // Past every transaction timer: what is left is the calls themselves.
    world.now += Duration::from_secs(60);
    world.tick();
    let after = resident();
    let ends = 4.0 * f64::from(sessions);
    println!(
        "{:.1} kB per idle session (half a relayed call)",
        (after - before) as f64 / ends / 1024.0
    );
}

struct World {
    now: Instant,
    endpoints: Vec<Endpoint>,
    wire: std::collections::VecDeque<(usize, Flow, Bytes)>,
    /// Which session of the gateway belongs to which.
    other: HashMap<SessionId, SessionId>,
    caller: Option<SessionId>,
    done: bool,
    spent: Duration,
}

fn addr(id: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5060 + id as u16))
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let endpoint = |id: usize| {
            let settings = Settings {
                listeners: vec![Listener::new(ListenerId(0), Transport::Udp, addr(id))],
                admission: admission::Settings {
                    trusted: vec![Network {
                        address: [127, 0, 0, 0].into(),
                        prefix: 8,
                    }],
                    ..Default::default()
                },
                capacity: Capacity {
                    sessions_soft: 1 << 20,
                    sessions: 1 << 20,
                    ..Default::default()
                },
                ..Settings::default()
            };
            Endpoint::new(settings, [id as u8; 32], now)
        };
        Self {
            now,
            endpoints: [CALLER, GATEWAY, CALLEE].map(endpoint).into(),
            wire: Default::default(),
            other: HashMap::new(),
            caller: None,
            done: false,
            spent: Duration::ZERO,
        }
    }

    /// One call a millisecond, from INVITE to the 200 of its BYE.
    fn call(&mut self) {
        self.establish();
        let caller = self.caller.expect("it was answered");
        self.tell(CALLER, |caller_side, now| {
            caller_side.end(caller, None, now).expect("it is up");
        });
        self.run();
        assert!(
            self.other.is_empty(),
            "the gateway keeps calls that are over"
        );
    }

    fn establish(&mut self) {
        self.now += Duration::from_millis(1);
        self.tick();
        self.done = false;
        let invite = Self::invite(GATEWAY);
        self.caller = Some(self.tell(CALLER, |caller, now| {
            caller.invite(invite, now).expect("there is room")
        }));
        self.run();
        assert!(self.done, "the call was not answered");
    }

    fn invite(to: usize) -> Invite {
        let target: Uri = format!("sip:200@{}", addr(to)).parse().expect("a URI");
        let from = NameAddr::new("sip:100@127.0.0.1".parse().expect("a URI"));
        let hop = Hop::Destination(Destination::new(Transport::Udp, addr(to)));
        Invite::new(target, hop, from, Bytes::from_static(SDP))
    }

    fn tick(&mut self) {
        for id in [CALLER, GATEWAY, CALLEE] {
            self.tell(id, |endpoint, now| endpoint.handle_timeout(now));
        }
    }

    fn run(&mut self) {
        while let Some((to, flow, bytes)) = self.wire.pop_front() {
            self.tell(to, |endpoint, now| endpoint.receive(&flow, &bytes, now));
        }
    }

    fn tell<T>(&mut self, id: usize, input: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let begun = Instant::now();
        let value = input(&mut self.endpoints[id], self.now);
        let mut outputs = Vec::new();
        loop {
            match self.endpoints[id].poll_output() {
                Output::Timeout(_) => break,
                output => outputs.push(output),
            }
        }
        if id == GATEWAY {
            self.spent += begun.elapsed();
        }
        for output in outputs {
            match output {
                Output::Transmit { to, bytes } => {
                    let port = usize::from(to.remote().port()) - 5060;
                    self.wire.push_back((
                        port,
                        Flow::udp(ListenerId(0), addr(port), addr(id)),
                        bytes,
                    ));
                }
                Output::Event(event) => self.react(id, event),
                Output::CloseFlow { .. } | Output::Store(_) | Output::Timeout(_) => {}
            }
        }
        value
    }

    fn react(&mut self, id: usize, event: Event) {
        match (id, event) {
            (GATEWAY, Event::Incoming(incoming)) => {
                let invite = Self::invite(CALLEE);
                let out = self.tell(GATEWAY, |gateway, now| {
                    gateway.invite(invite, now).expect("there is room")
                });
                self.other.insert(out, incoming.session);
                self.other.insert(incoming.session, out);
            }
            (CALLEE, Event::Incoming(incoming)) => {
                let session = incoming.session;
                self.tell(CALLEE, |callee, now| {
                    callee
                        .progress(session, Progress::ringing(), now)
                        .expect("it rings");
                    callee
                        .accept(session, Some(Bytes::from_static(SDP)), now)
                        .expect("it is answered");
                });
            }
            (_, Event::Session { session, event }) => self.on_session(id, session, event),
            _ => {}
        }
    }

    fn on_session(&mut self, id: usize, session: SessionId, event: SessionEvent) {
        let other = self.other.get(&session).copied();
        match (id, event) {
            (CALLER, SessionEvent::Accepted { .. }) => self.done = true,
            (GATEWAY, SessionEvent::Progress { .. }) => {
                let a = other.expect("it has a first leg");
                self.tell(GATEWAY, |gateway, now| {
                    gateway
                        .progress(a, Progress::ringing(), now)
                        .expect("it rings");
                });
            }
            (
                GATEWAY,
                SessionEvent::Accepted {
                    sdp: Some(Sdp::Answer(sdp)),
                    ..
                },
            ) => {
                let a = other.expect("it has a first leg");
                self.tell(GATEWAY, |gateway, now| {
                    gateway.accept(a, Some(sdp), now).expect("it waits");
                });
            }
            (GATEWAY, SessionEvent::Ended { .. }) => {
                self.other.remove(&session);
                if let Some(other) = other.filter(|other| self.other.contains_key(other)) {
                    self.tell(GATEWAY, |gateway, now| {
                        gateway.end(other, None, now).expect("it is up");
                    });
                }
            }
            _ => {}
        }
    }
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or_default()
        * 4096
}
