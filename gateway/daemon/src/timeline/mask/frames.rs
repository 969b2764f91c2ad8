//! Blacks out dialled keys and tokens of authority in frames of lines to older servers.
//!
//! The frame is taken apart, masked and put together again, so that its check sequence fits. A frame
//! that cannot be taken apart is kept as it came: nothing on the line took it for a command either.
//! What frames of table drivers say their manifest knows.

use legacy_protocols::acdp::{Checksum, Message, Reader};
use legacy_protocols::open_link::{Deframer, frame};
use legacy_protocols::table::{Manifest, without_keys};

use super::MARK;
use crate::timeline::lines::{ACDP, ISDN, LineName, OPEN_LINK};

/// Masks a frame of this line; names what was masked.
pub(crate) fn line(line: &LineName, octets: &mut Vec<u8>) -> Vec<String> {
    let masked = match &line.table {
        Some(manifest) => table(manifest, octets),
        None => of_protocol(line.protocol, octets),
    };
    masked.into_iter().collect()
}

fn table(manifest: &Manifest, octets: &mut Vec<u8>) -> Option<String> {
    *octets = without_keys(octets, manifest)?;
    Some("keys".to_owned())
}

fn of_protocol(protocol: &str, octets: &mut Vec<u8>) -> Option<String> {
    match protocol {
        OPEN_LINK => open_link(octets),
        ACDP => acdp(octets),
        ISDN => isdn(octets),
        _ => None,
    }
}

/// docs/open-link-profile.md: fields KEYS and AUTHORITY.
fn open_link(octets: &mut Vec<u8>) -> Option<String> {
    const KEYS: u8 = 0x36;
    const AUTHORITY: u8 = 0x50;
    let mut deframer = Deframer::default();
    // The flag that the frame before ended with may have begun this one.
    deframer.push(0x7E);
    let mut content = octets
        .iter()
        .find_map(|octet| deframer.push(*octet)?.ok())?;
    // Two octets of control, the header with the length of the fields at its end.
    const FIELDS: usize = 2 + 12;
    let mut name = None;
    let mut at = FIELDS;
    while let Some([kind, length]) = content.get(at..at + 2).and_then(|head| head.first_chunk()) {
        let (kind, end) = (*kind, at + 2 + usize::from(*length));
        let value = content.get_mut(at + 2..end)?;
        let what = match kind {
            KEYS => "keys",
            AUTHORITY => "authority",
            _ => "",
        };
        if !what.is_empty() {
            value.fill(MARK);
            name = Some(what.to_owned());
        }
        at = end;
    }
    *octets = name.is_some().then(|| frame(&content))?;
    name
}

/// DIAL_DIGITS: the digits stand behind the reference of the station (four octets).
fn acdp(octets: &mut Vec<u8>) -> Option<String> {
    const DIAL_DIGITS: u16 = 0x50;
    const STATION: usize = 4;
    let mut reader = Reader::new(Checksum::Optional);
    let ended = octets.iter().copied().chain([b'\r']);
    let line = ended
        .map(|octet| reader.push(octet))
        .find_map(|line| line)?;
    let mut message = Message::decode(&line.octets.ok()?).ok()?;
    if message.id != DIAL_DIGITS {
        return None;
    }
    message.parameters.get_mut(STATION..)?.fill(0);
    let content = message.encode();
    let check = content.iter().fold(0, |sum, octet| sum ^ octet);
    let hex: String = content.iter().map(|octet| format!("{octet:02X}")).collect();
    *octets = format!("{hex}={check:02X}\r\n").into_bytes();
    Some("keys".to_owned())
}

/// Q.931 4.5.18: the keypad facility, in a message behind the address and control of Q.921.
fn isdn(octets: &mut [u8]) -> Option<String> {
    const KEYPAD: u8 = 0x2C;
    const CALL_CONTROL: u8 = 0x08;
    // I frames have two octets of control, UI frames one (Q.921 3.4).
    let control = match octets.get(2)? & 1 {
        0 => 2,
        _ => 1,
    };
    let message = octets.get_mut(2 + control..)?;
    if *message.first()? != CALL_CONTROL {
        return None;
    }
    let reference = usize::from(message.get(1)? & 15);
    let mut at = 2 + reference + 1;
    let mut masked = false;
    while let Some(kind) = message.get(at).copied() {
        // Q.931 4.5.1: elements of one octet have the top bit.
        if kind & 0x80 != 0 {
            at += 1;
            continue;
        }
        let length = usize::from(*message.get(at + 1)?);
        let end = (at + 2 + length).min(message.len());
        if kind == KEYPAD {
            message.get_mut(at + 2..end)?.fill(MARK);
            masked = true;
        }
        at = end;
    }
    masked.then(|| "keys".to_owned())
}

#[cfg(test)]
mod tests {
    use legacy_protocols::open_link::Pdu;

    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }

    #[test]
    fn keys_on_the_open_link_are_gone_and_the_frame_is_still_one() {
        // Keys "1#4" of station 201 of node 2, in an I frame.
        let payload = unhex("01 01 0F 3A 0002 0001 0007 0009 10 02 02 01 36 03 31 23 34");
        let content = [&[0, 0][..], &payload].concat();
        let mut octets = frame(&content);
        assert_eq!(of_protocol(OPEN_LINK, &mut octets).as_deref(), Some("keys"));
        let mut deframer = Deframer::default();
        let content = octets.iter().find_map(|octet| deframer.push(*octet));
        let content = content.unwrap().unwrap();
        assert!(content.ends_with(b"\x36\x03000"), "{content:02x?}");
        assert!(Pdu::decode(&content[2..]).is_ok());
        // A second time nothing changes, and other frames stay as they came.
        let mut other = frame(&unhex("0000 01 01 0F 38 0002 0001 0007 0004 10 02 02 01"));
        let before = other.clone();
        assert_eq!(of_protocol(OPEN_LINK, &mut other), None);
        assert_eq!(other, before);
    }

    #[test]
    fn digits_of_acdp_are_gone_and_the_checksum_fits() {
        let mut octets = b"0101 0141 01 41 1234 0050 3201107F 20102F\r".to_vec();
        assert_eq!(of_protocol(ACDP, &mut octets).as_deref(), Some("keys"));
        let text = String::from_utf8(octets.clone()).unwrap();
        assert!(text.starts_with("0101014101411234005032 01107F".replace(' ', "").as_str()));
        assert!(!text.contains("20102F"), "{text}");
        let mut reader = Reader::new(Checksum::Required);
        let line = octets.iter().find_map(|octet| reader.push(*octet)).unwrap();
        assert!(line.octets.is_ok());
    }

    #[test]
    fn keypad_digits_of_isdn_are_gone() {
        // INFORMATION with a keypad "12#", behind a shift of one octet.
        let mut octets = unhex("0081 0000 08 01 01 7B A1 2C 03 313223 28 01 41");
        assert_eq!(of_protocol(ISDN, &mut octets).as_deref(), Some("keys"));
        assert_eq!(
            octets,
            unhex("0081 0000 08 01 01 7B A1 2C 03 303030 28 01 41")
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(mut octets: Vec<u8>, which in 0..4_usize) {
            of_protocol(["versicle", "acdp", "isdn", "table"][which], &mut octets);
        }
    }
}
