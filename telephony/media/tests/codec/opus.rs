//! Opus: packets, and what our layer adds to libopus.

use media::SampleRate;
use media::codec::opus::{
    Bandwidth, MAX_PACKET, Mode, OpenError, Packet, PacketError, Redundancy, Settings,
};
use media::codec::{AudioCodec, DecodeError, Decoder, EncodeError, Encoder};
use proptest::prelude::*;

use crate::signals;

fn encoder(settings: Settings) -> Encoder {
    Encoder::new(AudioCodec::Opus, &settings).expect("the settings are good")
}

fn decoder(rate: SampleRate) -> Decoder {
    Decoder::new(AudioCodec::Opus, rate).expect("there is memory")
}

/// A voice of 16 kHz in packets of 20 ms.
fn packets(settings: Settings) -> Vec<Vec<u8>> {
    let mut encoder = encoder(settings);
    let voice = signals::voice();
    let frames = voice.chunks_exact(320);
    let packets = frames.map(|frame| {
        let mut packet = [0; MAX_PACKET];
        let length = encoder.encode(frame, &mut packet);
        packet[..length.expect("the frame is good")].to_vec()
    });
    packets.collect()
}

#[test]
fn c8_a_voice_is_heard_at_every_rate() {
    for rate in SampleRate::ALL {
        let mut decoder = decoder(rate);
        let mut sound = Vec::new();
        for packet in packets(Settings::default()) {
            let mut pcm = [0; 960];
            assert_eq!(decoder.decode(&packet, &mut pcm), Ok(rate.frame()));
            sound.extend_from_slice(&pcm[..rate.frame()]);
        }
        let level = level(&sound) / level(&signals::voice());
        assert!((0.8..1.2).contains(&level), "{rate:?}: {level}");
    }
}

#[test]
fn every_duration_of_the_standard_is_a_frame_and_no_other() {
    for rate in SampleRate::ALL {
        let settings = Settings {
            rate,
            ..Settings::default()
        };
        let mut encoder = encoder(settings);
        let mut packet = [0; 6 * MAX_PACKET];
        let tenths = [25, 50, 100, 200, 400, 600, 800, 1000, 1200];
        for samples in 0..=rate.samples_in_ms(125) {
            let tenth = samples * 10_000 / rate.hz() as usize;
            let whole = tenth * rate.hz() as usize == samples * 10_000;
            if whole && tenths.contains(&tenth) {
                let length = encoder.encode(&vec![0; samples], &mut packet).unwrap();
                let parsed = Packet::parse(&packet[..length]).unwrap();
                assert_eq!(parsed.samples(rate), samples);
            } else {
                let refused = encoder.encode(&vec![0; samples], &mut packet);
                assert_eq!(refused, Err(EncodeError::Frame(samples)));
            }
        }
    }
}

#[test]
fn silence_becomes_packets_that_need_not_be_sent() {
    let settings = Settings {
        dtx: true,
        ..Settings::default()
    };
    let mut encoder = encoder(settings);
    let mut packet = [0; MAX_PACKET];
    let lengths = (0..50).map(|_| encoder.encode(&[0; 320], &mut packet).unwrap());
    assert!(lengths.filter(|length| *length <= 2).count() > 25);
}

#[test]
fn a_lost_packet_is_better_from_the_redundancy_in_the_next_than_invented() {
    let settings = Settings {
        redundancy: Redundancy::AgainstLoss { percent: 20 },
        ..Settings::default()
    };
    let packets = packets(settings);
    let redundant = |packet: &Vec<u8>| Packet::parse(packet).unwrap().redundant;
    assert!(packets.iter().filter(|packet| redundant(packet)).count() > 50);

    let [mut whole, mut mended, mut invented] = [(); 3].map(|()| decoder(SampleRate::Hz16000));
    let [mut mended_error, mut invented_error] = [0.0; 2];
    for (index, packet) in packets.iter().enumerate() {
        let [mut truth, mut pcm] = [[0; 320]; 2];
        whole.decode(packet, &mut truth).unwrap();
        let next = packets.get(index + 1).map(Vec::as_slice);
        if index % 10 == 5 && next.is_some() {
            assert_eq!(mended.conceal(next, &mut pcm), Some(320));
            mended_error += distance(&truth, &pcm);
            assert_eq!(invented.conceal(None, &mut pcm), Some(320));
            invented_error += distance(&truth, &pcm);
        } else {
            mended.decode(packet, &mut pcm).unwrap();
            invented.decode(packet, &mut pcm).unwrap();
        }
    }
    assert!(
        mended_error < invented_error / 2.0,
        "{mended_error} {invented_error}"
    );
}

#[test]
fn a_gap_is_filled_in_steps_and_never_without_end() {
    let mut decoder = decoder(SampleRate::Hz16000);
    assert_eq!(decoder.conceal(None, &mut []), Some(0));
    assert_eq!(decoder.conceal(None, &mut [0; 39]), Some(0));
    assert_eq!(decoder.conceal(None, &mut [0; 100]), Some(80));
    assert_eq!(decoder.conceal(Some(&[3]), &mut [0; 320]), Some(320));
    assert_eq!(decoder.conceal(None, &mut [0; 4000]), Some(1920));
}

#[test]
fn settings_that_libopus_does_not_take_are_refused_with_their_limits() {
    let refused = |settings| {
        Encoder::new(AudioCodec::Opus, &settings)
            .map(|_| ())
            .unwrap_err()
    };
    let good = Settings::default();
    assert_eq!(
        refused(Settings { bitrate: 0, ..good }),
        OpenError::Bitrate(0)
    );
    let complexity = Settings {
        complexity: 11,
        ..good
    };
    assert_eq!(refused(complexity), OpenError::Complexity(11));
    let redundancy = Redundancy::AgainstLoss { percent: 101 };
    assert_eq!(
        refused(Settings { redundancy, ..good }),
        OpenError::Loss(101)
    );
}

#[test]
fn a_packet_says_what_is_in_it() {
    // RFC 6716 3.1: configuration 9 is SILK, wideband, 20 ms.
    let packet = Packet::parse(&[9 << 3, 0b0100_0000]).unwrap();
    assert_eq!(
        (packet.mode, packet.bandwidth),
        (Mode::Silk, Bandwidth::Wide)
    );
    assert_eq!((packet.channels, packet.frames), (1, 1));
    assert!(packet.redundant);
    assert_eq!(
        SampleRate::ALL.map(|rate| packet.samples(rate)),
        [160, 320, 960]
    );
    // Configuration 31, stereo, 6 frames of 20 ms at a constant bit rate.
    let packet = Packet::parse(&[31 << 3 | 4 | 3, 6, 1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(
        (packet.mode, packet.bandwidth),
        (Mode::Celt, Bandwidth::Full)
    );
    assert_eq!((packet.channels, packet.frames), (2, 6));
    assert_eq!(packet.samples(SampleRate::Hz48000), 5760);
    assert!(!packet.redundant);
}

/// RFC 6716 3.4, R1 to R7.
#[test]
fn a_packet_against_the_rules_is_refused_before_libopus_sees_it() {
    let long = [0; 1277];
    let cases: [(&[u8], PacketError); 12] = [
        (&long, PacketError::LargeFrame),
        (&[1, 0], PacketError::Unequal),
        (&[2], PacketError::Cut),
        (&[2, 252], PacketError::Cut),
        (&[2, 2, 0], PacketError::TooShort),
        (&[3], PacketError::Cut),
        (&[3, 0], PacketError::Duration),
        // Three frames of 60 ms.
        (&[3 << 3 | 3, 3], PacketError::Duration),
        (&[3, 2, 0], PacketError::Unequal),
        (&[3, 0x41, 255], PacketError::Cut),
        (&[3, 0x41, 3, 0, 0], PacketError::TooShort),
        (&[3, 0x82, 1], PacketError::TooShort),
    ];
    for (octets, error) in cases {
        assert_eq!(Packet::parse(octets), Err(error), "{octets:?}");
        let decoded = decoder(SampleRate::Hz48000).decode(octets, &mut [0; 5760]);
        assert_eq!(decoded, Err(DecodeError::Opus(error)));
    }
    assert_eq!(Packet::parse(&[]), Err(PacketError::Empty));
}

proptest! {
    /// libopus is the judge of our reading.
    #[test]
    fn we_accept_what_libopus_accepts_and_count_alike(
        head in prop::collection::vec(any::<u8>(), 0..8),
        length in 0_usize..1400,
    ) {
        let mut octets = head;
        octets.resize(octets.len().max(length), 1);
        for octets in [&octets[..], &octets[..octets.len().min(9)]] {
            let theirs = ::opus::packet::parse(octets);
            match Packet::parse(octets) {
                Err(error) => prop_assert!(theirs.is_err(), "{}", error),
                Ok(ours) => {
                    let theirs = theirs.unwrap();
                    prop_assert_eq!(usize::from(ours.frames), theirs.frames.len());
                    let samples = ::opus::packet::get_nb_samples(octets, 48_000).unwrap();
                    prop_assert_eq!(ours.samples(SampleRate::Hz48000), samples);
                }
            }
        }
    }
}

fn level(pcm: &[i16]) -> f64 {
    let square = |sample: &i16| f64::from(*sample).powi(2);
    (pcm.iter().map(square).sum::<f64>() / pcm.len() as f64).sqrt()
}

fn distance(a: &[i16], b: &[i16]) -> f64 {
    let error = |(a, b): (&i16, &i16)| (f64::from(*a) - f64::from(*b)).powi(2);
    a.iter().zip(b).map(error).sum()
}
