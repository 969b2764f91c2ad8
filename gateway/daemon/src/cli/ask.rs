//! The commands that ask the running gateway: status, calls, stations, end, open, reload.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::args::{Ask, Calls};
use super::media::{codec, dash, ms, percent, score};
use super::{Exit, Failure, lines};
use crate::control::client::{AskError, Client};
use crate::control::protocol::{
    CallView, RefusalCode, Reply, Request, RunState, StationView, StatusView, StoreState,
};

/// Asks once and prints the answer.
pub(super) fn once(ask: &Ask, request: &Request) -> Result<Exit, Failure> {
    let reply = Client::connect(&ask.socket)?.ask(request)?;
    print(&rendered(&reply, ask.json)?)?;
    Ok(Exit::Done)
}

/// Prints the calls, once or after each change.
pub(super) fn calls(calls: &Calls) -> Result<Exit, Failure> {
    if !calls.watch {
        return once(&calls.ask, &Request::Calls);
    }
    let mut client = Client::connect(&calls.ask.socket)?;
    client.watch()?;
    let clear = io::stdout().is_terminal() && !calls.ask.json;
    loop {
        let reply = client.next()?;
        let mut text = rendered(&reply, calls.ask.json)?;
        if clear {
            // Home and clear to the end of the screen.
            text.insert_str(0, "\x1b[H\x1b[J");
        }
        print(&text)?;
    }
}

pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}

pub(super) fn rendered(reply: &Reply, json: bool) -> Result<String, Failure> {
    if json {
        return json_of(reply);
    }
    Ok(match reply {
        Reply::Status(status) => status_text(status),
        Reply::Calls(calls) => calls_text(calls),
        Reply::Stations(stations) => stations_text(stations),
        Reply::Lines(lines) => lines::text(lines),
        // What is recorded and measured has tools of its own.
        Reply::Media(_) => String::new(),
        Reply::Link(link) => super::link::text(link),
        Reply::Reach(reach) => super::link::reached(reach),
        Reply::Done(done) => format!("{}\n", done.text),
        // The client has made an error of it already.
        Reply::Error(refusal) => format!("{}\n", refusal.text),
    })
}

fn json_of(reply: &Reply) -> Result<String, Failure> {
    fn line(value: &impl Serialize) -> Result<String, Failure> {
        let mut text =
            serde_json::to_string(value).map_err(|error| Failure::fault(error.into()))?;
        text.push('\n');
        Ok(text)
    }
    match reply {
        Reply::Status(status) => line(status),
        Reply::Calls(calls) => line(calls),
        Reply::Stations(stations) => line(stations),
        Reply::Lines(lines) => line(lines),
        Reply::Media(media) => line(media),
        Reply::Link(link) => line(link),
        Reply::Reach(reach) => line(reach),
        Reply::Done(done) => line(done),
        Reply::Error(refusal) => line(refusal),
    }
}

fn status_text(status: &StatusView) -> String {
    let mut text = String::new();
    let state = match status.state {
        RunState::Serving => "serving",
        RunState::Stopping => "stopping, no new calls",
    };
    let _ = writeln!(
        text,
        "{} ({}), version {}, process {}, up {}",
        status.name,
        state,
        status.version,
        status.pid,
        span(status.uptime_seconds)
    );
    for listener in &status.listeners {
        let _ = writeln!(
            text,
            "  sip       {} {}",
            listener.transport, listener.address
        );
    }
    if let Some(metrics) = status.metrics {
        let _ = writeln!(text, "  metrics   http://{metrics}/metrics");
    }
    let _ = writeln!(
        text,
        "  stations  {} of {} registered\n  doors     {}\n  calls     {}",
        status.stations_registered, status.stations, status.doors, status.calls
    );
    for line in &status.lines {
        let said = line.missing.as_ref().or(line.trouble.as_ref());
        let said = said.map(|said| format!("; {said}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "  line      {}: {} by {}, {}{said}",
            line.name, line.kind, line.driver, line.state
        );
    }
    for store in &status.store {
        let state = match store.state {
            StoreState::Written => "written",
            StoreState::Degraded => "NOT WRITTEN, see the log",
        };
        let _ = writeln!(
            text,
            "  store     {}: {state}, {} waiting, {} lost",
            store.name, store.waiting, store.lost
        );
    }
    text
}

fn calls_text(calls: &[CallView]) -> String {
    if calls.is_empty() {
        return "no calls\n".to_owned();
    }
    let rows = calls.iter().map(|call| {
        [
            call.call.to_string(),
            call.from.clone(),
            call.to.clone(),
            call.state.clone(),
            call.priority.to_string(),
            span(call.seconds),
        ]
    });
    let mut text = table(["call", "from", "to", "state", "priority", "for"], rows);
    let legs = calls.iter().flat_map(|call| {
        call.legs.iter().map(|leg| {
            let audio = leg.audio.as_ref();
            let received = audio.map(|audio| &audio.received);
            [
                leg.leg.to_string(),
                call.call.to_string(),
                leg.party.clone(),
                leg.state.clone(),
                leg.encryption.clone().unwrap_or_else(|| "none".to_owned()),
                audio.map_or_else(dash, codec),
                percent(received.map(|received| received.loss_percent)),
                ms(received.map(|received| received.jitter_ms)),
                score(received.and_then(|received| received.mos)),
            ]
        })
    });
    let head = [
        "leg",
        "call",
        "party",
        "state",
        "encryption",
        "codec",
        "loss",
        "jitter",
        "mos",
    ];
    text.push('\n');
    text.push_str(&table(head, legs));
    text
}

fn stations_text(stations: &[StationView]) -> String {
    if stations.is_empty() {
        return "no stations in the directory\n".to_owned();
    }
    let rows = stations.iter().map(|station| {
        [
            station.number.clone(),
            station.name.clone(),
            doing(station),
            match station.faults.is_empty() {
                true => "-".to_owned(),
                false => station.faults.join(" "),
            },
            station.contacts.join(" "),
        ]
    });
    table(["number", "name", "state", "faults", "registered at"], rows)
}

fn doing(station: &StationView) -> String {
    let diverted = station.diverted.as_ref();
    let diverted = diverted.map(|to| format!("diverted {to}"));
    let programme = station
        .programme
        .map(|number| format!("programme {number}"));
    let also = [diverted, programme].into_iter().flatten();
    let all: Vec<String> = std::iter::once(station.state.clone()).chain(also).collect();
    all.join(", ")
}

pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(row, "{cell:width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Seconds as people say them.
pub(super) fn span(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{rest:02}"),
        1..48 => format!("{hours}:{minutes:02}:{rest:02}"),
        _ => format!("{} days {}:{minutes:02}", hours / 24, hours % 24),
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let exit = match &error {
            AskError::NotRunning(_) => Exit::NotRunning,
            AskError::NotPermitted(_) => Exit::NoPermission,
            AskError::Broken { .. } => Exit::Fault,
            AskError::Refused(refusal) => match refusal.code {
                RefusalCode::BadRequest | RefusalCode::Busy => Exit::Fault,
                RefusalCode::NotFound => Exit::NotFound,
                RefusalCode::NotReached => Exit::NotReached,
                RefusalCode::NotAllowed => Exit::NotAllowed,
                RefusalCode::BadConfiguration => Exit::Usage,
            },
        };
        Self {
            exit,
            error: error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_that_line_up() {
        let rows = [
            ["1".to_owned(), "Tür".to_owned()],
            ["100".to_owned(), "x".to_owned()],
        ];
        assert_eq!(
            table(["call", "from"], rows.into_iter()),
            "call  from\n1     Tür\n100   x\n"
        );
    }

    #[test]
    fn spans_are_told_as_people_say_them() {
        assert_eq!(span(65), "1:05");
        assert_eq!(span(3_661), "1:01:01");
        assert_eq!(span(200_000), "2 days 7:33");
    }
}
