//! Lines as status, the command line and metrics show them: what the machine knows and what the
//! shell knows, side by side.

use std::time::Instant;

use exchange::LineView;
use legacy_protocols::port::{LinkState, Picture};

use super::LineShell;
use crate::config::driver::covers;
use crate::control::protocol::{LineFigures, LineShown};

pub(crate) fn line_views(shell: &LineShell, lines: Vec<LineView>, now: Instant) -> Vec<LineShown> {
    let shelled = shell.lines.iter();
    let show = |(line, shelled): (LineView, &super::Shelled)| shown(line, shelled, now);
    lines.into_iter().zip(shelled).map(show).collect()
}

fn shown(line: LineView, shelled: &super::Shelled, now: Instant) -> LineShown {
    let below = shelled.handle.as_ref().map(|handle| handle.counters());
    let below = below.unwrap_or_default();
    LineShown {
        name: line.name,
        kind: line.kind.name().to_owned(),
        driver: line.driver,
        missing: line.missing,
        state: state_name(line.link).to_owned(),
        seconds: now.duration_since(shelled.since).as_secs(),
        peer: shelled.peer.clone(),
        ended: shelled.ended.clone(),
        version: shelled.version.clone(),
        trouble: shelled.health.trouble().map(|trouble| trouble.to_string()),
        covers: covers(line.coverage),
        surveillance_seconds: line.surveillance.map(|period| period.as_secs()),
        faulty_stations: u64::try_from(line.faulty_stations).unwrap_or(u64::MAX),
        figures: LineFigures {
            openings: line.port.openings,
            losses: line.port.losses,
            failures: below.failures,
            octets_in: line.port.octets_in,
            octets_out: line.port.octets_out,
            wrong_octets: below.wrong_octets,
            refused: below.refused,
            stalls: below.stalls,
            frames: line.protocol.frames,
            bad_checksums: line.protocol.bad_checksums,
            malformed: line.protocol.malformed,
            unknown: line.protocol.unknown,
            noise: line.protocol.noise,
            repeats: line.protocol.repeats,
            events: line.port.events,
            opaque: line.port.opaque,
            commands: line.port.commands,
            asked: line.port.asked,
            unsupported: line.totals.unsupported,
            unknown_stations: line.totals.unknown_stations,
            requests_refused: line.totals.requests_refused,
            requests_not_filed: line.totals.requests_not_filed,
            claims_without_word: line.totals.claims_without_word,
            transfers_failed: line.totals.transfers_failed,
            tests: line.totals.tests,
            tests_skipped: line.totals.tests_skipped,
            tests_failed: line.totals.tests_failed,
            outputs_refused: line.port.outputs_refused + line.port.outputs_refused_to_them,
            unanswered: line.port.unanswered,
            lost_with_line: line.port.lost_with_line,
        },
    }
}

pub(crate) const fn state_name(state: LinkState) -> &'static str {
    match state {
        LinkState::Down => "down",
        LinkState::Connecting => "connecting",
        LinkState::Syncing => "syncing",
        LinkState::Up(Picture::Whole) => "up",
        LinkState::Up(Picture::Partial) => "up, partial picture",
        LinkState::Up(Picture::None) => "up, no picture",
        LinkState::Suspect => "suspect",
    }
}
