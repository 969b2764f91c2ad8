//! The log: to standard error, as plain lines or JSON, one level per part of the program.
//!
//! Redacts nothing itself: what belongs to people is wrapped in `model::Pii` by those who hold it,
//! and that shows itself as redacted. Keys and digest responses are never given to the log. A test
//! below reads what really comes out.

use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{LogFormat, LogSettings};

/// Installs the log of the process. Called once, before anything is logged.
pub(crate) fn install(settings: &LogSettings) {
    let subscriber = subscriber(settings, std::io::stderr);
    // Refused only when one is installed already, and then that one serves.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn subscriber<W>(settings: &LogSettings, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    let registry = tracing_subscriber::registry().with(settings.level.clone());
    match settings.format {
        LogFormat::Plain => Box::new(registry.with(lines)),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true))),
    }
}

/// Reads a level such as `info,sip=debug`.
pub(crate) fn parse_level(text: &str) -> Option<Targets> {
    let known = |level: &str| level.parse::<tracing::Level>().is_ok() || level == "off";
    // Targets itself would take a misspelt level for the name of a part of the program.
    let good = text.split(',').all(|part| match part.split_once('=') {
        Some((target, level)) => !target.trim().is_empty() && known(level.trim()),
        None => known(part.trim()),
    });
    text.parse().ok().filter(|_| good)
}

/// What holds when nothing else is said.
pub(crate) fn default_level() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use model::Pii;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` writes in this form.
    fn lines(format: LogFormat, log: impl FnOnce()) -> String {
        let written = Written::default();
        let level = default_level();
        let sink = written.clone();
        let subscriber = subscriber(&LogSettings { format, level }, move || sink.clone());
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn people_are_blacked_out_in_both_forms() {
        for format in [LogFormat::Plain, LogFormat::Json] {
            let caller = Pii::new("Maria Gruber".to_owned());
            let text = lines(format, || {
                let span = tracing::info_span!("call", from = %caller);
                let _inside = span.enter();
                tracing::info!(to = ?caller, number = %Pii::new("5551234"), "a call has begun");
            });
            assert!(
                text.contains("a call has begun") && text.contains("[redacted]"),
                "{text}"
            );
            assert!(
                !text.contains("Gruber") && !text.contains("5551234"),
                "{text}"
            );
        }
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_beside_the_message() {
        let text = lines(LogFormat::Json, || {
            tracing::warn!(lane = "journal", "behind");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "behind");
        assert_eq!(line["lane"], "journal");
        assert_eq!(line["level"], "WARN");
    }

    #[test]
    fn a_misspelt_level_is_no_level() {
        for good in ["info", "WARN", "off", "info,sip=debug", "warn, net=trace"] {
            assert!(parse_level(good).is_some(), "{good}");
        }
        for wrong in ["", "loud", "info,sip", "=debug", "sip=loud"] {
            assert!(parse_level(wrong).is_none(), "{wrong}");
        }
    }
}
