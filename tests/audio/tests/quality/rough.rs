//! Loss and jitter, before the relay and behind it.
//!
//! Each way is walked with several seeds, because it matters which sound is
//! lost; gates are on their mean.

use std::time::Duration;

use audio::judge::Score;
use audio::near_end::{self, Voip};
use audio::network::{Jitter, Network};
use audio::{Spoken, chain, far_end};

use super::report::{Report, Verdicts};

const SEEDS: [u64; 2] = [1, 2];

/// A telephone that has been told of losses: it spends bits on in-band FEC, which libopus
/// leaves out where there are too few of them.
const GUARDED: Voip = Voip {
    bitrate: 32_000,
    complexity: 5,
    expected_loss: 10,
};

/// A way through two networks, and what must be heard at its end.
struct Way {
    name: &'static str,
    from: Spoken,
    to: Spoken,
    near: Network,
    far: Network,
    gate: Gate,
}

enum Gate {
    Score(f64),
    /// Of the score of the way with this name.
    Part(f64, &'static str),
}

fn lossy(percent: f64) -> Network {
    Network {
        loss: percent / 100.0,
        ..Network::PERFECT
    }
}

/// 15 ms by RFC 3550 6.4.1, with its long tail, and a loss in fifty.
fn jittery() -> Network {
    Network {
        jitter: Jitter::Exponential {
            mean: Duration::from_millis(15),
        },
        ..lossy(2.0)
    }
}

fn ways() -> [Way; 6] {
    use Spoken::{G722, Opus};
    let perfect = Network::PERFECT;
    let way = |name, from, to, near, far, gate| Way {
        name,
        from,
        to,
        near,
        far,
        gate,
    };
    let of = Gate::Part;
    [
        way(
            "Opus to G.722",
            Opus,
            G722,
            perfect,
            perfect,
            Gate::Score(3.6),
        ),
        way(
            "Opus to G.722, loss",
            Opus,
            G722,
            lossy(5.0),
            perfect,
            Gate::Score(3.5),
        ),
        way(
            "Opus to G.722, jitter",
            Opus,
            G722,
            jittery(),
            perfect,
            of(0.9, "Opus to G.722"),
        ),
        way(
            "G.722 to Opus",
            G722,
            Opus,
            perfect,
            perfect,
            Gate::Score(3.6),
        ),
        way(
            "G.722 to Opus, jitter",
            G722,
            Opus,
            jittery(),
            perfect,
            of(0.8, "G.722 to Opus"),
        ),
        way(
            "G.722 to Opus, far loss",
            G722,
            Opus,
            perfect,
            lossy(5.0),
            Gate::Score(3.3),
        ),
    ]
}

#[test]
fn c9_loss_and_jitter_cost_little() {
    let Some(mut report) = Report::begin("rough") else {
        return;
    };
    let speech = report.speech.clone();
    for way in ways() {
        let payloads = near_end::payloads(way.from, &speech, GUARDED).expect("ffmpeg encodes");
        for seed in SEEDS {
            let [near, far] = [way.near, way.far].map(|network| Network { seed, ..network });
            let sent = chain::carry_reported(way.from, way.to, &payloads, &near, far.loss);
            let sent = sent.expect("it carries");
            let heard = far_end::listen(way.to, &sent, &far, speech.rate).expect("it decodes");
            report.add(&numbered(way.name, seed), &heard, Score::Wide);
        }
    }
    let mut verdicts = report.judge("5 % loss, or 15 ms jitter with 2 % loss");
    for way in ways() {
        let gate = match way.gate {
            Gate::Score(score) => score,
            Gate::Part(part, whole) => part * mean(&verdicts, whole),
        };
        let score = mean(&verdicts, way.name);
        verdicts.at_least(way.name, "mean PESQ", score, gate);
    }
    verdicts.close();
}

fn numbered(name: &str, seed: u64) -> String {
    format!("{name} {seed}")
}

fn mean(verdicts: &Verdicts, name: &str) -> f64 {
    let scores = SEEDS.map(|seed| verdicts.pesq(&numbered(name, seed)).mean);
    scores.iter().sum::<f64>() / scores.len() as f64
}
