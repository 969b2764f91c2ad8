//! Keys that we press for a peer, as its telephone gets them.

use std::time::Duration;

use media::codec::AudioCodec;
use media::{Codec, CommandError, Digit, LegKey};

use super::bench::{self, Bench, CALL, Sent};
use super::speaker::{Speaker, station};

const HELD: Duration = Duration::from_millis(100);

fn press(bench: &mut Bench, leg: u64, key: char) -> Result<(), CommandError> {
    let (leg, digit, now) = (LegKey(leg), Digit::Key(key), bench.now);
    let pressed = bench.relay.press(CALL, leg, digit, HELD, now);
    bench.drain();
    pressed
}

fn events(sent: &[Sent]) -> Vec<&Sent> {
    let all = sent.iter();
    all.filter(|packet| packet.header().payload_type == 101)
        .collect()
}

/// B6: whatever the telephone hears, and in whatever codec, a key is one event in its stream.
#[test]
fn a_key_is_one_event_in_the_stream_that_the_peer_hears() {
    for (from, to) in [
        (AudioCodec::Pcma, AudioCodec::Pcma),
        (AudioCodec::Opus, AudioCodec::Opus),
        (AudioCodec::G722, AudioCodec::Pcma),
        (AudioCodec::Pcma, AudioCodec::Opus),
    ] {
        let what = format!("{from:?} to {to:?}");
        let mut bench = Bench::new();
        bench.open_as(1, station(1, from));
        bench.open_as(2, station(2, to));
        bench.connect(1, 2);
        let mut speaker = Speaker::new(1, 400.0, from);
        let mut sent = speaker.speak(&mut bench, 20, |_| false);
        press(&mut bench, 2, '5').expect("it has events");
        sent.extend(speaker.speak(&mut bench, 50, |_| false));
        must_be_continuous_in_number(&sent);

        let told = events(&sent);
        assert_eq!(told.len(), 7, "{what}: five frames, and the end twice more");
        let first = told[0].header();
        assert!(first.marker, "{what}");
        for (n, packet) in (1..).zip(&told) {
            assert_eq!(packet.header().timestamp, first.timestamp, "{what}");
            assert_eq!(packet.header().marker, n == 1, "{what}");
            let [event, flags, high, low] = *packet.payload() else {
                panic!("{what}: {packet:?}");
            };
            let ticks = n.min(5) * to.clock_rate() / 50;
            assert_eq!((event, flags & 0x80 != 0), (5, n >= 5), "{what}");
            assert_eq!(u32::from(u16::from_be_bytes([high, low])), ticks, "{what}");
        }
        let after = sent.iter().rev();
        let after = after.take_while(|packet| packet.header().payload_type != 101);
        assert!(after.count() > 30, "{what}: the voice goes on");
        if from == to {
            let packet = speaker.packet();
            let passed = bench.receive(1, &packet);
            assert_eq!(passed[0].payload(), &packet[12..], "{what}: untouched");
        }
    }
}

#[test]
fn keys_are_pressed_one_after_the_other_where_nobody_speaks() {
    let mut bench = Bench::new();
    bench.open(2);
    for key in ['1', '2', '#'] {
        press(&mut bench, 2, key).expect("it has events");
    }
    let sent = bench.pass_ms(20_000);
    let to: Vec<_> = sent.iter().map(|packet| packet.to).collect();
    assert_eq!(to, [bench::peer(2); 21], "each is told by 7 packets");
    let begun = sent.iter().filter(|packet| packet.header().marker);
    let begun: Vec<_> = begun
        .map(|packet| (packet.payload()[0], packet.header().timestamp))
        .collect();
    let keys: Vec<u8> = begun.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [1, 2, 11]);
    for pair in begun.windows(2) {
        // 100 ms held, 80 ms apart.
        assert_eq!(pair[1].1.wrapping_sub(pair[0].1), 180 * 8);
    }
    must_be_continuous_in_number(&sent);
    assert_eq!(bench.deadline, None, "nothing goes on behind it");
}

/// Many devices send a key in two forms.
#[test]
fn a_key_that_comes_as_an_event_too_is_told_once() {
    for events_first in [true, false] {
        let mut bench = Bench::call();
        let mut sent = Vec::new();
        if !events_first {
            press(&mut bench, 2, '3').expect("it has events");
            sent.extend(bench.pass_ms(20));
        }
        for n in 1..=20u16 {
            let end = u8::from(n >= 18) << 7;
            let [high, low] = (n.min(18) * 160).to_be_bytes();
            let event = bench::rtp(101, 1, n, 8000, &[3, end | 10, high, low]);
            sent.extend(bench.receive(1, &event));
            sent.extend(bench.pass_ms(20));
            if events_first && n == 2 {
                press(&mut bench, 2, '3').expect("it has events");
            }
        }
        if events_first {
            press(&mut bench, 2, '3').expect("it has events");
        }
        sent.extend(bench.pass_ms(1000));
        let told = events(&sent);
        let first = told[0].header().timestamp;
        let one = told.iter().all(|packet| packet.header().timestamp == first);
        assert!(one, "events first: {events_first}");
        let ends = told.iter().filter(|packet| packet.payload()[1] & 0x80 != 0);
        assert_eq!(ends.count(), 3, "events first: {events_first}");
    }
}

#[test]
fn who_has_no_events_or_no_codec_of_ours_is_told_nothing() {
    let mut bench = Bench::new();
    for (leg, formats) in [
        (1, vec![bench::format(8, Codec::Pcma, 8000)]),
        (
            2,
            vec![
                bench::format(18, Codec::Other(729), 8000),
                bench::format(101, Codec::TelephoneEvent, 8000),
            ],
        ),
    ] {
        let setup = media::LegSetup {
            formats,
            ..bench::setup(leg)
        };
        bench.open_as(leg, setup);
        let refused = press(&mut bench, leg, '1');
        assert_eq!(refused, Err(CommandError::NoEvents(LegKey(leg))));
    }
    assert!(bench.pass_ms(500).is_empty());
}

#[test]
fn more_keys_than_anybody_presses_are_refused() {
    let mut bench = Bench::call();
    for _ in 0..32 {
        press(&mut bench, 2, '1').expect("there is room");
    }
    let refused = press(&mut bench, 2, '1');
    assert_eq!(refused, Err(CommandError::TooManyKeys(LegKey(2))));
    let begun = bench.pass_ms(10_000);
    let begun = begun.iter().filter(|packet| packet.header().marker);
    assert_eq!(begun.count(), 32);
}

/// Packets of one event share their time, so that alone does not go on.
fn must_be_continuous_in_number(sent: &[Sent]) {
    for pair in sent.windows(2) {
        let (a, b) = (pair[0].header(), pair[1].header());
        assert_eq!((b.ssrc, b.sequence), (a.ssrc, a.sequence.wrapping_add(1)));
    }
    let voice = |packet: &&Sent| packet.header().payload_type != 101;
    let mut times = sent
        .iter()
        .filter(voice)
        .map(|packet| packet.header().timestamp);
    let Some(mut last) = times.next() else { return };
    for time in times {
        assert!((1..1 << 20).contains(&time.wrapping_sub(last)));
        last = time;
    }
}
