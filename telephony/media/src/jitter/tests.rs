use std::time::{Duration, Instant};

use super::*;
use crate::rate::SampleRate;
use crate::seed::Seed;
use crate::sine::sine;

/// Of G.711; a payload is the packet's number.
const SETUP: Setup = Setup {
    clock_rate: 8000,
    redundant: false,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Played(i64),
    Lost,
    /// With the packet that may carry a copy.
    Restored(i64),
    Silence,
}
use Heard::{Lost, Played, Restored, Silence};

/// A buffer, its world, and all that came out with its time in milliseconds.
struct World {
    buffer: JitterBuffer,
    start: Instant,
    heard: Vec<(f64, Heard)>,
    /// Of the last step.
    wish: Wish,
}

impl World {
    fn new() -> World {
        World::with(SETUP)
    }

    fn with(setup: Setup) -> World {
        let start = Instant::now();
        World {
            buffer: JitterBuffer::new(setup, start),
            start,
            heard: Vec::new(),
            wish: Wish::Keep,
        }
    }

    fn at(&self, ms: f64) -> Instant {
        self.start + Duration::from_micros((ms * 1e3).round() as u64)
    }

    /// The packet `n` of an even stream.
    fn packet(&mut self, ms: f64, n: i64) -> Placed {
        self.packet_as(ms, 0, n, (n * 160) as u32)
    }

    fn packet_as(&mut self, ms: f64, epoch: u32, n: i64, timestamp: u32) -> Placed {
        self.run_to(ms);
        let packet = Packet {
            epoch,
            sequence: n,
            timestamp,
            duration: 160,
            payload: &n.to_be_bytes(),
        };
        let now = self.at(ms);
        let placed = self.buffer.insert(&packet, now);
        self.drain(now);
        placed
    }

    /// Polls at each deadline on the way.
    fn run_to(&mut self, ms: f64) {
        let end = self.at(ms);
        while let Some(due) = self.buffer.deadline().filter(|due| *due <= end) {
            self.drain(due);
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(step) = self.buffer.poll(now) {
            let (heard, wish) = told(&step);
            self.wish = wish.unwrap_or(self.wish);
            let ms = (now - self.start).as_micros() as f64 / 1000.0;
            self.heard.push((ms, heard));
        }
        assert!(self.buffer.deadline().is_none_or(|due| due > now));
    }

    fn numbers(&self) -> Vec<Heard> {
        self.heard.iter().map(|(_, heard)| *heard).collect()
    }

    fn count(&self, wanted: Heard) -> usize {
        self.heard
            .iter()
            .filter(|(_, heard)| *heard == wanted)
            .count()
    }
}

fn told(step: &Step<'_>) -> (Heard, Option<Wish>) {
    let number = |payload: &[u8]| i64::from_be_bytes(payload.try_into().expect("eight octets"));
    match step {
        Step::Play {
            sequence,
            payload,
            wish,
            ..
        } => {
            assert_eq!(number(payload), *sequence);
            (Played(*sequence), Some(*wish))
        }
        Step::Lost {
            next: Some(next), ..
        } => (Restored(number(next)), None),
        Step::Lost { next: None, .. } => (Lost, None),
        Step::Silence { .. } => (Silence, None),
    }
}

#[test]
fn on_an_even_path_each_packet_is_handed_over_when_it_comes() {
    let mut world = World::new();
    for n in 0..500 {
        let ms = n as f64 * 20.0 + (n % 3) as f64;
        world.packet(ms, n);
        assert_eq!(world.heard.last(), Some(&(ms, Played(n))));
    }
    let figures = world.buffer.figures();
    assert_eq!(
        (figures.played, figures.lost, figures.invented),
        (500, 0, 0)
    );
    assert_eq!(figures.wait, Duration::ZERO);
    assert_eq!(figures.goal, LEAST_WAIT);
}

#[test]
fn a_lost_packet_is_given_up_when_its_successor_is_there() {
    let mut world = World::new();
    for n in [0, 1, 2, 4, 5] {
        world.packet(n as f64 * 20.0, n);
    }
    let expected = [
        Played(0),
        Played(1),
        Played(2),
        Restored(4),
        Played(4),
        Played(5),
    ];
    assert_eq!(world.numbers(), expected);
    // The gap is filled 5 ms after the successor came, and that played at once.
    assert_eq!(world.heard[3..5], [(85.0, Restored(4)), (85.0, Played(4))]);
    let figures = world.buffer.figures();
    assert_eq!((figures.lost, figures.late, figures.invented), (1, 0, 1));
}

#[test]
fn of_several_lost_packets_the_last_may_be_restored() {
    let mut world = World::new();
    for n in [0, 1, 5, 6] {
        world.packet(n as f64 * 20.0, n);
    }
    let expected = [
        Played(0),
        Played(1),
        Lost,
        Lost,
        Restored(5),
        Played(5),
        Played(6),
    ];
    assert_eq!(world.numbers(), expected);
    assert_eq!(world.buffer.figures().lost, 3);
}

#[test]
fn reordered_packets_are_put_in_order_and_copies_played_once() {
    let mut world = World::new();
    world.packet(0.0, 0);
    world.packet(20.0, 1);
    world.packet(60.0, 3);
    assert_eq!(world.packet(62.0, 2), Placed::Waits);
    assert_eq!(world.packet(63.0, 2), Placed::Duplicate);
    assert_eq!(world.packet(64.0, 3), Placed::Duplicate);
    world.packet(80.0, 4);
    let expected = [Played(0), Played(1), Played(2), Played(3), Played(4)];
    assert_eq!(world.numbers(), expected);
    let figures = world.buffer.figures();
    assert_eq!((figures.duplicates, figures.lost, figures.late), (2, 0, 0));
}

#[test]
fn a_straggler_whose_gap_was_filled_is_late() {
    let mut world = World::new();
    for n in [0, 1, 3, 4] {
        world.packet(n as f64 * 20.0, n);
    }
    assert_eq!(world.packet(90.0, 2), Placed::Late);
    let figures = world.buffer.figures();
    assert_eq!((figures.lost, figures.late), (1, 1));
}

#[test]
fn a_delayed_burst_is_played_whole_and_the_wait_shrinks_again() {
    let mut world = World::new();
    for n in 0..50 {
        world.packet(n as f64 * 20.0, n);
    }
    // The network holds five packets back for 80 ms.
    for n in 50..55 {
        world.packet((50.0 * 20.0 + 80.0_f64).max(n as f64 * 20.0), n);
    }
    for n in 55..80 {
        world.packet(n as f64 * 20.0, n);
    }
    let played = |world: &World| -> Vec<i64> {
        world
            .heard
            .iter()
            .filter_map(|(_, heard)| match heard {
                Played(n) => Some(*n),
                Lost | Restored(_) | Silence => None,
            })
            .collect()
    };
    assert!(
        played(&world)
            .iter()
            .copied()
            .eq(0..played(&world).len() as i64)
    );
    assert_eq!(world.buffer.figures().late, 0);
    // No hole: the first missing one is given up after 25 ms, then all is even.
    assert_eq!(world.heard[50], (1025.0, Lost));
    for pair in world.heard[50..].windows(2) {
        let step = pair[1].0 - pair[0].0;
        assert!(step <= 20.1, "{pair:?}");
    }
    assert_eq!(world.wish, Wish::Shorten);
    // The pauses of the speaker are cut until each packet is handed over at once.
    for n in 80..600 {
        world.packet(n as f64 * 20.0, n);
        if world.wish == Wish::Shorten {
            world.buffer.shifted(Shift(-20_000));
            world.wish = Wish::Keep;
        }
    }
    world.packet(12_000.0, 600);
    assert_eq!(world.heard.last(), Some(&(12_000.0, Played(600))));
    assert_eq!(world.buffer.figures().shortened, Duration::from_millis(60));
}

#[test]
fn a_pause_of_the_sender_is_silence_and_no_loss() {
    let mut world = World::new();
    for n in 0..10 {
        world.packet(n as f64 * 20.0, n);
    }
    // DTX: the next number comes two seconds later, and its time stamp too.
    let pause = 100;
    for n in 10..20 {
        let placed = (n + pause) as f64 * 20.0;
        world.packet_as(placed, 0, n, ((n + pause) * 160) as u32);
        assert_eq!(world.heard.last(), Some(&(placed, Played(n))));
    }
    let figures = world.buffer.figures();
    assert_eq!((figures.lost, figures.late, figures.played), (0, 0, 20));
    assert_eq!(world.count(Lost), 10, "then it counts as silent");
    // A piece for each 20 ms of the pause, no more and no less.
    assert_eq!(world.count(Lost) + world.count(Silence), 100);
}

#[test]
fn a_time_stamp_that_jumps_alone_changes_nothing() {
    for jump in [
        1_000_000u32,
        0u32.wrapping_sub(1_000_000),
        160_000,
        0x8000_0000,
    ] {
        let mut world = World::new();
        for n in 0..50i64 {
            let timestamp = (n * 160) as u32;
            let timestamp = if n < 25 {
                timestamp
            } else {
                timestamp.wrapping_add(jump)
            };
            let ms = n as f64 * 20.0;
            world.packet_as(ms, 0, n, timestamp);
            assert_eq!(world.heard.last(), Some(&(ms, Played(n))), "{jump}");
        }
        assert_eq!(world.buffer.figures().restarts, 1);
        assert_eq!(world.count(Lost) + world.count(Silence), 0);
    }
}

#[test]
fn numbers_and_time_stamps_may_wrap() {
    let mut world = World::new();
    for n in 0..100i64 {
        let timestamp = (n as u32 * 160).wrapping_sub(8000);
        world.packet_as(n as f64 * 20.0, 0, 65_500 + n, timestamp);
    }
    assert_eq!(world.buffer.figures().played, 100);
    assert_eq!(world.count(Lost) + world.count(Silence), 0);
}

#[test]
fn a_new_stream_goes_on_at_once() {
    let mut world = World::new();
    for n in 0..10 {
        world.packet(n as f64 * 20.0, n);
    }
    for n in 0..10i64 {
        let ms = (10 + n) as f64 * 20.0;
        world.packet_as(ms, 1, 40_000 + n, (n * 160) as u32 + 77);
        assert_eq!(world.heard.last(), Some(&(ms, Played(40_000 + n))));
    }
    assert_eq!(world.heard.len(), 20);
    assert_eq!(world.buffer.figures().restarts, 1);
}

#[test]
fn a_sender_that_stops_its_time_stamps_on_hold_is_heard_again_at_once() {
    let mut world = World::new();
    for n in 0..50 {
        world.packet(n as f64 * 20.0, n);
    }
    for n in 50..100 {
        let ms = 60_000.0 + n as f64 * 20.0;
        world.packet(ms, n);
        assert_eq!(world.heard.last(), Some(&(ms, Played(n))));
    }
    assert_eq!(world.buffer.figures().late, 0);
}

#[test]
fn a_longer_way_is_learnt_after_three_packets() {
    let mut world = World::new();
    for n in 0..100 {
        let way = if n < 50 { 0.0 } else { 300.0 };
        world.packet(n as f64 * 20.0 + way, n);
    }
    let figures = world.buffer.figures();
    assert!(figures.late <= 3, "{figures:?}");
    assert_eq!(world.heard.last(), Some(&(2280.0, Played(99))));
}

/// Packets with exponential jitter of `mean` ms, `loss` in a thousand lost;
/// what stands in the figures after a minute, of the last half of it.
fn jittery(mean: f64, loss: u64) -> (World, Figures, Figures) {
    let mut seed = Seed::new(11);
    let mut random = || (seed.next_u32() as f64 + 1.0) / 4_294_967_296.0;
    let mut arrivals: Vec<(f64, i64)> = (0..3000)
        .map(|n| (n as f64 * 20.0 - random().ln() * mean, n))
        .collect();
    arrivals.retain(|_| random() * 1000.0 >= loss as f64);
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut world = World::new();
    let mut half = Figures::default();
    for (ms, n) in arrivals {
        if ms < 30_000.0 {
            half = world.buffer.figures();
        }
        world.packet(ms, n);
        // Speech pauses now and then.
        let pause = n / 25 % 4 == 0;
        match std::mem::replace(&mut world.wish, Wish::Keep) {
            Wish::Lengthen if pause => world.buffer.shifted(Shift(20_000)),
            Wish::Shorten if pause => world.buffer.shifted(Shift(-20_000)),
            Wish::Keep | Wish::Lengthen | Wish::Shorten => {}
        }
    }
    let end = world.buffer.figures();
    (world, half, end)
}

#[test]
fn the_wait_grows_with_jitter_until_hardly_a_packet_is_late() {
    for (mean, waits) in [(5.0, 15..50), (15.0, 60..110), (30.0, 110..145)] {
        let (_, half, end) = jittery(mean, 0);
        let late = end.lost - half.lost;
        let share = late as f64 / 1500.0;
        let limit = if mean < 20.0 { 0.012 } else { 0.035 };
        assert!(share < limit, "jitter {mean} ms: {late} late of 1500");
        let wait = end.wait.as_millis();
        assert!(waits.contains(&wait), "jitter {mean} ms: wait {wait} ms");
        assert!(end.goal <= MOST_WAIT);
    }
}

#[test]
fn what_is_played_by_the_clock_is_even() {
    let (world, half, end) = jittery(15.0, 20);
    assert!(end.lost - half.lost < 60, "{end:?}");
    let second_half = world.heard.iter().filter(|(ms, _)| *ms > 30_000.0);
    let times: Vec<f64> = second_half.map(|(ms, _)| *ms).collect();
    for pair in times.windows(2) {
        let step = pair[1] - pair[0];
        // The clock follows the sender's by a thousandth; pauses change it by a frame.
        let even = [0.0, 20.0, 40.0].iter().any(|e| (step - e).abs() < 0.5);
        assert!(even, "{step} ms");
    }
}

#[test]
fn copies_are_waited_for_when_packets_get_lost() {
    let mut world = World::with(Setup {
        redundant: true,
        ..SETUP
    });
    for n in (0..200).filter(|n| n % 20 != 7) {
        // Jitter of 30 ms: played by the clock.
        world.packet(n as f64 * 20.0 + (n % 4) as f64 * 10.0, n);
        if std::mem::replace(&mut world.wish, Wish::Keep) == Wish::Lengthen {
            world.buffer.shifted(Shift(20_000));
        }
    }
    let figures = world.buffer.figures();
    assert_eq!(figures.lost, 10);
    assert!(figures.goal >= Duration::from_millis(50), "{figures:?}");
    let restored = world.heard.iter().filter(|(_, h)| matches!(h, Restored(_)));
    assert!(restored.count() >= 8, "{:?}", world.numbers());
}

/// Ten minutes of a sender whose clock differs, pulled by ours.
fn drift(parts_per_million: f64, voiced: bool) -> Figures {
    let rate = SampleRate::Hz8000;
    let mut world = World::new();
    let mut elastic = Elastic::new(rate);
    let frames = 600_000 / 20;
    let period = 20.0 * (1.0 + parts_per_million / 1e6);
    let mut sent = 0;
    let mut frame = [0i16; 160];
    let (speech, pause) = (voice(9000.0), voice(20.0));
    let mut widest = 0;
    for tick in 0..frames {
        // Out of step with the sender by 7 ms at first.
        let ms = tick as f64 * 20.0 + 7.0;
        while sent as f64 * period <= ms {
            let payload = i64::to_be_bytes(sent);
            let now = world.at(sent as f64 * period);
            let packet = Packet {
                epoch: 0,
                sequence: sent,
                timestamp: sent as u32 * 160,
                duration: 160,
                payload: &payload,
            };
            world.buffer.insert(&packet, now);
            sent += 1;
        }
        let now = world.at(ms);
        while !elastic.pull(&mut frame) {
            let wish = match world.buffer.pull(now) {
                Some(Step::Play { wish, .. }) => wish,
                Some(step @ (Step::Lost { .. } | Step::Silence { .. })) => {
                    panic!("a gap at {ms} ms: {step:?}")
                }
                None => break,
            };
            // A second of a voice, half a one of a pause; or a voice without end.
            let loud = voiced || tick % 75 < 50;
            let shift = elastic.push(if loud { &speech } else { &pause }, wish);
            world.buffer.shifted(shift);
        }
        widest = widest.max(world.buffer.figures().wait.as_millis());
    }
    assert!(widest <= 60, "the wait grew to {widest} ms");
    world.buffer.figures()
}

/// 20 ms of 150 Hz, which are three whole periods.
fn voice(amplitude: f64) -> [i16; 160] {
    std::array::from_fn(|n| {
        let at = n as f64 / 8000.0 * 150.0;
        ((sine(at) + 0.5 * sine(2.0 * at)) * amplitude) as i16
    })
}

#[test]
fn a_clock_off_by_200_ppm_makes_no_gap_and_no_growing_wait_in_ten_minutes() {
    for (parts_per_million, voiced) in [(-200.0, false), (200.0, true)] {
        let figures = drift(parts_per_million, voiced);
        assert_eq!(
            (
                figures.lost,
                figures.late,
                figures.dropped,
                figures.invented
            ),
            (0, 0, 0, 0),
            "{parts_per_million} ppm"
        );
        // 120 ms of drift are made up for, give or take what is in hand.
        let changed = match parts_per_million > 0.0 {
            true => figures.lengthened.saturating_sub(figures.shortened),
            false => figures.shortened.saturating_sub(figures.lengthened),
        };
        let ms = changed.as_millis();
        assert!((80..=160).contains(&ms), "{parts_per_million} ppm: {ms} ms");
    }
}

#[test]
fn a_clock_off_by_200_ppm_does_not_matter_where_packets_are_handed_over() {
    for parts_per_million in [-200.0, 200.0] {
        let mut world = World::new();
        let period = 20.0 * (1.0 + parts_per_million / 1e6);
        for n in 0..30_000 {
            let ms = n as f64 * period;
            world.packet(ms, n);
            world.heard.retain(|heard| heard.1 != Played(n));
        }
        assert_eq!(world.heard, []);
    }
}

#[test]
fn a_sender_that_bursts_does_not_make_the_wait_grow() {
    // Twice as fast as real time, for ten seconds.
    let mut world = World::new();
    for n in 0..1000 {
        world.packet(n as f64 * 10.0, n);
    }
    let figures = world.buffer.figures();
    assert!(figures.wait <= 2 * MOST_WAIT, "{figures:?}");
    assert!(world.buffer.waiting() < 16);
}

#[test]
fn a_listener_hears_nothing_before_the_first_packet_has_waited() {
    let mut world = World::new();
    assert_eq!(world.buffer.pull(world.at(0.0)), None);
    assert_eq!(world.buffer.deadline(), None);
    let packet = Packet {
        epoch: 0,
        sequence: 5,
        timestamp: 0,
        duration: 160,
        payload: &[1],
    };
    world.buffer.insert(&packet, world.at(10.0));
    assert_eq!(world.buffer.pull(world.at(20.0)), None);
    let step = world.buffer.pull(world.at(40.0));
    assert!(matches!(step, Some(Step::Play { sequence: 5, .. })));
    let step = world.buffer.pull(world.at(60.0));
    assert!(matches!(step, Some(Step::Lost { next: None, .. })));
}

#[test]
fn after_a_long_sleep_old_sound_is_not_caught_up_with() {
    let mut world = World::new();
    for n in 0..10 {
        world.packet(n as f64 * 20.0, n);
    }
    let later = world.at(100_000.0);
    world.drain(later);
    assert!(world.heard.len() < 15, "{:?}", world.numbers());
}
