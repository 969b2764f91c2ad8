//! What a jitter buffer keeps to, whatever the network does.

mod corpus;
mod survives;

use std::time::{Duration, Instant};

use media::SampleRate;
use media::jitter::{Elastic, JitterBuffer, Packet, Placed, Setup, Step, Wish};
use proptest::collection::vec;
use proptest::prelude::*;

/// One packet's fate on its way.
#[derive(Debug, Clone, Copy)]
struct Way {
    delay: u32,
    lost: bool,
    twice: bool,
}

fn way(jitter: u32) -> impl Strategy<Value = Way> {
    let fate = (0..=jitter, 0..100u32, 0..100u32);
    fate.prop_map(|(delay, lost, twice)| Way {
        delay,
        lost: lost < 3,
        twice: twice < 3,
    })
}

/// What came out of a buffer.
#[derive(Debug, Default)]
struct Heard {
    played: Vec<i64>,
    pieces: usize,
    duplicates: u64,
    lost: u64,
    late: u64,
    wait: Duration,
}

/// Sends a packet each 20 ms over `ways`; time in steps of a millisecond.
fn carry(ways: &[Way]) -> Heard {
    let start = Instant::now();
    let mut buffer = JitterBuffer::new(
        Setup {
            clock_rate: 8000,
            redundant: false,
        },
        start,
    );
    let mut arrivals: Vec<(u32, i64)> = Vec::new();
    for (n, way) in ways.iter().enumerate().filter(|(_, way)| !way.lost) {
        let at = n as u32 * 20 + way.delay;
        arrivals.push((at, n as i64));
        if way.twice {
            arrivals.push((at + 7, n as i64));
        }
    }
    arrivals.sort_by_key(|(at, _)| *at);
    let end = ways.len() as u32 * 20 + 500;
    let mut arrivals = arrivals.into_iter().peekable();
    let mut heard = Heard::default();
    for ms in 0..end {
        let now = start + Duration::from_millis(ms.into());
        while let Some((_, n)) = arrivals.next_if(|(at, _)| *at == ms) {
            let packet = Packet {
                epoch: 0,
                sequence: n,
                timestamp: n as u32 * 160,
                duration: 160,
                payload: &[0; 160],
            };
            let placed = buffer.insert(&packet, now);
            heard.duplicates += u64::from(placed == Placed::Duplicate);
        }
        loop {
            let mut asked = Wish::Keep;
            match buffer.poll(now) {
                None => break,
                Some(Step::Play { sequence, wish, .. }) => {
                    heard.played.push(sequence);
                    asked = wish;
                }
                Some(Step::Lost { .. } | Step::Silence { .. }) => {}
            }
            heard.pieces += 1;
            // All is pause here, so each wish comes true.
            if asked != Wish::Keep {
                let mut pause = Elastic::new(SampleRate::Hz8000);
                buffer.shifted(pause.push(&[0; 160], asked));
            }
        }
    }
    let figures = buffer.figures();
    (heard.lost, heard.late, heard.wait) = (figures.lost, figures.late, figures.wait);
    heard
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn order_is_kept_and_nothing_is_played_twice(ways in vec(way(150), 1..300)) {
        let heard = carry(&ways);
        prop_assert!(heard.played.is_sorted_by(|a, b| a < b), "{:?}", heard.played);
        for n in &heard.played {
            prop_assert!(!ways[*n as usize].lost);
        }
        let (played, copies) = (heard.played.len(), ways.iter().filter(|w| w.twice && !w.lost));
        // Copies of what came too late count as late.
        prop_assert!(heard.duplicates as usize <= copies.count());
        let last = heard.played.last().map_or(0, |last| *last as usize + 1);
        let first = heard.played.first().map_or(0, |first| *first as usize);
        prop_assert_eq!(last - first - played, heard.lost as usize);
    }

    #[test]
    fn on_a_path_of_little_jitter_all_that_came_is_played(ways in vec(way(19), 1..300)) {
        let heard = carry(&ways);
        let came = ways.iter().filter(|way| !way.lost).count();
        prop_assert_eq!(heard.played.len(), came);
        prop_assert_eq!(heard.late, 0);
    }

    #[test]
    fn it_adapts_to_the_jitter_it_meets(jitter in 30..110u32, seed in any::<u64>()) {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32
        };
        let even = |delay| Way { delay, lost: false, twice: false };
        let ways: Vec<Way> = (0..1000).map(|_| even(random() % (jitter + 1))).collect();
        let learnt = carry(&ways[..400]);
        let whole = carry(&ways);
        let late = whole.late - learnt.late.min(whole.late);
        prop_assert!(late <= 30, "{late} of 600 late at {jitter} ms");
        let wait = whole.wait.as_millis() as u32;
        prop_assert!(wait + 12 >= jitter && wait <= jitter + 30, "{wait} at {jitter} ms");
    }

    #[test]
    fn any_stream_is_survived(script in vec(any::<u8>(), 0..3000)) {
        survives::stream(&script);
    }
}
