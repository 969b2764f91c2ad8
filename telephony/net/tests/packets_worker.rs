//! Media threads on real sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use net::packets::{
    Arrival, AttachError, CommandError, Datagram, Handler, Io, PortPair, PortRange, Ports,
    PortsConfig, PortsEvent, SocketKey, Worker, WorkerConfig,
};
use socket2::SockRef;
use tokio::sync::mpsc;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Answers each datagram to its sender with a tail, which needs the room.
struct Echo {
    sockets: Option<(SocketKey, SocketKey)>,
    deadline: Option<Instant>,
}

enum Do {
    Attach(PortPair),
    Connect(SocketAddr),
    Disconnect,
    Detach,
    /// Sends under a key that is not attached any more.
    SendStale(SocketKey, SocketAddr),
    WakeNow,
    Tell(u32),
    /// Waits until the test lets go.
    Block(std::sync::mpsc::Receiver<()>),
}

#[derive(Debug, PartialEq)]
enum Said {
    Attached(SocketKey),
    Refused(usize),
    Received(usize, SocketAddr),
    Done,
    Woken,
    Told(u32),
}

impl Handler for Echo {
    type Command = Do;
    type Event = Said;

    fn packet(&mut self, arrival: Arrival, datagram: &mut Datagram<'_>, io: &mut Io<Said>) {
        let (buffer, len) = datagram.with_room();
        buffer[len..len + 4].copy_from_slice(b"tail");
        io.send(arrival.socket, arrival.from, &buffer[..len + 4]);
        io.event(Said::Received(len, arrival.from));
    }

    fn command(&mut self, command: Do, now: Instant, io: &mut Io<Said>) {
        let said = match (command, self.sockets) {
            (Do::Attach(pair), _) => match io.attach(pair) {
                Ok((rtp, rtcp)) => {
                    self.sockets = Some((rtp, rtcp));
                    Said::Attached(rtp)
                }
                Err(AttachError::Full(max)) => Said::Refused(max),
                Err(AttachError::Watch(error)) => panic!("{error}"),
            },
            (Do::Connect(peer), Some((rtp, _))) => {
                io.connect(rtp, peer).expect("loopback connects");
                Said::Done
            }
            (Do::Disconnect, Some((rtp, _))) => {
                io.disconnect(rtp).expect("a socket disconnects");
                Said::Done
            }
            (Do::Detach, Some((rtp, rtcp))) => {
                io.detach(rtp);
                io.detach(rtcp);
                Said::Done
            }
            (Do::SendStale(key, to), _) => {
                io.send(key, to, b"stale");
                io.detach(key);
                assert!(io.connect(key, to).is_err());
                Said::Done
            }
            (Do::WakeNow, _) => {
                self.deadline = Some(now);
                return;
            }
            (Do::Tell(n), _) => Said::Told(n),
            (Do::Block(gate), _) => {
                io.event(Said::Done);
                let _ = gate.recv();
                return;
            }
            (Do::Connect(_) | Do::Disconnect | Do::Detach, None) => panic!("nothing attached"),
        };
        io.event(said);
    }

    fn timeout(&mut self, _: Instant, io: &mut Io<Said>) {
        self.deadline = None;
        io.event(Said::Woken);
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

struct Rig {
    worker: Worker<Do>,
    said: mpsc::Receiver<Said>,
    ports: Ports,
    address: SocketAddr,
    socket: Option<SocketKey>,
}

impl Rig {
    /// A worker with one pair of the range.
    async fn new(ip: IpAddr, range: (u16, u16)) -> Rig {
        let config = WorkerConfig {
            max_sockets: 2,
            commands: 8,
            ..WorkerConfig::default()
        };
        let mut ports = Ports::start(PortsConfig {
            addresses: vec![(ip, 0).into()],
            range: PortRange::new(range.0, range.1).expect("the range is right"),
            ready: 2,
            ..PortsConfig::default()
        })
        .expect("the pool starts");
        let (events, said) = mpsc::channel(8);
        let echo = Echo {
            sockets: None,
            deadline: None,
        };
        let worker = Worker::spawn(config, echo, events).expect("the thread starts");
        let address = free(&mut ports).await;
        let mut rig = Rig {
            worker,
            said,
            ports,
            address,
            socket: None,
        };
        rig.attach().await;
        rig
    }

    async fn attach(&mut self) {
        let pair = self.ports.take(self.address).expect("it was told");
        match self.order(Do::Attach(pair)).await {
            Said::Attached(socket) => self.socket = Some(socket),
            other => panic!("{other:?}"),
        }
    }

    async fn order(&mut self, order: Do) -> Said {
        assert!(self.worker.command(order).is_ok());
        self.worker.flush();
        self.heard().await
    }

    async fn heard(&mut self) -> Said {
        self.said.recv().await.expect("the worker lives")
    }
}

async fn free(ports: &mut Ports) -> SocketAddr {
    match ports.next().await {
        Some(PortsEvent::Free { rtp }) => rtp,
        other => panic!("{other:?}"),
    }
}

fn peer(ip: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).expect("loopback binds");
    let patience = Some(Duration::from_secs(10));
    socket
        .set_read_timeout(patience)
        .expect("a time-out is set");
    socket
}

fn answer(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 10_000];
    let len = socket.recv(&mut buffer).expect("an answer comes");
    buffer[..len].to_vec()
}

#[tokio::test]
async fn a_datagram_is_answered_from_the_buffer_it_came_in() {
    for (ip, range) in [(V4, (22_000, 22_099)), (V6, (22_000, 22_099))] {
        let mut rig = Rig::new(ip, range).await;
        let peer = peer(ip);
        for payload in [&b"hello"[..], b"", &[7; 9000]] {
            peer.send_to(payload, rig.address).unwrap();
            assert_eq!(answer(&peer), [payload, b"tail"].concat());
            let from = peer.local_addr().unwrap();
            assert_eq!(rig.heard().await, Said::Received(payload.len(), from));
        }
        let counters = rig.worker.counters();
        assert_eq!((counters.received, counters.sent), (3, 3));
        assert_eq!(counters.sockets, 2);
    }
}

#[tokio::test]
async fn both_ports_of_a_pair_are_heard_and_marked() {
    let rig = Rig::new(V4, (22_100, 22_199)).await;
    let peer = peer(V4);
    SockRef::from(&peer).set_recv_tos_v4(true).unwrap();
    let mut rtcp = rig.address;
    rtcp.set_port(rtcp.port() + 1);
    peer.send_to(b"report", rtcp).unwrap();
    let mut space = nix::cmsg_space!(u8);
    let mut buffer = [0; 64];
    let mut slices = [std::io::IoSliceMut::new(&mut buffer)];
    let message = nix::sys::socket::recvmsg::<()>(
        std::os::fd::AsRawFd::as_raw_fd(&peer),
        &mut slices,
        Some(&mut space),
        nix::sys::socket::MsgFlags::empty(),
    )
    .unwrap();
    let marks: Vec<_> = message.cmsgs().unwrap().collect();
    let expected = nix::sys::socket::ControlMessageOwned::Ipv4Tos(0xb8);
    assert_eq!(marks, [expected], "expedited forwarding");
}

#[tokio::test]
async fn oversized_datagrams_are_counted_and_the_next_is_served() {
    let mut rig = Rig::new(V4, (22_200, 22_299)).await;
    let peer = peer(V4);
    peer.send_to(&[1; 20_000], rig.address).unwrap();
    peer.send_to(b"next", rig.address).unwrap();
    assert_eq!(answer(&peer), b"nexttail");
    assert!(matches!(rig.heard().await, Said::Received(4, _)));
    assert_eq!(rig.worker.counters().oversized, 1);
}

#[tokio::test]
async fn a_connected_socket_hears_its_peer_only_until_it_is_disconnected() {
    let mut rig = Rig::new(V4, (22_300, 22_399)).await;
    let (friend, stranger) = (peer(V4), peer(V4));
    let friendly = friend.local_addr().unwrap();
    assert_eq!(rig.order(Do::Connect(friendly)).await, Said::Done);
    // The kernel refuses the stranger, so the friend's is the next that is heard.
    stranger.send_to(b"me too", rig.address).unwrap();
    friend.send_to(b"me", rig.address).unwrap();
    assert_eq!(answer(&friend), b"metail");
    assert_eq!(rig.heard().await, Said::Received(2, friendly));
    assert_eq!(rig.order(Do::Disconnect).await, Said::Done);
    stranger.send_to(b"now", rig.address).unwrap();
    assert_eq!(answer(&stranger), b"nowtail");
    assert_eq!(rig.worker.counters().received, 2);
}

#[tokio::test]
async fn what_was_queued_before_a_connection_keeps_its_sender() {
    let mut rig = Rig::new(V4, (22_400, 22_499)).await;
    let (friend, stranger) = (peer(V4), peer(V4));
    let (open, gate) = std::sync::mpsc::channel();
    assert_eq!(rig.order(Do::Block(gate)).await, Said::Done);
    stranger.send_to(b"early", rig.address).unwrap();
    let friendly = friend.local_addr().unwrap();
    assert!(rig.worker.command(Do::Connect(friendly)).is_ok());
    rig.worker.flush();
    drop(open);
    assert_eq!(rig.heard().await, Said::Done);
    let from = stranger.local_addr().unwrap();
    assert_eq!(rig.heard().await, Said::Received(5, from));
}

#[tokio::test]
async fn a_peer_that_went_away_costs_nothing_but_a_count() {
    let mut rig = Rig::new(V4, (22_500, 22_599)).await;
    let gone = peer(V4);
    let address = gone.local_addr().unwrap();
    assert_eq!(rig.order(Do::Connect(address)).await, Said::Done);
    gone.send_to(b"bye", rig.address).unwrap();
    drop(gone);
    // Answering the last word is refused by a closed port; the worker lives.
    assert_eq!(rig.heard().await, Said::Received(3, address));
    assert_eq!(rig.order(Do::Disconnect).await, Said::Done);
    let peer = peer(V4);
    peer.send_to(b"still there", rig.address).unwrap();
    assert_eq!(answer(&peer), b"still theretail");
}

#[tokio::test]
async fn a_detached_pair_closes_and_its_key_means_nothing_any_more() {
    let mut rig = Rig::new(V4, (22_600, 22_699)).await;
    let (old, address) = (rig.socket.unwrap(), rig.address);
    assert_eq!(rig.order(Do::Detach).await, Said::Done);
    assert!(UdpSocket::bind(address).is_ok(), "the port is closed");
    assert_eq!(rig.worker.counters().sockets, 0);
    rig.address = free(&mut rig.ports).await;
    rig.attach().await;
    let new = rig.socket.unwrap();
    assert_ne!(old, new);
    assert!(new.index() < 2, "numbers stay dense");
    let peer = peer(V4);
    let to = peer.local_addr().unwrap();
    assert_eq!(rig.order(Do::SendStale(old, to)).await, Said::Done);
    peer.send_to(b"who", rig.address).unwrap();
    assert_eq!(answer(&peer), b"whotail", "only the new one sends");
}

#[tokio::test]
async fn no_more_sockets_than_allowed() {
    let mut rig = Rig::new(V4, (22_700, 22_799)).await;
    let second = free(&mut rig.ports).await;
    let pair = rig.ports.take(second).unwrap();
    assert_eq!(rig.order(Do::Attach(pair)).await, Said::Refused(2));
    assert!(UdpSocket::bind(second).is_ok(), "it was let go");
}

#[tokio::test]
async fn a_deadline_is_kept() {
    let mut rig = Rig::new(V4, (22_800, 22_899)).await;
    assert_eq!(rig.order(Do::WakeNow).await, Said::Woken);
}

#[tokio::test]
async fn commands_and_events_beyond_their_room_are_refused_and_counted() {
    let mut rig = Rig::new(V4, (22_900, 22_999)).await;
    let (open, gate) = std::sync::mpsc::channel();
    assert_eq!(rig.order(Do::Block(gate)).await, Said::Done);
    for n in 0..8 {
        assert!(rig.worker.command(Do::Tell(n)).is_ok());
    }
    rig.worker.flush();
    let refused = rig.worker.command(Do::Tell(8));
    assert!(matches!(refused, Err(CommandError::Full(Do::Tell(8)))));
    drop(open);
    // Eight events fill the channel; then nobody listens for a while.
    let mut told = Vec::new();
    while told.len() < 8 {
        told.push(rig.heard().await);
    }
    let expected: Vec<_> = (0..8).map(Said::Told).collect();
    assert_eq!(told, expected);
    let peer = peer(V4);
    for _ in 0..12 {
        peer.send_to(b"x", rig.address).unwrap();
        assert_eq!(answer(&peer), b"xtail");
    }
    drop(rig.worker);
    let mut kept = 0;
    while rig.said.recv().await.is_some() {
        kept += 1;
    }
    assert_eq!(kept, 8, "four were dropped");
}

#[tokio::test]
async fn an_ended_worker_closes_its_sockets() {
    let mut rig = Rig::new(V4, (23_000, 23_099)).await;
    let address = rig.address;
    drop(rig.worker);
    assert_eq!(rig.said.recv().await, None);
    assert!(UdpSocket::bind(address).is_ok());
}
