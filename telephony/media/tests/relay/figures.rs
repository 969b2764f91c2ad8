//! G2: the figures of each leg are those that were put into its network, worked out by hand.

use std::time::Duration;

use media::codec::AudioCodec;
use media::{Codec, Part, Quality};

use crate::bench::{Bench, audio, peer, rtcp, rtcp_port};
use crate::speaker::{Speaker, station};

const RR: u8 = 201;

fn transcoded() -> Bench {
    let mut bench = Bench::new();
    bench.open_as(1, station(1, AudioCodec::Pcma));
    bench.open_as(2, station(2, AudioCodec::G722));
    bench.connect(1, 2);
    bench
}

#[track_caller]
fn score(found: Option<f32>, expected: f32) {
    let found = found.expect("it is audio of a known codec");
    assert!((found - expected).abs() < 0.03, "{found} not {expected}");
}

fn ms(time: Duration) -> u128 {
    time.as_millis()
}

/// The peer of a leg answers with a report about what we send to it.
fn reports(bench: &mut Bench, leg: u64, ssrc: u32, lost: u32, jitter: u32) {
    let mut from = peer(leg);
    from.set_port(4001);
    let block = [9, ssrc, lost, 5_000, jitter, 0, 0];
    bench.receive_from(rtcp_port(leg), from, &rtcp(&[(1, RR, &block)]));
}

#[test]
fn g2_loss_and_jitter_of_a_relayed_leg_are_those_of_its_network() {
    let mut bench = Bench::call();
    // Every twentieth packet is lost; each second one comes 8 ms late.
    for n in 0..1000u16 {
        if n % 20 != 10 {
            let late = u64::from(n % 2) * 8;
            bench.pass_ms(late);
            bench.receive(1, &audio(0x11, n));
            bench.pass_ms(20 - late);
        } else {
            bench.pass_ms(20);
        }
    }
    let quality = bench.quality(1);
    assert_eq!(
        (quality.expected, quality.lost, quality.packets),
        (1000, 50, 950)
    );
    // RFC 3550 A.8: differences of 8 ms settle at 8 ms.
    assert!(
        (7..=8).contains(&ms(quality.jitter)),
        "{:?}",
        quality.jitter
    );
    assert_eq!(
        (quality.codec, quality.transcoded),
        (Some(Codec::Pcma), false)
    );
    assert_eq!((quality.decoded, quality.delay), (None, None));
    // Ie_eff of 5 % is 15.8; 60 ms of packet and buffer take 1.8 of 93.4: R = 75.8.
    score(quality.mos, 3.86);
    let heard = bench.quality(2);
    assert_eq!((heard.packets, heard.sent_packets), (0, 950));
    assert_eq!((heard.mos, heard.codec), (None, None));
}

#[test]
fn g2_what_the_far_end_says_is_told_in_its_own_clock_and_scored() {
    let mut bench = Bench::call();
    let mut ssrc = 0;
    for n in 0..500 {
        let sent = bench.receive(1, &audio(0x11, n));
        ssrc = sent[0].header().ssrc;
        bench.pass_ms(20);
    }
    reports(&mut bench, 2, ssrc, 10, 240);
    let quality = bench.quality(2);
    let far = quality.far.expect("it has reported");
    assert_eq!((far.lost, ms(far.jitter)), (10, 30));
    // 2 % cost 7.0; 20 ms of packet and 60 of buffer take 2.3: R = 84.0.
    score(quality.far_mos, 4.18);
    assert_eq!(quality.mos, None);
}

#[test]
fn g2_what_is_decoded_tells_of_concealment_lateness_and_level() {
    let mut bench = transcoded();
    let mut one = Speaker::new(1, 400.0, AudioCodec::Pcma);
    // 1000 packets, 10 lost one by one: 200 ms of sound that was invented.
    one.speak(&mut bench, 1000, |n| n % 100 == 50);
    let quality = bench.quality(1);
    let decoded = quality.decoded.expect("it is decoded");
    assert_eq!((quality.lost, decoded.late), (10, 0));
    assert_eq!(ms(decoded.concealed), 200);
    assert_eq!(ms(decoded.wait), 0);
    assert!(quality.transcoded && bench.quality(2).transcoded);
    // A sine of amplitude 8000: 20 log10(8000 / 32768) - 3.0 dBov.
    let level = decoded.level.expect("it was heard");
    assert!((level + 15.3).abs() < 0.3, "{level} dBov");
    // One packet is 60 ms late: it is invented, and when it comes it is of no use.
    let packet = one.packet();
    bench.pass_ms(20);
    for _ in 0..3 {
        let next = one.packet();
        bench.receive(1, &next);
        bench.pass_ms(20);
    }
    bench.receive(1, &packet);
    let quality = bench.quality(1);
    let decoded = quality.decoded.expect("it is decoded");
    assert_eq!((quality.lost, decoded.late), (10, 1));
    assert_eq!(ms(decoded.concealed), 220);
}

#[test]
fn g2_uneven_packets_fill_the_buffer_and_the_delay_says_so() {
    let mut bench = transcoded();
    let mut one = Speaker::new(1, 400.0, AudioCodec::Pcma);
    // Two at once every 40 ms, then a pause of 80.
    for n in 0..500 {
        for _ in 0..2 {
            let packet = one.packet();
            bench.receive(1, &packet);
        }
        bench.pass_ms(if n % 2 == 0 { 20 } else { 60 });
    }
    let Quality {
        decoded, jitter, ..
    } = bench.quality(1);
    let decoded = decoded.expect("it is decoded");
    assert!((20..=120).contains(&ms(decoded.wait)), "{decoded:?}");
    assert!(decoded.longest_wait >= decoded.wait);
    assert!(ms(jitter) > 10, "{jitter:?}");
}

#[test]
fn g2_the_last_figures_tell_of_the_call_though_its_legs_were_parted_before() {
    let mut bench = transcoded();
    let mut one = Speaker::new(1, 400.0, AudioCodec::Pcma);
    one.speak(&mut bench, 100, |n| n == 50);
    let during = bench.quality(1);
    bench
        .relay
        .disconnect(crate::bench::CALL, media::LegKey(1))
        .expect("the command is right");
    bench.drain();
    let after = bench.quality(1);
    assert!(after.transcoded && bench.quality(2).transcoded);
    let concealed = |quality: &Quality| quality.decoded.map(|decoded| decoded.concealed);
    assert_eq!(concealed(&after), concealed(&during));
    assert_eq!((after.lost, after.mos), (during.lost, during.mos));
    // On again, what is decoded adds up.
    bench.connect(1, 2);
    one.speak(&mut bench, 100, |n| n == 50);
    let again = concealed(&bench.quality(1)).expect("it is decoded");
    assert!(again > concealed(&during).expect("it was decoded"));
}

#[test]
fn g2_members_of_a_room_have_figures_and_reports_of_their_own() {
    let codecs = [AudioCodec::Pcma, AudioCodec::G722, AudioCodec::Pcmu];
    let parts = [Part::TalkAndListen, Part::TalkAndListen, Part::Listen];
    let mut bench = Bench::new();
    let mut speakers = Vec::new();
    for (leg, (codec, part)) in (1..).zip(codecs.into_iter().zip(parts)) {
        bench.open_as(leg, station(leg, codec));
        bench.enter(leg, part);
        speakers.push(Speaker::new(leg, 400.0, codec));
    }
    for n in 0..300 {
        for (speaker, leg) in speakers.iter_mut().zip(1..) {
            let packet = speaker.packet();
            // Of leg 1 six are lost, one by one.
            if leg != 1 || n % 50 != 25 {
                bench.receive(leg, &packet);
            }
        }
        bench.pass_ms(20);
    }
    for leg in 1..=3 {
        let quality = bench.quality(leg);
        assert!(quality.transcoded, "{leg}");
        let to_it = |port| bench.reports.iter().any(|(_, sent)| sent.port == port);
        assert!(to_it(rtcp_port(leg)), "{leg} is told nothing");
    }
    let decoded = |leg| bench.quality(leg).decoded;
    let first = decoded(1).expect("two hear it");
    assert_eq!(bench.quality(1).lost, 6);
    assert_eq!(ms(first.concealed), 120);
    assert!(decoded(2).is_some_and(|second| second.concealed.is_zero()));
    assert_eq!(decoded(3), None, "who only listens is not decoded");
    bench.leave(1);
    let after = bench.quality(1).decoded.expect("it was heard");
    assert_eq!((after.late, after.concealed), (first.late, first.concealed));
}
