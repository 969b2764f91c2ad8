//! What holds for any traffic.

use std::collections::HashSet;

use media::rtcp::Compound;
use media::rtp::{Header, Malformed};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::bench::{Bench, audio, host, rtcp, rtcp_port, rtp, rtp_port};

/// One thing that happens to a caller who hears one of three others.
#[derive(Debug, Clone)]
enum Step {
    /// The caller hears another one now.
    Switch { to: u64 },
    /// The one who is heard sends: on by `skip`, then `back` again.
    Send { skip: u16, back: u16, ms: u64 },
    /// It begins a new stream after a pause.
    Restart { ssrc: u32, sequence: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (2..=4u64).prop_map(|to| Step::Switch { to }),
        8 => (0..20u16, 0..20u16, 0..200u64)
            .prop_map(|(skip, back, ms)| Step::Send { skip, back, ms }),
        1 => (any::<u32>(), any::<u16>())
            .prop_map(|(ssrc, sequence)| Step::Restart { ssrc, sequence }),
    ]
}

proptest! {
    /// No number twice, one SSRC; from one stream the distances stay, and a
    /// joint is the next number.
    #[test]
    fn the_receiver_hears_one_continuous_stream(
        steps in vec(step(), 1..120),
        starts in proptest::array::uniform3(any::<u16>()),
    ) {
        let mut bench = Bench::new();
        for leg in 1..=4 {
            bench.open(leg);
        }
        // (ssrc, sequence) of each possible speaker.
        let mut speakers: Vec<(u32, u16)> = (1u32..).zip(starts).collect();
        let mut heard = 2u64;
        bench.listen(1, heard);
        let mut ssrc = None;
        let mut numbers = HashSet::new();
        // Extended number that went out last in order, and the joint: the
        // stream behind it and the distance to it.
        let mut highest: Option<i64> = None;
        let mut joint: Option<((u64, u32), u16)> = None;
        for step in steps {
            let speaker = &mut speakers[heard as usize - 2];
            let (ms, sequence) = match step {
                Step::Switch { to } => {
                    heard = to;
                    bench.listen(1, heard);
                    joint = None;
                    continue;
                }
                Step::Restart { ssrc, sequence } => {
                    *speaker = (ssrc, sequence);
                    joint = None;
                    (100, sequence)
                }
                Step::Send { skip, back, ms } => {
                    speaker.1 = speaker.1.wrapping_add(skip);
                    (ms, speaker.1.wrapping_sub(back))
                }
            };
            bench.pass_ms(ms);
            let speaker = speakers[heard as usize - 2];
            let sent = bench.receive(heard, &audio(speaker.0, sequence));
            prop_assert!(sent.len() <= 1);
            let Some(sent) = sent.first() else { continue };
            let header = sent.header();
            prop_assert_eq!(*ssrc.get_or_insert(header.ssrc), header.ssrc);
            let last = highest.unwrap_or(i64::from(header.sequence) - 1);
            let extended = last + i64::from(header.sequence.wrapping_sub(last as u16) as i16);
            prop_assert!(numbers.insert(extended), "{} went out twice", extended);
            let behind = ((heard, speaker.0), header.sequence.wrapping_sub(sequence));
            match joint {
                Some(known) => prop_assert_eq!(known, behind),
                None => prop_assert_eq!(extended, last + 1),
            }
            joint = Some(behind);
            highest = Some(last.max(extended));
        }
    }

    /// Broken packets neither panic nor change length, and leave the call intact.
    #[test]
    fn nothing_that_arrives_breaks_a_call(
        mutations in vec((any::<bool>(), vec((any::<usize>(), any::<u8>()), 0..6), 0..80usize), 1..60),
        noise in vec(vec(any::<u8>(), 0..64), 0..20),
    ) {
        let mut bench = Bench::call();
        bench.receive(1, &audio(0x11, 1));
        bench.receive(2, &audio(0x22, 1));
        let compound = rtcp(&[
            (1, 200, &[0x11, 1, 2, 3, 4, 5, 0x22, 6, 7, 8, 9, 10]),
            (1, 202, &[0x11, 0x0102_4142, 0]),
            (1, 205, &[0x11, 0x22, 0x0001_0002]),
            (4, 206, &[0x11, 0, 0x22, 0]),
        ]);
        let event = rtp(101, 0x11, 2, 320, &[1, 0x8a, 0, 160]);
        for (report, changes, cut) in mutations {
            let mut packet = if report { compound.clone() } else { event.clone() };
            for (at, octet) in changes {
                let at = at % packet.len();
                packet[at] = octet;
            }
            packet.truncate(packet.len().saturating_sub(cut).max(1));
            for sent in bench.receive(1, &packet) {
                if let Ok(header) = Header::parse(&sent.packet) {
                    prop_assert!(header.payload(&sent.packet).len() <= packet.len());
                    prop_assert_eq!(sent.packet.len(), packet.len());
                } else {
                    prop_assert!(Compound::parse(&sent.packet).is_ok());
                }
            }
        }
        for packet in noise {
            bench.receive(1, &packet);
            bench.receive_from(rtcp_port(1), (host(1), 4001).into(), &packet);
            let _ = Compound::parse(&packet).map(|compound| compound.packets().count());
        }
        bench.pass_ms(1000);
        prop_assert_eq!(bench.receive(2, &audio(0x22, 2)).len(), 1);
    }

    /// What is written over a header reads back, and the rest stays.
    #[test]
    fn a_header_that_parses_can_be_rewritten(
        mut packet in vec(any::<u8>(), 0..100),
        marker: bool,
        payload_type in 0..64u8,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
    ) {
        if let Some(first) = packet.first_mut() {
            *first = 0x80 | (*first & 0x3f);
        }
        let Ok(parsed) = Header::parse(&packet) else {
            return Ok(());
        };
        let before = packet.clone();
        let mut header = parsed;
        header.marker = marker;
        header.payload_type = payload_type;
        header.sequence = sequence;
        header.timestamp = timestamp;
        header.ssrc = ssrc;
        header.write(&mut packet);
        prop_assert_eq!(Header::parse(&packet), Ok(header));
        prop_assert_eq!(&packet[12..], &before[12..]);
        prop_assert_eq!(packet[0], before[0]);
    }

    /// An independent parser agrees on what a packet is and where its payload lies.
    #[test]
    fn another_parser_agrees(mut packet in vec(any::<u8>(), 0..80), cc in 0..4u8, flags in 0..4u8) {
        if let Some(first) = packet.first_mut() {
            *first = 0x80 | flags << 4 | cc;
        }
        let theirs = rtp_types::RtpPacket::parse(&packet);
        match (Header::parse(&packet), theirs) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(ours.sequence, theirs.sequence_number());
                prop_assert_eq!(ours.timestamp, theirs.timestamp());
                prop_assert_eq!(ours.ssrc, theirs.ssrc());
                prop_assert_eq!(ours.marker, theirs.marker_bit());
                prop_assert_eq!(ours.payload_type, theirs.payload_type());
                prop_assert_eq!(ours.payload(&packet), theirs.payload());
            }
            // RTCP by its second octet, which the other does not ask.
            (Err(Malformed::NotRtp), _) => {
                prop_assert!(matches!(packet.get(1), Some(192..=223)));
            }
            (Err(_), Err(_)) => {}
            (ours, theirs) => prop_assert!(false, "{ours:?} but {theirs:?}"),
        }
    }

    /// Any legs may send anything to any port: no panic, bounded answers.
    #[test]
    fn ports_and_addresses_may_be_mixed_at_will(
        packets in vec((0..10u32, 0..6u64, 3998..4003u16, vec(any::<u8>(), 0..40)), 0..200),
    ) {
        let mut bench = Bench::new();
        for leg in 0..4 {
            bench.open(leg);
        }
        bench.connect(0, 1);
        bench.connect(2, 3);
        for (port, leg, from, mut packet) in packets {
            if let Some(first) = packet.first_mut() {
                *first = 0x80 | (*first & 0x3f);
            }
            let sent = bench.receive_from(media::PortKey(port), (host(leg), from).into(), &packet);
            prop_assert!(sent.len() <= 1);
            bench.pass_ms(7);
        }
        prop_assert_eq!(rtp_port(3), media::PortKey(6));
    }

    #[test]
    fn any_traffic_is_survived(
        datagrams in vec((0..9u8, any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..60)), 0..60),
    ) {
        let mut script = Vec::new();
        for (port, sender, ms, mut datagram) in datagrams {
            if let Some(first) = datagram.first_mut() {
                *first = 0x80 | (*first & 0x3f);
            }
            script.extend_from_slice(&[port, sender, ms, datagram.len() as u8]);
            script.extend_from_slice(&datagram);
        }
        crate::survives::traffic(&script);
    }
}
