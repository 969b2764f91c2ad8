//! Figures of the running gateway, as Prometheus reads them.
//!
//! One closed list, `list.rs`, says what there is, what it means and where it comes from;
//! `docs/metrics.md` is compared with it by a test. The main loop puts figures together once a
//! second, readers render what was put together last. Invariant: rendering needs nothing of the
//! main loop, so a stuck gateway still shows its figures, and that it is stuck.

pub(crate) mod http;
mod lines;
mod list;
mod sound;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use exchange::Exchange;

use crate::carry::Hands;
use crate::control::protocol::LineShown;
use crate::store::StoreFigures;

use self::lines::LineMetrics;
use self::list::DESCRIPTIONS;
pub(crate) use self::sound::Sound;

/// The main loop turns once a second even if nothing happens.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// How Prometheus treats a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One figure.
#[derive(Clone, Copy, Debug)]
struct Description {
    name: &'static str,
    /// Inside the braces; empty for none.
    labels: &'static str,
    kind: Kind,
    help: &'static str,
}

/// Where figures come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    pub(crate) state: &'a Exchange,
    pub(crate) flows: &'a net::flows::Counters,
    pub(crate) hands: &'a Hands,
    pub(crate) store: &'a StoreFigures,
    pub(crate) lines: &'a [LineShown],
}

/// How the gateway is, for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    /// It serves calls, but the disk fails.
    Degraded,
    /// The main loop has not turned for long.
    Stuck,
}

/// The figures as they were put together last.
#[derive(Debug)]
pub(crate) struct Figures {
    values: [AtomicU64; DESCRIPTIONS.len()],
    started: Instant,
    started_unix: u64,
    /// When the main loop last put them together, in milliseconds since the start.
    collected: AtomicU64,
    store: StoreFigures,
    sound: Arc<Sound>,
    lines: LineMetrics,
}

impl Figures {
    pub(crate) fn new(store: StoreFigures, sound: Arc<Sound>) -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            values: [const { AtomicU64::new(0) }; DESCRIPTIONS.len()],
            started: Instant::now(),
            started_unix: since_1970.map_or(0, |since| since.as_secs()),
            collected: AtomicU64::new(0),
            store,
            sound,
            lines: LineMetrics::default(),
        }
    }

    /// Puts all figures together. Called by the main loop and nobody else.
    pub(crate) fn collect(&self, sources: &Sources<'_>) {
        for (value, now) in self.values.iter().zip(list::values(sources)) {
            value.store(now, Ordering::Relaxed);
        }
        self.lines.collect(sources.lines);
        self.collected.store(self.age_ms(), Ordering::Relaxed);
    }

    pub(crate) fn health(&self) -> Health {
        let silent = self.age_ms() - self.collected.load(Ordering::Relaxed).min(self.age_ms());
        if Duration::from_millis(silent) > STUCK_AFTER {
            return Health::Stuck;
        }
        let lanes = self.store.lanes();
        let degraded = |lane: &crate::store::LaneFigures| lane.degraded.load(Ordering::Relaxed);
        match lanes.iter().any(|(_, lane)| degraded(lane)) {
            true => Health::Degraded,
            false => Health::Well,
        }
    }

    /// All figures in the text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        let mut text = String::with_capacity(DESCRIPTIONS.len() * 160);
        let stuck = u64::from(self.health() == Health::Stuck);
        for (description, value) in [(&list::STUCK, stuck), (&list::STARTED, self.started_unix)] {
            description.write(value, "", &mut text);
        }
        let mut previous = "";
        for (description, value) in DESCRIPTIONS.iter().zip(&self.values) {
            description.write(value.load(Ordering::Relaxed), previous, &mut text);
            previous = description.name;
        }
        self.sound.write(&mut text);
        self.lines.write(&mut text);
        text
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Description {
    /// One line, behind its explanation unless that stands there already.
    fn write(&self, value: u64, previous: &str, text: &mut String) {
        let Self { name, labels, .. } = self;
        // Writing to a string does not fail.
        let _ = if self.name != previous {
            let help = self.help.trim();
            let kind = self.kind.name();
            write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
        } else {
            Ok(())
        };
        let _ = match *labels {
            "" => writeln!(text, "{name} {value}"),
            labels => writeln!(text, "{name}{{{labels}}} {value}"),
        };
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

#[cfg(test)]
mod tests;
