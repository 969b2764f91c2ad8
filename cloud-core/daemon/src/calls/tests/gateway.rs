//! A gateway for tests: an exchange of its own over real TLS, with real media threads, and one
//! telephone, which is a pair of plain UDP ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exchange::{
    Announcements, Causes, Config, Exchange, Input, Neighbour, Output, RecordPolicy, Sounds,
    WebArrival, WebCommand, WebEvent, WebParty,
};
use media::tones::Region;
use model::{Address, CallNumber, CloudUserId, Directory, Encryption, EndCause, NodeId, Pii};
use model::{Lists, Reach, Station, StationId, StationKind};
use net::flows::{Destination, FlowEvent, Flows, FlowsConfig, Transport};
use net::tls::{CertificateFiles, ClientTls, ClientTlsFiles, TlsVersion, TrustFiles};
use sip::endpoint::{InviteAuth, Listener, Settings};
use sip::flow::ListenerId;
use switchboard::{FrameSender, Heard, MediaOptions, MediaShell, Outgoing, sip_flow};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Known;

const PATIENCE: Duration = Duration::from_secs(20);
/// The core, as gateways call it.
const CORE: NodeId = NodeId::new(1);
/// The person whose telephone it is, at every gateway.
const PERSON: CloudUserId = CloudUserId::new(9);

/// What the test says to it.
#[derive(Debug)]
enum Order {
    Web(WebParty, WebEvent),
}

/// What it has heard.
#[derive(Debug)]
pub(super) enum News {
    Web(WebParty, WebCommand),
    /// Its flow to the core is gone.
    Cut,
}

/// See the module.
pub(super) struct Gateway {
    orders: mpsc::Sender<Order>,
    news: mpsc::Receiver<News>,
    phone: UdpSocket,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gateway {
    /// Connects to the core. Its telephone has the number 101.
    pub(super) async fn connect(
        device: &Known,
        root: std::path::PathBuf,
        core: SocketAddr,
        ports: std::ops::RangeInclusive<u16>,
    ) -> Self {
        let tls = ClientTls::load(&ClientTlsFiles {
            trust: TrustFiles {
                roots: vec![root],
                revocation_lists: Vec::new(),
            },
            certificate: Some(CertificateFiles {
                chain: device.certificate.clone(),
                key: device.key.clone(),
            }),
            oldest: TlsVersion::Tls12,
        });
        let mut flows = Flows::bind(FlowsConfig {
            client_tls: Some(tls.unwrap()),
            ..FlowsConfig::default()
        })
        .unwrap();
        flows
            .outlet()
            .connect(&Destination {
                transport: Transport::Tls,
                remote: core,
                from: None,
                server_name: Some("core.example".to_owned()),
            })
            .unwrap();
        let (frames, _) = FrameSender::bounded(1, Arc::default());
        let mut media = MediaShell::start(MediaOptions {
            addresses: vec!["127.0.0.1:0".parse().unwrap()],
            ports,
            dscp: 0,
            threads: 1,
            seed: 1,
            frames,
        })
        .unwrap();
        let now = Instant::now();
        let mut exchange = Exchange::new(config(), directory(), crate::random::octets(), now);
        let first = media.first_ports().await;
        exchange.handle(Input::PortsFree(first), now);
        let (orders, asked) = mpsc::channel(16);
        let (tell, news) = mpsc::channel(64);
        let running = Running {
            exchange,
            flows,
            media,
            outgoing: Outgoing::new(std::iter::empty()),
            tell,
        };
        Self {
            orders,
            news,
            phone: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            task: tokio::spawn(running.run(asked)),
        }
    }

    async fn order(&self, party: WebParty, event: WebEvent) {
        self.orders.send(Order::Web(party, event)).await.unwrap();
    }

    /// What the telephone says of itself: PCMA at its port.
    pub(super) fn description(&self) -> Bytes {
        let port = self.phone.local_addr().unwrap().port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        )
        .into()
    }

    /// The telephone dials a number of the core.
    pub(super) async fn dial(&self, number: &str) -> WebParty {
        let party = WebParty::Caller(1);
        let arrival = WebArrival {
            user: PERSON,
            name: Pii::new("Anna".to_owned()),
            dialled: Address::Local(CallNumber::parse(number).unwrap()),
            offer: self.description(),
        };
        self.order(party, WebEvent::Arrived(Box::new(arrival)))
            .await;
        party
    }

    /// It rings, and is answered; whose call it is, and where its sound goes.
    pub(super) async fn answer(&mut self) -> (WebParty, SocketAddr) {
        let (party, ring) = loop {
            match self.heard().await {
                News::Web(party, WebCommand::Ring(ring)) => break (party, ring),
                News::Web(..) => {}
                News::Cut => panic!("the flow is gone"),
            }
        };
        let answer = self.description();
        self.order(party, WebEvent::Answered { answer }).await;
        (party, ours(&ring.offer))
    }

    /// The call that it has made is answered; where its sound goes.
    pub(super) async fn accepted(&mut self) -> SocketAddr {
        loop {
            match self.heard().await {
                News::Web(_, WebCommand::Accept { answer }) => return ours(&answer),
                News::Web(_, WebCommand::Progress(_)) => {}
                other => panic!("not accepted: {other:?}"),
            }
        }
    }

    /// The call that it has made comes to nothing; why.
    pub(super) async fn refused(&mut self) -> EndCause {
        loop {
            match self.heard().await {
                News::Web(_, WebCommand::Refuse { cause, .. }) => return cause,
                News::Web(_, WebCommand::Progress(_)) => {}
                other => panic!("not refused: {other:?}"),
            }
        }
    }

    pub(super) async fn hang_up(&self, party: WebParty) {
        let cause = EndCause::HungUp;
        self.order(party, WebEvent::Ended { cause }).await;
    }

    /// Until the flow is gone.
    pub(super) async fn cut(&mut self) {
        while !matches!(self.heard().await, News::Cut) {}
    }

    /// Until the other side has hung up.
    pub(super) async fn over(&mut self) {
        while !matches!(self.heard().await, News::Web(_, WebCommand::End { .. })) {}
    }

    async fn heard(&mut self) -> News {
        let heard = timeout(PATIENCE, self.news.recv()).await;
        heard.expect("something is heard in time").expect("it runs")
    }

    /// Speaks until the other telephone has heard these octets.
    pub(super) async fn speak_until_heard(&self, to: SocketAddr, other: &Self) {
        let mut packet = vec![0x80, 8, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        packet.extend_from_slice(&[0x55; 160]);
        let mut heard = [0; 1500];
        for sequence in 0..1_000_u16 {
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            let time = u32::from(sequence) * 160;
            packet[4..8].copy_from_slice(&time.to_be_bytes());
            self.phone.send_to(&packet, to).await.unwrap();
            let wait = Duration::from_millis(20);
            if let Ok(Ok(length)) = timeout(wait, other.phone.recv(&mut heard)).await
                && heard[1] & 0x7f == 8
                && heard[12..length] == packet[12..]
            {
                return;
            }
        }
        panic!("nothing was heard");
    }
}

/// Where the exchange takes the sound of a plain description.
pub(super) fn ours(description: &Bytes) -> SocketAddr {
    let text = String::from_utf8_lossy(description);
    let audio = text.lines().find_map(|line| line.strip_prefix("m=audio "));
    let port = audio.and_then(|audio| audio.split(' ').next()).unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn config() -> Config {
    let local: SocketAddr = "127.0.0.1:5061".parse().unwrap();
    let mut listener = Listener::new(
        ListenerId(net::flows::ListenerId::OUTGOING.0),
        sip::flow::Transport::Tls,
        local,
    );
    listener.invite_auth = InviteAuth::None;
    Config {
        realm: "site".to_owned(),
        domain: local.ip().into(),
        trusted: Vec::new(),
        addresses: vec![local.ip()],
        ports_for_alarms: 0,
        encryption: Encryption::Required,
        record: RecordPolicy::Never,
        sounds: Sounds {
            region: Region::Europe,
            announcements: Announcements::default(),
        },
        media_threads: 1,
        lines: Vec::new(),
        neighbours: vec![Neighbour {
            node: CORE,
            block: None,
            numbers: ["500", "501", "999"]
                .map(|number| CallNumber::parse(number).unwrap())
                .to_vec(),
        }],
        causes: Causes::default(),
        sip: Settings {
            listeners: vec![listener],
            ..Settings::default()
        },
        calls: calls::Config::default(),
    }
}

fn directory() -> Arc<Directory> {
    let number = CallNumber::parse("101").unwrap();
    let reach = Reach::User(PERSON);
    let id = StationId::from_key("phone");
    let phone = Station::new(id, number, StationKind::SipPhone, reach);
    let lists = Lists {
        stations: vec![phone],
        ..Lists::default()
    };
    Arc::new(Directory::build(lists).unwrap())
}

struct Running {
    exchange: Exchange,
    flows: Flows,
    media: MediaShell,
    outgoing: Outgoing,
    tell: mpsc::Sender<News>,
}

impl Running {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut due = None;
        loop {
            let until = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
            let mut said = Vec::new();
            tokio::select! {
                () = self.flows.ready() => {
                    self.flows.drain(64, |_, event| match event {
                        FlowEvent::Opened { flow } => {
                            let flow = sip_flow(&flow);
                            said.push(Input::FlowOpened(flow));
                            said.push(Input::Neighbour { node: CORE, flow: Some(flow) });
                        }
                        FlowEvent::Received { flow, bytes } => said.push(Input::Received {
                            flow: sip_flow(&flow),
                            bytes: Bytes::copy_from_slice(bytes),
                        }),
                        FlowEvent::Closed { flow, .. } => {
                            said.push(Input::FlowClosed(sip_flow(&flow)));
                        }
                        FlowEvent::Refused { .. } | FlowEvent::Undeliverable { .. } => {}
                    });
                }
                heard = self.media.heard() => match heard.unwrap() {
                    Heard::Ports(ports) => said.push(Input::PortsFree(ports)),
                    Heard::Event(event) => said.push(Input::Media(event)),
                },
                order = orders.recv() => match order {
                    Some(Order::Web(party, event)) => said.push(Input::Web { party, event }),
                    None => return,
                },
                () = tokio::time::sleep_until(until.into()) => {}
            }
            let now = Instant::now();
            for input in said {
                let cut = matches!(input, Input::FlowClosed(_));
                self.exchange.handle(input, now);
                if cut {
                    // The test may have seen enough.
                    let _ = self.tell.try_send(News::Cut);
                }
            }
            if due.is_some_and(|due| due <= now) {
                self.exchange.handle_timeout(now);
            }
            due = self.drain();
        }
    }

    fn drain(&mut self) -> Option<Instant> {
        let due = loop {
            match self.exchange.poll_output() {
                Output::Timeout(due) => break due,
                Output::Transmit { to, bytes } => {
                    // A flow that is gone says so itself.
                    let _ = self.outgoing.send(&to, &bytes, self.flows.outlet());
                }
                Output::Media(command) => self.media.command(command),
                Output::Web { party, command } => {
                    // The test may have seen enough.
                    let _ = self.tell.try_send(News::Web(party, command));
                }
                _ => {}
            }
        };
        self.media.flush();
        due
    }
}
