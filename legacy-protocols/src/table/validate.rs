//! What is wrong with a manifest: all of it at once, each with its place and a remedy.
//!
//! What passes here the codec and the session can rely on.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::codec::{build, check_width};
use super::layout::mismatch;
use super::manifest::{
    Acknowledge, CheckKind, CheckText, Encoding, Field, Frame, Manifest, Meaning, Outputs, Shape,
};
use super::slots::{Slot, needed_by_command, needed_by_event, offered_by};
use crate::coverage::CommandKind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As a path: `receive[2].fields[1]`.
    pub place: String,
    pub what: String,
    pub remedy: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

const MOST_RULES: usize = 256;
const MOST_FIELDS: usize = 32;
const LONGEST_FRAME: usize = 4096;

pub fn validate(manifest: &Manifest) -> Result<(), Vec<Problem>> {
    let mut problems = Problems::default();
    if manifest.name.is_empty() {
        problems.add("name", "missing", "say what the driver is for");
    }
    frame(&manifest.frame, &mut problems);
    check(manifest, &mut problems);
    keep_alive(manifest, &mut problems);
    acknowledge(&manifest.acknowledge, &mut problems);
    receive(manifest, &mut problems);
    transmit(manifest, &mut problems);
    limits(manifest, &mut problems);
    if problems.0.is_empty() {
        Ok(())
    } else {
        Err(problems.0)
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, place: impl Into<String>, what: impl Into<String>, remedy: &'static str) {
        self.0.push(Problem {
            place: place.into(),
            what: what.into(),
            remedy,
        });
    }
}

fn frame(frame: &Frame, problems: &mut Problems) {
    if frame.end.is_empty() && frame.length.is_none() {
        problems.add(
            "frame",
            "nothing tells where a frame ends",
            "give end or length",
        );
    }
    if !frame.end.is_empty() && frame.length.is_some() {
        problems.add("frame", "both end and length", "give only one of them");
    }
    if frame.longest == 0 || frame.longest > LONGEST_FRAME {
        problems.add(
            "frame.longest",
            format!("{} octets", frame.longest),
            "give 1 to 4096",
        );
    }
    if frame.start.len() > 16 || frame.end.len() > 16 {
        problems.add(
            "frame",
            "a delimiter of more than 16 octets",
            "give a shorter one",
        );
    }
    if let Some(escape) = &frame.escape {
        if escape.flip == 0 {
            problems.add(
                "frame.escape.flip",
                "changes nothing",
                "give what an escaped octet is changed by",
            );
        }
        if frame.length.is_some() {
            problems.add(
                "frame.escape",
                "together with length",
                "a frame that tells its length needs no escape",
            );
        }
        let end = frame.start.iter().chain(&frame.end);
        for octet in end.filter(|octet| !escape.escaped.contains(octet)) {
            problems.add(
                "frame.escape.escaped",
                format!("{octet:#04x} of a delimiter is not escaped"),
                "list every octet of start and end",
            );
        }
    }
    if let Some(length) = &frame.length
        && (frame.encoding != Encoding::Binary || frame.ignore_controls)
    {
        problems.add(
            "frame.length",
            format!("of a text, at {}", length.at),
            "length fields are for binary frames",
        );
    }
}

fn check(manifest: &Manifest, problems: &mut Problems) {
    let check = &manifest.check;
    if check.optional_on_receive && check.separator.is_empty() {
        problems.add(
            "check.optional_on_receive",
            "no separator to tell a check by",
            "give check.separator, or make the check no option",
        );
    }
    let binary_in_text = check.text == CheckText::Binary
        && manifest.frame.encoding != Encoding::Binary
        && check.kind != CheckKind::None;
    if binary_in_text {
        problems.add(
            "check.text",
            "a binary check in a text",
            "give hex, as the frames are text",
        );
    }
    let bare = manifest.frame.encoding == Encoding::Binary
        && !manifest.frame.end.is_empty()
        && manifest.frame.escape.is_none()
        && check.text == CheckText::Binary
        && check_width(check) > 0;
    if bare {
        problems.add(
            "check",
            "a binary check can look like the end of the frame",
            "give an escape, a length, or a check in hex",
        );
    }
}

fn keep_alive(manifest: &Manifest, problems: &mut Problems) {
    let Some(keep_alive) = &manifest.keep_alive else {
        return;
    };
    let sane = (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&keep_alive.every);
    if !sane {
        problems.add("keep_alive.every", "out of range", "give 1 s to 1 h");
    }
    if !(1..=100).contains(&keep_alive.dead_after) {
        problems.add("keep_alive.dead_after", "out of range", "give 1 to 100");
    }
    if keep_alive.reply.is_some() && keep_alive.expect.is_none() {
        problems.add(
            "keep_alive.reply",
            "to nothing",
            "give keep_alive.expect, which it answers",
        );
    }
    for (place, octets) in [
        ("keep_alive.send", &keep_alive.send),
        ("keep_alive.reply", &keep_alive.reply),
    ] {
        if let Some(octets) = octets {
            buildable(place, octets, manifest, problems);
        }
    }
}

fn buildable(place: &str, contents: &[u8], manifest: &Manifest, problems: &mut Problems) {
    let fits = build(contents, manifest).is_some_and(|line| line.len() <= LONGEST_FRAME);
    if contents.is_empty() || !fits {
        problems.add(
            place,
            "makes no frame",
            "give the contents without delimiters and check",
        );
    }
}

fn acknowledge(acknowledge: &Acknowledge, problems: &mut Problems) {
    let Acknowledge::PerFrame {
        ok,
        refused,
        within,
        retries,
    } = acknowledge
    else {
        return;
    };
    if ok.is_empty() {
        problems.add(
            "acknowledge.ok",
            "missing",
            "give what acknowledges a frame",
        );
    }
    if ok == refused {
        problems.add(
            "acknowledge.refused",
            "the same as ok",
            "give what refuses a frame",
        );
    }
    if within.is_zero() || *within > Duration::from_secs(60) {
        problems.add(
            "acknowledge.within",
            "out of range",
            "give more than 0 and up to 60 s",
        );
    }
    if *retries > 10 {
        problems.add("acknowledge.retries", "out of range", "give 0 to 10");
    }
}

fn receive(manifest: &Manifest, problems: &mut Problems) {
    if manifest.receive.is_empty() && manifest.transmit.is_empty() {
        problems.add(
            "receive",
            "neither receive nor transmit rules",
            "fill them in from the specification you hold",
        );
    }
    too_many("receive", manifest.receive.len(), problems);
    for (at, rule) in manifest.receive.iter().enumerate() {
        let place = format!("receive[{at}]");
        fields(&place, &rule.fields, problems);
        let needed = match rule.meaning {
            Meaning::Tells(kind) => needed_by_event(kind),
            Meaning::Asks(kind) => needed_by_command(kind),
            Meaning::Answers(_) | Meaning::Nothing => Some(&[][..]),
        };
        let Some(needed) = needed else {
            problems.add(
                format!("{place}.meaning"),
                format!("{:?} cannot be told by a table", rule.meaning),
                "choose one of the documentation's list",
            );
            continue;
        };
        for slot in needed {
            let told = rule.fields.iter().any(|field| field.slot == *slot)
                || rule.constants.iter().any(|(constant, _)| constant == slot);
            if !told {
                problems.add(
                    &place,
                    format!("nothing tells {}", slot.name()),
                    "add a field or a constant for it",
                );
            }
        }
        let same = |other: &&super::ReceiveRule| other.fields == rule.fields;
        if manifest.receive[..at].iter().any(|other| same(&other)) {
            problems.add(
                &place,
                "never reached: an earlier rule has the same fields",
                "remove one of them",
            );
        }
    }
}

fn transmit(manifest: &Manifest, problems: &mut Problems) {
    too_many("transmit", manifest.transmit.len(), problems);
    let mut commands = BTreeSet::new();
    for (at, rule) in manifest.transmit.iter().enumerate() {
        let place = format!("transmit[{at}]");
        fields(&place, &rule.fields, problems);
        if !commands.insert(rule.command) {
            problems.add(
                format!("{place}.command"),
                format!("{} a second time", rule.command.name()),
                "remove one of them",
            );
        }
        let drives = matches!(rule.command, CommandKind::DoorOpen | CommandKind::OutputSet);
        if drives && manifest.limits.outputs == Outputs::Refused {
            problems.add(
                format!("{place}.command"),
                format!("{} drives an output", rule.command.name()),
                "say outputs_enabled = true in limits, or remove the rule",
            );
        }
        let Some(offered) = offered_by(rule.command) else {
            problems.add(
                format!("{place}.command"),
                format!("{} cannot be expressed by a table", rule.command.name()),
                "choose one of the documentation's list",
            );
            continue;
        };
        for (number, field) in rule.fields.iter().enumerate() {
            let constant = matches!(field.shape, Shape::Const(_));
            if !constant && !offered.contains(&field.slot) {
                problems.add(
                    format!("{place}.fields[{number}]"),
                    format!(
                        "{} says nothing of {}",
                        rule.command.name(),
                        field.slot.name()
                    ),
                    "give a constant instead",
                );
            }
        }
    }
}

fn too_many(place: &str, count: usize, problems: &mut Problems) {
    if count > MOST_RULES {
        problems.add(place, format!("{count} rules"), "give 256 at most");
    }
}

fn fields(place: &str, fields: &[Field], problems: &mut Problems) {
    if fields.is_empty() || fields.len() > MOST_FIELDS {
        problems.add(
            format!("{place}.fields"),
            format!("{} of them", fields.len()),
            "give 1 to 32",
        );
    }
    let mut seen = BTreeSet::new();
    for (at, field) in fields.iter().enumerate() {
        let here = format!("{place}.fields[{at}]");
        if let Some(what) = mismatch(field) {
            problems.add(&here, what, "give another shape or slot");
        }
        if field.slot != Slot::Ignored && !seen.insert(field.slot) {
            problems.add(
                &here,
                format!("{} a second time", field.slot.name()),
                "make it ignored",
            );
        }
        let last = at + 1 == fields.len();
        if field.shape == Shape::Rest && !last {
            problems.add(
                &here,
                "something follows the rest",
                "make it the last field",
            );
        }
        let open = matches!(field.shape, Shape::Text { width: None });
        let ends = matches!(
            fields.get(at + 1).map(|next| &next.shape),
            Some(Shape::Const(_))
        );
        if open && !last && !ends {
            problems.add(
                &here,
                "nothing tells where the text ends",
                "give a width, or a constant behind it",
            );
        }
    }
}

fn limits(manifest: &Manifest, problems: &mut Problems) {
    let limits = &manifest.limits;
    if !(1..=1000).contains(&limits.commands_per_second) {
        problems.add(
            "limits.commands_per_second",
            "out of range",
            "give 1 to 1000",
        );
    }
    for (at, (from, to)) in limits.numbers.iter().enumerate() {
        if from.digits().len() != to.digits().len() || from > to {
            problems.add(
                format!("limits.numbers[{at}]"),
                "no range",
                "give two numbers of the same length, the lower one first",
            );
        }
    }
    for (at, contents) in manifest.greeting.iter().enumerate() {
        buildable(&format!("greeting[{at}]"), contents, manifest, problems);
    }
}
