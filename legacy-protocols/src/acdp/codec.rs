//! Lines of the simple link layer: hex digits, perhaps a text in quotes, `=` and a checksum.
//!
//! Knows nothing of what the octets mean. Invariant: with `Checksum::Required` a line with one bit
//! changed is either refused or gives the same octets (the case of a hex digit).

use crate::octets::{hex, nibble};

/// Whether a line without a checksum is taken. Servers always send one; people at a terminal do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    #[default]
    Required,
    Optional,
}

/// Characters of the longest line that is taken.
const LONGEST: usize = 1024;

/// What a line brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As it came, without the line end.
    pub raw: Vec<u8>,
    pub octets: Result<Vec<u8>, LineError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("the line is longer than 1024 characters; check speed and cabling")]
    TooLong,
    #[error("the line holds something else than hex digits, a text in quotes and a checksum")]
    Syntax,
    #[error("the checksum does not fit; noise on the line or a wrong speed")]
    BadChecksum,
    #[error("the line has no checksum")]
    NoChecksum,
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub struct Reader {
    checksum: Checksum,
    line: Vec<u8>,
    too_long: bool,
}

impl Reader {
    pub const fn new(checksum: Checksum) -> Self {
        Self {
            checksum,
            line: Vec::new(),
            too_long: false,
        }
    }

    pub fn clear(&mut self) {
        self.line.clear();
        self.too_long = false;
    }

    /// A line where this octet ended one.
    pub fn push(&mut self, octet: u8) -> Option<Line> {
        if octet != b'\r' {
            self.keep(octet);
            return None;
        }
        let raw = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) {
            let octets = Err(LineError::TooLong);
            return Some(Line { raw, octets });
        }
        // Control characters and blanks between lines are nothing.
        if raw.iter().all(|octet| *octet == b' ') {
            return None;
        }
        let octets = parse(&raw, self.checksum);
        Some(Line { raw, octets })
    }

    fn keep(&mut self, octet: u8) {
        if octet.is_ascii_control() {
            return;
        }
        if self.line.len() == LONGEST {
            self.too_long = true;
        } else {
            self.line.push(octet);
        }
    }
}

fn parse(line: &[u8], checksum: Checksum) -> Result<Vec<u8>, LineError> {
    let mut octets = Vec::new();
    let mut high = None;
    let mut rest = line;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match *first {
            b' ' if high.is_none() => {}
            b'"' if high.is_none() => {
                let end = rest.iter().position(|octet| *octet == b'"');
                let (text, after) = rest.split_at(end.ok_or(LineError::Syntax)?);
                octets.extend_from_slice(text);
                return finish(octets, &after[1..], checksum);
            }
            b'=' if high.is_none() => return compare(octets, rest),
            digit => {
                let value = nibble(digit).ok_or(LineError::Syntax)?;
                match high.take() {
                    None => high = Some(value),
                    Some(high) => octets.push(high << 4 | value),
                }
            }
        }
    }
    if high.is_some() {
        return Err(LineError::Syntax);
    }
    finish(octets, &[], checksum)
}

/// Behind a text, or at the end, only the checksum may follow.
fn finish(octets: Vec<u8>, rest: &[u8], checksum: Checksum) -> Result<Vec<u8>, LineError> {
    let rest = rest.trim_ascii_start();
    match (rest.split_first(), checksum) {
        (Some((b'=', sum)), _) => compare(octets, sum),
        (Some(_), _) => Err(LineError::Syntax),
        (None, Checksum::Optional) => Ok(octets),
        (None, Checksum::Required) => Err(LineError::NoChecksum),
    }
}

fn compare(octets: Vec<u8>, sum: &[u8]) -> Result<Vec<u8>, LineError> {
    let digits: Vec<u8> = sum.iter().copied().filter(|octet| *octet != b' ').collect();
    let [high, low] = digits[..] else {
        return Err(LineError::Syntax);
    };
    let (Some(high), Some(low)) = (nibble(high), nibble(low)) else {
        return Err(LineError::Syntax);
    };
    if high << 4 | low != xor(&octets) {
        return Err(LineError::BadChecksum);
    }
    Ok(octets)
}

/// ISO 1155: exclusive or over the decoded octets.
fn xor(octets: &[u8]) -> u8 {
    octets.iter().fold(0, |sum, octet| sum ^ octet)
}

/// A line as servers print it, all in hex, with its checksum and line end.
pub(super) fn print(octets: &[u8]) -> Vec<u8> {
    format!("{}={:02X}\r\n", hex(octets), xor(octets)).into_bytes()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Published in "Broadcast messages (ACDP)" of the vendor's wiki: what a server tells when station
    /// 8002 calls 8009.
    pub(in crate::acdp) const PUBLISHED: [&str; 4] = [
        "014101FF2118410015003632018002=54",
        "014101FF2119410016003632018009=5D",
        "014101FF211A410017004007D706070B1A2D32018002320180090201=76",
        "014101FF211B410018004107D706070B1A2D01043201800232018009=7F",
    ];

    /// Published in "Stentofon Simple Link Layer" as a line without a checksum.
    pub(in crate::acdp) const DIAL_DIGITS: &str = "0101 0141 01 41 1234 0050 3201107F 20102F";

    fn read(checksum: Checksum, stream: &[u8]) -> Vec<Line> {
        let mut reader = Reader::new(checksum);
        stream.iter().filter_map(|o| reader.push(*o)).collect()
    }

    fn one(checksum: Checksum, line: &str) -> Result<Vec<u8>, LineError> {
        let mut lines = read(checksum, format!("{line}\r\n").as_bytes());
        assert_eq!(lines.len(), 1);
        lines.remove(0).octets
    }

    #[test]
    fn the_published_lines_come_back_octet_for_octet() {
        for line in PUBLISHED {
            let octets = one(Checksum::Required, line).unwrap();
            assert_eq!(print(&octets), format!("{line}\r\n").into_bytes());
        }
    }

    #[test]
    fn the_published_line_of_a_person_needs_no_checksum_where_that_is_allowed() {
        let octets = one(Checksum::Optional, DIAL_DIGITS).unwrap();
        assert_eq!(xor(&octets), 0x35);
        assert_eq!(
            one(Checksum::Required, DIAL_DIGITS),
            Err(LineError::NoChecksum)
        );
    }

    #[test]
    fn a_text_in_quotes_stands_for_its_octets() {
        let plain = one(Checksum::Optional, "010203 4869=20").unwrap_err();
        assert_eq!(plain, LineError::BadChecksum);
        let text = one(Checksum::Required, "010203\"Hi!\" = 00").unwrap();
        assert_eq!(text, [1, 2, 3, b'H', b'i', b'!']);
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        let of = |line| one(Checksum::Required, line).unwrap_err();
        assert_eq!(
            of("014101FF2118410015003632018002=55"),
            LineError::BadChecksum
        );
        assert_eq!(of("0141 0=11"), LineError::Syntax);
        assert_eq!(of("\"open"), LineError::Syntax);
        assert_eq!(of("01=0101"), LineError::Syntax);
        assert_eq!(of("hello"), LineError::Syntax);
        assert_eq!(of(&"0".repeat(1025)), LineError::TooLong);
    }

    #[test]
    fn a_long_line_does_not_spoil_the_next() {
        let stream = format!("{}\r{}\r\n\n\r", "9".repeat(100_000), PUBLISHED[0]);
        let lines = read(Checksum::Required, stream.as_bytes());
        assert_eq!(lines[0].octets, Err(LineError::TooLong));
        assert_eq!(lines[0].raw.len(), LONGEST);
        assert!(lines[1].octets.is_ok());
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn every_single_bit_flip_of_a_published_line_is_noticed() {
        for line in PUBLISHED {
            let good = one(Checksum::Required, line).unwrap();
            let stream = format!("{line}\r");
            for bit in 0..stream.len() * 8 {
                let mut flipped = stream.clone().into_bytes();
                flipped[bit / 8] ^= 1 << (bit % 8);
                // The end of a line lost in noise is found with the next one.
                flipped.extend_from_slice(b"\r");
                for taken in read(Checksum::Required, &flipped) {
                    if let Ok(octets) = taken.octets {
                        assert_eq!(octets, good, "bit {bit} of {line}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_octets_survive_their_line(octets in proptest::collection::vec(any::<u8>(), 1..400)) {
            let lines = read(Checksum::Required, &print(&octets));
            prop_assert_eq!(lines.len(), 1);
            prop_assert_eq!(lines[0].octets.as_ref(), Ok(&octets));
        }

        #[test]
        fn any_stream_is_survived(stream in proptest::collection::vec(any::<u8>(), 0..4000)) {
            for line in read(Checksum::Optional, &stream) {
                prop_assert!(line.raw.len() <= LONGEST);
            }
        }
    }
}
