//! Where packets may come from and go to.

use std::net::SocketAddr;

use media::{Event, LatchPolicy, LegKey, LegUpdate, Network, Output, Reason, Remote, RtcpAddress};

use crate::bench::{Bench, audio, peer, remote, rtcp, rtcp_port, rtp_port, setup};

fn peers(bench: &mut Bench) -> Vec<(u32, Option<SocketAddr>)> {
    let peer = |output| match output {
        Output::Peer { port, remote } => Some((port.0, remote)),
        _ => None,
    };
    bench.outputs.drain(..).filter_map(peer).collect()
}

#[test]
fn an_sdp_address_that_speaks_is_settled_and_told_once() {
    let mut bench = Bench::call();
    for n in 0..50 {
        bench.receive(1, &audio(1, n));
    }
    assert_eq!(peers(&mut bench), [(rtp_port(1).0, Some(peer(1)))]);
    let report = rtcp(&[(0, 201, &[1])]);
    let mut from = peer(1);
    from.set_port(4001);
    bench.receive_from(rtcp_port(1), from, &report);
    assert_eq!(peers(&mut bench), [(rtcp_port(1).0, Some(from))]);
}

#[test]
fn a_translated_station_is_answered_where_it_speaks_from() {
    let mut bench = Bench::new();
    bench.open(1);
    let mut setup = setup(2);
    let outside: SocketAddr = "203.0.113.9:61000".parse().unwrap();
    setup.remote.latch = LatchPolicy::Symmetric {
        network: Some(Network::host(outside.ip())),
    };
    bench.open_as(2, setup);
    bench.connect(1, 2);
    assert_eq!(bench.receive(1, &audio(1, 0))[0].to, peer(2));
    for n in 0..24 {
        bench.receive_from(rtp_port(2), outside, &audio(2, n));
    }
    assert_eq!(bench.receive(1, &audio(1, 1))[0].to, outside);
    let told = |bench: &mut Bench| {
        let mut told = peers(bench);
        told.retain(|(port, _)| *port == rtp_port(2).0);
        told
    };
    assert_eq!(told(&mut bench), [], "the window is still open");
    bench.receive_from(rtp_port(2), outside, &audio(2, 24));
    assert_eq!(told(&mut bench), [(rtp_port(2).0, Some(outside))]);
}

#[test]
fn a_stranger_is_counted_and_changes_nothing() {
    let mut bench = Bench::call();
    let stranger: SocketAddr = "198.51.100.66:4000".parse().unwrap();
    for n in 0..1000 {
        let sent = bench.receive_from(rtp_port(1), stranger, &audio(6, n));
        assert_eq!(sent, []);
    }
    assert_eq!(bench.receive(1, &audio(1, 0)).len(), 1);
    assert_eq!(bench.receive(2, &audio(2, 0))[0].to, peer(1));
    let quality = bench.quality(1);
    assert_eq!(quality.drops.of(Reason::Refused), 1000);
    assert_eq!(quality.packets, 1);
}

#[test]
fn a_strangers_flood_does_not_use_up_the_legs_rate() {
    let mut bench = Bench::call();
    let stranger: SocketAddr = "198.51.100.66:4000".parse().unwrap();
    for n in 0..10_000u16 {
        bench.receive_from(rtp_port(1), stranger, &audio(6, n));
    }
    assert_eq!(bench.receive(1, &audio(1, 0)).len(), 1);
    assert_eq!(bench.quality(1).drops.of(Reason::Flood), 0);
}

#[test]
fn an_update_opens_the_port_again_and_moves_the_leg() {
    let mut bench = Bench::call();
    bench.receive(2, &audio(2, 0));
    assert_eq!(bench.receive(1, &audio(1, 0))[0].to, peer(2));
    peers(&mut bench);
    let moved: SocketAddr = "10.9.9.9:5000".parse().unwrap();
    let update = LegUpdate {
        remote: Some(remote(moved)),
        ..Default::default()
    };
    bench.update(2, update);
    assert_eq!(peers(&mut bench), [(rtp_port(2).0, None)]);
    assert_eq!(bench.receive(1, &audio(1, 1))[0].to, moved);
    assert_eq!(bench.receive(2, &audio(2, 1)), [], "the old place");
    // Another device has another SSRC, at once.
    let sent = bench.receive_from(rtp_port(2), moved, &audio(3, 70));
    assert_eq!(sent.len(), 1);
}

#[test]
fn before_the_answer_only_the_signalling_peer_may_speak() {
    let mut bench = Bench::new();
    bench.open(1);
    let mut unknown = setup(2);
    unknown.remote = Remote {
        rtp: None,
        rtcp: RtcpAddress::NextPort,
        latch: LatchPolicy::Symmetric {
            network: Some(Network::host(peer(2).ip())),
        },
    };
    bench.open_as(2, unknown);
    bench.connect(1, 2);
    assert_eq!(bench.receive(1, &audio(1, 0)), [], "nowhere to send yet");
    let stranger: SocketAddr = "198.51.100.66:4000".parse().unwrap();
    assert_eq!(bench.receive_from(rtp_port(2), stranger, &audio(6, 0)), []);
    bench.events();
    assert_eq!(bench.receive(2, &audio(2, 0)).len(), 1);
    let started = Event::Started {
        leg: LegKey(2),
        from: peer(2),
    };
    assert_eq!(bench.events(), [started]);
    assert_eq!(bench.receive(1, &audio(1, 1))[0].to, peer(2));
}
