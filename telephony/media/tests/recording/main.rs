//! Recordings, judged by ffmpeg and by what stands in their pages.

mod judge;
mod playback;

use std::time::{Duration, Instant};

use media::recording::{HORIZON, Layout, Losses, Recorder, Side};
use media::{FRAME, SampleRate};

use judge::{Judged, pages};

fn recorder(layout: Layout, now: Instant) -> Recorder {
    let tags = ["TITLE=a test".to_owned()];
    Recorder::new(layout, 7, &tags, now).expect("an encoder")
}

/// Frames of a sine, one after the other.
struct Sine {
    rate: SampleRate,
    hertz: f64,
    at: u64,
}

impl Sine {
    fn new(rate: SampleRate, hertz: f64) -> Sine {
        Sine { rate, hertz, at: 0 }
    }

    fn frame(&mut self) -> Vec<i16> {
        let turn = std::f64::consts::TAU * self.hertz / f64::from(self.rate.hz());
        let frame = (0..self.rate.frame() as u64).map(|n| {
            let phase = (self.at + n) as f64 * turn;
            (phase.sin() * 10_000.0) as i16
        });
        let frame = frame.collect();
        self.at += self.rate.frame() as u64;
        frame
    }
}

/// Both sides of a call of so many seconds: 600 Hz at the left, 1000 Hz at the right.
fn call(seconds: u32) -> Recorder {
    let start = Instant::now();
    let mut recorder = recorder(Layout::Both, start);
    let mut caller = Sine::new(SampleRate::Hz8000, 600.0);
    let mut called = Sine::new(SampleRate::Hz48000, 1000.0);
    for n in 0..seconds * 50 {
        let now = start + FRAME * n;
        recorder.hear(1, Side::Left, &caller.frame(), SampleRate::Hz8000, now);
        recorder.hear(
            2,
            Side::Right,
            &called.frame(),
            SampleRate::Hz48000,
            now + Duration::from_millis(7),
        );
    }
    recorder
}

#[test]
fn each_side_of_a_call_is_in_its_channel_and_not_in_the_other() {
    let mut recorder = call(4);
    recorder.finish(Instant::now());
    let file = recorder.take_written();
    let judged = Judged::new(&file);
    assert_eq!(judged.channels, 2);
    assert!(
        (judged.seconds() - 4.0).abs() < 0.001,
        "{}",
        judged.seconds()
    );
    let (left, right) = (judged.channel(0), judged.channel(1));
    assert!(left.share_of(600.0) > 0.98, "{}", left.share_of(600.0));
    assert!(right.share_of(1000.0) > 0.98, "{}", right.share_of(1000.0));
    assert!(left.share_of(1000.0) < 1e-4, "{}", left.share_of(1000.0));
    assert!(right.share_of(600.0) < 1e-4, "{}", right.share_of(600.0));
}

#[test]
fn what_was_written_before_a_power_cut_is_playable() {
    let mut recorder = call(4);
    let file = recorder.take_written();
    // Wherever the disk stopped writing.
    for cut in [
        file.len(),
        file.len() - 1,
        file.len() * 2 / 3,
        file.len() / 2,
    ] {
        let whole = pages(&file[..cut]).last().unwrap().seconds();
        assert!(whole > 0.98, "{whole}");
        let judged = Judged::new(&file[..cut]);
        assert!(
            judged.seconds() > whole - 0.05,
            "{} of {whole}",
            judged.seconds()
        );
        assert!(judged.channel(0).share_of(600.0) > 0.95);
    }
}

#[test]
fn a_page_holds_at_most_a_second() {
    let mut recorder = call(5);
    recorder.finish(Instant::now());
    let file = recorder.take_written();
    let pages = pages(&file);
    assert!(pages.iter().all(|page| page.checksum_holds));
    let numbers: Vec<u32> = pages.iter().map(|page| page.number).collect();
    assert_eq!(numbers, (0..pages.len() as u32).collect::<Vec<_>>());
    // The first two are headers.
    for pair in pages[1..].windows(2) {
        assert!(pair[1].granule - pair[0].granule <= 48_000);
    }
    assert!(pages.last().unwrap().ends_stream);
}

#[test]
fn whoever_is_silent_is_silent_for_as_long_as_it_lasted() {
    let start = Instant::now();
    let mut recorder = recorder(Layout::Both, start);
    let mut caller = Sine::new(SampleRate::Hz16000, 600.0);
    let mut called = Sine::new(SampleRate::Hz16000, 1000.0);
    for n in 0..300 {
        let now = start + FRAME * n;
        recorder.hear(1, Side::Left, &caller.frame(), SampleRate::Hz16000, now);
        // Nothing for the third and the fourth second.
        if !(100..200).contains(&n) {
            recorder.hear(2, Side::Right, &called.frame(), SampleRate::Hz16000, now);
        }
    }
    recorder.finish(start + FRAME * 300);
    assert_eq!(recorder.losses().misplaced, 0);
    let judged = Judged::new(&recorder.take_written());
    assert!((judged.seconds() - 6.0).abs() < 0.001);
    let right = judged.channel(1);
    assert!(right.between(0.2, 1.9).rms() > 0.1);
    assert!(right.between(2.1, 3.9).rms() < 0.001);
    assert!(right.between(4.1, 5.8).rms() > 0.1);
    assert!(judged.channel(0).between(2.1, 3.9).rms() > 0.1);
}

#[test]
fn nobody_is_waited_for_beyond_the_horizon() {
    let start = Instant::now();
    let mut recorder = recorder(Layout::Both, start);
    let mut caller = Sine::new(SampleRate::Hz16000, 600.0);
    for n in 0..150 {
        let now = start + FRAME * n;
        recorder.hear(1, Side::Left, &caller.frame(), SampleRate::Hz16000, now);
        let behind = (FRAME * (n + 1)).saturating_sub(recorder.duration());
        assert!(behind <= HORIZON + 2 * FRAME, "{behind:?}");
    }
    // And if both fall silent, by time alone.
    recorder.advance(start + Duration::from_secs(10));
    assert!(recorder.duration() >= Duration::from_secs(10) - HORIZON);
}

#[test]
fn a_flood_of_frames_does_not_grow_the_recording() {
    let start = Instant::now();
    let mut recorder = recorder(Layout::Both, start);
    for _ in 0..10_000 {
        recorder.hear(1, Side::Left, &[0; 320], SampleRate::Hz16000, start);
        recorder.hear(1, Side::Left, &[0; 321], SampleRate::Hz16000, start);
    }
    assert!(recorder.losses().misplaced > 9_900);
    assert_eq!(recorder.losses().malformed, 10_000);
    assert_eq!(recorder.duration(), Duration::ZERO);
}

#[test]
fn one_leg_alone_is_mono() {
    let start = Instant::now();
    let mut recorder = recorder(Layout::One, start);
    let mut leg = Sine::new(SampleRate::Hz8000, 440.0);
    for n in 0..100 {
        let now = start + FRAME * n;
        recorder.hear(1, Side::Left, &leg.frame(), SampleRate::Hz8000, now);
    }
    recorder.finish(start + FRAME * 100);
    let judged = Judged::new(&recorder.take_written());
    assert_eq!(judged.channels, 1);
    assert!((judged.seconds() - 2.0).abs() < 0.001);
    assert!(judged.channel(0).share_of(440.0) > 0.98);
}

#[test]
fn a_recording_of_nothing_is_a_file_all_the_same() {
    let start = Instant::now();
    let mut recorder = recorder(Layout::Both, start);
    recorder.finish(start);
    let pages = pages(&recorder.take_written());
    assert_eq!(pages.len(), 3);
    assert!(pages[2].ends_stream);
}

#[test]
fn those_who_are_called_together_are_heard_together() {
    let start = Instant::now();
    let mut recorder = recorder(Layout::Both, start);
    let sine = |hertz| Sine::new(SampleRate::Hz16000, hertz);
    let (mut caller, mut first, mut second) = (sine(600.0), sine(1000.0), sine(1500.0));
    for n in 0..200 {
        let now = start + FRAME * n;
        recorder.hear(1, Side::Left, &caller.frame(), SampleRate::Hz16000, now);
        recorder.hear(2, Side::Right, &first.frame(), SampleRate::Hz16000, now);
        recorder.hear(3, Side::Right, &second.frame(), SampleRate::Hz16000, now);
    }
    recorder.finish(start + FRAME * 200);
    assert_eq!(recorder.losses(), Losses::default());
    let judged = Judged::new(&recorder.take_written());
    let right = judged.channel(1);
    assert!(right.share_of(1000.0) > 0.4 && right.share_of(1500.0) > 0.4);
    assert!(judged.channel(0).share_of(600.0) > 0.98);
}

#[test]
fn a_crowd_does_not_grow_the_recording() {
    let start = Instant::now();
    let mut recorder = recorder(Layout::Both, start);
    for source in 0..1_000 {
        recorder.hear(source, Side::Left, &[0; 320], SampleRate::Hz16000, start);
    }
    assert_eq!(recorder.losses().crowded, 1_000 - 64);
}
