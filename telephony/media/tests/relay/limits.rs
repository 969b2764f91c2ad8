//! What is too much, too long or not RTP at all.

use media::{Config, LegKey, OpenError, Rate, Reason, SessionId};

use crate::bench::{Bench, CALL, audio, host, rtcp, rtcp_port, rtp_port, setup};

#[test]
fn a_leg_that_floods_is_cut_to_its_rate_and_its_call_goes_on() {
    let mut bench = Bench::call();
    let mut passed = 0;
    for n in 0..60_000u16 {
        passed += bench.receive(1, &audio(1, n)).len();
    }
    assert_eq!(passed, 500, "one burst");
    assert_eq!(bench.quality(1).drops.of(Reason::Flood), 59_500);
    assert_eq!(bench.receive(2, &audio(2, 0)).len(), 1);
    bench.pass_ms(1000);
    bench.receive(1, &audio(1, 60_000));
    assert_eq!(bench.receive(1, &audio(1, 60_001)).len(), 1);
}

#[test]
fn a_storm_of_reports_is_cut_and_audio_is_not() {
    let mut bench = Bench::call();
    bench.receive(1, &audio(0x11, 0));
    let words = [0x11, 1, 1, 0, 10, 1600];
    let storm = rtcp(&[(0, 200, &words)]);
    let from = (host(1), 4001).into();
    let passed: usize = (0..1000)
        .map(|_| bench.receive_from(rtcp_port(1), from, &storm).len())
        .sum();
    assert_eq!(passed, 50);
    assert_eq!(bench.receive(1, &audio(0x11, 1)).len(), 1);
}

#[test]
fn what_is_not_rtp_is_counted_and_goes_nowhere() {
    let mut bench = Bench::call();
    bench.receive(1, &audio(1, 0));
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    let broken: [&[u8]; 6] = [
        &[],
        &[0x80],
        &stun,
        &[0x8f; 20],
        &[0x80, 200, 0xff, 0xff],
        &[0x16, 0xfe, 0xfd, 0],
    ];
    for packet in broken {
        assert_eq!(bench.receive(1, packet), [], "{packet:?}");
    }
    assert_eq!(bench.quality(1).drops.of(Reason::Malformed), 6);
    let on_rtcp = bench.receive_from(rtcp_port(1), (host(1), 4001).into(), &audio(1, 1));
    assert_eq!(on_rtcp, [], "RTP at an RTCP port");
    assert_eq!(bench.receive(1, &audio(1, 2)).len(), 1);
    assert_eq!(bench.relay.totals().drops.of(Reason::Malformed), 7);
}

#[test]
fn sessions_and_legs_have_an_upper_limit() {
    let mut bench = Bench::with(Config {
        max_sessions: 2,
        ..Config::default()
    });
    let now = bench.now;
    for session in 0..2 {
        bench
            .relay
            .open(SessionId(session), LegKey(0), setup(session), now)
            .unwrap();
    }
    let third = bench.relay.open(SessionId(9), LegKey(0), setup(9), now);
    assert_eq!(third, Err(OpenError::TooManySessions));
    for leg in 1..64 {
        bench
            .relay
            .open(SessionId(0), LegKey(leg), setup(leg + 10), now)
            .unwrap();
    }
    let last = bench.relay.open(SessionId(0), LegKey(64), setup(100), now);
    assert_eq!(last, Err(OpenError::TooManyLegs));
}

#[test]
fn the_rates_are_the_owners() {
    let mut bench = Bench::with(Config {
        packet_rate: Rate {
            per_second: 1,
            burst: 2,
        },
        ..Config::default()
    });
    bench.open(1);
    bench.open(2);
    bench.connect(1, 2);
    let passed: usize = (0..9).map(|n| bench.receive(1, &audio(1, n)).len()).sum();
    assert_eq!(passed, 2);
}

#[test]
fn datagrams_at_unknown_ports_are_counted() {
    let mut bench = Bench::call();
    bench.receive_from(rtp_port(500), (host(1), 4000).into(), &audio(1, 0));
    assert_eq!(bench.relay.totals().stray, 1);
    assert!(bench.relay.quality(CALL, LegKey(500), bench.now).is_none());
}
