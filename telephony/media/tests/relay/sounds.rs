//! Tones and announcements, as the one who is played them hears them.

use std::time::Duration;

use media::codec::AudioCodec;
use media::tones::{Region, Signal, Tone};
use media::{
    CommandError, Event, LegKey, LegUpdate, Recording, Repeat, SampleRate, Sound, SoundKey,
};

use super::bench::{self, Bench, CALL, Sent};
use super::speaker::{Speaker, amplitude, decoded, must_be_continuous, number, rate, station};

const VOICE: f32 = 400.0;
/// Of [`Signal::LimitNear`] in Europe.
const WARNING: f32 = 950.0;

fn tone(signal: Signal) -> Sound {
    Sound::Tone(signal.tone(Region::Europe))
}

/// Without the cadence that makes amplitudes hard to tell.
fn steady(hertz: u16) -> Sound {
    Sound::Tone(Tone::of([hertz, 0], -16, &[(1000, 0)]))
}

fn over(bench: &mut Bench) -> Vec<u64> {
    let sounds = bench.events().into_iter().filter_map(|event| match event {
        Event::SoundOver { leg, sound } => {
            assert_eq!(leg, LegKey(2));
            Some(sound.0)
        }
        Event::Started { .. } | Event::Digit { .. } | Event::Silent { .. } => None,
        Event::LegClosed { .. } => None,
    });
    sounds.collect()
}

fn to_leg(sent: Vec<Sent>, leg: u64) -> Vec<Sent> {
    let for_leg = |packet: &Sent| packet.to == bench::peer(leg);
    sent.into_iter().filter(for_leg).collect()
}

#[test]
fn a_leg_that_hears_nobody_hears_a_tone_until_it_is_stopped() {
    for codec in AudioCodec::ALL {
        let mut bench = Bench::new();
        bench.open_as(2, station(2, codec));
        bench.play(2, 1, &steady(425));
        let sent = bench.pass_ms(2000);
        assert_eq!(sent.len(), 100, "{codec:?}");
        assert!(sent[0].header().marker);
        must_be_continuous(&sent);
        let sound = decoded(codec, &sent[20..]);
        let loud = amplitude(&sound, rate(codec), 425.0);
        assert!((6_000.0..8_500.0).contains(&loud), "{codec:?}: {loud}");
        assert!(amplitude(&sound, rate(codec), 850.0) < 200.0, "{codec:?}");
        bench.stop_sound(2);
        assert_eq!(bench.pass_ms(1000).len(), 1, "one frame in which it fades");
        assert_eq!(over(&mut bench), [1]);
        assert_eq!(bench.deadline, None, "nothing goes on behind it");
    }
}

/// C8: the conversation goes on beneath the warning, whether it is passed on or transcoded.
#[test]
fn a_warning_is_heard_over_the_conversation() {
    for (from, to) in [
        (AudioCodec::Pcma, AudioCodec::Pcma),
        (AudioCodec::G722, AudioCodec::G722),
        (AudioCodec::Opus, AudioCodec::Opus),
        (AudioCodec::Opus, AudioCodec::Pcma),
        (AudioCodec::Pcma, AudioCodec::G722),
    ] {
        let what = format!("{from:?} to {to:?}");
        let mut bench = Bench::new();
        bench.open_as(1, station(1, from));
        bench.open_as(2, station(2, to));
        bench.connect(1, 2);
        let mut speaker = Speaker::new(1, VOICE, from);
        let before = speaker.speak(&mut bench, 50, |_| false);
        bench.play(2, 7, &tone(Signal::LimitNear));
        let during = speaker.speak(&mut bench, 38, |_| false);
        let after = speaker.speak(&mut bench, 50, |_| false);
        assert_eq!(over(&mut bench), [7], "{what}");

        assert!(
            (35..=41).contains(&during.len()),
            "{what}: {}",
            during.len()
        );
        // The first of the three beeps.
        let beep = decoded(to, &during);
        let rate = rate(to);
        let beep = &beep[rate.samples_in_ms(60)..rate.samples_in_ms(150)];
        let (voice, warning) = (amplitude(beep, rate, VOICE), amplitude(beep, rate, WARNING));
        assert!(voice > 5_000.0, "{what}: the voice at {voice}");
        assert!(warning > 1_500.0, "{what}: the warning at {warning}");

        let last = decoded(to, &after[10..]);
        assert!(
            amplitude(&last, rate, WARNING) < 150.0,
            "{what}: it is over"
        );
        assert!(amplitude(&last, rate, VOICE) > 5_000.0, "{what}");
        let all: Vec<Sent> = [before, during, after].concat();
        must_be_continuous(&all);
        if from == to {
            let packet = speaker.packet();
            assert_eq!(
                bench.receive(1, &packet)[0].payload(),
                &packet[12..],
                "untouched"
            );
        }
    }
}

#[test]
fn who_speaks_hears_nothing_of_the_others_tone() {
    let mut bench = Bench::call();
    bench.play(2, 1, &tone(Signal::Busy));
    let mut two = Speaker::new(2, VOICE, AudioCodec::Pcma);
    let packet = two.packet();
    let sent = bench.receive(2, &packet);
    assert_eq!(sent[0].to, bench::peer(1));
    assert_eq!(sent[0].payload(), &packet[12..]);
    assert!(to_leg(bench.pass_ms(500), 1).is_empty());
}

#[test]
fn an_announcement_is_played_as_often_as_told_and_its_end_is_told() {
    let second: Vec<i16> = (0..48_000)
        .map(|n| (f64::from(n) * 700.0 / 48_000.0 * std::f64::consts::TAU).sin() * 9_000.0)
        .map(|sample| sample as i16)
        .collect();
    let recording = Recording::new(&second, SampleRate::Hz48000);
    let twice = Sound::Recording {
        recording,
        repeat: Repeat::Times(2.try_into().expect("two are some")),
    };
    let mut bench = Bench::new();
    bench.open_as(2, station(2, AudioCodec::G722));
    bench.play(2, 5, &twice);
    let sent = bench.pass_ms(1_900);
    assert_eq!(over(&mut bench), [0; 0]);
    let sound = decoded(AudioCodec::G722, &sent);
    let loud = amplitude(&sound, SampleRate::Hz16000, 700.0);
    assert!((8_000.0..9_500.0).contains(&loud), "{loud}");
    let rest = bench.pass_ms(1_000);
    assert_eq!(sent.len() + rest.len(), 100);
    assert_eq!(over(&mut bench), [5]);
}

#[test]
fn another_sound_takes_the_place_of_the_first_whose_end_is_not_told() {
    let mut bench = Bench::new();
    bench.open_as(2, station(2, AudioCodec::Pcmu));
    bench.play(2, 1, &steady(425));
    let first = bench.pass_ms(200);
    bench.play(2, 2, &steady(1000));
    let second = bench.pass_ms(200);
    let sound = decoded(AudioCodec::Pcmu, &second);
    assert!(amplitude(&sound, SampleRate::Hz8000, 1000.0) > 6_000.0);
    assert!(amplitude(&sound, SampleRate::Hz8000, 425.0) < 300.0);
    must_be_continuous(&[first, second].concat());
    bench.stop_sound(2);
    bench.pass_ms(100);
    assert_eq!(over(&mut bench), [2]);
}

#[test]
fn a_late_wake_up_makes_no_burst_and_loses_no_time() {
    let mut bench = Bench::new();
    bench.open_as(2, station(2, AudioCodec::Pcma));
    bench.play(2, 1, &steady(425));
    let first = bench.pass_ms(100);
    bench.now += Duration::from_secs(3);
    let mut wire = bench::Wire::default();
    bench.relay.handle_timeout(bench.now, &mut wire);
    // A report is due as well.
    wire.0.retain(|sent| sent.port == bench::rtp_port(2));
    assert!((1..=3).contains(&wire.0.len()), "{}", wire.0.len());
    must_be_continuous(&[first.clone(), wire.0.clone()].concat());
    let (before, after) = (&first[0], &wire.0[wire.0.len() - 1]);
    let passed = after
        .header()
        .timestamp
        .wrapping_sub(before.header().timestamp);
    assert!((24_500..25_000).contains(&passed), "{passed}");
}

#[test]
fn a_key_is_told_while_a_sound_is_played() {
    let mut bench = Bench::new();
    bench.open_as(1, station(1, AudioCodec::G722));
    bench.open_as(2, station(2, AudioCodec::Pcma));
    bench.connect(1, 2);
    bench.play(2, 1, &tone(Signal::LimitNear));
    bench.pass_ms(100);
    let key = bench::rtp(101, 7, 1, 900, &[5, 0x8a, 0, 160]);
    let told = bench.receive(1, &key);
    assert_eq!(told[0].header().payload_type, 101);
    assert_eq!(told[0].payload(), [5, 0x8a, 0, 160]);
    must_be_continuous(&[told, bench.pass_ms(200)].concat());
}

#[test]
fn who_is_on_hold_is_sent_no_sound_and_its_end_is_told_all_the_same() {
    let mut bench = Bench::new();
    bench.open_as(2, station(2, AudioCodec::Pcma));
    bench.turn(2, media::Direction::Inactive);
    bench.play(2, 3, &tone(Signal::LimitNear));
    assert!(bench.pass_ms(2_000).is_empty());
    assert_eq!(over(&mut bench), [3]);
}

#[test]
fn a_sound_goes_on_in_the_codec_that_was_newly_agreed_on() {
    let mut bench = Bench::new();
    bench.open_as(2, station(2, AudioCodec::Pcma));
    bench.play(2, 1, &steady(425));
    let before = bench.pass_ms(200);
    let formats = Some(station(2, AudioCodec::Opus).formats);
    bench.update(
        2,
        LegUpdate {
            formats,
            ..LegUpdate::default()
        },
    );
    let after = bench.pass_ms(500);
    assert_eq!(after[0].header().payload_type, number(AudioCodec::Opus));
    // libopus takes an even tone for noise at first and lets it rise.
    let sound = decoded(AudioCodec::Opus, &after);
    let risen = &sound[sound.len() / 2..];
    assert!(amplitude(risen, SampleRate::Hz16000, 425.0) > 6_000.0);
    must_be_continuous(&[before, after].concat());
}

#[test]
fn a_leg_without_a_codec_of_ours_cannot_be_played_anything() {
    let mut bench = Bench::new();
    bench.open_as(2, bench::video(2));
    let refused = bench
        .relay
        .play(CALL, LegKey(2), SoundKey(1), &steady(425), bench.now);
    assert_eq!(refused, Err(CommandError::NoCodec(LegKey(2))));
    assert_eq!(bench.pass_ms(500).len(), 0);
}

#[test]
fn a_leg_that_is_closed_takes_its_sound_with_it() {
    let mut bench = Bench::call();
    bench.play(2, 1, &steady(425));
    bench.pass_ms(100);
    bench.close(2);
    assert!(bench.pass_ms(1000).is_empty());
    assert_eq!(over(&mut bench), [0; 0]);
}
