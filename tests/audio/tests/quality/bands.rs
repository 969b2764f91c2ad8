//! What of a sweep from 100 Hz to 20 kHz comes through: all that the narrower
//! codec carries, and nothing folded back of what it does not.

use audio::near_end::{self, Voip};
use audio::network::Network;
use audio::signals::{Spectrum, sweep};
use audio::wav::Sound;
use audio::{Spoken, chain, far_end};

use super::report::folder;

const RATE: u32 = 48_000;
const BOTTOM: f64 = 100.0;
const TOP: f64 = 20_000.0;
const SECONDS: f64 = 4.0;

/// The sweep has -15 dBov; Opus takes some of what is high.
const CARRIED: f64 = -30.0;
/// 30 dB below it; G.722's own noise under such a tone is hardly lower.
const FOLDED: f64 = -45.0;

/// The sweep at the far end.
fn through(from: Spoken, to: Spoken) -> Sound {
    let spoken = sweep(RATE, (BOTTOM, TOP), SECONDS);
    let payloads = near_end::payloads(from, &spoken, Voip::default()).expect("ffmpeg encodes");
    let sent = chain::carry(from, to, &payloads, &Network::PERFECT).expect("the relay carries");
    let heard = far_end::listen(to, &sent, &Network::PERFECT, RATE).expect("ffmpeg decodes");
    let file = format!("{} to {}.wav", from.name(), to.name());
    heard
        .write(&folder("bands").join(file))
        .expect("the folder can be written to");
    heard
}

/// What was heard after the sweep had passed so many hertz.
fn after(heard: &Sound, hertz: f64) -> Sound {
    let passed = (hertz - BOTTOM) / (TOP - BOTTOM) * SECONDS;
    let from = (passed * f64::from(heard.rate)) as usize;
    Sound {
        rate: heard.rate,
        samples: heard.samples[from..].to_vec(),
    }
}

/// How far a pair carries at least, and from where on nothing must be heard.
fn band(from: Spoken, to: Spoken) -> (f64, Option<f64>) {
    match (from, to) {
        (Spoken::Opus, Spoken::Opus) => (18_000.0, None),
        (from, to) if from.is_narrow() || to.is_narrow() => (3_400.0, Some(4_800.0)),
        _ => (7_000.0, Some(9_000.0)),
    }
}

#[test]
fn c9_the_narrower_codec_sets_the_band_and_nothing_is_folded_into_it() {
    if audio::judge::missing().is_some() {
        audio::not_run::note("the sweep needs ffmpeg");
        return;
    }
    for from in Spoken::ALL {
        for to in Spoken::ALL {
            let heard = through(from, to);
            let spectrum = Spectrum::of(&heard);
            let (carried, silent) = band(from, to);
            let mut low = 200.0;
            while low < carried {
                let level = spectrum.loudest_between(low, low + 200.0);
                assert!(
                    level > CARRIED,
                    "{from:?} to {to:?}: {level:.1} dBov at {low} Hz"
                );
                low += 200.0;
            }
            if let Some(silent) = silent {
                let level = Spectrum::of(&after(&heard, silent)).loudest_between(0.0, TOP);
                assert!(
                    level < FOLDED,
                    "{from:?} to {to:?}: {level:.1} dBov while the sweep is above {silent} Hz"
                );
            }
        }
    }
}
