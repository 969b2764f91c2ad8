//! Two exchanges that are neighbours, and browsers at both: calls over the link in virtual time.
//!
//! The flow between them is whole octets in their order, as TLS gives them, with a delay; browsers
//! are told of and speak by hand. No packet moves: what the plan of media says is kept. Invariant:
//! after each input both machines are drained.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exchange::{
    Announcements, Causes, Config, Exchange, FreePort, Input, MediaCommand, MediaEvent, Neighbour,
    Output, Protection, RecordPolicy, Sounds, StoreWrite, WebArrival, WebCommand, WebEvent,
    WebParty,
};
use media::tones::Region;
use model::{
    Address, CallNumber, CallRecord, CloudUserId, Directory, Encryption, Lists, NodeId, Pii,
    RingGroup, RingGroupId,
};
use sip::endpoint::{InviteAuth, Listener, Settings};
use sip::flow::{ConnectionId, Flow, Hop, ListenerId, Transport};

use crate::clock::start;

/// Each end of the pair, and its name for the other.
pub const GATEWAY: usize = 0;
pub const CORE: usize = 1;
pub const OTHER: NodeId = NodeId::new(7);
const DELAY: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub struct Pair {
    pub ends: [End; 2],
    now: Instant,
    /// Whether there is a connection.
    open: bool,
    /// Octets under way: when, to whom.
    wire: VecDeque<(Instant, usize, Bytes)>,
}

/// One exchange with what its shell has seen.
#[derive(Debug)]
pub struct End {
    pub exchange: Exchange,
    flow: Flow,
    deadline: Option<Instant>,
    pub web: VecDeque<(WebParty, WebCommand)>,
    pub records: Vec<CallRecord>,
    pub media: Vec<MediaCommand>,
}

fn address(end: usize) -> SocketAddr {
    ([10, 0, 0, if end == GATEWAY { 1 } else { 2 }], 5061).into()
}

impl Pair {
    /// Groups of the core: a number, and the users that ring.
    pub fn new(groups: &[(&str, &[u64])]) -> Self {
        let now = start();
        let ends = [GATEWAY, CORE].map(|end| End::new(end, groups, now));
        let mut pair = Self {
            ends,
            now,
            open: false,
            wire: VecDeque::new(),
        };
        pair.drain();
        pair.link();
        pair
    }

    /// They are there for each other, over a new connection.
    pub fn link(&mut self) {
        self.open = true;
        for end in [GATEWAY, CORE] {
            self.ends[end].flow.connection.0 += 1;
            let flow = self.ends[end].flow;
            self.tell(end, Input::FlowOpened(flow));
            let (node, flow) = (OTHER, Some(flow));
            self.tell(end, Input::Neighbour { node, flow });
        }
    }

    /// The connection is gone, and what was under way with it.
    pub fn cut(&mut self) {
        self.wire.clear();
        self.open = false;
        for end in [GATEWAY, CORE] {
            let flow = self.ends[end].flow;
            self.tell(end, Input::FlowClosed(flow));
        }
    }

    pub fn tell(&mut self, end: usize, input: Input) {
        self.ends[end].exchange.handle(input, self.now);
        self.drain();
    }

    pub fn web(&mut self, end: usize, party: WebParty, event: WebEvent) {
        self.tell(end, Input::Web { party, event });
    }

    /// A user calls.
    pub fn dial(&mut self, end: usize, call: u64, user: u64, dialled: Address) -> WebParty {
        let party = WebParty::Caller(call);
        let arrival = WebArrival {
            user: CloudUserId::new(user.into()),
            name: Pii::new(format!("User {user}")),
            dialled,
            offer: description(20_000 + call),
        };
        self.web(end, party, WebEvent::Arrived(Box::new(arrival)));
        party
    }

    pub fn answer(&mut self, end: usize, party: WebParty) {
        let answer = description(30_000);
        self.web(end, party, WebEvent::Answered { answer });
    }

    /// Lets so much time pass.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let wire = self.wire.front().map(|(due, ..)| *due);
            let deadlines = self.ends.iter().filter_map(|end| end.deadline);
            let next = deadlines.chain(wire).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            if wire == Some(next)
                && let Some((_, to, bytes)) = self.wire.pop_front()
            {
                let flow = self.ends[to].flow;
                self.tell(to, Input::Received { flow, bytes });
                continue;
            }
            for end in &mut self.ends {
                end.exchange.handle_timeout(self.now);
            }
            self.drain();
        }
        self.now = until;
    }

    /// What the edge was told, and no more.
    pub fn told(&mut self, end: usize) -> Vec<(WebParty, WebCommand)> {
        self.ends[end].web.drain(..).collect()
    }

    fn drain(&mut self) {
        for end in [GATEWAY, CORE] {
            loop {
                match self.ends[end].exchange.poll_output() {
                    Output::Timeout(deadline) => {
                        self.ends[end].deadline = deadline;
                        break;
                    }
                    Output::Transmit { to, bytes } => {
                        let Hop::Flow(flow) = to else {
                            panic!("only the flow leads anywhere")
                        };
                        let open = self.open && flow.connection == self.ends[end].flow.connection;
                        if open {
                            self.wire.push_back((self.now + DELAY, 1 - end, bytes));
                        }
                    }
                    Output::Web { party, command } => {
                        self.ends[end].web.push_back((party, command));
                    }
                    Output::Store(StoreWrite::CallRecord(record)) => {
                        self.ends[end].records.push(*record);
                    }
                    Output::Media(command) => {
                        if let MediaCommand::Close { leg } = command {
                            let closed = MediaEvent::Closed { leg, audio: None };
                            self.ends[end]
                                .exchange
                                .handle(Input::Media(closed), self.now);
                        }
                        self.ends[end].media.push(command);
                    }
                    _ => {}
                }
            }
        }
    }
}

impl End {
    fn new(end: usize, groups: &[(&str, &[u64])], now: Instant) -> Self {
        let (own, other) = (address(end), address(1 - end));
        let mut listener = Listener::new(ListenerId(1), Transport::Tls, own);
        listener.invite_auth = InviteAuth::None;
        let sip = Settings {
            listeners: vec![listener],
            ..Settings::default()
        };
        let neighbour = Neighbour {
            node: OTHER,
            block: None,
            numbers: match end {
                GATEWAY => groups.iter().map(|(number, _)| digits(number)).collect(),
                _ => Vec::new(),
            },
        };
        let config = Config {
            realm: "site".into(),
            domain: own.ip().into(),
            trusted: Vec::new(),
            addresses: vec![own.ip()],
            ports_for_alarms: 0,
            encryption: Encryption::Required,
            record: RecordPolicy::Never,
            sounds: Sounds {
                region: Region::Europe,
                announcements: Announcements::default(),
            },
            media_threads: 1,
            lines: Vec::new(),
            neighbours: vec![neighbour],
            causes: Causes::default(),
            sip,
            calls: calls::Config::default(),
        };
        let lists = Lists {
            ring_groups: match end {
                CORE => groups.iter().map(|group| ring_group(*group)).collect(),
                _ => Vec::new(),
            },
            ..Lists::default()
        };
        let directory = Directory::build(lists).expect("groups that ring");
        let seed = [end as u8 + 1; 32];
        let mut exchange = Exchange::new(config, Arc::new(directory), seed, now);
        let loopback = [127, 0, 0, 1].into();
        let ports = [own.ip(), loopback].into_iter().flat_map(|ip| {
            (0..64).map(move |pair| FreePort {
                rtp: (ip, 10_000 + 2 * pair).into(),
                rtcp: (ip, 10_001 + 2 * pair).into(),
            })
        });
        exchange.handle(Input::PortsFree(ports.collect()), now);
        Self {
            exchange,
            flow: Flow {
                transport: Transport::Tls,
                listener: ListenerId(1),
                remote: other,
                local: own,
                connection: ConnectionId(0),
            },
            deadline: None,
            web: VecDeque::new(),
            records: Vec::new(),
            media: Vec::new(),
        }
    }

    /// Whether all that goes to the other end was ever told to be encrypted.
    pub fn encrypts(&self) -> bool {
        let remotes = self.media.iter().filter_map(|command| match command {
            MediaCommand::Remote { remote, .. } => Some(remote),
            _ => None,
        });
        let mut over_the_link = remotes.filter(|remote| !remote.rtp.ip().is_loopback());
        over_the_link.all(|remote| !matches!(remote.protection, Protection::Plain))
    }
}

fn digits(number: &str) -> CallNumber {
    CallNumber::parse(number).expect("a test dials digits")
}

fn ring_group((number, users): (&str, &[u64])) -> RingGroup {
    let users = users.iter().map(|user| CloudUserId::new((*user).into()));
    let members = users.map(Address::CloudUser).collect();
    RingGroup::new(RingGroupId::from_key(number), digits(number), members)
}

/// What the edge writes for a browser.
fn description(port: u64) -> Bytes {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 111 110\r\na=rtpmap:111 opus/48000/2\r\n\
         a=rtpmap:110 telephone-event/48000\r\n"
    )
    .into()
}
