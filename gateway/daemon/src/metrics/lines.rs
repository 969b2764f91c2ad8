//! Figures of lines to older servers: one series for each line, by its name.
//!
//! The main loop writes them down once a second; readers copy the text. Names of lines are plain
//! words, so they need no escaping.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use crate::control::protocol::{LineFigures, LineShown};

#[derive(Debug, Default)]
pub(super) struct LineMetrics(Mutex<String>);

struct Figure {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    of: fn(&LineShown) -> u64,
}

macro_rules! counters {
    ($($field:ident $name:literal $help:literal;)+) => {
        &[$(Figure {
            name: concat!("antiphon_line_", $name, "_total"),
            kind: "counter",
            help: $help,
            of: |line| { let LineFigures { $field, .. } = line.figures; $field },
        }),+]
    };
}

const GAUGES: &[Figure] = &[
    Figure {
        name: "antiphon_line_up",
        kind: "gauge",
        help: "1 while commands can be given over the line.",
        of: |line| u64::from(line.state.starts_with("up")),
    },
    Figure {
        name: "antiphon_line_driver_missing",
        kind: "gauge",
        help: "1 where nobody speaks on the line.",
        of: |line| u64::from(line.missing.is_some()),
    },
    Figure {
        name: "antiphon_line_unreadable",
        kind: "gauge",
        help: "1 while octets arrive and no frame fits, as with a wrong speed.",
        of: |line| u64::from(line.trouble.is_some()),
    },
    Figure {
        name: "antiphon_line_faulty_stations",
        kind: "gauge",
        help: "Stations behind the line that have a fault.",
        of: |line| line.faulty_stations,
    },
];

const COUNTERS: &[Figure] = counters! {
    openings "openings" "Times that the line was opened.";
    losses "losses" "Times that it was lost.";
    failures "failures" "Attempts to open it, and connections of the other end, that came to nothing.";
    octets_in "octets_received" "Octets that came.";
    octets_out "octets_sent" "Octets that were sent.";
    wrong_octets "wrong_octets" "Octets that a serial driver has received wrongly: parity, stop bit, break.";
    refused "sends_refused" "Pieces that were not sent because too many waited.";
    stalls "stalls" "Times that it was closed because the other end took nothing.";
    frames "frames" "Whole frames that passed their check.";
    bad_checksums "bad_checksums" "Frames that did not.";
    malformed "malformed" "Frames that passed their check and make no sense.";
    unknown "unknown_telegrams" "Telegrams of a kind that the protocol does not know.";
    noise "noise_octets" "Octets between frames.";
    repeats "repeats" "Telegrams that were sent once more.";
    events "events" "Events of the other end.";
    opaque "opaque_events" "Of these, those that nobody understands.";
    commands "commands" "Commands to the other end.";
    asked "asked" "Commands of the other end.";
    unsupported "unsupported" "Of these, those that nobody here can carry out.";
    unknown_stations "unknown_stations" "What was told of stations that are not in the directory.";
    requests_refused "requests_refused" "Call requests of the other end that no desk here took.";
    requests_not_filed "requests_not_filed" "Call requests of ours that the other end did not take.";
    claims_without_word "claims_without_word" "Call requests of the other end that somebody wanted to take and nobody here can.";
    transfers_failed "transfers_failed" "Transfers that the other end asked for and that came to nothing.";
    tests "tests" "Tests of stations by the clock.";
    tests_skipped "tests_skipped" "Tests that were left out because of a call.";
    tests_failed "tests_failed" "Tests, ordered ones too, that failed or came to no result.";
    outputs_refused "outputs_refused" "Commands of either end that were not let through to an output.";
    unanswered "unanswered" "Commands without an answer in time.";
    lost_with_line "commands_lost" "Commands that were open when the line was lost.";
};

fn all() -> impl Iterator<Item = &'static Figure> {
    GAUGES.iter().chain(COUNTERS)
}

impl LineMetrics {
    pub(super) fn collect(&self, lines: &[LineShown]) {
        let mut text = String::new();
        for figure in all().filter(|_| !lines.is_empty()) {
            let Figure {
                name, kind, help, ..
            } = figure;
            // Writing to a string does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for line in lines {
                let (of, value) = (&line.name, (figure.of)(line));
                let _ = writeln!(text, "{name}{{line=\"{of}\"}} {value}");
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    pub(super) fn write(&self, text: &mut String) {
        text.push_str(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// (name, kind, meaning), for the documentation.
    #[cfg(test)]
    pub(super) fn described() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        all().map(|figure| (figure.name, figure.kind, figure.help))
    }
}
