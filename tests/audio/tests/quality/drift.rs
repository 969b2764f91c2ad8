//! A sender whose clock runs fast or slow, for ten minutes: nothing is missing,
//! and the delay does not grow.

use std::time::Duration;

use audio::chain::Departure;
use audio::near_end::{self, Voip};
use audio::network::{Jitter, Network};
use audio::signals::{Found, chirps, find_chirps};
use audio::speech::Length;
use audio::{Spoken, chain, far_end};

use super::report::{folder, length};

const MINUTES: usize = 10;
const RATE: u32 = 16_000;

/// How unlike itself a chirp may be in the worst case: codecs are not exact, but
/// 10 ms without sound in 100 ms make it less than this.
const ALIKE: f64 = 0.93;

/// By how much the delay of the last minute may differ from that of the second;
/// the drift alone would make it 100 ms and more.
const GROWTH_MS: f64 = 5.0;

#[test]
fn c9_two_hundred_millionths_of_drift_are_never_heard() {
    if audio::judge::missing().is_some() {
        audio::not_run::note("the chirps need ffmpeg");
        return;
    }
    let train = chirps(RATE, MINUTES * 60);
    for from in [Spoken::G722, Spoken::Opus] {
        let payloads = near_end::payloads(from, &train, Voip::default()).expect("ffmpeg encodes");
        for (drift_ppm, jitter_ms) in ways(from) {
            let to = match from {
                Spoken::Opus => Spoken::G722,
                Spoken::Pcma | Spoken::Pcmu | Spoken::G722 => Spoken::Opus,
            };
            let network = Network {
                drift_ppm,
                jitter: Jitter::Uniform {
                    most: Duration::from_millis(jitter_ms),
                },
                ..Network::PERFECT
            };
            let what = format!(
                "{} to {}, {drift_ppm:+} ppm, jitter {jitter_ms} ms",
                from.name(),
                to.name()
            );
            judge(&what, from, to, &payloads, &network);
        }
    }
}

/// Drift and jitter. Even packets are handed over as they come, uneven ones by the buffer's clock,
/// which is where a drift could be heard; all of them only when there is time.
fn ways(from: Spoken) -> Vec<(f64, u64)> {
    match (length(), from) {
        (Length::Whole, _) => vec![(200.0, 0), (200.0, 30), (-200.0, 0), (-200.0, 30)],
        (Length::Short, Spoken::G722) => vec![(200.0, 30), (-200.0, 30)],
        (Length::Short, _) => vec![(-200.0, 0)],
    }
}

fn judge(what: &str, from: Spoken, to: Spoken, payloads: &[Vec<u8>], network: &Network) {
    let sent = chain::carry(from, to, payloads, network).expect("the relay carries");
    let heard = far_end::listen(to, &sent, &Network::PERFECT, RATE).expect("ffmpeg decodes");
    heard
        .write(&folder("drift").join(format!("{what}.wav")))
        .expect("the folder can be written to");
    let found = find_chirps(&heard, MINUTES * 60);
    let delays = delays_ms(&found, &sent, network);
    let per_minute = delays.len() / MINUTES;
    // The first minute is for finding the wait.
    let early = mean(&delays[per_minute..2 * per_minute]);
    let late = mean(&delays[delays.len() - per_minute..]);
    let greatest = delays.iter().copied().fold(0.0, f64::max);
    let settled = &found[per_minute..];
    let worst = settled
        .iter()
        .min_by(|a, b| a.likeness.total_cmp(&b.likeness))
        .expect("there are chirps");
    println!(
        "{what}: delay {early:.1} ms in the second minute, {late:.1} ms in the last, \
         never more than {greatest:.1} ms; least likeness {:.3}",
        worst.likeness
    );
    assert!(
        worst.likeness > ALIKE,
        "{what}: a chirp of likeness {:.3} after {:.1} s",
        worst.likeness,
        worst.sent_at as f64 / f64::from(RATE)
    );
    assert!(
        (late - early).abs() < GROWTH_MS,
        "{what}: {early:.1} to {late:.1} ms"
    );
    assert_eq!(found.len(), MINUTES * 60 * 8, "{what}");
}

/// From the moment at which a chirp was spoken to that at which it left.
fn delays_ms(found: &[Found], sent: &[Departure], network: &Network) -> Vec<f64> {
    let frame = RATE as usize / 50;
    let within = |at: usize| (at % frame) as f64 * 1000.0 / f64::from(RATE);
    found
        .iter()
        .filter_map(|chirp| {
            let left = sent.get(chirp.heard_at / frame)?.at;
            let spoken = network.sent(chirp.sent_at / frame);
            let between = left.as_secs_f64() - spoken.as_secs_f64();
            Some(between * 1000.0 + within(chirp.heard_at) - within(chirp.sent_at))
        })
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
