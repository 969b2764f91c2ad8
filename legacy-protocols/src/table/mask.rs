//! Frames of a table driver for records that must not hold what people dial.
//!
//! A manifest says which fields are keys; they are blacked out, and the frame is put together again,
//! so that its check fits. A frame that no rule with keys fits is left alone: nothing on the line
//! took it for keys either.

use super::codec::{Reader, build};
use super::layout;
use super::manifest::Manifest;

/// Stands for each octet of keys.
const MARK: u8 = b'0';

/// Finds where frames end in what travels on a line.
#[derive(Debug, Default)]
pub struct Cutter(Reader);

impl Cutter {
    /// Whether a frame ends with this octet.
    pub fn push(&mut self, octet: u8, manifest: &Manifest) -> bool {
        self.0.push(octet, manifest).is_some()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The frame without the keys in it; None where there are none.
pub fn without_keys(frame: &[u8], manifest: &Manifest) -> Option<Vec<u8>> {
    let mut reader = Reader::default();
    let telegram = frame
        .iter()
        .find_map(|octet| reader.push(*octet, manifest))?;
    let mut contents = telegram.contents.ok()?;
    let received = manifest.receive.iter().map(|rule| &rule.fields);
    let sent = manifest.transmit.iter().map(|rule| &rule.fields);
    let places: Vec<_> = received
        .chain(sent)
        .filter_map(|fields| layout::keys_in(fields, &contents))
        .flatten()
        .collect();
    if places.is_empty() {
        return None;
    }
    for place in places {
        contents.get_mut(place)?.fill(MARK);
    }
    build(&contents, manifest)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{
        Check, CheckKind, CheckText, Field, Frame, Meaning, Pad, ReceiveRule, Shape, TransmitRule,
    };
    use super::super::slots::Slot;
    use super::*;
    use crate::coverage::CommandKind;

    fn field(slot: Slot, shape: Shape) -> Field {
        Field { slot, shape }
    }

    /// `K<station>,<keys>` with a sum in hex, at the end of a line.
    fn manifest() -> Manifest {
        let keys = || {
            vec![
                field(Slot::Ignored, Shape::Const(b"K".to_vec())),
                field(
                    Slot::Station,
                    Shape::Digits {
                        width: None,
                        pad: Pad::None,
                    },
                ),
                field(Slot::Ignored, Shape::Const(b",".to_vec())),
                field(Slot::Keys, Shape::Rest),
            ]
        };
        Manifest {
            frame: Frame {
                end: b"\r".to_vec(),
                ..Frame::default()
            },
            check: Check {
                kind: CheckKind::Xor,
                text: CheckText::Hex,
                separator: b"=".to_vec(),
                ..Check::default()
            },
            receive: vec![ReceiveRule {
                name: "keys".to_owned(),
                fields: keys(),
                meaning: Meaning::Asks(CommandKind::Keys),
                constants: Vec::new(),
            }],
            transmit: vec![TransmitRule {
                name: "keys".to_owned(),
                command: CommandKind::Keys,
                fields: keys(),
            }],
            ..Manifest::default()
        }
    }

    #[test]
    fn keys_are_gone_the_rest_is_there_and_the_check_fits() {
        let manifest = manifest();
        let frame = build(b"K2101,4711#", &manifest).unwrap();
        let masked = without_keys(&frame, &manifest).unwrap();
        assert_eq!(masked, build(b"K2101,00000", &manifest).unwrap());
        for other in [&b"S2101,1"[..], b"K2101", b"K,4711"] {
            let frame = build(other, &manifest).unwrap();
            assert_eq!(without_keys(&frame, &manifest), None);
        }
        assert_eq!(without_keys(b"K2101,4711=FF\r", &manifest), None);
        assert_eq!(without_keys(b"K2101,47", &manifest), None);
    }

    #[test]
    fn frames_end_where_the_manifest_says() {
        let (manifest, mut cutter) = (manifest(), Cutter::default());
        let two = [
            build(b"K2101,4", &manifest).unwrap(),
            build(b"S1", &manifest).unwrap(),
        ];
        let ends: Vec<usize> = two
            .concat()
            .iter()
            .enumerate()
            .filter_map(|(at, octet)| cutter.push(*octet, &manifest).then_some(at + 1))
            .collect();
        assert_eq!(ends, [two[0].len(), two[0].len() + two[1].len()]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(frame: Vec<u8>) {
            without_keys(&frame, &manifest());
        }
    }
}
