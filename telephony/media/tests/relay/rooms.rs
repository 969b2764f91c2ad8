//! Conference and group call: each hears the others and not itself (C8, C9).

use media::codec::AudioCodec;
use media::{Codec, LegKey, Part, Reason, SessionId};

use super::bench::{self, Bench, CALL, Sent, peer, rtp};
use super::speaker::{Speaker, amplitude, decoded, must_be_continuous, number, rate, station};

use AudioCodec::{G722, Opus, Pcma, Pcmu};
use Part::{Listen, Talk, TalkAndListen};

/// Whole periods in each 100 ms, so that one is not found in another.
fn hertz(leg: u64) -> f32 {
    [0.0, 310.0, 470.0, 650.0, 830.0, 1_090.0][leg as usize]
}

/// Legs from 1 on with these codecs, each saying its own tone.
fn room(members: &[(AudioCodec, Part)]) -> (Bench, Vec<Speaker>) {
    let mut bench = Bench::new();
    let mut speakers = Vec::new();
    for (leg, (codec, part)) in (1..).zip(members) {
        bench.open_as(leg, station(leg, *codec));
        bench.enter(leg, *part);
        speakers.push(Speaker::new(leg, hertz(leg), *codec));
    }
    (bench, speakers)
}

/// All speak for so many packets, somewhat after each other; what was sent to each.
fn speak(bench: &mut Bench, speakers: &mut [Speaker], packets: usize) -> Vec<Vec<Sent>> {
    let mut sent = Vec::new();
    for _ in 0..packets {
        for speaker in &mut *speakers {
            sent.extend(bench.receive(speaker.leg, &speaker.packet()));
            sent.extend(bench.pass_ms(3));
        }
        sent.extend(bench.pass_ms(20 - 3 * speakers.len() as u64));
    }
    let to = |leg| sent.iter().filter(move |packet| packet.to == peer(leg));
    (0..=5).map(|leg| to(leg).cloned().collect()).collect()
}

/// How loud each leg's tone is in what this one was sent.
fn heard(codec: AudioCodec, sent: &[Sent], of: u64) -> f32 {
    let sound = decoded(codec, sent);
    let rate = rate(codec);
    let whole = sound.len() / rate.samples_in_ms(100) * rate.samples_in_ms(100);
    let half = whole / 2 / rate.samples_in_ms(100) * rate.samples_in_ms(100);
    amplitude(&sound[half..whole], rate, hertz(of))
}

fn must_hear(codec: AudioCodec, sent: &[Sent], legs: &[u64]) {
    for leg in 1..=5 {
        let loud = heard(codec, sent, leg);
        if legs.contains(&leg) {
            assert!(loud > 4_000.0, "{codec:?} hears {leg} at {loud}");
        } else {
            assert!(loud < 350.0, "{codec:?} hears {leg} at {loud}");
        }
    }
}

#[test]
fn five_with_mixed_codecs_hear_the_other_four_and_not_themselves() {
    let codecs = [Pcma, G722, Opus, Pcmu, G722];
    let members = codecs.map(|codec| (codec, TalkAndListen));
    let (mut bench, mut speakers) = room(&members);
    let before = speak(&mut bench, &mut speakers, 25);
    let sent = speak(&mut bench, &mut speakers, 75);
    for (leg, codec) in (1..).zip(codecs) {
        let stream = &sent[leg as usize];
        assert_eq!(stream.len(), 75, "leg {leg}");
        let others: Vec<u64> = (1..=5).filter(|other| *other != leg).collect();
        must_hear(codec, stream, &others);
        must_be_continuous(&[before[leg as usize].clone(), stream.clone()].concat());
    }
}

/// G2: nothing is decoded where all have one codec.
#[test]
fn one_talker_of_a_group_is_passed_on_as_it_is() {
    let (mut bench, mut speakers) = room(&[(Pcma, Talk), (Pcma, Listen), (Pcma, Listen)]);
    let packet = speakers[0].packet();
    let sent = bench.receive(1, &packet);
    assert_eq!(sent.len(), 2);
    for (sent, leg) in sent.iter().zip([2, 3]) {
        assert_eq!((sent.to, sent.payload()), (peer(leg), &packet[12..]));
    }
    assert!(bench.pass_ms(1_000).is_empty());
    let other = speakers[1].packet();
    assert!(
        bench.receive(2, &other).is_empty(),
        "nobody hears listeners"
    );
}

#[test]
fn listeners_of_other_codecs_hear_the_talker_in_a_stream_that_is_made_once() {
    let all = [(Pcma, Talk), (Pcma, Listen), (Opus, Listen), (Opus, Listen)];
    let (mut bench, mut speakers) = room(&all);
    speakers.truncate(1);
    let sent = speak(&mut bench, &mut speakers, 100);
    assert_eq!(sent[1].len(), 0);
    assert_eq!(sent[2].len(), 100);
    must_hear(Opus, &sent[3], &[1]);
    must_be_continuous(&sent[3]);
    must_be_continuous(&sent[4]);
    let payloads = |leg: usize| -> Vec<&[u8]> { sent[leg].iter().map(Sent::payload).collect() };
    assert_eq!(payloads(3), payloads(4));
    assert_ne!(sent[3][0].header().ssrc, sent[4][0].header().ssrc);
}

#[test]
fn two_alone_in_a_room_are_two_in_a_call() {
    let (mut bench, mut speakers) = room(&[(G722, TalkAndListen), (G722, TalkAndListen)]);
    for n in [0, 1] {
        let packet = speakers[n].packet();
        let sent = bench.receive(n as u64 + 1, &packet);
        assert_eq!(sent[0].to, peer(2 - n as u64));
        assert_eq!(sent[0].payload(), &packet[12..]);
    }
    let (mut bench, mut speakers) = room(&[(G722, TalkAndListen), (Opus, TalkAndListen)]);
    let sent = bench.receive(1, &speakers[0].packet());
    assert_eq!(sent.len(), 1, "without a wait");
}

#[test]
fn the_word_goes_round_without_a_gap_for_those_who_listen() {
    let (mut bench, mut speakers) = room(&[(G722, Talk), (G722, Listen), (G722, Listen)]);
    let mut stream = Vec::new();
    let mut spell = |bench: &mut Bench, hears: &[u64]| {
        let sent = speak(bench, &mut speakers, 50).swap_remove(3);
        must_hear(G722, &sent, hears);
        stream.extend(sent);
    };
    spell(&mut bench, &[1]);
    bench.enter(2, TalkAndListen);
    spell(&mut bench, &[1, 2]);
    bench.enter(1, Listen);
    spell(&mut bench, &[2]);
    bench.enter(2, Listen);
    bench.enter(1, Talk);
    spell(&mut bench, &[1]);
    must_be_continuous(&stream);
    assert!((195..=205).contains(&stream.len()), "{}", stream.len());
}

#[test]
fn who_leaves_is_not_heard_and_hears_nothing_more() {
    let members = [Pcma, Pcmu, G722].map(|codec| (codec, TalkAndListen));
    let (mut bench, mut speakers) = room(&members);
    speak(&mut bench, &mut speakers, 25);
    bench.leave(2);
    let sent = speak(&mut bench, &mut speakers, 50);
    assert_eq!(sent[2].len(), 0);
    must_hear(Pcma, &sent[1], &[3]);
    bench.close(3);
    speakers.truncate(1);
    assert_eq!(speak(&mut bench, &mut speakers, 5), vec![vec![]; 6]);
    bench.close(1);
    bench.close(2);
    assert_eq!(bench.deadline, None);
}

#[test]
fn a_silent_room_sends_nothing_and_whoever_speaks_is_heard_again() {
    let members = [Pcma, Pcmu, G722].map(|codec| (codec, TalkAndListen));
    let (mut bench, mut speakers) = room(&members);
    speak(&mut bench, &mut speakers, 25);
    bench.pass_ms(3_000);
    assert!(bench.pass_ms(10_000).is_empty());
    for speaker in &mut speakers {
        speaker.timestamp = speaker.timestamp.wrapping_add(13 * 8_000);
    }
    speakers.truncate(1);
    let sent = speak(&mut bench, &mut speakers, 50);
    assert!(sent[2][0].header().marker, "a talk spurt begins");
    must_hear(Pcmu, &sent[2], &[1]);
    must_be_continuous(&sent[2]);
}

#[test]
fn a_sound_is_heard_over_the_room_by_the_one_it_is_played_to() {
    let all = [(Pcma, Talk), (G722, Listen), (G722, Listen)];
    let (mut bench, mut speakers) = room(&all);
    speakers.truncate(1);
    let before = speak(&mut bench, &mut speakers, 25);
    let tone = media::tones::Tone::of([830, 0], -16, &[(800, 0)]).once();
    bench.play(2, 1, &media::Sound::Tone(tone));
    let during = speak(&mut bench, &mut speakers, 40);
    must_hear(G722, &during[2], &[1, 4]);
    must_hear(G722, &during[3], &[1]);
    let after = speak(&mut bench, &mut speakers, 40);
    must_hear(G722, &after[2], &[1]);
    let [before, during, after] = [before, during, after].map(|mut sent| sent.swap_remove(2));
    must_be_continuous(&[before, during, after].concat());
}

#[test]
fn keys_in_a_room_are_told_to_the_owner_and_to_nobody_else() {
    let members = [Pcma, Pcmu, G722].map(|codec| (codec, TalkAndListen));
    let (mut bench, _) = room(&members);
    let key = rtp(101, 7, 1, 900, &[5, 0x8a, 0, 160]);
    assert!(bench.receive(1, &key).is_empty());
    bench.pass_ms(500);
    let digit = |event: &media::Event| matches!(event, media::Event::Digit { .. });
    assert!(bench.events().iter().any(digit));
}

#[test]
fn a_leg_that_is_moved_leaves_the_room() {
    let members = [Pcma, Pcma, Pcma].map(|codec| (codec, TalkAndListen));
    let (mut bench, mut speakers) = room(&members);
    let elsewhere = SessionId(99);
    bench
        .relay
        .open(elsewhere, LegKey(9), bench::setup(9), bench.now)
        .expect("the command is right");
    bench
        .relay
        .move_leg(CALL, LegKey(2), elsewhere, bench.now)
        .expect("the command is right");
    let sent = speak(&mut bench, &mut speakers, 10);
    assert_eq!(sent[2].len(), 0);
    assert_eq!(sent[1].len(), 10, "leg 3 alone, as it is");
}

#[test]
fn who_has_no_codec_of_ours_hears_whom_it_understands() {
    let g729 = bench::format(18, Codec::Other(18), 8000);
    let mut bench = Bench::new();
    for leg in 1..=3 {
        let setup = match leg {
            3 => station(leg, G722),
            _ => media::LegSetup {
                formats: vec![g729],
                ..bench::setup(leg)
            },
        };
        bench.open_as(leg, setup);
        bench.enter(leg, TalkAndListen);
    }
    let sent = bench.receive(1, &rtp(18, 7, 1, 160, &[1; 20]));
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].to, sent[0].payload()), (peer(2), &[1; 20][..]));
    assert_eq!(bench.quality(1).drops.of(Reason::NoPayloadType), 1);
}

/// C9: a codec that was newly agreed on is spoken from then on.
#[test]
fn a_member_may_change_its_codec() {
    let all = [(Pcma, Talk), (Pcma, Listen), (Pcma, Listen)];
    let (mut bench, mut speakers) = room(&all);
    speakers.truncate(1);
    let before = speak(&mut bench, &mut speakers, 25).swap_remove(2);
    let formats = Some(station(2, Opus).formats);
    bench.update(
        2,
        media::LegUpdate {
            formats,
            ..Default::default()
        },
    );
    let after = speak(&mut bench, &mut speakers, 50).swap_remove(2);
    assert_eq!(after[0].header().payload_type, number(Opus));
    must_hear(Opus, &after, &[1]);
    must_be_continuous(&[before, after].concat());
}
