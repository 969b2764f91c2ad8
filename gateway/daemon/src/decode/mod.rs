//! What the product understands of a message, a description or a capture, as JSON.
//!
//! The same parsers as in calls, so the answer is the truth about them. One line of JSON for each
//! message, and for a capture one at the end that sums up. Keys and passwords' digests are blacked
//! out. Invariant: nothing read makes it panic, and memory does not grow with the length of a
//! capture.

mod capture;
mod description;
mod message;
mod rtp;
mod streams;

use std::io::{self, Read, Write};

use serde::Serialize;

use self::message::Judgement;

/// Longer than any message the gateway accepts; the rest of a file is not read.
const LONGEST_TEXT: u64 = 1 << 20;

/// What the input is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Sip,
    Sdp,
    Capture,
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
        None => {
            let what = NotRecognised {
                kind: "unknown",
                why: "neither a SIP message, nor a session description, nor a pcap or pcapng file",
                remedy: "name what it is with --as sip, --as sdp or --as capture",
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
    } else {
        None
    }
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
