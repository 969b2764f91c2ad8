//! `decode`: shows what the gateway understands of a message or a capture.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use anyhow::Context;
use legacy_protocols::table::{Manifest, Outputs};

use super::args::{Decode, Kind};
use super::{Exit, Failure};
use crate::config::driver;
use crate::decode::{self, Form, Verdict};

pub(super) fn run(options: &Decode) -> Result<Exit, Failure> {
    let form = match (options.kind, &options.driver) {
        (None | Some(Kind::Table), Some(driver)) => Some(Form::Table(Box::new(table(driver)?))),
        (Some(Kind::Table), None) => {
            return Err(Failure::usage(
                "name the driver, for example --driver mcip-ascii",
            ));
        }
        (kind, _) => kind.and_then(form),
    };
    let input = open(&options.file)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let verdict = decode::decode(input, form, &mut out)
        .and_then(|verdict| out.flush().map(|()| verdict))
        .map_err(Failure::output)?;
    Ok(match verdict {
        Verdict::Understood => Exit::Done,
        Verdict::Refused => Exit::Refused,
        Verdict::NotRecognised => Exit::NotRecognised,
    })
}

/// What `--as NAME` means; nothing for a name that is none.
pub(crate) fn form_named(name: &str) -> Option<Form> {
    let kind = <Kind as clap::ValueEnum>::from_str(name, false).ok()?;
    form(kind)
}

fn form(kind: Kind) -> Option<Form> {
    Some(match kind {
        Kind::Sip => Form::Sip,
        Kind::Sdp => Form::Sdp,
        Kind::Capture => Form::Capture,
        Kind::OpenLink => Form::OpenLink,
        Kind::Acdp => Form::Acdp,
        Kind::Lapd => Form::Lapd,
        Kind::Q931 => Form::Q931,
        Kind::L1oip => Form::L1oip,
        // Not without its driver.
        Kind::Table => return None,
    })
}

/// A preset, or the driver in a file. Nothing is driven here, so outputs need no permission.
fn table(name: &str) -> Result<Manifest, Failure> {
    if let Some(manifest) = driver::preset(name, Outputs::Enabled) {
        return Ok(manifest);
    }
    let file = Path::new(name);
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("\"{name}\" is neither a preset nor a file that can be read"));
    let text = text.map_err(|error| Failure {
        exit: Exit::NoInput,
        error,
    })?;
    driver::parse(file, &text).map_err(|errors| Failure {
        exit: Exit::Usage,
        error: anyhow::anyhow!("{errors}"),
    })
}

fn open(file: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if file == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()));
    match opened {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure {
            exit: Exit::NoInput,
            error,
        }),
    }
}
