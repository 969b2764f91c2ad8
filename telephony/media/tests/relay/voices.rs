//! C9: legs without a common codec hear each other all the same.

use std::net::SocketAddr;

use media::codec::{AudioCodec, Decoder};
use media::{Codec, LegUpdate, PortKey, Reason, SampleRate};

use super::bench::{Bench, Sent, format, peer, rtp, rtp_port};
use super::speaker::{Speaker, number, station};

const HERTZ: f32 = 400.0;

/// What a listener hears: its loudness and pitch, and the gaps in what it was sent.
struct Heard {
    rms: f32,
    hertz: f32,
}

fn hear(codec: AudioCodec, sent: &[Sent]) -> Heard {
    let mut decoder = Decoder::new(codec, SampleRate::Hz16000).expect("a codec of ours");
    let rate = decoder.rate().hz() as f32;
    let mut sound = Vec::new();
    for packet in sent {
        let mut pcm = [0; 5760];
        let len = decoder
            .decode(packet.payload(), &mut pcm)
            .expect("a packet of ours");
        sound.extend_from_slice(&pcm[..len]);
    }
    // The first part may still swing in.
    let sound = &sound[sound.len() / 4..];
    let power: f32 = sound.iter().map(|s| f32::from(*s).powi(2)).sum();
    let rises = sound.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
    Heard {
        rms: (power / sound.len() as f32).sqrt(),
        hertz: rises as f32 * rate / sound.len() as f32,
    }
}

fn must_be_a_whole_stream(codec: AudioCodec, to: SocketAddr, sent: &[Sent]) {
    assert!(sent[0].header().marker, "a talk spurt begins");
    for packet in sent {
        assert_eq!(
            (packet.to, packet.header().payload_type),
            (to, number(codec))
        );
    }
    for pair in sent.windows(2) {
        let (a, b) = (pair[0].header(), pair[1].header());
        assert_eq!(b.sequence, a.sequence.wrapping_add(1));
        assert_eq!(
            b.timestamp,
            a.timestamp.wrapping_add(codec.clock_rate() / 50)
        );
        assert_eq!((a.ssrc, b.marker), (b.ssrc, false));
    }
}

fn call_between(a: AudioCodec, b: AudioCodec) -> Bench {
    let mut bench = Bench::new();
    bench.open_as(1, station(1, a));
    bench.open_as(2, station(2, b));
    bench.connect(1, 2);
    bench
}

fn pairs() -> impl Iterator<Item = (AudioCodec, AudioCodec)> {
    let all = AudioCodec::ALL.into_iter();
    let pairs = all.flat_map(|a| AudioCodec::ALL.map(|b| (a, b)));
    pairs.filter(|(a, b)| a != b)
}

#[test]
fn every_codec_is_heard_in_every_other_without_a_wait() {
    for (from, to) in pairs() {
        let mut bench = call_between(from, to);
        let mut speaker = Speaker::new(1, HERTZ, from);
        let mut sent = Vec::new();
        for n in 0..60 {
            let at_once = bench.receive(1, &speaker.packet());
            assert_eq!(at_once.len(), 1, "{from:?} to {to:?}, packet {n}");
            sent.extend(at_once);
            sent.extend(bench.pass_ms(20));
        }
        assert_eq!(sent.len(), 60, "{from:?} to {to:?}");
        must_be_a_whole_stream(to, peer(2), &sent);
        let Heard { rms, hertz } = hear(to, &sent);
        assert!(
            (4_500.0..7_000.0).contains(&rms),
            "{from:?} to {to:?}: {rms}"
        );
        assert!(
            (396.0..404.0).contains(&hertz),
            "{from:?} to {to:?}: {hertz}"
        );
    }
}

#[test]
fn what_is_lost_is_invented_and_the_stream_stays_whole() {
    for (from, to) in pairs() {
        let mut bench = call_between(from, to);
        let mut speaker = Speaker::new(1, HERTZ, from);
        let sent = speaker.speak(&mut bench, 100, |n| n % 20 == 13);
        assert!(
            (97..=100).contains(&sent.len()),
            "{from:?} to {to:?}: {}",
            sent.len()
        );
        must_be_a_whole_stream(to, peer(2), &sent);
        let Heard { rms, hertz } = hear(to, &sent);
        assert!(
            (4_000.0..7_000.0).contains(&rms),
            "{from:?} to {to:?}: {rms}"
        );
        assert!(
            (390.0..410.0).contains(&hertz),
            "{from:?} to {to:?}: {hertz}"
        );
    }
}

/// RFC 4733 2.1: events run on the clock of the codec beside them.
#[test]
fn a_key_is_told_on_the_clock_of_the_listener() {
    let mut bench = call_between(AudioCodec::Opus, AudioCodec::Pcma);
    let mut speaker = Speaker::new(1, HERTZ, AudioCodec::Opus);
    speaker.speak(&mut bench, 10, |_| false);
    let pressed = speaker.timestamp;
    let mut told = Vec::new();
    for (update, end) in [
        (1, false),
        (2, false),
        (3, false),
        (3, true),
        (3, true),
        (3, true),
    ] {
        let ticks: u16 = update * 960;
        let [high, low] = ticks.to_be_bytes();
        let payload = [5, if end { 0x8a } else { 0x0a }, high, low];
        let packet = rtp(101, 7, speaker.sequence, pressed, &payload);
        speaker.sequence = speaker.sequence.wrapping_add(1);
        told.extend(bench.receive(1, &packet));
        told.extend(bench.pass_ms(20));
    }
    speaker.timestamp = pressed.wrapping_add(6 * 960);
    let events: Vec<&Sent> = told
        .iter()
        .filter(|s| s.header().payload_type == 101)
        .collect();
    assert_eq!(events.len(), 6);
    assert!(
        events
            .iter()
            .all(|e| e.header().timestamp == events[0].header().timestamp)
    );
    let durations: Vec<u16> = events
        .iter()
        .map(|e| u16::from_be_bytes([e.payload()[2], e.payload()[3]]))
        .collect();
    assert_eq!(durations, [160, 320, 480, 480, 480, 480]);
    let after = speaker.speak(&mut bench, 20, |_| false);
    let voices = after
        .iter()
        .filter(|s| s.header().payload_type == 8)
        .count();
    assert!(voices >= 15, "the voice goes on: {voices}");
    let numbers: Vec<u16> = told
        .iter()
        .chain(&after)
        .map(|s| s.header().sequence)
        .collect();
    assert!(
        numbers.windows(2).all(|w| w[1] == w[0].wrapping_add(1)),
        "{numbers:?}"
    );
}

/// A new agreement in the call: from transcoding to relaying, in one stream.
#[test]
fn a_common_codec_ends_the_detour() {
    let mut bench = call_between(AudioCodec::G722, AudioCodec::Pcma);
    let mut speaker = Speaker::new(1, HERTZ, AudioCodec::G722);
    let before = speaker.speak(&mut bench, 10, |_| false);
    let formats = station(2, AudioCodec::G722).formats;
    bench.update(
        2,
        LegUpdate {
            formats: Some(formats),
            ..LegUpdate::default()
        },
    );
    let packet = speaker.packet();
    let after = bench.receive(1, &packet);
    assert_eq!(after[0].payload(), &packet[12..], "untouched");
    let (last, next) = (before.last().unwrap().header(), after[0].header());
    assert_eq!(next.sequence, last.sequence.wrapping_add(1));
    assert_eq!(next.ssrc, last.ssrc);
    assert!(bench.pass_ms(500).is_empty(), "nothing is left to be said");
}

#[test]
fn who_is_on_hold_is_sent_nothing() {
    let mut bench = call_between(AudioCodec::Opus, AudioCodec::Pcmu);
    let mut speaker = Speaker::new(1, HERTZ, AudioCodec::Opus);
    speaker.speak(&mut bench, 10, |_| false);
    bench.turn(2, media::Direction::ReceiveOnly);
    assert!(speaker.speak(&mut bench, 20, |_| false).is_empty());
    bench.turn(2, media::Direction::SendReceive);
    assert!(speaker.speak(&mut bench, 20, |_| false).len() >= 18);
}

#[test]
fn what_is_no_packet_of_the_codec_is_counted_and_the_call_goes_on() {
    let mut bench = call_between(AudioCodec::Opus, AudioCodec::G722);
    let mut speaker = Speaker::new(1, HERTZ, AudioCodec::Opus);
    speaker.speak(&mut bench, 10, |_| false);
    // RFC 6716 3.2.5: a code 3 packet with no frames.
    let junk = rtp(96, 7, speaker.sequence, speaker.timestamp, &[0x03, 0x00]);
    speaker.sequence = speaker.sequence.wrapping_add(1);
    bench.receive_from(PortKey(rtp_port(1).0), peer(1), &junk);
    assert_eq!(bench.quality(2).drops.of(Reason::Malformed), 1);
    assert!(speaker.speak(&mut bench, 20, |_| false).len() >= 18);
}

#[test]
fn whoever_falls_silent_costs_nothing_and_is_heard_again_in_time() {
    let mut bench = call_between(AudioCodec::G722, AudioCodec::Opus);
    let mut speaker = Speaker::new(1, HERTZ, AudioCodec::G722);
    let before = speaker.speak(&mut bench, 20, |_| false);
    let rest = bench.pass_ms(60_000);
    assert!((10..100).contains(&rest.len()), "{} packets", rest.len());
    speaker.timestamp = speaker.timestamp.wrapping_add(60 * 8_000);
    let after = speaker.speak(&mut bench, 20, |_| false);
    let (first, next) = (before[0].header(), after.last().unwrap().header());
    let passed = next.timestamp.wrapping_sub(first.timestamp) / 48;
    assert!((60_700..61_000).contains(&passed), "{passed} ms");
}

/// So many syllables of 100 ms, by turns low and high: what libopus does not take for noise.
fn babble(bench: &mut Bench, speaker: &mut Speaker, syllables: usize) -> Vec<Sent> {
    let pitches = [400.0, 2_600.0].into_iter().cycle().take(syllables);
    let said = pitches.map(|hertz| {
        speaker.hertz = hertz;
        speaker.speak(bench, 5, |_| false)
    });
    said.collect::<Vec<_>>().concat()
}

/// How many of the packets carry the one before them.
fn redundant(sent: &[Sent]) -> usize {
    let parsed = sent
        .iter()
        .map(|sent| media::codec::opus::Packet::parse(sent.payload()));
    parsed
        .filter(|packet| packet.is_ok_and(|packet| packet.redundant))
        .count()
}

#[test]
fn c9_a_listener_that_reports_loss_is_sent_redundancy_until_it_loses_no_more() {
    for from in [AudioCodec::G722, AudioCodec::Pcma] {
        let mut bench = call_between(from, AudioCodec::Opus);
        let mut speaker = Speaker::new(1, HERTZ, from);
        let before = babble(&mut bench, &mut speaker, 10);
        assert_eq!(redundant(&before), 0, "{from:?}");
        let ssrc = before[0].header().ssrc;
        let report = |bench: &mut Bench, lost_in_256: u32| {
            let block = [9, ssrc, lost_in_256 << 24, 0, 0, 0, 0];
            let report = crate::bench::rtcp(&[(1, 201, &block)]);
            bench.receive_from(
                crate::bench::rtcp_port(2),
                (crate::bench::host(2), 4001).into(),
                &report,
            );
        };
        report(&mut bench, 13);
        let guarded = babble(&mut bench, &mut speaker, 10);
        assert!(
            redundant(&guarded) > 40,
            "{from:?}: {}",
            redundant(&guarded)
        );
        for _ in 0..12 {
            report(&mut bench, 0);
        }
        babble(&mut bench, &mut speaker, 1);
        let after = babble(&mut bench, &mut speaker, 10);
        assert_eq!(redundant(&after), 0, "{from:?}");
    }
}

/// baresip 1.0 knows events at 8000 only, and names that beside Opus too.
#[test]
fn a_key_reaches_an_opus_station_whose_events_are_on_the_clock_of_telephones() {
    let mut bench = Bench::new();
    let mut listener = station(2, AudioCodec::Opus);
    listener.formats[1] = format(101, Codec::TelephoneEvent, 8000);
    bench.open_as(1, station(1, AudioCodec::Pcma));
    bench.open_as(2, listener);
    bench.connect(1, 2);
    let mut speaker = Speaker::new(1, HERTZ, AudioCodec::Pcma);
    speaker.speak(&mut bench, 10, |_| false);
    let packet = rtp(
        101,
        7,
        speaker.sequence,
        speaker.timestamp,
        &[5, 0x0a, 1, 0x40],
    );
    let told = bench.receive(1, &packet);
    let key = told.iter().find(|sent| sent.header().payload_type == 101);
    assert_eq!(key.expect("a key").payload(), &[5, 0x0a, 1, 0x40]);
}
