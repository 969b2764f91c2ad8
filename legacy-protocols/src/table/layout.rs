//! Fields of a telegram to values and back.
//!
//! A layout fits only where every field does and nothing is left. What people wrote never brings a
//! delimiter onto the line: in texts it becomes a blank, in keys it is refused.

use std::ops::Range;

use super::manifest::{Field, Pad, Shape};
use super::slots::{Holds, Slot, Value, Values};
use crate::number::{MOST_DIGITS, Number};
use crate::octets::Octets;

pub(super) fn read(fields: &[Field], contents: &[u8]) -> Option<Values> {
    let mut values = Values::default();
    let mut octets = Octets(contents);
    for (at, field) in fields.iter().enumerate() {
        let next = fields.get(at + 1).map(|field| &field.shape);
        if let Some(value) = read_field(field, next, &mut octets)? {
            values.put(field.slot, value);
        }
    }
    octets.is_empty().then_some(values)
}

/// Where keys stand in contents that the layout fits.
pub(super) fn keys_in(fields: &[Field], contents: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut octets = Octets(contents);
    let mut places = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let next = fields.get(at + 1).map(|field| &field.shape);
        let begins = contents.len() - octets.rest().len();
        read_field(field, next, &mut octets)?;
        if field.slot == Slot::Keys {
            places.push(begins..contents.len() - octets.rest().len());
        }
    }
    octets.is_empty().then_some(places)
}

/// The inner None: a constant, or something to ignore.
fn read_field(
    field: &Field,
    next: Option<&Shape>,
    octets: &mut Octets<'_>,
) -> Option<Option<Value>> {
    let integer = |value: u32| Some(Some(Value::Integer(value)));
    match &field.shape {
        Shape::Const(expected) => {
            (octets.take(expected.len())? == expected.as_slice()).then_some(None)
        }
        Shape::U8 => integer(u32::from(octets.u8()?)),
        Shape::U16Big => integer(u32::from(octets.u16()?)),
        Shape::U16Little => integer(u32::from(octets.u16()?.swap_bytes())),
        Shape::Bcd {
            octets: width,
            filler,
        } => {
            let number = Number::from_bcd(octets.take(*width)?, *filler).ok()?;
            Some(Some(Value::Number(number)))
        }
        Shape::Digits { width, pad } => {
            let digits = match width {
                Some(width) => unpad(octets.take(*width)?, *pad),
                None => octets.take(count_digits(octets.rest()))?,
            };
            value_of_digits(digits, field.slot).map(Some)
        }
        Shape::Text { width } => {
            let length = match (width, next) {
                (Some(width), _) => *width,
                (None, Some(Shape::Const(end))) => position(octets.rest(), end)?,
                (None, _) => octets.rest().len(),
            };
            Some(value_of_text(octets.take(length)?, field.slot))
        }
        Shape::Enum(choices) => {
            let (literal, value) = choices
                .iter()
                .find(|(literal, _)| octets.rest().starts_with(literal))?;
            octets.take(literal.len())?;
            integer(*value)
        }
        Shape::Rest => {
            let rest = octets.take(octets.rest().len())?;
            Some(value_of_text(rest, field.slot))
        }
    }
}

fn count_digits(octets: &[u8]) -> usize {
    octets.iter().take_while(|o| o.is_ascii_digit()).count()
}

fn position(octets: &[u8], of: &[u8]) -> Option<usize> {
    octets.windows(of.len().max(1)).position(|w| w == of)
}

fn unpad(octets: &[u8], pad: Pad) -> &[u8] {
    let fill = |octet: &u8| match pad {
        Pad::None | Pad::Zero => false,
        Pad::F => octet.eq_ignore_ascii_case(&b'F'),
        Pad::Blank => *octet == b' ',
    };
    let from = octets.iter().position(|octet| !fill(octet));
    &octets[from.unwrap_or(octets.len())..]
}

fn value_of_digits(digits: &[u8], slot: Slot) -> Option<Value> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !plain {
        return None;
    }
    Some(match slot.holds() {
        Holds::Number => Value::Number(Number::new(text).ok()?),
        Holds::Integer => Value::Integer(text.parse().ok()?),
        Holds::Text | Holds::Anything => Value::Text(text.to_owned()),
    })
}

fn value_of_text(octets: &[u8], slot: Slot) -> Option<Value> {
    (slot.holds() == Holds::Text).then(|| {
        let text = String::from_utf8(octets.to_vec())
            .unwrap_or_else(|_| octets.iter().map(|octet| char::from(*octet)).collect());
        Value::Text(text.trim_end().to_owned())
    })
}

/// None where a value does not fit its field.
pub(super) fn write(fields: &[Field], values: &Values, forbidden: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        if let Shape::Const(constant) = &field.shape {
            octets.extend_from_slice(constant);
            continue;
        }
        let ends_at = match fields.get(at + 1).map(|field| &field.shape) {
            Some(Shape::Const(constant)) => constant.first(),
            Some(_) | None => None,
        };
        let forbidden = Forbidden(forbidden, ends_at.copied());
        write_field(field, values.get(field.slot)?, forbidden, &mut octets)?;
    }
    Some(octets)
}

#[derive(Clone, Copy)]
struct Forbidden<'a>(&'a [u8], Option<u8>);

impl Forbidden<'_> {
    fn has(self, octet: u8) -> bool {
        self.0.contains(&octet) || self.1 == Some(octet)
    }
}

fn write_field(
    field: &Field,
    value: &Value,
    forbidden: Forbidden<'_>,
    into: &mut Vec<u8>,
) -> Option<()> {
    match (&field.shape, value) {
        (Shape::U8, Value::Integer(value)) => into.push(u8::try_from(*value).ok()?),
        (Shape::U16Big, Value::Integer(value)) => {
            into.extend_from_slice(&u16::try_from(*value).ok()?.to_be_bytes());
        }
        (Shape::U16Little, Value::Integer(value)) => {
            into.extend_from_slice(&u16::try_from(*value).ok()?.to_le_bytes());
        }
        (Shape::Bcd { octets, filler }, Value::Number(number)) => {
            into.extend(number.to_bcd_of(*octets, *filler)?);
        }
        (Shape::Digits { width, pad }, Value::Number(number)) => {
            pad_digits(&number.to_string(), *width, *pad, into)?;
        }
        (Shape::Digits { width, pad }, Value::Integer(value)) => {
            pad_digits(&value.to_string(), *width, *pad, into)?;
        }
        (Shape::Digits { width, pad }, Value::Text(keys)) => {
            keys.bytes().all(|o| o.is_ascii_digit()).then_some(())?;
            pad_digits(keys, *width, *pad, into)?;
        }
        (Shape::Enum(choices), Value::Integer(value)) => {
            let (literal, _) = choices.iter().find(|(_, number)| number == value)?;
            into.extend_from_slice(literal);
        }
        (Shape::Text { width }, Value::Text(text)) => {
            let text = write_text(field.slot, text, forbidden)?;
            into.extend(fit(text, *width));
        }
        (Shape::Rest, Value::Text(text)) => into.extend(write_text(field.slot, text, forbidden)?),
        (
            Shape::Const(_)
            | Shape::U8
            | Shape::U16Big
            | Shape::U16Little
            | Shape::Bcd { .. }
            | Shape::Text { .. }
            | Shape::Enum(_)
            | Shape::Rest,
            _,
        ) => return None,
    }
    Some(())
}

fn pad_digits(digits: &str, width: Option<usize>, pad: Pad, into: &mut Vec<u8>) -> Option<()> {
    let fill = width.map_or(Some(0), |width| width.checked_sub(digits.len()))?;
    let with = match pad {
        Pad::None if fill > 0 => return None,
        Pad::None | Pad::Zero => b'0',
        Pad::F => b'F',
        Pad::Blank => b' ',
    };
    into.extend(std::iter::repeat_n(with, fill));
    into.extend_from_slice(digits.as_bytes());
    Some(())
}

fn write_text(slot: Slot, text: &str, forbidden: Forbidden<'_>) -> Option<Vec<u8>> {
    let latin = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'?');
    let mut octets: Vec<u8> = text.chars().map(latin).collect();
    for octet in &mut octets {
        if forbidden.has(*octet) {
            // A key left out would be another code.
            if slot == Slot::Keys {
                return None;
            }
            *octet = b' ';
        }
    }
    Some(octets)
}

fn fit(mut text: Vec<u8>, width: Option<usize>) -> Vec<u8> {
    if let Some(width) = width {
        text.resize(width, b' ');
    }
    text
}

/// Why a shape cannot hold what its slot is about; for `validate`.
pub(super) fn mismatch(field: &Field) -> Option<&'static str> {
    let holds = field.slot.holds();
    match &field.shape {
        Shape::Const(constant) if constant.is_empty() => Some("a constant of nothing"),
        Shape::Const(_) if field.slot != Slot::Ignored => Some("a constant tells no value"),
        Shape::Const(_) => None,
        Shape::U8 | Shape::U16Big | Shape::U16Little
            if !matches!(holds, Holds::Integer | Holds::Anything) =>
        {
            Some("a number of octets holds neither a call number nor a text")
        }
        Shape::Bcd { octets, .. } if !(1..=MOST_DIGITS / 2).contains(octets) => {
            Some("a call number has 1 to 4 octets of BCD")
        }
        Shape::Bcd { .. } if !matches!(holds, Holds::Number | Holds::Anything) => {
            Some("BCD holds a call number")
        }
        Shape::Digits { width: Some(0), .. } | Shape::Text { width: Some(0) } => {
            Some("a width of nothing")
        }
        Shape::Digits {
            width: Some(13..), ..
        } => Some("more digits than any number has"),
        Shape::Enum(choices) if choices.is_empty() => Some("no choices"),
        Shape::Enum(choices) if choices.iter().any(|(literal, _)| literal.is_empty()) => {
            Some("a choice of nothing")
        }
        Shape::Enum(_) if !matches!(holds, Holds::Integer | Holds::Anything) => {
            Some("choices stand for numbers")
        }
        Shape::Text { .. } | Shape::Rest if !matches!(holds, Holds::Text | Holds::Anything) => {
            Some("a text holds neither a call number nor a value; use digits")
        }
        Shape::U8
        | Shape::U16Big
        | Shape::U16Little
        | Shape::Bcd { .. }
        | Shape::Digits { .. }
        | Shape::Text { .. }
        | Shape::Enum(_)
        | Shape::Rest => None,
    }
}
