//! `media record`: a call or a leg into a file of whoever asks, or into the gateway's own folder.
//!
//! The gateway makes the recording; here it is fetched piece by piece and written. Invariant: what
//! was written so far is playable, however this ends.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::cli::args::Record;
use crate::cli::{Exit, Failure, ask};
use crate::control::client::Client;
use crate::control::protocol::{MediaReply, RecordedView, Reply, Request};

/// How often what was recorded is fetched.
const FETCH: Duration = Duration::from_millis(500);

pub(super) fn run(options: &Record) -> Result<Exit, Failure> {
    let call = options.of;
    match &options.file {
        None if options.stop => ask::once(&options.ask, &Request::StopRecording { call }),
        None => ask::once(&options.ask, &Request::RecordCall { call }),
        Some(file) => fetch(options, file),
    }
}

fn fetch(options: &Record, file: &Path) -> Result<Exit, Failure> {
    let mut client = Client::connect(&options.ask.socket)?;
    let begun = client.ask(&Request::Record {
        of: options.of,
        seconds: options.seconds,
    })?;
    let Reply::Media(MediaReply::Recording(begun)) = begun else {
        return Err(strange());
    };
    // Only now: nothing is left behind where there is nothing to record.
    let mut out = create(file, options.force)?;
    let recording = begun.recording;
    loop {
        std::thread::sleep(FETCH);
        let taken = take(&mut client, &Request::TakeRecorded { recording })?;
        let octets = BASE64_STANDARD
            .decode(&taken.octets)
            .map_err(|_| strange())?;
        let written = out.write_all(&octets).and_then(|()| out.flush());
        if let Err(error) = written {
            // Nobody will take the rest.
            take(&mut client, &Request::EndRecorded { recording })?;
            return Err(Failure::output(error));
        }
        if taken.over {
            return Ok(Exit::Done);
        }
    }
}

fn take(client: &mut Client, request: &Request) -> Result<RecordedView, Failure> {
    match client.ask(request)? {
        Reply::Media(MediaReply::Recorded(taken)) => Ok(taken),
        Reply::Media(MediaReply::Recording(_) | MediaReply::Level(_))
        | Reply::Status(_)
        | Reply::Calls(_)
        | Reply::Stations(_)
        | Reply::Lines(_)
        | Reply::Link(_)
        | Reply::Reach(_)
        | Reply::Done(_)
        | Reply::Error(_) => Err(strange()),
    }
}

fn create(file: &Path, force: bool) -> Result<Box<dyn Write>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdout().lock()));
    }
    let made = match force {
        true => File::create(file),
        false => File::create_new(file),
    };
    let made = made.map_err(|error| Failure {
        exit: match error.kind() {
            io::ErrorKind::AlreadyExists => Exit::Usage,
            io::ErrorKind::PermissionDenied => Exit::NoPermission,
            _ => Exit::Fault,
        },
        error: match error.kind() {
            io::ErrorKind::AlreadyExists => anyhow::anyhow!(
                "{} exists: name another file, or replace it with --force",
                file.display()
            ),
            _ => anyhow::Error::new(error).context(format!(
                "{} cannot be written: name a file in a folder of your own",
                file.display()
            )),
        },
    })?;
    Ok(Box::new(made))
}

fn strange() -> Failure {
    Failure::fault(anyhow::anyhow!(
        "the gateway answers something else: use the command line of the gateway's own version"
    ))
}
