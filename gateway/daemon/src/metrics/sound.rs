//! How legs sounded, as histograms: by codec, by way of carrying, by direction; never by call.
//!
//! Filled once per leg, when its record is written. Invariant: the number of lines is bounded by
//! the lists of codecs and buckets, whatever calls there were.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{AudioCodec, CallRecord, Carried, LegAudio, Mos};

use crate::diagnosis::Cause;

const CODECS: usize = AudioCodec::ALL.len();
const WAYS: usize = Carried::ALL.len();

/// What is counted of each leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Mos,
    Loss,
    Jitter,
    RoundTrip,
}

impl Figure {
    const ALL: [Self; 4] = [Self::Mos, Self::Loss, Self::Jitter, Self::RoundTrip];

    const fn name(self) -> &'static str {
        match self {
            Self::Mos => "antiphon_leg_mos",
            Self::Loss => "antiphon_leg_loss_ratio",
            Self::Jitter => "antiphon_leg_jitter_seconds",
            Self::RoundTrip => "antiphon_leg_round_trip_seconds",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Mos => {
                "Estimated opinion scores of legs that ended; `carried` is relayed or transcoded, \
                 `direction` heard (from the device) or hears (by its own reports)."
            }
            Self::Loss => "Share of packets that were lost, of legs that ended.",
            Self::Jitter => "Jitter of legs that ended (RFC 3550 A.8).",
            Self::RoundTrip => "Time to a device and back, of legs that ended, by RTCP.",
        }
    }

    /// Upper ends of the buckets; the last one has none.
    const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Mos => &[1.5, 2.0, 2.5, 3.0, 3.3, 3.6, 4.0, 4.3],
            Self::Loss => &[0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2],
            Self::Jitter => &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2],
            Self::RoundTrip => &[0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8],
        }
    }
}

/// Which way the sound went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// What the device sent.
    Heard,
    /// What it was sent, by its own reports.
    Hears,
}

impl Direction {
    const ALL: [Self; 2] = [Self::Heard, Self::Hears];

    const fn name(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Hears => "hears",
        }
    }
}

/// Buckets, the last one for all beyond; and the sum in millionths.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; 9],
    sum: AtomicU64,
}

impl Histogram {
    fn add(&self, value: f64, bounds: &[f64]) {
        let found = bounds.iter().position(|bound| value <= *bound);
        let place = found.unwrap_or(bounds.len());
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
            let millionths = (value * 1e6).round() as u64;
            self.sum.fetch_add(millionths, Ordering::Relaxed);
        }
    }
}

/// Histograms of one codec, carried in one way.
#[derive(Debug, Default)]
struct Kind([[Histogram; Direction::ALL.len()]; Figure::ALL.len()]);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sound {
    kinds: [[Kind; WAYS]; CODECS],
    troubles: [AtomicU64; Cause::ALL.len()],
    lost: AtomicU64,
    concealed_ms: AtomicU64,
}

impl Sound {
    /// A leg has ended like this.
    pub(crate) fn add(&self, record: &CallRecord, trouble: Option<Cause>) {
        if let Some(cause) = trouble {
            self.troubles[cause as usize].fetch_add(1, Ordering::Relaxed);
        }
        let Some(audio) = &record.audio else { return };
        self.lost.fetch_add(audio.received.lost, Ordering::Relaxed);
        if let Some(decoded) = audio.received.decoded {
            let ms = u64::try_from(decoded.concealed.as_millis()).unwrap_or(u64::MAX);
            self.concealed_ms.fetch_add(ms, Ordering::Relaxed);
        }
        let Some(codec) = audio.codec else { return };
        let kind = &self.kinds[codec as usize][audio.carried as usize];
        for (figure, by_direction) in Figure::ALL.into_iter().zip(&kind.0) {
            for (direction, histogram) in Direction::ALL.into_iter().zip(by_direction) {
                if let Some(value) = value(audio, figure, direction) {
                    histogram.add(value, figure.bounds());
                }
            }
        }
    }

    pub(crate) fn trouble(&self, cause: Cause) -> u64 {
        self.troubles[cause as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn concealed_ms(&self) -> u64 {
        self.concealed_ms.load(Ordering::Relaxed)
    }

    /// In the text format of Prometheus; what was never seen has no lines.
    pub(super) fn write(&self, text: &mut String) {
        for (nth, figure) in Figure::ALL.into_iter().enumerate() {
            let (name, help) = (figure.name(), figure.help());
            // Writing to a string does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n");
            for (codec, ways) in AudioCodec::ALL.into_iter().zip(&self.kinds) {
                for (carried, kind) in Carried::ALL.into_iter().zip(ways) {
                    for (direction, histogram) in Direction::ALL.into_iter().zip(&kind.0[nth]) {
                        let labels = format!(
                            "codec=\"{}\",carried=\"{}\",direction=\"{}\"",
                            codec.name(),
                            carried_name(carried),
                            direction.name()
                        );
                        write_one(text, figure, &labels, histogram);
                    }
                }
            }
        }
    }

    /// (name, labels, meaning), for the documentation.
    #[cfg(test)]
    pub(super) fn described() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        const LABELS: &str = "`codec`, `carried`, `direction`";
        Figure::ALL
            .map(|figure| (figure.name(), LABELS, figure.help()))
            .into_iter()
    }
}

fn write_one(text: &mut String, figure: Figure, labels: &str, histogram: &Histogram) {
    let name = figure.name();
    let counts = histogram
        .buckets
        .each_ref()
        .map(|bucket| bucket.load(Ordering::Relaxed));
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return;
    }
    let mut below = 0;
    for (bound, count) in figure.bounds().iter().zip(counts) {
        below += count;
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
    }
    let sum = histogram.sum.load(Ordering::Relaxed) as f64 / 1e6;
    let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {all}");
    let _ = writeln!(text, "{name}_sum{{{labels}}} {sum}");
    let _ = writeln!(text, "{name}_count{{{labels}}} {all}");
}

fn carried_name(carried: Carried) -> &'static str {
    match carried {
        Carried::Relayed => "relayed",
        Carried::Transcoded => "transcoded",
    }
}

fn value(audio: &LegAudio, figure: Figure, direction: Direction) -> Option<f64> {
    let (received, sent) = (&audio.received, &audio.sent);
    let score = |mos: Mos| f64::from(mos.hundredths()) / 100.0;
    let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
    match (figure, direction) {
        (Figure::Mos, Direction::Heard) => received.mos.map(score),
        (Figure::Mos, Direction::Hears) => sent.far?.mos.map(score),
        (Figure::Loss, Direction::Heard) => share(received.lost, received.packets + received.lost),
        (Figure::Loss, Direction::Hears) => share(sent.far?.lost, sent.packets),
        (Figure::Jitter, Direction::Heard) => Some(received.jitter.as_secs_f64()),
        (Figure::Jitter, Direction::Hears) => Some(sent.far?.jitter.as_secs_f64()),
        // There and back is one way only.
        (Figure::RoundTrip, Direction::Heard) => {
            audio.round_trip.as_ref().map(Duration::as_secs_f64)
        }
        (Figure::RoundTrip, Direction::Hears) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_each_bucket_that_it_is_below() {
        let histogram = Histogram::default();
        for value in [0.0, 0.004, 0.004, 7.0] {
            histogram.add(value, Figure::Loss.bounds());
        }
        let mut text = String::new();
        write_one(&mut text, Figure::Loss, "codec=\"pcma\"", &histogram);
        let lines: Vec<&str> = text.lines().collect();
        let name = "antiphon_leg_loss_ratio";
        assert_eq!(
            lines[0],
            format!("{name}_bucket{{codec=\"pcma\",le=\"0\"}} 1")
        );
        assert_eq!(
            lines[2],
            format!("{name}_bucket{{codec=\"pcma\",le=\"0.005\"}} 3")
        );
        assert_eq!(
            lines[7],
            format!("{name}_bucket{{codec=\"pcma\",le=\"0.2\"}} 3")
        );
        assert_eq!(
            lines[8],
            format!("{name}_bucket{{codec=\"pcma\",le=\"+Inf\"}} 4")
        );
        assert_eq!(lines[9], format!("{name}_sum{{codec=\"pcma\"}} 7.008"));
        assert_eq!(lines[10], format!("{name}_count{{codec=\"pcma\"}} 4"));
    }

    #[test]
    fn what_was_never_seen_has_no_lines_but_its_explanation() {
        let mut text = String::new();
        Sound::default().write(&mut text);
        assert_eq!(text.lines().count(), 2 * Figure::ALL.len());
        let rising = |figure: &Figure| figure.bounds().is_sorted();
        assert!(Figure::ALL.iter().all(rising));
        assert!(Figure::ALL.iter().all(|figure| figure.bounds().len() == 8));
    }
}
