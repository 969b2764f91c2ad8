//! Whoever speaks, the receiver hears one sender.

use media::{Codec, Digit, Direction, Event, KeyForm, LegKey, LegUpdate, Press};
use std::time::Duration;

use crate::bench::{Bench, Sent, audio, format, peer, rtp, rtp_port, setup, video};

fn only(mut sent: Vec<Sent>) -> Sent {
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent.remove(0)
}

#[test]
fn early_media_and_the_answered_leg_are_one_stream_to_the_caller() {
    let mut bench = Bench::new();
    for leg in 1..=3 {
        bench.open(leg);
    }
    let (caller, first, second) = (1, 2, 3);
    bench.listen(caller, first);
    let mut heard = Vec::new();
    for n in 0..5 {
        heard.push(only(bench.receive(first, &audio(0xaaaa, 100 + n))));
        // Another target rings too; nobody hears it.
        assert_eq!(bench.receive(second, &audio(0xbbbb, 9000 + n)), []);
        bench.pass_ms(20);
    }
    bench.connect(caller, second);
    for n in 5..10 {
        heard.push(only(bench.receive(second, &audio(0xbbbb, 9000 + n))));
        assert_eq!(bench.receive(first, &audio(0xaaaa, 100 + n)), []);
        bench.pass_ms(20);
    }
    let start = heard[0].header();
    for (n, sent) in (0u16..).zip(&heard) {
        let header = sent.header();
        assert_eq!((sent.port, sent.to), (rtp_port(caller), peer(caller)));
        assert_eq!(header.ssrc, start.ssrc);
        assert_eq!(header.sequence, start.sequence.wrapping_add(n));
        let timestamp = start.timestamp.wrapping_add(u32::from(n) * 160);
        assert_eq!(header.timestamp, timestamp, "packet {n}");
        assert_eq!(header.marker, n == 0 || n == 5, "a talk spurt begins");
    }
    assert!(start.ssrc != 0xaaaa && start.ssrc != 0xbbbb);
}

#[test]
fn what_was_held_back_leaves_no_gap() {
    let mut bench = Bench::call();
    let before = only(bench.receive(1, &audio(1, 10))).header();
    bench.turn(2, Direction::Inactive);
    for n in 11..500 {
        bench.pass_ms(20);
        assert_eq!(bench.receive(1, &audio(1, n)), []);
    }
    bench.turn(2, Direction::SendReceive);
    bench.pass_ms(20);
    let after = only(bench.receive(1, &audio(1, 500))).header();
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    let passed = after.timestamp.wrapping_sub(before.timestamp);
    assert_eq!(passed, 490 * 160, "time went on");
}

#[test]
fn a_leg_that_is_not_to_send_is_not_heard() {
    let mut bench = Bench::call();
    bench.turn(1, Direction::SendOnly);
    assert_eq!(bench.receive(1, &audio(1, 1)), []);
    assert_eq!(bench.receive(2, &audio(2, 1)).len(), 1);
    let drops = bench.quality(1).drops;
    assert_eq!(drops.of(media::Reason::NotToSend), 1);
}

#[test]
fn loss_reordering_and_copies_pass_as_they_are_but_copies() {
    let mut bench = Bench::call();
    let start = only(bench.receive(1, &audio(1, 65_530))).header().sequence;
    let mut sent = Vec::new();
    for n in [65_531u16, 65_535, 65_534, 65_534, 1, 0] {
        sent.extend(bench.receive(1, &audio(1, n)));
    }
    let numbers = sent
        .iter()
        .map(|sent| sent.header().sequence.wrapping_sub(start));
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 5, 4, 7, 6]);
    let quality = bench.quality(1);
    assert_eq!((quality.lost, quality.duplicates), (2, 1));
    assert_eq!(quality.reordered, 2);
}

#[test]
fn a_new_ssrc_of_the_same_leg_is_the_same_stream_to_the_other() {
    let mut bench = Bench::call();
    let old = only(bench.receive(1, &audio(1, 10))).header();
    bench.pass_ms(20);
    assert_eq!(bench.receive(1, &audio(99, 5000)), [], "still spoken to");
    bench.pass_ms(60);
    let new = only(bench.receive(1, &audio(99, 5003))).header();
    assert_eq!(new.ssrc, old.ssrc);
    assert_eq!(new.sequence, old.sequence.wrapping_add(1));
}

#[test]
fn payload_types_are_those_of_the_receiving_leg() {
    let mut bench = Bench::new();
    let mut there = setup(2);
    there.formats = vec![
        format(97, Codec::TelephoneEvent, 8000),
        format(8, Codec::Pcma, 8000),
        format(9, Codec::G722, 8000),
    ];
    bench.open(1);
    bench.open_as(2, there);
    bench.connect(1, 2);
    let press = [1, 0x8a, 0, 160];
    let sent = only(bench.receive(1, &rtp(101, 1, 1, 0, &press)));
    assert_eq!(sent.header().payload_type, 97);
    assert_eq!(sent.payload(), press);
    assert_eq!(
        bench.receive(1, &rtp(9, 1, 2, 0, b"x")),
        [],
        "not agreed on"
    );
    assert_eq!(
        bench.receive(2, &rtp(9, 1, 2, 0, b"x")),
        [],
        "agreed on one side"
    );
    // After a re-INVITE both know it.
    let formats = Some(vec![format(100, Codec::G722, 8000)]);
    bench.update(
        1,
        LegUpdate {
            formats,
            ..Default::default()
        },
    );
    let sent = only(bench.receive(2, &rtp(9, 1, 3, 0, b"x")));
    assert_eq!(sent.header().payload_type, 100);
}

#[test]
fn what_the_receiver_cannot_take_leaves_no_gap() {
    let mut bench = Bench::new();
    let mut there = setup(2);
    there.formats.truncate(1);
    bench.open(1);
    bench.open_as(2, there);
    bench.connect(1, 2);
    let before = only(bench.receive(1, &audio(1, 1))).header();
    for n in 2..10 {
        bench.pass_ms(20);
        let event = rtp(101, 1, n, 160, &[5, 10, 0, n as u8]);
        assert_eq!(bench.receive(1, &event), []);
    }
    let after = only(bench.receive(1, &audio(1, 10))).header();
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    assert_eq!(bench.quality(2).drops.of(media::Reason::NoPayloadType), 8);
}

#[test]
fn video_keeps_its_payload_and_its_markers() {
    let mut bench = Bench::new();
    bench.open_as(1, video(1));
    bench.open_as(2, video(2));
    bench.connect(1, 2);
    let frame = [[0x41; 1100].as_slice(), &[0x42; 900], &[0x43; 40]];
    for (n, payload) in (0u16..).zip(frame) {
        let mut packet = rtp(97, 5, n, 90_000, payload);
        packet[1] |= if n == 2 { 0x80 } else { 0 };
        let sent = only(bench.receive(1, &packet));
        assert_eq!(sent.payload(), payload);
        assert_eq!(sent.header().payload_type, 98);
        assert_eq!(sent.header().marker, n == 2);
    }
}

#[test]
fn a_digit_is_told_once_and_passed_on() {
    let mut bench = Bench::call();
    let mut passed = 0;
    for (n, ticks) in (1u16..).zip([160u16, 320, 480, 480, 480]) {
        let [high, low] = ticks.to_be_bytes();
        let end = if n >= 3 { 0x80 } else { 0 };
        let event = rtp(101, 1, n, 8000, &[11, end | 10, high, low]);
        passed += bench.receive(1, &event).len();
        bench.pass_ms(20);
    }
    assert_eq!(passed, 5);
    bench.pass(Duration::from_secs(1));
    let digits = bench
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Digit { .. }));
    let told = Event::Digit {
        leg: LegKey(1),
        press: Press {
            digit: Digit::Key('#'),
            duration: Duration::from_millis(60),
        },
        form: KeyForm::Event,
    };
    assert_eq!(digits.collect::<Vec<_>>(), [told]);
}

#[test]
fn a_digit_whose_end_was_lost_is_told_in_time() {
    let mut bench = Bench::call();
    bench.receive(1, &rtp(101, 1, 1, 8000, &[3, 10, 0, 160]));
    bench.pass_ms(250);
    bench.receive(1, &rtp(101, 1, 9, 8000, &[3, 10, 3, 0]));
    bench.pass_ms(299);
    let digit = |event: &Event| matches!(event, Event::Digit { .. });
    assert!(!bench.events().iter().any(digit), "it may be held still");
    bench.pass_ms(1);
    assert!(bench.events().iter().any(digit));
}
