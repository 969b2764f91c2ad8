//! RTCP passes in the terms of the leg it goes to.

use std::net::SocketAddr;
use std::time::Duration;

use media::rtcp::{Compound, FeedbackKind, Packet, ReportBlock, SenderInfo};
use media::{LegUpdate, Remote, RtcpAddress};

use crate::bench::{Bench, Sent, audio, peer, remote, rtcp, rtcp_port, rtp, rtp_port, video};

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT: u8 = 205;
const PAYLOAD: u8 = 206;

fn rtcp_peer(leg: u64) -> SocketAddr {
    let mut address = peer(leg);
    address.set_port(4001);
    address
}

fn report(bench: &mut Bench, leg: u64, packets: &[(u8, u8, &[u32])]) -> Vec<Sent> {
    bench.receive_from(rtcp_port(leg), rtcp_peer(leg), &rtcp(packets))
}

fn packets(sent: &Sent) -> Vec<Packet<'_>> {
    let compound = Compound::parse(&sent.packet).expect("what is sent parses");
    compound.packets().collect()
}

fn info_and_block(sent: &Sent) -> (u32, Option<SenderInfo>, Option<ReportBlock>) {
    let Packet::Report {
        ssrc,
        sender,
        mut blocks,
    } = packets(sent)[0]
    else {
        panic!("{sent:?}")
    };
    (ssrc, sender, blocks.next())
}

/// SSRC of leg 1's peer is 0x11, of leg 2's 0x22; both have spoken ten packets.
/// Returns the SSRCs under which they hear each other, and the first numbers.
fn spoken(bench: &mut Bench) -> [(u32, u16, u32); 2] {
    let mut first = [None; 2];
    for n in 0..10 {
        for (leg, ssrc) in [(1usize, 0x11), (2, 0x22)] {
            let sent = bench.receive(leg as u64, &audio(ssrc, 1000 + n));
            let header = sent[0].header();
            first[2 - leg].get_or_insert((header.ssrc, header.sequence, header.timestamp));
        }
        bench.pass_ms(20);
    }
    first.map(|heard| heard.expect("both were heard"))
}

#[test]
fn a_sender_report_is_told_on_the_time_of_the_stream_that_is_heard() {
    let mut bench = Bench::call();
    let [_, (ssrc, _, first)] = spoken(&mut bench);
    let words = [0x11, 0x8000_0001, 0x4000_0000, 1000 * 160 + 77, 999, 99_999];
    let name = [0x11, 0x0103_4142, 0x4300_0000];
    let sent = report(&mut bench, 1, &[(0, SR, &words), (1, SDES, &name)]);
    assert_eq!((sent[0].port, sent[0].to), (rtcp_port(2), rtcp_peer(2)));
    let (sender, info, block) = info_and_block(&sent[0]);
    let info = info.unwrap();
    assert_eq!((sender, block), (ssrc, None));
    assert_eq!(info.ntp, 0x8000_0001_4000_0000);
    assert_eq!(info.timestamp, first.wrapping_add(77));
    assert_eq!((info.packets, info.octets), (10, 1600));
    let kinds = packets(&sent[0]);
    assert!(matches!(
        kinds[..],
        [Packet::Report { .. }, Packet::SourceDescription]
    ));
    let names = sent[0].packet.windows(3).any(|three| three == b"ABC");
    assert!(!names, "the device's own name stays here");
}

#[test]
fn a_reception_report_is_about_the_stream_of_the_one_it_goes_to() {
    let mut bench = Bench::call();
    let [(heard_by_1, first, _), _] = spoken(&mut bench);
    let highest = u32::from(first) + 9;
    let words = [0x11, heard_by_1, 0x0500_0003, highest, 40, 0, 0];
    let sent = report(&mut bench, 1, &[(1, RR, &words)]);
    let (_, _, block) = info_and_block(&sent[0]);
    let block = block.unwrap();
    assert_eq!(block.ssrc, 0x22);
    assert_eq!((block.fraction_lost, block.lost), (5, 3));
    assert_eq!((block.highest, block.jitter), (1009, 40));
    let far = bench.quality(1).far.unwrap();
    assert_eq!(far.jitter, Duration::from_millis(5));
    // A report about somebody else's stream concerns nobody here.
    let words = [0x11, 0x5555, 0, highest, 40, 0, 0];
    assert_eq!(report(&mut bench, 1, &[(1, RR, &words)]), []);
}

#[test]
fn the_round_trip_is_known_on_both_sides_and_to_us() {
    let mut bench = Bench::call();
    let [_, (heard_by_2, first, _)] = spoken(&mut bench);
    let words = [0x11, 0x0000_1234, 0x5678_0000, 1000 * 160, 10, 1600];
    report(&mut bench, 1, &[(0, SR, &words)]);
    bench.pass_ms(130);
    // Leg 2 waited 100 ms.
    let delay = 65536 / 10;
    let highest = u32::from(first) + 9;
    let words = [0x22, heard_by_2, 0, highest, 0, 0x1234_5678, delay];
    let sent = report(&mut bench, 2, &[(1, RR, &words)]);
    let (_, _, block) = info_and_block(&sent[0]);
    let block = block.unwrap();
    assert_eq!((block.last_report, block.delay), (0x1234_5678, delay));
    let found = bench.quality(2).round_trip.unwrap();
    assert_eq!(found.as_millis(), 30);
    assert!(bench.quality(2).mos.unwrap() > 4.3);
}

#[test]
fn a_bye_ends_at_us() {
    let mut bench = Bench::call();
    spoken(&mut bench);
    assert_eq!(
        report(&mut bench, 1, &[(0, RR, &[0x11]), (1, BYE, &[0x11])]),
        []
    );
}

#[test]
fn feedback_reaches_the_sender_of_the_video() {
    let mut bench = Bench::new();
    bench.open_as(1, video(1));
    bench.open_as(2, video(2));
    bench.connect(1, 2);
    let heard = bench.receive(1, &rtp(97, 0x11, 500, 0, b"frame"))[0].header();
    let lost = u32::from(heard.sequence.wrapping_add(3)) << 16 | 5;
    let sent = report(
        &mut bench,
        2,
        &[
            (0, RR, &[0x22]),
            (1, PAYLOAD, &[0x22, heard.ssrc]),
            (1, TRANSPORT, &[0x22, heard.ssrc, lost]),
            (4, PAYLOAD, &[0x22, 0, heard.ssrc, 0x0700_0000]),
            (15, PAYLOAD, &[0x22, 0, 1, 2]),
        ],
    );
    assert_eq!(sent[0].to, rtcp_peer(1));
    let feedback = |packet: &Packet<'_>| match *packet {
        Packet::Feedback {
            kind,
            format,
            media,
            control,
            ..
        } => Some((kind, format, media, control.to_vec())),
        _ => None,
    };
    let found: Vec<_> = packets(&sent[0]).iter().filter_map(feedback).collect();
    let nack = [503u16.to_be_bytes(), 5u16.to_be_bytes()].concat();
    let intra = [0x11u32.to_be_bytes(), 0x0700_0000u32.to_be_bytes()].concat();
    let expected = [
        (FeedbackKind::Payload, 1, 0x11, vec![]),
        (FeedbackKind::Transport, 1, 0x11, nack),
        (FeedbackKind::Payload, 4, 0, intra),
    ];
    assert_eq!(found, expected);
}

#[test]
fn rtcp_goes_to_the_port_that_signalling_named() {
    let mut bench = Bench::call();
    spoken(&mut bench);
    let words = [0x11, 1, 1, 1000 * 160, 10, 1600];
    let elsewhere: SocketAddr = "10.0.0.2:7777".parse().unwrap();
    let table = [
        (RtcpAddress::SharesRtp, Some((rtp_port(2), peer(2)))),
        (RtcpAddress::At(elsewhere), Some((rtcp_port(2), elsewhere))),
        (RtcpAddress::None, None),
    ];
    for (address, expected) in table {
        let update = LegUpdate {
            remote: Some(Remote {
                rtcp: address,
                ..remote(peer(2))
            }),
            ..Default::default()
        };
        bench.update(2, update);
        let sent = report(&mut bench, 1, &[(0, SR, &words)]);
        let found = sent.first().map(|sent| (sent.port, sent.to));
        assert_eq!(found, expected, "{address:?}");
    }
}

#[test]
fn a_shared_port_takes_both_kinds() {
    let mut bench = Bench::call();
    spoken(&mut bench);
    let words = [0x11, 1, 1, 1000 * 160, 10, 1600];
    let sent = bench.receive(1, &rtcp(&[(0, SR, &words)]));
    assert_eq!(sent[0].to, rtcp_peer(2));
}

#[test]
fn a_report_after_the_joint_is_not_told_to_the_new_sender() {
    let mut bench = Bench::new();
    for leg in 1..=3 {
        bench.open(leg);
    }
    bench.connect(1, 2);
    let first = bench.receive(2, &audio(0x22, 1))[0].header();
    bench.receive(1, &audio(0x11, 1));
    bench.connect(1, 3);
    bench.pass_ms(20);
    bench.receive(3, &audio(0x33, 1));
    let before = [0x11, first.ssrc, 0, first.sequence.into(), 0, 0, 0];
    assert_eq!(report(&mut bench, 1, &[(1, RR, &before)]), []);
    let after = [0x11, first.ssrc, 0, u32::from(first.sequence) + 1, 0, 0, 0];
    let sent = report(&mut bench, 1, &[(1, RR, &after)]);
    let (_, _, block) = info_and_block(&sent[0]);
    assert_eq!(
        block.map(|block| (block.ssrc, block.highest)),
        Some((0x33, 1))
    );
}
