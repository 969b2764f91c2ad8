//! Figures of the running core, as Prometheus reads them.
//!
//! As in the gateway, one closed list (`list`) says what there is and what it means;
//! `docs/core-metrics.md` is compared with it by a test. Counters lie where things happen and are read
//! when somebody asks; what stands in the store (`stored`) is counted then too, and is left out while
//! the store does not answer. No company, person or device is ever a label.

mod list;
mod serve;
mod stored;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;

use model::Timestamp;

use self::stored::Stored;
use crate::api::{Limits, Requests};
use crate::calls;
use crate::core::Core;
use crate::front_door::DoorFigures;
use crate::listener;

pub(crate) use serve::app;

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
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) core: Core,
    pub(crate) started: Timestamp,
    pub(crate) door: DoorFigures,
    pub(crate) api: Arc<listener::Figures>,
    pub(crate) revocation: Arc<listener::Figures>,
    pub(crate) calls: Arc<calls::Figures>,
}

impl Sources {
    fn limits(&self) -> &Limits {
        &self.core.tally.limits
    }

    fn requests(&self) -> &Requests {
        &self.core.tally.requests
    }

    /// All figures in the text format of Prometheus.
    async fn render(&self) -> String {
        let stored = stored::read(&self.core).await;
        let mut text = String::new();
        let mut previous = "";
        for (description, value) in list::values(self, stored.as_ref()) {
            if let Some(value) = value {
                description.write(value, previous, &mut text);
                previous = description.name;
            }
        }
        self.requests().write(&mut text);
        text
    }
}

impl Description {
    /// One line, behind its explanation unless that stands there already.
    fn write(&self, value: u64, previous: &str, text: &mut String) {
        let Self { name, labels, .. } = self;
        if *name != previous {
            let (help, kind) = (self.help.trim(), self.kind.name());
            // Writing to a string does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        }
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
