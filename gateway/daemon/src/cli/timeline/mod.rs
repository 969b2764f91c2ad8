//! `timeline`: reads the flight recorder's files; asks the running gateway only where they are.
//!
//! What belongs to a call or a station is found in rounds before, because the entry that says so often
//! comes after what it is about.

mod ladder;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use self::ladder::Ladder;
use super::args::{
    Timeline, TimelineExport, TimelinePart, TimelineShow, TimelineTool, TimelineWhere,
};
use super::{Exit, Failure};
use crate::control::client::Client;
use crate::control::protocol::{Reply, Request};
use crate::timeline::entry::{Entry, Time};
use crate::timeline::{Comments, Export, Reader, Report, Story, Wanted, verify};

/// How often the files are looked at for more.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(options: &Timeline) -> Result<Exit, Failure> {
    match &options.tool {
        None => show(&options.show, &options.place),
        Some(TimelineTool::Export(options)) => export(options),
        Some(TimelineTool::Verify(check)) => {
            check_chain(&check.place, check.head.as_deref(), check.json)
        }
    }
}

fn show(options: &TimelineShow, place: &TimelineWhere) -> Result<Exit, Failure> {
    let folder = folder(place)?;
    let mut wanted = wanted(&options.part)?;
    if options.follow && wanted.since.is_none() {
        wanted.since = Some(Time::now());
    }
    let mut story = learned(wanted, &folder)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut ladder = Ladder::default();
    let mut reader = Reader::new(&folder);
    loop {
        while let Some(entry) = next(&mut reader)? {
            story.learn(&entry);
            if !story.tells(&entry) {
                continue;
            }
            let told = match options.json {
                true => json(&entry, &mut out),
                false => ladder.write(&entry, &mut out),
            };
            told.map_err(Failure::output)?;
        }
        out.flush().map_err(Failure::output)?;
        if !options.follow {
            break;
        }
        std::thread::sleep(LOOK);
    }
    if reader.unreadable > 0 {
        // What could be read has been shown.
        let _ = writeln!(
            io::stderr(),
            "{} lines could not be read; `timeline verify` says where",
            reader.unreadable
        );
    }
    Ok(Exit::Done)
}

/// A story that has learned what it has to.
fn learned(wanted: Wanted, folder: &Path) -> Result<Story, Failure> {
    let mut story = Story::new(wanted);
    for _ in 0..story.rounds() {
        let mut reader = Reader::new(folder);
        while let Some(entry) = next(&mut reader)? {
            story.learn(&entry);
        }
    }
    Ok(story)
}

fn export(options: &TimelineExport) -> Result<Exit, Failure> {
    let folder = folder(&options.place)?;
    let story = learned(wanted(&options.part)?, &folder)?;
    let mut comments = Comments::default();
    let mut reader = Reader::new(&folder);
    while let Some(entry) = next(&mut reader)? {
        if story.tells(&entry) {
            comments.learn(&entry);
        }
    }
    let out: Box<dyn Write> = match options.file == Path::new("-") {
        true => Box::new(io::stdout().lock()),
        false => Box::new(File::create(&options.file).map_err(Failure::output)?),
    };
    let mut export = Export::begin(io::BufWriter::new(out), comments).map_err(Failure::output)?;
    let mut reader = Reader::new(&folder);
    while let Some(entry) = next(&mut reader)? {
        if story.tells(&entry) {
            export.add(&entry).map_err(Failure::output)?;
        }
    }
    let packets = export.finish().map_err(Failure::output)?;
    // Standard output may be the capture.
    let _ = writeln!(io::stderr(), "{packets} packets");
    Ok(Exit::Done)
}

fn json(entry: &Entry, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, entry)?;
    out.write_all(b"\n")
}

fn check_chain(place: &TimelineWhere, head: Option<&str>, as_json: bool) -> Result<Exit, Failure> {
    let folder = folder(place)?;
    let report = verify(&folder, head).map_err(Failure::input)?;
    let text = match as_json {
        true => {
            let text = serde_json::to_string(&report);
            text.map_err(|error| Failure::fault(error.into()))? + "\n"
        }
        false => report_text(&report),
    };
    super::ask::print(&text)?;
    Ok(match report.is_sound() {
        true => Exit::Done,
        false => Exit::Refused,
    })
}

fn report_text(report: &Report) -> String {
    let mut text = match (&report.first, &report.last, &report.from, &report.until) {
        (Some(first), Some(last), Some(from), Some(until)) => format!(
            "entries {first} to {last} in {} files, from {from} until {until}\n",
            report.files
        ),
        _ => format!("no entries in {} files\n", report.files),
    };
    if report.missed > 0 {
        text += &format!(
            "{} entries are missing, as gaps in the chain say\n",
            report.missed
        );
    }
    if report.torn > 0 {
        text += &format!(
            "{} files ended suddenly, as the next ones say\n",
            report.torn
        );
    }
    if report.unfinished {
        text += "the last line is not finished: it is being written, or the end was sudden\n";
    }
    match (&report.first_break, report.head_found) {
        (Some(broken), _) => {
            let after = broken
                .after
                .map_or("before the first entry".to_owned(), |entry| {
                    format!("after entry {entry}")
                });
            text += &format!(
                "BROKEN {after}: {}, line {}: {}\n",
                broken.file.display(),
                broken.line,
                broken.why
            );
        }
        (None, Some(false)) => text += "BROKEN: the given hash is not in this chain\n",
        (None, Some(true) | None) => text += &format!("the chain holds; head {}\n", report.head),
    }
    text
}

fn next(reader: &mut Reader) -> Result<Option<Entry>, Failure> {
    reader.next().map_err(Failure::input)
}

/// The folder that was given, or that of the running gateway.
fn folder(place: &TimelineWhere) -> Result<PathBuf, Failure> {
    let folder = match &place.folder {
        Some(folder) => folder.clone(),
        None => asked_for(place)?,
    };
    match std::fs::read_dir(&folder) {
        Ok(_) => Ok(folder),
        Err(error) => {
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "run this as the user of the gateway, or as root"
                }
                _ => {
                    "name the folder with --folder: it is \"timeline\" in the gateway's state folder"
                }
            };
            let error = anyhow::Error::new(error)
                .context(format!("{} cannot be read; {remedy}", folder.display()));
            Err(Failure {
                exit: Exit::NoInput,
                error,
            })
        }
    }
}

fn asked_for(place: &TimelineWhere) -> Result<PathBuf, Failure> {
    let mut client = Client::connect(&place.socket).map_err(|error| {
        let failure = Failure::from(error);
        Failure {
            exit: failure.exit,
            error: failure
                .error
                .context("give --folder to read without a running gateway"),
        }
    })?;
    let timeline = match client.ask(&Request::Status)? {
        Reply::Status(status) => status.timeline,
        _ => None,
    };
    timeline.ok_or_else(|| {
        Failure::usage(
            "this gateway keeps no timeline: set `timeline.record` in its configuration, or read an \
             older one with --folder",
        )
    })
}

fn wanted(options: &TimelinePart) -> Result<Wanted, Failure> {
    Ok(Wanted {
        since: options.since.as_deref().map(moment).transpose()?,
        until: options.until.as_deref().map(moment).transpose()?,
        call: options.call,
        station: options.station.clone(),
        line: options.line.clone(),
    })
}

/// A moment, or how long ago it was.
fn moment(text: &str) -> Result<Time, Failure> {
    if let Some(time) = Time::parse(text) {
        return Ok(time);
    }
    let ago = text.parse::<jiff::SignedDuration>();
    let ago = ago.with_context(|| {
        format!(
            "\"{text}\" is no time; write one as 2026-11-21T16:45:00Z, or how long ago: 10m, 2h"
        )
    });
    let ago = ago.map_err(|error| Failure {
        exit: Exit::Usage,
        error,
    })?;
    let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
    Ok(Time(Time::now().0.saturating_sub(ago)))
}
