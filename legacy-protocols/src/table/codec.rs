//! Cutting, unescaping, decoding and checking frames as a manifest describes, and building them.
//!
//! Relies on a manifest that `validate` has passed; of one that it has not, everything is refused.
//! Never holds more than the longest frame.

use super::manifest::{Check, CheckKind, CheckOver, CheckText, Encoding, Frame, Length, Manifest};
use crate::crc;
use crate::octets::{hex, nibble};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Telegram {
    /// As it came, without delimiters.
    pub(super) raw: Vec<u8>,
    pub(super) contents: Result<Vec<u8>, Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    TooLong,
    Malformed,
    BadCheck,
}

#[derive(Debug, Default)]
pub(super) struct Reader {
    octets: Vec<u8>,
    begun: bool,
    too_long: bool,
}

impl Reader {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A telegram where this octet ended one.
    pub(super) fn push(&mut self, octet: u8, manifest: &Manifest) -> Option<Telegram> {
        let frame = &manifest.frame;
        self.octets.push(octet);
        if !self.begun && !frame.start.is_empty() {
            if self.octets.ends_with(&frame.start) {
                self.begun = true;
                self.octets.clear();
            } else if self.octets.len() >= frame.start.len() {
                self.octets.remove(0);
            }
            return None;
        }
        let ended = match &frame.length {
            Some(_) => self.ended_by_length(frame),
            None => self.octets.ends_with(&frame.end),
        };
        if !ended {
            // The room for a delimiter is left, so that the end of a frame too long is found.
            if self.octets.len() > frame.longest + frame.end.len() {
                self.too_long = true;
                self.octets.remove(0);
            }
            return None;
        }
        let end = match frame.length {
            Some(_) => 0,
            None => frame.end.len(),
        };
        let mut raw = std::mem::take(&mut self.octets);
        raw.truncate(raw.len() - end);
        let too_long = std::mem::take(&mut self.too_long) || raw.len() > frame.longest;
        self.begun = false;
        let nothing = raw.iter().all(u8::is_ascii_control) && frame.ignore_controls;
        if raw.is_empty() || nothing {
            return None;
        }
        let contents = if too_long {
            Err(Fault::TooLong)
        } else {
            open(&raw, manifest)
        };
        Some(Telegram { raw, contents })
    }

    fn ended_by_length(&mut self, frame: &Frame) -> bool {
        match total(frame, &self.octets) {
            None => false,
            Some(total) if total > frame.longest => {
                self.too_long = true;
                true
            }
            Some(total) => self.octets.len() >= total,
        }
    }
}

/// How long a frame is that says so itself, once it has said so.
fn total(frame: &Frame, octets: &[u8]) -> Option<usize> {
    let field = frame.length?;
    let at = octets.get(field.at..)?;
    let value = match (field.length, at) {
        (Length::U8, [value, ..]) => usize::from(*value),
        (Length::U16Big, [high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
        (Length::U16Little, [low, high, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
        (Length::U8 | Length::U16Big | Length::U16Little, _) => return None,
    };
    Some(value + field.plus)
}

fn open(raw: &[u8], manifest: &Manifest) -> Result<Vec<u8>, Fault> {
    let frame = &manifest.frame;
    let mut plain = unescape(raw, frame)?;
    if frame.ignore_controls {
        plain.retain(|octet| !octet.is_ascii_control());
    }
    let (body, sum) = split_check(&plain, &manifest.check)?;
    let contents = decode(body, frame.encoding).ok_or(Fault::Malformed)?;
    let Some(sum) = sum else {
        return Ok(contents);
    };
    let over = match manifest.check.over {
        CheckOver::Decoded => contents.as_slice(),
        CheckOver::Encoded => body,
    };
    let expected = print_check(&manifest.check, over);
    let same = match manifest.check.text {
        CheckText::Binary => expected == sum,
        CheckText::Hex => expected.eq_ignore_ascii_case(sum),
    };
    if same {
        Ok(contents)
    } else {
        Err(Fault::BadCheck)
    }
}

fn unescape(raw: &[u8], frame: &Frame) -> Result<Vec<u8>, Fault> {
    let Some(escape) = &frame.escape else {
        return Ok(raw.to_vec());
    };
    let mut plain = Vec::with_capacity(raw.len());
    let mut octets = raw.iter();
    while let Some(octet) = octets.next() {
        if *octet == escape.octet {
            plain.push(octets.next().ok_or(Fault::Malformed)? ^ escape.flip);
        } else {
            plain.push(*octet);
        }
    }
    Ok(plain)
}

type Split<'a> = (&'a [u8], Option<&'a [u8]>);

fn split_check<'a>(plain: &'a [u8], check: &Check) -> Result<Split<'a>, Fault> {
    let width = check_width(check);
    if width == 0 {
        return Ok((plain, None));
    }
    let separator = check.separator.as_slice();
    if separator.is_empty() {
        let at = plain.len().checked_sub(width).ok_or(Fault::Malformed)?;
        return Ok((&plain[..at], Some(&plain[at..])));
    }
    let at = plain.windows(separator.len()).rposition(|w| w == separator);
    match at {
        Some(at) => Ok((
            &plain[..at],
            Some(plain[at + separator.len()..].trim_ascii()),
        )),
        None if check.optional_on_receive => Ok((plain, None)),
        None => Err(Fault::BadCheck),
    }
}

pub(super) const fn check_width(check: &Check) -> usize {
    let octets = match check.kind {
        CheckKind::None => 0,
        CheckKind::Xor | CheckKind::Sum8 | CheckKind::NegativeSum8 => 1,
        CheckKind::Crc16X25 | CheckKind::Crc16Modbus => 2,
    };
    match check.text {
        CheckText::Binary => octets,
        CheckText::Hex => octets * 2,
    }
}

fn print_check(check: &Check, over: &[u8]) -> Vec<u8> {
    let sum = || over.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet));
    let octets = match check.kind {
        CheckKind::None => Vec::new(),
        CheckKind::Xor => vec![over.iter().fold(0, |sum, octet| sum ^ octet)],
        CheckKind::Sum8 => vec![sum()],
        CheckKind::NegativeSum8 => vec![sum().wrapping_neg()],
        CheckKind::Crc16X25 => crc::x25(over).to_be_bytes().to_vec(),
        CheckKind::Crc16Modbus => crc::modbus(over).to_be_bytes().to_vec(),
    };
    match check.text {
        CheckText::Binary => octets.into_iter().rev().collect(),
        CheckText::Hex => hex(&octets).into_bytes(),
    }
}

fn decode(body: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Binary | Encoding::Ascii => Some(body.to_vec()),
        Encoding::AsciiHex => {
            let digits: Option<Vec<u8>> = body
                .iter()
                .filter(|octet| **octet != b' ')
                .map(|octet| nibble(*octet))
                .collect();
            let digits = digits?;
            if digits.len() % 2 != 0 {
                return None;
            }
            Some(
                digits
                    .chunks(2)
                    .map(|pair| pair[0] << 4 | pair[1])
                    .collect(),
            )
        }
    }
}

/// A frame for the line; None where its length field cannot say how long it is.
pub(super) fn build(contents: &[u8], manifest: &Manifest) -> Option<Vec<u8>> {
    let frame = &manifest.frame;
    let mut contents = contents.to_vec();
    put_length(&mut contents, manifest)?;
    let body = match frame.encoding {
        Encoding::Binary | Encoding::Ascii => contents.clone(),
        Encoding::AsciiHex => hex(&contents).into_bytes(),
    };
    let sum = match manifest.check.over {
        CheckOver::Decoded => print_check(&manifest.check, &contents),
        CheckOver::Encoded => print_check(&manifest.check, &body),
    };
    let mut plain = body;
    if manifest.check.kind != CheckKind::None {
        plain.extend_from_slice(&manifest.check.separator);
        plain.extend(sum);
    }
    let mut line = frame.start.clone();
    for octet in plain {
        match &frame.escape {
            Some(escape) if octet == escape.octet || escape.escaped.contains(&octet) => {
                line.extend_from_slice(&[escape.octet, octet ^ escape.flip]);
            }
            Some(_) | None => line.push(octet),
        }
    }
    line.extend_from_slice(&frame.end);
    Some(line)
}

fn put_length(contents: &mut [u8], manifest: &Manifest) -> Option<()> {
    let Some(field) = manifest.frame.length else {
        return Some(());
    };
    let total = contents.len() + check_width(&manifest.check);
    let value = u16::try_from(total.checked_sub(field.plus)?).ok()?;
    let [high, low] = value.to_be_bytes();
    let place = contents.get_mut(field.at..)?;
    match (field.length, place) {
        (Length::U8, [place, ..]) if high == 0 => *place = low,
        (Length::U16Big, [first, second, ..]) => (*first, *second) = (high, low),
        (Length::U16Little, [first, second, ..]) => (*first, *second) = (low, high),
        (Length::U8 | Length::U16Big | Length::U16Little, _) => return None,
    }
    Some(())
}

/// Octets that contents must not hold, as they would end a frame before its time.
pub(super) fn forbidden(manifest: &Manifest) -> Vec<u8> {
    let frame = &manifest.frame;
    if frame.escape.is_some() || frame.length.is_some() || frame.encoding == Encoding::AsciiHex {
        return Vec::new();
    }
    [&frame.start[..], &frame.end, &manifest.check.separator].concat()
}
