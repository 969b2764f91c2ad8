//! G2: whoever hears something that we encode, or is decoded here, gets reports of our own
//! (RFC 3550 6).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::codec::AudioCodec;
use media::rtcp::{Compound, Packet, ReportBlock, SenderInfo};
use media::{LegKey, LegUpdate, Remote, RtcpAddress};

use crate::bench::{Bench, CALL, Sent, peer, remote, rtcp, rtcp_port, rtp_port};
use crate::speaker::{Speaker, station};

const SR: u8 = 200;
const RR: u8 = 201;

/// A call between leg 1 (G.711) and leg 2 (G.722), who cannot understand each other.
fn transcoded() -> Bench {
    let mut bench = Bench::new();
    bench.open_as(1, station(1, AudioCodec::Pcma));
    bench.open_as(2, station(2, AudioCodec::G722));
    bench.connect(1, 2);
    bench
}

fn rtcp_peer(leg: u64) -> SocketAddr {
    let mut address = peer(leg);
    address.set_port(4001);
    address
}

struct Report {
    at: Instant,
    ssrc: u32,
    sender: Option<SenderInfo>,
    block: Option<ReportBlock>,
}

/// What a leg was told, which must be a report with a description behind it.
fn told(bench: &Bench, leg: u64) -> Vec<Report> {
    let theirs = bench.reports.iter();
    let theirs = theirs.filter(|(_, sent)| sent.port == rtcp_port(leg));
    theirs.map(|(at, sent)| read(*at, sent, leg)).collect()
}

fn read(at: Instant, sent: &Sent, leg: u64) -> Report {
    assert_eq!(sent.to, rtcp_peer(leg));
    let compound = Compound::parse(&sent.packet).expect("what is sent parses");
    let packets: Vec<_> = compound.packets().collect();
    let [
        Packet::Report {
            ssrc,
            sender,
            blocks,
        },
        Packet::SourceDescription,
    ] = packets[..]
    else {
        panic!("{packets:?}")
    };
    let blocks: Vec<_> = blocks.collect();
    assert!(blocks.len() <= 1);
    Report {
        at,
        ssrc,
        sender,
        block: blocks.first().copied(),
    }
}

/// Both speak for so many packets; of leg 1's, those for which `lost` holds do not come.
fn talk(bench: &mut Bench, packets: usize, lost: impl Fn(usize) -> bool) -> Vec<Sent> {
    let mut one = Speaker::new(1, 400.0, AudioCodec::Pcma);
    let mut two = Speaker::new(2, 400.0, AudioCodec::G722);
    let mut sent = Vec::new();
    for n in 0..packets {
        let packet = one.packet();
        if !lost(n) {
            sent.extend(bench.receive(1, &packet));
        }
        sent.extend(bench.receive(2, &two.packet()));
        sent.extend(bench.pass_ms(20));
    }
    sent
}

#[test]
fn g2_both_ends_of_a_transcoded_call_are_told_what_was_sent_and_what_came() {
    let mut bench = transcoded();
    // One packet in ten of leg 1 is lost.
    let sent = talk(&mut bench, 1500, |n| n % 10 == 5);
    for leg in [1, 2] {
        let reports = told(&bench, leg);
        let heard: Vec<_> = sent.iter().filter(|sent| sent.to == peer(leg)).collect();
        let ssrc = heard[0].header().ssrc;
        assert!(reports.len() > 4, "{} reports to {leg}", reports.len());
        let mut lost_before = 0;
        for report in &reports {
            assert_eq!(report.ssrc, ssrc);
            let info = report.sender.expect("something was sent");
            let octets: usize = heard[..info.packets as usize]
                .iter()
                .map(|sent| sent.payload().len())
                .sum();
            assert_eq!(info.octets as usize, octets);
            let block = report.block.expect("something came");
            assert_eq!(block.ssrc, 7);
            let (fraction, share) = match leg {
                1 => (f64::from(block.fraction_lost) / 256.0, 0.1),
                _ => (f64::from(block.fraction_lost) / 256.0, 0.0),
            };
            assert!((fraction - share).abs() < 0.02, "{fraction} of {leg}");
            assert!(block.lost >= lost_before);
            lost_before = block.lost;
        }
        let quality = bench.quality(leg);
        assert!(quality.lost.abs_diff(lost_before as u64) <= 30);
    }
    let [first, .., last] = &told(&bench, 1)[..] else {
        panic!("several reports");
    };
    let (a, b) = (first.sender.unwrap(), last.sender.unwrap());
    let passed = last.at - first.at;
    // RFC 3550 6.4.1: wall clock and sampling clock of one moment.
    let ticks = f64::from(b.timestamp.wrapping_sub(a.timestamp)) / 8000.0;
    let seconds = (b.ntp - a.ntp) as f64 / f64::from(u32::MAX);
    assert!((ticks - passed.as_secs_f64()).abs() < 0.03, "{ticks} s");
    assert!(
        (seconds - passed.as_secs_f64()).abs() < 0.001,
        "{seconds} s"
    );
}

#[test]
fn g2_reports_come_every_few_seconds_at_uneven_times_and_the_same_seed_gives_the_same() {
    let times = || {
        let mut bench = transcoded();
        let start = bench.now;
        talk(&mut bench, 50, |_| false);
        bench.pass_ms(120_000);
        let reports = told(&bench, 1);
        reports
            .iter()
            .map(|report| report.at - start)
            .collect::<Vec<_>>()
    };
    let found = times();
    assert_eq!(found, times());
    // RFC 3550 6.2, 6.3.1: 4.5 s for 80 kbit/s, half of that at first, and 0.41 to 1.23 of it.
    assert!(found[0] <= Duration::from_millis(2800), "{:?}", found[0]);
    let gaps: Vec<_> = found.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let [least, most] = [1_840, 5_560].map(Duration::from_millis);
    assert!(
        gaps.iter().all(|gap| (least..=most).contains(gap)),
        "{gaps:?}"
    );
    assert!(gaps.iter().max() > gaps.iter().min());
    let mean = gaps.iter().sum::<Duration>() / gaps.len() as u32;
    assert!((3_000..4_500).contains(&mean.as_millis()), "{mean:?}");
}

#[test]
fn g2_the_round_trip_is_measured_both_ways() {
    let mut bench = transcoded();
    talk(&mut bench, 500, |_| false);
    let report = told(&bench, 1).pop().expect("a report");
    let info = report.sender.expect("something was sent");
    // The peer answers 600 ms after our report; 550 ms it waited.
    bench.now = report.at + Duration::from_millis(600);
    let waited = 550 * 65_536 / 1000;
    let words = [
        7,
        0,
        0,
        0,
        0,
        0,
        report.ssrc,
        0x1A00_0003,
        500,
        80,
        info.ntp_middle(),
        waited,
    ];
    let mut sender = words;
    sender[1] = 0x1234_5678;
    sender[2] = 0x9ABC_0000;
    bench.receive_from(rtcp_port(1), rtcp_peer(1), &rtcp(&[(1, SR, &sender)]));
    let quality = bench.quality(1);
    let round_trip = quality.round_trip.expect("it was measured");
    assert!(round_trip.abs_diff(Duration::from_millis(50)) < Duration::from_millis(1));
    let far = quality.far.expect("it has reported");
    assert_eq!((far.lost, far.jitter), (3, Duration::from_millis(10)));
    // And we say when we heard it, so that it can do the same.
    let heard = bench.now;
    talk(&mut bench, 500, |_| false);
    let answer = told(&bench, 1);
    let answer = answer
        .iter()
        .find(|report| report.at > heard)
        .expect("it goes on");
    let block = answer.block.expect("something came");
    assert_eq!(block.last_report, 0x5678_9ABC);
    let delay = f64::from(block.delay) / 65_536.0;
    assert!(
        (delay - (answer.at - heard).as_secs_f64()).abs() < 0.001,
        "{delay}"
    );
}

#[test]
fn legs_that_are_only_relayed_are_told_nothing_of_our_own() {
    let mut bench = Bench::call();
    for n in 0..1500 {
        bench.receive(1, &crate::bench::audio(0x11, n));
        bench.receive(2, &crate::bench::audio(0x22, n));
        bench.pass_ms(20);
    }
    assert_eq!(bench.reports, []);
    assert_eq!(bench.close_hearing(1), []);
}

#[test]
fn reports_share_the_port_where_the_peer_wants_it_and_none_go_to_who_wants_none() {
    let mut bench = Bench::new();
    bench.open_as(1, station(1, AudioCodec::Pcma));
    bench.open_as(2, station(2, AudioCodec::G722));
    for (leg, rtcp) in [(1, RtcpAddress::SharesRtp), (2, RtcpAddress::None)] {
        let remote = Remote {
            rtcp,
            ..remote(peer(leg))
        };
        let update = LegUpdate {
            remote: Some(remote),
            ..LegUpdate::default()
        };
        bench.update(leg, update);
    }
    bench.connect(1, 2);
    talk(&mut bench, 1000, |_| false);
    assert!(!bench.reports.is_empty());
    for (_, sent) in &bench.reports {
        assert_eq!((sent.port, sent.to), (rtp_port(1), peer(1)));
    }
}

#[test]
fn a_leg_that_fell_silent_is_reported_on_no_more_and_told_goodbye_at_the_end() {
    let mut bench = transcoded();
    talk(&mut bench, 500, |_| false);
    bench.reports.clear();
    bench.pass_ms(30_000);
    let last = told(&bench, 1).pop().expect("reports go on");
    assert!(last.sender.is_none() && last.block.is_none());
    let goodbye = bench.close_hearing(1);
    let [sent] = &goodbye[..] else {
        panic!("{goodbye:?}")
    };
    let compound = Compound::parse(&sent.packet).expect("what is sent parses");
    let packets: Vec<_> = compound.packets().collect();
    let [
        Packet::Report { .. },
        Packet::SourceDescription,
        Packet::Bye,
    ] = packets[..]
    else {
        panic!("{packets:?}")
    };
}

#[test]
fn a_peer_that_lies_about_its_clock_or_our_stream_does_no_harm() {
    let mut bench = transcoded();
    talk(&mut bench, 200, |_| false);
    let ssrc = told(&bench, 1)[0].ssrc;
    for word in [0, 1, u32::MAX] {
        let words = [
            7, word, word, word, word, word, ssrc, word, word, word, word, word,
        ];
        bench.receive_from(rtcp_port(1), rtcp_peer(1), &rtcp(&[(1, SR, &words)]));
        let block = [9, ssrc, word, word, word, word, word];
        bench.receive_from(rtcp_port(1), rtcp_peer(1), &rtcp(&[(1, RR, &block)]));
        talk(&mut bench, 50, |_| false);
        bench.pass_ms(6_000);
        let quality = bench.relay.quality(CALL, LegKey(1), bench.now);
        assert!(quality.is_some());
    }
}
