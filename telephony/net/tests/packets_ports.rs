//! Pools of bound port pairs, on real sockets.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use net::packets::{PortRange, Ports, PortsConfig, PortsEvent, PortsTrouble};

/// A range of its own for each test, below what the kernel gives to others.
fn config(range: (u16, u16), addresses: &[IpAddr], ready: usize) -> PortsConfig {
    PortsConfig {
        addresses: addresses.iter().map(|ip| (*ip, 0).into()).collect(),
        range: PortRange::new(range.0, range.1).expect("the range is right"),
        ready,
        ..PortsConfig::default()
    }
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

async fn free(ports: &mut Ports) -> SocketAddr {
    match ports.next().await {
        Some(PortsEvent::Free { rtp }) => rtp,
        other => panic!("{other:?}"),
    }
}

async fn trouble(ports: &mut Ports) -> PortsTrouble {
    match ports.next().await {
        Some(PortsEvent::Trouble { trouble, .. }) => trouble,
        other => panic!("{other:?}"),
    }
}

fn is_bound(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_err()
}

#[tokio::test]
async fn pairs_are_bound_before_they_are_told_on_both_families() {
    let mut ports = Ports::start(config((21_000, 21_099), &[V4, V6], 3)).unwrap();
    let mut told = HashSet::new();
    for _ in 0..6 {
        let rtp = free(&mut ports).await;
        assert_eq!(rtp.port() % 2, 0);
        assert!((21_000..21_099).contains(&rtp.port()));
        let mut rtcp = rtp;
        rtcp.set_port(rtp.port() + 1);
        assert!(is_bound(rtp) && is_bound(rtcp));
        assert!(told.insert(rtp));
    }
    assert_eq!(told.iter().filter(|rtp| rtp.is_ipv4()).count(), 3);
}

#[tokio::test]
async fn what_is_taken_is_replaced_and_what_is_dropped_is_closed() {
    let mut ports = Ports::start(config((21_100, 21_199), &[V4], 1)).unwrap();
    let first = free(&mut ports).await;
    assert!(ports.take((V4, 1).into()).is_none(), "never told");
    let pair = ports.take(first).unwrap();
    assert!(ports.take(first).is_none(), "taken already");
    let second = free(&mut ports).await;
    assert_ne!(first, second);
    assert!(is_bound(first));
    drop(pair);
    assert!(!is_bound(first));
}

#[tokio::test]
async fn ports_of_other_programs_are_passed_over() {
    let _rtp = UdpSocket::bind((V4, 21_200)).unwrap();
    let _rtcp = UdpSocket::bind((V4, 21_203)).unwrap();
    let mut ports = Ports::start(config((21_200, 21_205), &[V4], 1)).unwrap();
    assert_eq!(free(&mut ports).await, (V4, 21_204).into());
    let pair = ports.take((V4, 21_204).into()).unwrap();
    assert_eq!(trouble(&mut ports).await, PortsTrouble::RangeInUse);
    // The trouble ends when a pair comes back.
    drop(pair);
    assert_eq!(free(&mut ports).await, (V4, 21_204).into());
}

#[tokio::test]
async fn a_range_goes_all_the_way_round_before_a_pair_comes_again() {
    let mut ports = Ports::start(config((21_300, 21_319), &[V4], 1)).unwrap();
    let mut given = Vec::new();
    for _ in 0..10 {
        let rtp = free(&mut ports).await;
        given.push(rtp);
        drop(ports.take(rtp));
    }
    let distinct: HashSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), 10, "{given:?}");
}

#[tokio::test]
async fn an_address_that_is_not_here_is_told() {
    // TEST-NET-1 (RFC 5737) belongs to no host.
    let missing = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let mut ports = Ports::start(config((21_400, 21_499), &[missing, V4], 1)).unwrap();
    assert_eq!(trouble(&mut ports).await, PortsTrouble::NoSuchAddress);
    free(&mut ports).await;
}
