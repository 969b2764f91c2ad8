//! Datagrams.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use net::flows::{
    BindError, ConnectionId, DatagramSettings, Flow, FlowEvent, Flows, FlowsConfig, ListenerConfig,
    ListenerId, ListenerKind, ListenerSocket, Obstacle, SendError, Transport,
};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;
use tokio::time::timeout;

use crate::support::{PATIENCE, bind, listener, next, received};

fn peer(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn received_by(peer: &UdpSocket) -> Vec<u8> {
    let mut space = [0; 2_048];
    let length = peer.recv(&mut space).unwrap();
    space[..length].to_vec()
}

fn bind_datagrams(datagrams: DatagramSettings) -> (Flows, SocketAddr) {
    let flows = Flows::bind(FlowsConfig {
        listeners: vec![listener(1, ListenerKind::Udp, "127.0.0.1:0")],
        datagrams,
        ..FlowsConfig::default()
    })
    .unwrap();
    let address = flows.listeners().next().unwrap().local;
    (flows, address)
}

#[tokio::test]
async fn ten_thousand_datagrams_arrive_in_order() {
    let (mut flows, address) = bind(ListenerKind::Udp);
    let peer = peer("127.0.0.1:0");
    let mut expected = 0_u32;
    for burst in 0..100_u32 {
        for number in 0..100 {
            let number = burst * 100 + number;
            peer.send_to(&number.to_be_bytes(), address).unwrap();
        }
        let end = expected + 100;
        while expected < end {
            timeout(PATIENCE, flows.ready()).await.unwrap();
            flows.drain(64, |_, event| {
                let FlowEvent::Received { flow, bytes } = event else {
                    panic!("expected a datagram, got {event:?}");
                };
                assert_eq!(bytes, expected.to_be_bytes());
                assert_eq!(flow.remote, peer.local_addr().unwrap());
                expected += 1;
            });
        }
    }
    assert_eq!(flows.counters().datagrams_received, 10_000);
    assert_eq!(flows.counters().datagram_bytes_received, 40_000);
    assert_eq!(flows.drain(1, |_, _| {}), 0);
}

#[tokio::test]
async fn a_question_is_answered_while_it_is_looked_at() {
    let (mut flows, address) = bind(ListenerKind::Udp);
    let peer = peer("127.0.0.1:0");
    peer.connect(address).unwrap();
    peer.send(b"ping").unwrap();
    flows.ready().await;
    flows.drain(1, |outlet, event| {
        let FlowEvent::Received { flow, bytes } = event else {
            panic!("expected a datagram, got {event:?}");
        };
        assert_eq!(flow.transport, Transport::Udp);
        assert_eq!(flow.listener, ListenerId(1));
        assert_eq!(flow.connection, ConnectionId::NONE);
        assert_eq!(flow.local, address);
        outlet.send(&flow, bytes).unwrap();
    });
    assert_eq!(received_by(&peer), b"ping");
    assert_eq!(flows.counters().datagrams_sent, 1);
}

/// RFC 3581 4: the answer comes from where the question went, or no NAT lets it through.
#[tokio::test]
async fn answers_leave_from_the_address_the_question_came_to() {
    // The two families share the port, so the one chosen for IPv4 may be taken for IPv6.
    let (mut flows, port) = loop {
        let free = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let listeners = vec![
            listener(1, ListenerKind::Udp, &format!("0.0.0.0:{port}")),
            listener(2, ListenerKind::Udp, &format!("[::]:{port}")),
        ];
        let config = FlowsConfig {
            listeners,
            ..FlowsConfig::default()
        };
        if let Ok(flows) = Flows::bind(config) {
            break (flows, port);
        }
    };
    for (id, from, to) in [
        (1, "127.0.0.1:0", format!("127.0.0.1:{port}")),
        (1, "127.0.0.1:0", format!("127.0.0.77:{port}")),
        (2, "[::1]:0", format!("[::1]:{port}")),
    ] {
        let peer = peer(from);
        // A connected socket takes datagrams from this address only.
        peer.connect(&to).unwrap();
        peer.send(b"ping").unwrap();
        let (flow, _) = received(&mut flows).await;
        assert_eq!(flow.listener, ListenerId(id));
        assert_eq!(flow.local, to.parse().unwrap());
        flows.outlet().send(&flow, b"pong").unwrap();
        assert_eq!(received_by(&peer), b"pong");
    }
}

#[tokio::test]
async fn giving_up_on_next_loses_no_datagram() {
    let (mut flows, address) = bind(ListenerKind::Udp);
    let peer = peer("127.0.0.1:0");
    let mut sent = 0_u32;
    let mut seen = 0_u32;
    while seen < 1_000 {
        // Sometimes there is something to take, sometimes not; the wait always ends at once.
        for _ in 0..(1_000 - sent).min(3) {
            peer.send_to(&sent.to_be_bytes(), address).unwrap();
            sent += 1;
        }
        for _ in 0..5 {
            if let Ok(event) = timeout(Duration::ZERO, flows.next()).await {
                let FlowEvent::Received { bytes, .. } = event else {
                    panic!("expected a datagram, got {event:?}");
                };
                assert_eq!(&bytes[..], seen.to_be_bytes());
                seen += 1;
            }
        }
    }
    assert_eq!(flows.drain(1, |_, _| {}), 0);
}

#[tokio::test]
async fn a_datagram_longer_than_allowed_is_dropped_and_counted() {
    let (mut flows, address) = bind_datagrams(DatagramSettings {
        longest: 100,
        ..DatagramSettings::default()
    });
    let peer = peer("127.0.0.1:0");
    peer.send_to(&[b'x'; 101], address).unwrap();
    peer.send_to(&[b'y'; 100], address).unwrap();
    assert_eq!(received(&mut flows).await.1, [b'y'; 100]);
    assert_eq!(flows.counters().datagrams_truncated, 1);
    assert_eq!(flows.counters().datagrams_received, 1);
}

#[tokio::test]
async fn the_longest_possible_datagram_arrives_whole() {
    let (mut flows, address) = bind(ListenerKind::Udp);
    let longest = vec![b'x'; 65_507];
    peer("127.0.0.1:0").send_to(&longest, address).unwrap();
    assert!(received(&mut flows).await.1 == longest);
}

#[tokio::test]
async fn what_the_kernel_drops_because_we_are_slow_is_counted() {
    let (mut flows, address) = bind_datagrams(DatagramSettings {
        receive_buffer: 8 << 10,
        ..DatagramSettings::default()
    });
    let peer = peer("127.0.0.1:0");
    for _ in 0..500 {
        peer.send_to(&[0; 200], address).unwrap();
    }
    let mut seen = 0;
    timeout(PATIENCE, flows.ready()).await.unwrap();
    while flows.drain(64, |_, _| seen += 1) > 0 {}
    assert!(seen < 500);
    // The kernel tells with a datagram how many it dropped before it.
    peer.send_to(&[0; 200], address).unwrap();
    received(&mut flows).await;
    assert_eq!(flows.counters().datagrams_lost, 500 - seen);
}

#[tokio::test]
async fn the_buffer_the_kernel_granted_is_told() {
    let (flows, _) = bind_datagrams(DatagramSettings {
        receive_buffer: 64 << 10,
        ..DatagramSettings::default()
    });
    // Linux doubles what is asked for, to cover its bookkeeping.
    let granted = flows.listeners().next().unwrap().receive_buffer;
    assert_eq!(granted, Some(128 << 10));
}

/// RFC 3261 18.4.
#[tokio::test]
async fn a_peer_that_does_not_listen_is_reported_and_harms_no_other() {
    let (mut flows, address) = bind(ListenerKind::Udp);
    let nobody = peer("127.0.0.1:0").local_addr().unwrap();
    let to_nobody = Flow::datagrams(ListenerId(1), address, nobody);
    flows.outlet().send(&to_nobody, b"anybody there?").unwrap();

    // The error of the first datagram waits in the socket; the second must leave all the same.
    let somebody = peer("127.0.0.1:0");
    let to_somebody = Flow::datagrams(ListenerId(1), address, somebody.local_addr().unwrap());
    flows.outlet().send(&to_somebody, b"and you?").unwrap();
    assert_eq!(received_by(&somebody), b"and you?");

    let reported = FlowEvent::Undeliverable {
        flow: to_nobody,
        why: Obstacle::NobodyListens,
    };
    assert_eq!(next(&mut flows).await, reported);
    assert_eq!(flows.counters().undeliverable, 1);
    assert_eq!(flows.counters().datagrams_sent, 2);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_at_once() {
    let (mut flows, address) = bind(ListenerKind::Udp);
    let flow = Flow::datagrams(ListenerId(1), address, address);
    let too_large = flows.outlet().send(&flow, &[0; 65_536]);
    assert_eq!(too_large, Err(SendError::Refused(Obstacle::TooLarge)));
    assert_eq!(flows.counters().send_errors.too_large, 1);
    let unknown = Flow::datagrams(ListenerId(2), address, address);
    assert_eq!(
        flows.outlet().send(&unknown, b"x"),
        Err(SendError::NoListener)
    );
}

/// RFC 4594 4.2: signalling travels as CS3.
#[tokio::test]
async fn datagrams_carry_the_class_of_signalling() {
    let (mut flows, address) = bind(ListenerKind::Udp);
    let peer = peer("127.0.0.1:0");
    SockRef::from(&peer).set_recv_tos_v4(true).unwrap();
    let flow = Flow::datagrams(ListenerId(1), address, peer.local_addr().unwrap());
    flows.outlet().send(&flow, b"x").unwrap();
    let mut control = nix::cmsg_space!(u8, u32);
    let mut space = [0; 16];
    let mut pieces = [IoSliceMut::new(&mut space)];
    let flags = MsgFlags::empty();
    let message =
        recvmsg::<SockaddrStorage>(peer.as_raw_fd(), &mut pieces, Some(&mut control), flags)
            .unwrap();
    let mut controls = message.cmsgs().unwrap();
    assert!(controls.any(|control| control == ControlMessageOwned::Ipv4Tos(0x60)));
}

fn inherit(kind: ListenerKind, socket: impl Into<OwnedFd>) -> Result<Flows, BindError> {
    Flows::bind(FlowsConfig {
        listeners: vec![ListenerConfig {
            id: ListenerId(1),
            socket: ListenerSocket::Inherited(socket.into()),
            kind,
        }],
        ..FlowsConfig::default()
    })
}

#[tokio::test]
async fn a_socket_bound_by_somebody_else_is_taken_over() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut flows = inherit(ListenerKind::Udp, socket).unwrap();
    peer("127.0.0.1:0").send_to(b"ping", address).unwrap();
    assert_eq!(received(&mut flows).await.1, b"ping");
}

#[tokio::test]
async fn a_socket_of_the_wrong_kind_is_refused() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let refused = inherit(ListenerKind::Tcp, udp).unwrap_err();
    assert!(matches!(refused, BindError::WrongSocket { .. }));
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = inherit(ListenerKind::Udp, tcp).unwrap_err();
    assert!(matches!(refused, BindError::WrongSocket { .. }));
    let both_families = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
    both_families.set_only_v6(false).unwrap();
    let refused = inherit(ListenerKind::Udp, both_families).unwrap_err();
    assert!(matches!(refused, BindError::DualStack(_)), "{refused}");
}

#[tokio::test]
async fn a_listener_that_cannot_be_opened_says_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = |address: String| {
        let listeners = vec![listener(1, ListenerKind::Udp, &address)];
        let config = FlowsConfig {
            listeners,
            ..FlowsConfig::default()
        };
        Flows::bind(config).unwrap_err().to_string()
    };
    let in_use = error(taken.local_addr().unwrap().to_string());
    assert!(in_use.contains("another program has this port"), "{in_use}");
    let foreign = error("192.0.2.1:0".into());
    assert!(foreign.contains("does not have the address"), "{foreign}");

    let twice = FlowsConfig {
        listeners: vec![
            listener(1, ListenerKind::Udp, "127.0.0.1:0"),
            listener(1, ListenerKind::Tcp, "127.0.0.1:0"),
        ],
        ..FlowsConfig::default()
    };
    assert!(matches!(
        Flows::bind(twice),
        Err(BindError::Id(ListenerId(1)))
    ));
}
