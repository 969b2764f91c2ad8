//! `decode`: shows what the gateway understands of a message or a capture.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use anyhow::Context;

use super::args::{Decode, Kind};
use super::{Exit, Failure};
use crate::decode::{self, Form, Verdict};

pub(super) fn run(options: &Decode) -> Result<Exit, Failure> {
    let form = options.kind.map(|kind| match kind {
        Kind::Sip => Form::Sip,
        Kind::Sdp => Form::Sdp,
        Kind::Capture => Form::Capture,
    });
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
