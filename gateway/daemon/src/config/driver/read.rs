//! From what is written to a manifest: which field goes with which shape, and nothing else.
//!
//! What a manifest may hold is judged by `legacy_protocols::table`.

use legacy_protocols::command::Verdict;
use legacy_protocols::number::{Filler, Node};
use legacy_protocols::priority::Scale;
use legacy_protocols::table::{
    Acknowledge, Check, CheckKind, CheckOver, CheckText, Encoding, Escape, Field, Frame, KeepAlive,
    Length, LengthField, Limits, Manifest, Meaning, Outputs, Pad, ReceiveRule, Shape, TransmitRule,
};

use super::fields::{
    AcknowledgeSection, AnswerWord, CheckSection, CheckTextWord, CheckWord, DriverFile,
    EncodingWord, EscapeSection, FieldSection, FillerWord, FrameSection, KeepAliveSection,
    LengthSection, LengthWord, LimitsSection, OverWord, PadWord, ReceiveSection, ScaleWord,
    ShapeWord,
};
use super::values::Octets;
use crate::config::problems::Problems;
use crate::config::section::{Located, Optional, Repeated};

/// The manifest; meaningless if anything was reported.
pub(super) fn manifest(file: &DriverFile, problems: &mut Problems) -> Manifest {
    Manifest {
        name: file.name.value.clone(),
        greeting: file
            .greeting
            .iter()
            .map(|one| one.value.0.clone())
            .collect(),
        keep_alive: file.keep_alive.as_ref().map(|given| keep_alive(given)),
        frame: frame(&file.frame),
        check: check(&file.check),
        acknowledge: file
            .acknowledge
            .as_ref()
            .map_or(Acknowledge::None, |given| acknowledge(given)),
        receive: file
            .receive
            .iter()
            .map(|rule| receive(rule, problems))
            .collect(),
        transmit: file
            .transmit
            .iter()
            .map(|rule| TransmitRule {
                name: rule.name.value.clone(),
                command: rule.command.value.0,
                fields: fields(&rule.fields, problems),
            })
            .collect(),
        limits: limits(&file.limits),
    }
}

fn octets(given: &Optional<Octets>) -> Vec<u8> {
    given
        .as_ref()
        .map(|given| given.value.0.clone())
        .unwrap_or_default()
}

/// The bounds of the field have been checked when it was read.
fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn octet(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn keep_alive(section: &KeepAliveSection) -> KeepAlive {
    let octets = |given: &Optional<Octets>| given.as_ref().map(|given| given.value.0.clone());
    KeepAlive {
        send: octets(&section.send),
        expect: octets(&section.expect),
        reply: octets(&section.reply),
        every: *section.every.0,
        dead_after: count(section.dead_after.value.0),
    }
}

fn frame(section: &FrameSection) -> Frame {
    Frame {
        start: octets(&section.start),
        end: octets(&section.end),
        escape: section.escape.as_ref().map(|given| escape(given)),
        length: section.length.as_ref().map(|given| length(given)),
        encoding: match section.encoding.value {
            EncodingWord::Binary => Encoding::Binary,
            EncodingWord::Ascii => Encoding::Ascii,
            EncodingWord::AsciiHex => Encoding::AsciiHex,
        },
        ignore_controls: section.ignore_controls.value,
        longest: small(section.longest.value.0),
    }
}

fn escape(section: &EscapeSection) -> Escape {
    Escape {
        octet: octet(section.octet.value.0),
        flip: octet(section.flip.value.0),
        escaped: section.escaped.value.0.clone(),
    }
}

fn length(section: &LengthSection) -> LengthField {
    LengthField {
        length: match section.form.value {
            LengthWord::U8 => Length::U8,
            LengthWord::U16Big => Length::U16Big,
            LengthWord::U16Little => Length::U16Little,
        },
        at: small(section.at.value.0),
        plus: small(section.plus.value.0),
    }
}

fn check(section: &CheckSection) -> Check {
    Check {
        kind: match section.kind.value {
            CheckWord::None => CheckKind::None,
            CheckWord::Xor => CheckKind::Xor,
            CheckWord::Sum8 => CheckKind::Sum8,
            CheckWord::NegativeSum8 => CheckKind::NegativeSum8,
            CheckWord::Crc16X25 => CheckKind::Crc16X25,
            CheckWord::Crc16Modbus => CheckKind::Crc16Modbus,
        },
        over: match section.over.value {
            OverWord::Decoded => CheckOver::Decoded,
            OverWord::Encoded => CheckOver::Encoded,
        },
        text: match section.text.value {
            CheckTextWord::Binary => CheckText::Binary,
            CheckTextWord::Hex => CheckText::Hex,
        },
        separator: octets(&section.separator),
        optional_on_receive: section.optional_on_receive.value,
    }
}

fn acknowledge(section: &AcknowledgeSection) -> Acknowledge {
    Acknowledge::PerFrame {
        ok: section.ok.value.0.clone(),
        refused: section.refused.value.0.clone(),
        within: *section.within.0,
        retries: count(section.retries.value.0),
    }
}

fn limits(section: &LimitsSection) -> Limits {
    Limits {
        outputs: match section.outputs_enabled.value {
            true => Outputs::Enabled,
            false => Outputs::Refused,
        },
        node: Node(u16::try_from(section.node.value.0).unwrap_or(u16::MAX)),
        numbers: section
            .numbers
            .iter()
            .map(|range| (range.value.0, range.value.1))
            .collect(),
        commands_per_second: count(section.commands_per_second.value.0),
        priorities: match section.priorities.value {
            ScaleWord::OneIsHighest => Scale::OneIsHighest,
            ScaleWord::FourIsAlarm => Scale::FourIsAlarm,
            ScaleWord::AlarmFrom120 => Scale::AlarmFrom120,
        },
    }
}

fn receive(rule: &Located<ReceiveSection>, problems: &mut Problems) -> ReceiveRule {
    let meanings = [
        rule.tells.as_ref().map(|kind| Meaning::Tells(kind.value.0)),
        rule.asks.as_ref().map(|kind| Meaning::Asks(kind.value.0)),
        rule.answers
            .as_ref()
            .map(|word| Meaning::Answers(verdict(word.value))),
        rule.nothing.value.then_some(Meaning::Nothing),
    ];
    let mut said = meanings.into_iter().flatten();
    let meaning = said.next();
    if meaning.is_none() || said.next().is_some() {
        problems.report(
            &rule.place,
            "it is not said, or said twice, what this telegram means",
            "write exactly one of `tells`, `asks`, `answers` and `nothing = true`",
        );
    }
    ReceiveRule {
        name: rule.name.value.clone(),
        fields: fields(&rule.fields, problems),
        meaning: meaning.unwrap_or(Meaning::Nothing),
        constants: rule
            .constants
            .iter()
            .map(|constant| (constant.slot.value.0, count(constant.value.value.value.0)))
            .collect(),
    }
}

fn verdict(word: AnswerWord) -> Verdict {
    match word {
        AnswerWord::Done => Verdict::Done,
        AnswerWord::Accepted => Verdict::Accepted,
        AnswerWord::Busy => Verdict::Busy,
        AnswerWord::NoSuchNumber => Verdict::NoSuchNumber,
        AnswerWord::NotAllowed => Verdict::NotAllowed,
        AnswerWord::AlreadyTaken => Verdict::AlreadyTaken,
        AnswerWord::Expired => Verdict::Expired,
        AnswerWord::Unsupported => Verdict::Unsupported,
        AnswerWord::NodeUnreachable => Verdict::NodeUnreachable,
        AnswerWord::RateLimited => Verdict::RateLimited,
    }
}

fn fields(sections: &Repeated<FieldSection>, problems: &mut Problems) -> Vec<Field> {
    let read = |section| field(section, problems);
    sections.iter().map(read).collect()
}

fn field(section: &Located<FieldSection>, problems: &mut Problems) -> Field {
    let slot = section.slot.value.0;
    let shape = match (&section.fixed.0, &section.shape.0) {
        (Some(fixed), None) => Shape::Const(fixed.value.0.clone()),
        (None, Some(shape)) => shape_of(shape.value, section, problems),
        (Some(_), Some(_)) | (None, None) => {
            problems.report(
                &section.place,
                "a field is either `fixed` or has a `shape`",
                "write one of the two",
            );
            Shape::Rest
        }
    };
    let width = section.width.as_ref();
    let wide = matches!(
        shape,
        Shape::Bcd { .. } | Shape::Digits { .. } | Shape::Text { .. }
    );
    if let (Some(width), false) = (width, wide) {
        problems.report(
            &width.place,
            "a `width` means nothing for this shape",
            "remove it",
        );
    }
    if let (Some(choice), false) = (section.choices.first(), matches!(shape, Shape::Enum(_))) {
        problems.report(
            &choice.place,
            "`choices` mean something for \"enum\" only",
            "remove them, or write shape = \"enum\"",
        );
    }
    Field { slot, shape }
}

fn shape_of(word: ShapeWord, section: &Located<FieldSection>, problems: &mut Problems) -> Shape {
    let width = section.width.as_ref().map(|width| small(width.value.0));
    match word {
        ShapeWord::U8 => Shape::U8,
        ShapeWord::U16Big => Shape::U16Big,
        ShapeWord::U16Little => Shape::U16Little,
        ShapeWord::Bcd => {
            if width.is_none() {
                problems.report(
                    &section.place,
                    "a number in BCD needs a `width`",
                    "add width = 1 to 4, in octets",
                );
            }
            Shape::Bcd {
                octets: width.unwrap_or(1),
                filler: match section.filler.value {
                    FillerWord::Leading => Filler::Leading,
                    FillerWord::Trailing => Filler::Trailing,
                },
            }
        }
        ShapeWord::Digits => Shape::Digits {
            width,
            pad: match section.pad.value {
                PadWord::None => Pad::None,
                PadWord::F => Pad::F,
                PadWord::Zero => Pad::Zero,
                PadWord::Blank => Pad::Blank,
            },
        },
        ShapeWord::Text => Shape::Text { width },
        ShapeWord::Enum => Shape::Enum(
            section
                .choices
                .iter()
                .map(|choice| {
                    (
                        choice.octets.value.0.clone(),
                        count(choice.value.value.value.0),
                    )
                })
                .collect(),
        ),
        ShapeWord::Rest => Shape::Rest,
    }
}
