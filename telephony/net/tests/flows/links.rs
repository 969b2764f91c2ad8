//! Link-local IPv6 and a link that stalls, in a network namespace of its own.
//!
//! The test runs itself again under `unshare --map-root-user --net`, which needs no root where user
//! namespaces are allowed. Where they are not it fails, for a story not told is not a story passed.

use std::env;
use std::fs;
use std::net::{SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::process::Command;

use net::addresses::{ListenAddress, interfaces, towards};
use net::flows::{
    DatagramSettings, Flow, FlowEvent, Flows, FlowsConfig, ListenerConfig, ListenerId,
    ListenerKind, ListenerSocket, Obstacle, SendError,
};
use tokio::time::timeout;

use crate::support::{PATIENCE, listener, next, opened, received};

const INSIDE: &str = "ANTIPHON_TEST_INSIDE_NAMESPACE";

/// The veth pair is `near` (ours) and `far` (the peer's).
const NEAR: &str = "fe80::a";
const FAR: &str = "fe80::f";

#[test]
fn stories_on_a_link_of_our_own() {
    if env::var_os(INSIDE).is_none() {
        return run_inside_a_namespace();
    }
    set_up_link();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        link_local_peers_are_served_over_udp_and_tcp().await;
        answers_of_a_wildcard_leave_by_the_link_they_came_from().await;
        a_peer_without_scope_is_sought_on_the_link_of_the_listener().await;
        a_route_that_is_missing_is_known_at_once().await;
        datagrams_wait_while_the_link_stalls().await;
    });
    the_link_is_listed_with_its_scope();
}

fn run_inside_a_namespace() {
    let this_test = env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net"])
        .arg(this_test)
        .args([
            "--exact",
            "links::stories_on_a_link_of_our_own",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .output()
        .expect("this test needs the program `unshare` (Debian: util-linux)");
    assert!(
        output.status.success(),
        "this test needs a network namespace of its own (`unshare --map-root-user --net` must \
         work: run as root, or allow user namespaces) and `ip` (Debian: iproute2):\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn set_up_link() {
    // Addresses are usable at once, without a search for duplicates.
    fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
    for line in [
        "link set lo up",
        "link add near type veth peer name far",
        "link set near addrgenmode none up",
        "link set far addrgenmode none up",
        "address add fe80::a/64 dev near nodad",
        "address add fe80::f/64 dev far nodad",
        "address add 192.0.2.1/24 dev near",
    ] {
        let status = Command::new("ip").args(line.split(' ')).status();
        assert!(status.unwrap().success(), "ip {line}");
    }
}

fn on_link(address: &str, link: &str, port: u16) -> SocketAddr {
    let text = format!("[{address}%{link}]:{port}");
    text.parse::<ListenAddress>().unwrap().resolve().unwrap()
}

fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => panic!("{address} is not IPv6"),
    }
}

fn peer_on_link() -> UdpSocket {
    let peer = UdpSocket::bind(on_link(FAR, "far", 0)).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

fn received_by(peer: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut space = [0; 64];
    let (length, from) = peer.recv_from(&mut space).unwrap();
    (space[..length].to_vec(), from)
}

fn bind_at(kind: ListenerKind, address: SocketAddr) -> (Flows, SocketAddr) {
    let flows = Flows::bind(FlowsConfig {
        listeners: vec![ListenerConfig {
            id: ListenerId(1),
            socket: ListenerSocket::Bind(address),
            kind,
        }],
        ..FlowsConfig::default()
    })
    .unwrap();
    let address = flows.listeners().next().unwrap().local;
    (flows, address)
}

/// Our address as the peer has to write it: with the scope of its own interface.
fn seen_from_far(address: SocketAddr) -> SocketAddr {
    on_link(NEAR, "far", address.port())
}

async fn link_local_peers_are_served_over_udp_and_tcp() {
    let near = scope(on_link(NEAR, "near", 0));
    let (mut flows, address) = bind_at(ListenerKind::Udp, on_link(NEAR, "near", 0));
    assert_eq!(scope(address), near);
    let peer = peer_on_link();
    peer.send_to(b"ping", seen_from_far(address)).unwrap();
    let (flow, _) = received(&mut flows).await;
    assert_eq!(flow.local, address);
    assert_eq!(flow.remote.ip(), peer.local_addr().unwrap().ip());
    assert_eq!(scope(flow.remote), near);
    flows.outlet().send(&flow, b"pong").unwrap();
    assert_eq!(
        received_by(&peer),
        (b"pong".to_vec(), seen_from_far(address))
    );

    let (mut flows, address) = bind_at(ListenerKind::Tcp, on_link(NEAR, "near", 0));
    let station = TcpStream::connect(seen_from_far(address)).unwrap();
    let flow = opened(&mut flows).await;
    assert_eq!(flow.local, address);
    assert_eq!(scope(flow.remote), near);
    drop(station);
    assert!(matches!(next(&mut flows).await, FlowEvent::Closed { .. }));
}

async fn answers_of_a_wildcard_leave_by_the_link_they_came_from() {
    let (mut flows, address) = bind_at(ListenerKind::Udp, "[::]:0".parse().unwrap());
    let peer = peer_on_link();
    peer.connect(seen_from_far(address)).unwrap();
    peer.send(b"ping").unwrap();
    let (flow, _) = received(&mut flows).await;
    assert_eq!(flow.local, on_link(NEAR, "near", address.port()));
    flows.outlet().send(&flow, b"pong").unwrap();
    assert_eq!(
        received_by(&peer),
        (b"pong".to_vec(), seen_from_far(address))
    );
}

async fn a_peer_without_scope_is_sought_on_the_link_of_the_listener() {
    let peer = peer_on_link();
    let port = peer.local_addr().unwrap().port();
    let bare = SocketAddrV6::new(FAR.parse().unwrap(), port, 0, 0);
    for bound_to in [on_link(NEAR, "near", 0), "[::]:0".parse().unwrap()] {
        let (mut flows, _) = bind_at(ListenerKind::Udp, bound_to);
        let local = on_link(NEAR, "near", 0);
        let flow = Flow::datagrams(ListenerId(1), local, bare.into());
        flows.outlet().send(&flow, b"from a Contact").unwrap();
        assert_eq!(received_by(&peer).0, b"from a Contact");
    }
}

async fn a_route_that_is_missing_is_known_at_once() {
    let (mut flows, address) = bind_at(ListenerKind::Udp, "192.0.2.1:0".parse().unwrap());
    let nowhere = "198.51.100.1:5060".parse().unwrap();
    let flow = Flow::datagrams(ListenerId(1), address, nowhere);
    let refused = flows.outlet().send(&flow, b"hello?");
    assert_eq!(refused, Err(SendError::Refused(Obstacle::NoRoute)));
    assert_eq!(flows.counters().send_errors.no_route, 1);
    assert!(towards(nowhere).is_err());
}

/// The kernel holds datagrams for a neighbour that does not answer, until its buffer is full.
async fn datagrams_wait_while_the_link_stalls() {
    let mut flows = Flows::bind(FlowsConfig {
        listeners: vec![listener(1, ListenerKind::Udp, "192.0.2.1:0")],
        datagrams: DatagramSettings {
            send_buffer: 0,
            waiting: 3,
            ..DatagramSettings::default()
        },
        ..FlowsConfig::default()
    })
    .unwrap();
    let address = flows.listeners().next().unwrap().local;
    let silent = "192.0.2.99:5060".parse().unwrap();
    let flow = Flow::datagrams(ListenerId(1), address, silent);
    while flows.counters().datagrams_queued < 3 {
        flows.outlet().send(&flow, &[0; 1_000]).unwrap();
        assert!(flows.counters().datagrams_sent < 1_000);
    }
    let refused = flows.outlet().send(&flow, &[0; 1_000]);
    assert_eq!(refused, Err(SendError::QueueFull));
    assert_eq!(flows.counters().datagrams_overflowed, 1);
    let sent_before = flows.counters().datagrams_sent;

    // The kernel gives up on the neighbour, tells us, and has room again.
    while flows.counters().datagrams_sent < sent_before + 3 {
        timeout(PATIENCE, flows.ready()).await.unwrap();
        flows.drain(64, |_, event| match event {
            FlowEvent::Undeliverable { flow, why } => {
                assert_eq!(flow.remote, silent);
                assert_eq!(why, Obstacle::NoRoute);
            }
            event => panic!("expected nothing else, got {event:?}"),
        });
    }
}

fn the_link_is_listed_with_its_scope() {
    let near = on_link(NEAR, "near", 0);
    let all = interfaces().unwrap();
    let found = all.iter().find(|at| at.address == near).unwrap();
    assert_eq!(found.interface, "near");
    assert!(found.is_up && !found.is_loopback);
    let seen = towards(on_link("fe80::77", "near", 5_060)).unwrap();
    assert_eq!(seen, near);
}
