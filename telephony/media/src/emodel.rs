//! The estimated opinion score: the E-model of ITU-T G.107, and G.107.1 for wideband.
//!
//! Meant to compare calls and to find bad links, not to certify a codec. What it takes of the
//! recommendations, everything else at its default:
//!
//! - Narrowband (G.107): `R = 93.355 - Id - Ie_eff`, with `Id` as in 7.4 (talker echo at 65 dB,
//!   listener echo at 110 dB, delay). Without delay that is the recommendation's 93.2.
//! - Wideband (G.107.1): `R = 129 - Idd - Ie_eff`, without echo, and `R / 1.29` on the scale of
//!   scores.
//! - `Ie_eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl)`: random loss (BurstR 1). What comes too late is as
//!   good as lost.
//! - G.107 Annex B turns R into a score.
//!
//! A score is only comparable on its own scale: 4.4 is the best of a telephone, 4.5 of wideband.

use std::time::Duration;

use crate::format::Codec;

/// A way from a mouth to an ear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) codec: Codec,
    pub(crate) lost: u64,
    pub(crate) expected: u64,
    pub(crate) delay: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Narrow,
    Wide,
}

/// What G.113 says of a codec.
#[derive(Debug, Clone, Copy)]
struct Impairment {
    scale: Scale,
    ie: f32,
    bpl: f32,
}

impl Impairment {
    /// G.711: Appendix I, with concealment. G.722 at 64 kbit/s: Ie of Appendix IV; its Bpl, and
    /// both values of Opus, are in no recommendation: estimates, Opus the better at concealing.
    fn of(codec: Codec) -> Option<Impairment> {
        let (scale, ie, bpl) = match codec {
            Codec::Pcmu | Codec::Pcma => (Scale::Narrow, 0.0, 25.1),
            Codec::G722 => (Scale::Wide, 13.0, 20.0),
            Codec::Opus => (Scale::Wide, 5.0, 30.0),
            Codec::TelephoneEvent | Codec::ComfortNoise | Codec::Other(_) => return None,
        };
        Some(Impairment { scale, ie, bpl })
    }
}

/// The score of a way; `None` for what is not audio of a known codec.
pub(crate) fn score(path: &Path) -> Option<f32> {
    let impairment = Impairment::of(path.codec)?;
    let percent = 100.0 * path.lost as f32 / path.expected.max(1) as f32;
    let Impairment { scale, ie, bpl } = impairment;
    let equipment = ie + (95.0 - ie) * percent / (percent + bpl);
    let ms = path.delay.as_secs_f32() * 1000.0;
    let rating = match scale {
        Scale::Narrow => 93.355 - echo(ms) - lag(ms) - equipment,
        Scale::Wide => (129.0 - lag(ms) - equipment) / 1.29,
    };
    Some(opinion(rating))
}

/// How long sound is under way in packets of 20 ms, beside the way itself and the listener's
/// buffer: the packet, and what the encoder looks ahead.
pub(crate) fn framing(codec: Codec) -> Duration {
    let micros = match codec {
        // RFC 6716 2: 2.5 ms, and 4 of its resampler; both filter banks of G.722 together 1.5.
        Codec::Opus => 26_500,
        Codec::G722 => 21_500,
        _ => 20_000,
    };
    Duration::from_micros(micros)
}

/// G.107 7.4: Idte and Idle, for delays of a way in ms.
fn echo(delay: f32) -> f32 {
    let loudness = 65.0 - 40.0 * ((1.0 + delay / 10.0) / (1.0 + delay / 150.0)).log10()
        + 6.0 * (-0.3 * delay * delay).exp();
    let talker = 80.0 + 2.5 * (loudness - 14.0);
    let above = (94.77 - talker) / 2.0;
    let talker = (above + (above * above + 100.0).sqrt() - 1.0) * (1.0 - (-delay).exp());
    let listener = 10.5 * 117.0 * (2.0 * delay + 1.0).powf(-0.25);
    let above = (94.77 - listener) / 2.0;
    talker + above + (above * above + 169.0).sqrt()
}

/// G.107 7.4: Idd, what delay alone does to a conversation.
fn lag(delay: f32) -> f32 {
    if delay <= 100.0 {
        return 0.0;
    }
    let x = (delay / 100.0).log2();
    let sixth = |value: f32| (1.0 + value.powi(6)).powf(1.0 / 6.0);
    25.0 * (sixth(x) - 3.0 * sixth(x / 3.0) + 2.0)
}

/// G.107 Annex B.
fn opinion(rating: f32) -> f32 {
    let r = rating.clamp(0.0, 100.0);
    let score = 1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r);
    // The polynomial dips below 1 for very small R.
    score.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(codec: Codec, lost: u64, delay: u64) -> f32 {
        let delay = Duration::from_millis(delay);
        let expected = 100;
        score(&Path {
            codec,
            lost,
            expected,
            delay,
        })
        .unwrap()
    }

    #[track_caller]
    fn near(found: f32, expected: f32, margin: f32) {
        assert!((found - expected).abs() < margin, "{found} not {expected}");
    }

    #[test]
    fn the_rating_without_any_impairment_is_that_of_the_recommendation() {
        near(93.355 - echo(0.0) - lag(0.0), 93.206, 0.01);
        near(path(Codec::Pcma, 0, 0), 4.41, 0.01);
    }

    #[test]
    fn ratings_become_the_scores_of_annex_b() {
        let table = [
            (90.0, 4.34),
            (80.0, 4.03),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
        ];
        for (rating, expected) in table {
            near(opinion(rating), expected, 0.01);
        }
        near(opinion(-5.0), 1.0, 0.01);
        near(opinion(120.0), 4.5, 0.01);
    }

    #[test]
    fn delay_costs_what_the_formulas_give_when_they_are_worked_out_apart() {
        // Idte + Idle + Idd in double precision, from the text of G.107.
        let table = [
            (0.0, 0.149),
            (20.0, 0.824),
            (100.0, 2.692),
            (150.0, 3.817),
            (400.0, 31.108),
        ];
        for (delay, expected) in table {
            near(echo(delay) + lag(delay), expected, 0.02);
        }
    }

    #[test]
    fn loss_costs_what_g113_lists_for_g711_with_concealment() {
        // Appendix I: Ie of 5, 7, 10, 15 and 20 at 1, 2, 3, 5 and 7 % of random loss.
        for (percent, listed) in [(1, 5.0), (2, 7.0), (3, 10.0), (5, 15.0), (7, 20.0)] {
            let percent = percent as f32;
            near(95.0 * percent / (percent + 25.1), listed, 1.5);
        }
        near(path(Codec::Pcmu, 5, 0), opinion(93.2 - 15.8), 0.01);
    }

    #[test]
    fn wideband_is_judged_on_its_own_scale() {
        near(path(Codec::G722, 0, 50), opinion(116.0 / 1.29), 0.01);
        assert!(path(Codec::Opus, 0, 50) > path(Codec::G722, 0, 50));
        assert!(path(Codec::Opus, 5, 50) > path(Codec::G722, 5, 50));
    }

    #[test]
    fn the_score_falls_with_loss_and_delay_and_stays_on_its_scale() {
        for codec in [Codec::Pcma, Codec::G722, Codec::Opus] {
            let mut last = 5.0;
            for lost in 0..=100 {
                let now = path(codec, lost, 0);
                assert!(now <= last && (1.0..=4.5).contains(&now));
                last = now;
            }
            let slower = |a, b| path(codec, 0, a) > path(codec, 0, b);
            assert!(slower(50, 200) && slower(200, 600));
        }
        let none = score(&Path {
            codec: Codec::Other(1),
            lost: 0,
            expected: 1,
            delay: Duration::ZERO,
        });
        assert_eq!(none, None);
    }
}
