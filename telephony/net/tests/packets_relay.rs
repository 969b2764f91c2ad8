//! A call through a media thread: sockets, pool and relay together.

#[path = "../examples/relay/calls.rs"]
mod calls;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use calls::{Calls, Open};
use media::rtp::Header;
use net::packets::{PortRange, Ports, PortsConfig, PortsEvent, Worker, WorkerConfig};
use tokio::sync::mpsc;

fn phone() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback binds");
    let patience = Some(Duration::from_secs(10));
    socket
        .set_read_timeout(patience)
        .expect("a time-out is set");
    socket
}

fn audio(ssrc: u32, n: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend_from_slice(&n.to_be_bytes());
    packet.extend_from_slice(&(u32::from(n) * 160).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[n as u8; 160]);
    packet
}

fn hear(phone: &UdpSocket) -> (Header, Vec<u8>) {
    let mut packet = [0; 2000];
    let len = phone.recv(&mut packet).expect("audio comes");
    let header = Header::parse(&packet[..len]).expect("it is RTP");
    (header, header.payload(&packet[..len]).to_vec())
}

async fn call(range: (u16, u16)) -> (Worker<Open>, SocketAddr, SocketAddr) {
    let mut ports = Ports::start(PortsConfig {
        addresses: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        range: PortRange::new(range.0, range.1).expect("the range is right"),
        ready: 1,
        ..PortsConfig::default()
    })
    .expect("the pool starts");
    let (events, _) = mpsc::channel(1);
    let mut worker =
        Worker::spawn(WorkerConfig::default(), Calls::new(), events).expect("the thread starts");
    let Some(PortsEvent::Free { rtp: a }) = ports.next().await else {
        panic!("no ports");
    };
    let pair = ports.take(a).expect("it was told");
    assert!(worker.command(Open(pair)).is_ok());
    worker.flush();
    let mut b = a;
    b.set_port(a.port() + 1);
    (worker, a, b)
}

#[tokio::test]
async fn two_phones_hear_each_other_over_real_sockets() {
    let (worker, at_a, at_b) = call((23_200, 23_299)).await;
    let (a, b) = (phone(), phone());
    // The first words make both sides known.
    a.send_to(&audio(1, 0), at_a).unwrap();
    b.send_to(&audio(2, 0), at_b).unwrap();
    let (first, _) = hear(&a);
    for n in 1..=200 {
        a.send_to(&audio(1, n), at_a).unwrap();
        let (header, payload) = hear(&b);
        assert_eq!(payload, [n as u8; 160]);
        assert_ne!(header.ssrc, 1);
        b.send_to(&audio(2, n), at_b).unwrap();
        let (header, payload) = hear(&a);
        assert_eq!(payload, [n as u8; 160]);
        assert_eq!(header.ssrc, first.ssrc);
        assert_eq!(header.sequence, first.sequence.wrapping_add(n));
    }
    assert_eq!(worker.counters().received, 402);
}

#[tokio::test]
async fn a_flood_from_a_stranger_does_not_reach_a_settled_call() {
    let (worker, at_a, at_b) = call((23_300, 23_399)).await;
    let (a, b, stranger) = (phone(), phone(), phone());
    // The latch settles after its window of packets.
    for n in 0..30 {
        a.send_to(&audio(1, n), at_a).unwrap();
        b.send_to(&audio(2, n), at_b).unwrap();
        hear(&a);
    }
    let before = worker.counters().received;
    for n in 0..20_000 {
        stranger.send_to(&audio(3, n), at_a).unwrap();
    }
    b.send_to(&audio(2, 30), at_b).unwrap();
    let (_, payload) = hear(&a);
    assert_eq!(payload, [30; 160]);
    assert_eq!(
        worker.counters().received,
        before + 1,
        "the kernel kept it out"
    );
}
