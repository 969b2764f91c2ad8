//! The log: to standard error, as plain lines or JSON, one level per part of the program.
//!
//! Redacts nothing itself: what belongs to people is wrapped in `model::Pii` by those who hold it.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{Log, LogFormat};

/// Installs the log of the process. Called once, before anything is logged.
pub(crate) fn install(settings: &Log) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let lines = match settings.format {
        LogFormat::Plain => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let log = tracing_subscriber::registry()
        .with(settings.level.clone())
        .with(lines);
    // Refused only when one is installed already, and then that one serves.
    let _ = tracing::subscriber::set_global_default(log);
}

/// Reads a level such as `info,front_door=debug`; a part is a folder of this program.
pub(crate) fn parse_level(text: &str) -> Option<Targets> {
    let mut targets = Targets::new();
    for part in text.split(',') {
        targets = match part.split_once('=') {
            Some((part, level)) => {
                let level: tracing::Level = level.trim().parse().ok()?;
                targets.with_target(format!("cloud_daemon::{}", part.trim()), level)
            }
            None => targets.with_default(part.trim().parse::<tracing::Level>().ok()?),
        };
    }
    Some(targets)
}
