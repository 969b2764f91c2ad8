//! `lines`: the lines to older intercom servers, as the running gateway sees them.

use std::fmt::Write as _;

use super::ask::{span, table};
use crate::control::protocol::LineShown;

pub(super) fn text(lines: &[LineShown]) -> String {
    if lines.is_empty() {
        return "no lines in the configuration\n".to_owned();
    }
    let rows = lines.iter().map(|line| {
        [
            line.name.clone(),
            line.kind.clone(),
            line.driver.clone(),
            line.state.clone(),
            span(line.seconds),
            line.peer.clone().unwrap_or_else(|| "-".to_owned()),
            line.figures.frames.to_string(),
            line.figures.events.to_string(),
            line.figures.commands.to_string(),
            line.figures.losses.to_string(),
        ]
    });
    let head = [
        "line", "kind", "driver", "state", "for", "peer", "frames", "events", "commands", "losses",
    ];
    let mut text = table(head, rows);
    for line in lines {
        text.push('\n');
        text.push_str(&details(line));
    }
    text
}

fn details(line: &LineShown) -> String {
    let mut text = format!("{}\n", line.name);
    // Writing to a string does not fail.
    let mut row = |head: &str, what: &str| {
        let _ = writeln!(text, "  {head:<15} {what}");
    };
    if let Some(missing) = &line.missing {
        row("no driver", missing);
    }
    if let Some(trouble) = &line.trouble {
        row("trouble", trouble);
    }
    if let Some(ended) = &line.ended {
        row("closed last", ended);
    }
    row(
        "server version",
        line.version.as_deref().unwrap_or("not given"),
    );
    if let Some(seconds) = line.surveillance_seconds {
        row(
            "surveillance",
            &format!("each station once in {}", span(seconds)),
        );
    }
    if line.faulty_stations > 0 {
        let faulty = line.faulty_stations;
        row(
            "faults",
            &format!("of {faulty} stations; `stations` shows which"),
        );
    }
    let figures = line.figures;
    let counted = [
        ("failures", figures.failures),
        ("wrong octets", figures.wrong_octets),
        ("bad checksums", figures.bad_checksums),
        ("malformed", figures.malformed),
        ("unknown", figures.unknown),
        ("repeats", figures.repeats),
        ("opaque", figures.opaque),
        ("unsupported", figures.unsupported),
        ("unknown stations", figures.unknown_stations),
        ("requests refused", figures.requests_refused),
        ("requests not filed", figures.requests_not_filed),
        ("claims without word", figures.claims_without_word),
        ("transfers failed", figures.transfers_failed),
        ("tests", figures.tests),
        ("tests skipped", figures.tests_skipped),
        ("tests failed", figures.tests_failed),
        ("outputs refused", figures.outputs_refused),
        ("unanswered", figures.unanswered),
        ("stalls", figures.stalls),
    ];
    let counted: Vec<_> = counted
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    if !counted.is_empty() {
        row("counted", &counted.join(", "));
    }
    if line.missing.is_none() {
        text.push_str(&line.covers.text("  "));
    }
    text
}
