//! What the product understands of a message, a description, a frame of a line to an older server or
//! a capture, as JSON.
//!
//! The same parsers as in calls, so the answer is the truth about them. One line of JSON for each
//! message, and for a capture one at the end that sums up. Keys and passwords' digests are blacked
//! out. Invariant: nothing read makes it panic, and memory does not grow with the length of a
//! capture.

mod capture;
mod description;
mod lines;
mod message;
mod rtp;
mod streams;

use std::io::{self, Read, Write};

use legacy_protocols::table::Manifest;
use serde::Serialize;

use self::message::Judgement;

/// Longer than any message the gateway accepts; the rest of a file is not read.
const LONGEST_TEXT: u64 = 1 << 20;

/// What the input is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Sip,
    Sdp,
    Capture,
    /// Frames between flags, or lines of `HEX*CHECK`.
    OpenLink,
    Acdp,
    /// One frame of a D channel in each line of hex, or one as it is.
    Lapd,
    Q931,
    L1oip,
    /// A stream that a table driver reads.
    Table(Box<Manifest>),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it.
    Understood,
    /// At least one thing was recognised and refused.
    Refused,
    /// Nothing in it is known.
    NotRecognised,
}

/// Reads `input`, takes it for `form` or for what it looks like, and writes what was understood.
pub(crate) fn decode(
    mut input: impl Read + Send,
    form: Option<Form>,
    out: &mut impl Write,
) -> io::Result<Verdict> {
    let mut start = Vec::new();
    input.by_ref().take(LONGEST_TEXT).read_to_end(&mut start)?;
    match form.or_else(|| recognise(&start)) {
        Some(Form::Capture) => capture::decode(start.as_slice().chain(input), out),
        Some(Form::Sip) => one(&message::judge_datagram(&start), out),
        Some(Form::Sdp) => one(&description::judge(&start), out),
        Some(Form::OpenLink) => all(&lines::open_link(&octets(start)), out),
        Some(Form::Acdp) => all(&lines::acdp(&start), out),
        Some(Form::Lapd) => all(&each(&start, lines::lapd), out),
        Some(Form::Q931) => all(&each(&start, lines::q931), out),
        Some(Form::L1oip) => all(&each(&start, lines::l1oip), out),
        Some(Form::Table(manifest)) => all(&lines::table(&start, *manifest), out),
        None => {
            let what = NotRecognised {
                kind: "unknown",
                why: "neither a SIP message, nor a session description, nor a capture file, nor a \
                      frame that can be told by its looks",
                remedy: "name what it is with --as, as `decode --help` lists it",
            };
            line(&what, out)?;
            Ok(Verdict::NotRecognised)
        }
    }
}

#[derive(Debug, Serialize)]
struct NotRecognised {
    kind: &'static str,
    why: &'static str,
    remedy: &'static str,
}

fn recognise(start: &[u8]) -> Option<Form> {
    if capture::is_capture(start) {
        Some(Form::Capture)
    } else if start.starts_with(b"v=0") {
        Some(Form::Sdp)
    } else if message::looks_like_sip(start) {
        Some(Form::Sip)
    } else if start.starts_with(&[0x7E]) || lines::is_printed_open_link(start) {
        Some(Form::OpenLink)
    } else {
        None
    }
}

/// Hex text as what it stands for, anything else as it is.
fn octets(input: Vec<u8>) -> Vec<u8> {
    match input.is_empty() {
        true => input,
        false => lines::unhex(&input).unwrap_or(input),
    }
}

/// Judges what each line of hex stands for, or the input as one.
fn each(input: &[u8], judge: impl Fn(&[u8]) -> Judgement) -> Vec<Judgement> {
    let lines = input.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    match lines.map(lines::unhex).collect::<Option<Vec<_>>>() {
        Some(frames) if !frames.is_empty() => {
            frames.iter().map(|frame| judge(frame.as_slice())).collect()
        }
        Some(_) | None => vec![judge(input)],
    }
}

fn all(judgements: &[Judgement], out: &mut impl Write) -> io::Result<Verdict> {
    let mut verdict = Verdict::NotRecognised;
    for judgement in judgements {
        line(judgement, out)?;
        verdict = match (verdict, judgement.verdict()) {
            (Verdict::Refused, _) | (_, Verdict::Refused) => Verdict::Refused,
            (_, judged) => judged,
        };
    }
    if judgements.is_empty() {
        let what = NotRecognised {
            kind: "unknown",
            why: "no frame and no telegram begins and ends in it",
            remedy: "look whether it is complete, and whether --as names what it is",
        };
        line(&what, out)?;
    }
    Ok(verdict)
}

fn one(judgement: &Judgement, out: &mut impl Write) -> io::Result<Verdict> {
    line(judgement, out)?;
    Ok(judgement.verdict())
}

fn line(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests;
