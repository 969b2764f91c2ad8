//! Who hears whom, and the life of a session.

use std::time::Duration;

use media::{CommandError, Direction, Event, LegKey, OpenError, Output, PortKey, SessionId};

use crate::bench::{Bench, CALL, Wire, audio, peer, rtcp_port, rtp_port, setup};

#[test]
fn one_talker_is_heard_by_a_whole_group() {
    let mut bench = Bench::new();
    for leg in 1..=33 {
        bench.open(leg);
    }
    for listener in 2..=33 {
        bench.listen(listener, 1);
    }
    let sent = bench.receive(1, &audio(1, 1));
    assert_eq!(sent.len(), 32);
    let mut ssrcs: Vec<_> = sent.iter().map(|sent| sent.header().ssrc).collect();
    assert!(sent.iter().all(|sent| sent.payload() == [1; 160]));
    ssrcs.sort_unstable();
    ssrcs.dedup();
    assert_eq!(ssrcs.len(), 32, "each has a stream of its own");
    // The talker changes: the key of another station is pressed.
    bench.listen(1, 5);
    for listener in (2..=33).filter(|leg| *leg != 5) {
        bench.listen(listener, 5);
    }
    assert_eq!(
        bench.receive(1, &audio(1, 2)).len(),
        1,
        "only leg 5 still hears it"
    );
    assert_eq!(bench.receive(5, &audio(5, 1)).len(), 32);
}

#[test]
fn a_leg_that_listens_to_itself_gets_back_what_it_says_at_once_and_unchanged() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.listen(1, 1);
    for n in 1..=200 {
        let sent = bench.receive(1, &audio(1, n));
        let [echo] = &sent[..] else {
            panic!("{sent:?}")
        };
        assert_eq!((echo.port, echo.to), (rtp_port(1), peer(1)));
        assert_eq!(echo.payload(), [n as u8; 160]);
        assert_ne!(echo.header().ssrc, 1, "the stream is ours");
        bench.pass_ms(20);
    }
    // Nobody else would tell it what came and what was sent.
    assert!(!bench.reports.is_empty());
    assert!(
        bench
            .reports
            .iter()
            .all(|(_, sent)| sent.port == rtcp_port(1))
    );
    bench.relay.unlisten(CALL, LegKey(1), LegKey(1)).unwrap();
    assert_eq!(bench.receive(1, &audio(1, 201)), []);
    bench.listen(1, 1);
    bench.close(1);
    assert_eq!(bench.relay.totals().sessions, 0);
}

#[test]
fn a_disconnected_leg_neither_speaks_nor_hears() {
    let mut bench = Bench::call();
    bench.relay.disconnect(CALL, LegKey(1)).unwrap();
    assert_eq!(bench.receive(1, &audio(1, 1)), []);
    assert_eq!(bench.receive(2, &audio(2, 1)), []);
    bench.connect(1, 2);
    assert_eq!(bench.receive(1, &audio(1, 2)).len(), 1);
}

#[test]
fn calls_do_not_hear_each_other() {
    let mut bench = Bench::call();
    for leg in [11, 12] {
        let opened = bench
            .relay
            .open(SessionId(8), LegKey(leg), setup(leg), bench.now);
        opened.unwrap();
    }
    let now = bench.now;
    bench
        .relay
        .connect(SessionId(8), LegKey(11), LegKey(12), now)
        .unwrap();
    let sent = bench.receive(11, &audio(1, 1));
    assert_eq!(
        sent.iter().map(|s| s.port).collect::<Vec<_>>(),
        [rtp_port(12)]
    );
    let sent = bench.receive(1, &audio(1, 1));
    assert_eq!(
        sent.iter().map(|s| s.port).collect::<Vec<_>>(),
        [rtp_port(2)]
    );
}

#[test]
fn closing_tells_the_figures_and_releases_the_ports() {
    let mut bench = Bench::call();
    for n in 0..100 {
        bench.receive(1, &audio(1, n));
        bench.pass_ms(20);
    }
    bench.outputs.clear();
    bench.close(1);
    let [Output::Event { event, .. }, rest @ ..] = &bench.outputs[..] else {
        panic!("{:?}", bench.outputs)
    };
    let Event::LegClosed { leg, quality } = event else {
        panic!("{event:?}")
    };
    assert_eq!((*leg, quality.packets, quality.lost), (LegKey(1), 100, 0));
    assert_eq!(quality.jitter, Duration::ZERO);
    assert_eq!(quality.last_packet, Some(Duration::from_millis(20)));
    let released = [2, 3].map(|port| Output::Release {
        port: PortKey(port),
    });
    assert_eq!(rest, released);
    assert_eq!(bench.receive(1, &audio(1, 100)), []);
    assert_eq!(bench.relay.totals().stray, 1);
    assert_eq!(bench.quality(2).sent_packets, 100);
    bench.close(2);
    assert_eq!(bench.relay.totals().sessions, 0);
    assert_eq!(bench.deadline, None, "nothing is left to wait for");
    // The same ports and names may be used again.
    bench.open(1);
}

#[test]
fn a_whole_session_closes_at_once() {
    let mut bench = Bench::call();
    let now = bench.now;
    bench.relay.close(CALL, now, &mut Wire::default()).unwrap();
    bench.pass_ms(0);
    assert_eq!(
        bench.relay.close(CALL, now, &mut Wire::default()),
        Err(CommandError::NoSession(CALL))
    );
    bench.open(1);
    assert_eq!(bench.relay.totals().sessions, 1);
}

#[test]
fn a_dead_call_is_told_and_told_again() {
    let mut bench = Bench::call();
    bench.receive(1, &audio(1, 1));
    bench.pass(Duration::from_secs(30));
    bench.receive(2, &audio(1, 1));
    bench.events();
    bench.pass(Duration::from_secs(59));
    assert_eq!(bench.events(), [], "one side still spoke 59 s ago");
    bench.pass(Duration::from_secs(1));
    let silent = Event::Silent {
        lasting: Duration::from_secs(60),
    };
    assert_eq!(bench.events(), std::slice::from_ref(&silent));
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.events(), [silent]);
}

#[test]
fn a_call_on_hold_is_not_dead() {
    let mut bench = Bench::call();
    bench.turn(1, Direction::SendOnly);
    bench.turn(2, Direction::SendOnly);
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.events(), []);
    bench.turn(2, Direction::SendReceive);
    bench.pass(Duration::from_secs(59));
    assert_eq!(bench.events(), []);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_ringing_call_is_not_dead() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.open(2);
    bench.pass(Duration::from_secs(600));
    assert_eq!(bench.events(), []);
}

#[test]
fn wrong_commands_are_refused_and_change_nothing() {
    let mut bench = Bench::call();
    let now = bench.now;
    let relay = &mut bench.relay;
    let open = |relay: &mut media::Relay, leg, setup| relay.open(CALL, LegKey(leg), setup, now);
    assert_eq!(
        open(relay, 1, setup(9)),
        Err(OpenError::LegExists(LegKey(1)))
    );
    assert_eq!(
        open(relay, 3, setup(1)),
        Err(OpenError::PortInUse(PortKey(2)))
    );
    let mut twice = setup(3);
    twice.rtcp = Some(twice.rtp);
    assert_eq!(open(relay, 3, twice), Err(OpenError::PortInUse(PortKey(6))));
    let mut formats = setup(3);
    formats.formats.push(formats.formats[0]);
    assert!(matches!(
        open(relay, 3, formats.clone()),
        Err(OpenError::Format(_))
    ));
    let fresh = relay.open(SessionId(1), LegKey(1), formats, now);
    assert!(fresh.is_err());
    assert_eq!(relay.totals().sessions, 1, "no empty session stays behind");

    let missing = Err(CommandError::NoLeg(LegKey(3)));
    assert_eq!(relay.connect(CALL, LegKey(1), LegKey(3), now), missing);
    assert_eq!(
        relay.close_leg(CALL, LegKey(3), now, &mut Wire::default()),
        missing
    );
    let same = relay.connect(CALL, LegKey(1), LegKey(1), now);
    assert_eq!(same, Err(CommandError::SameLeg));
    assert_eq!(bench.receive(1, &audio(1, 1)).len(), 1);
}
