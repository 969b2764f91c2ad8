//! Channel identification: which B channel (Q.931 4.5.13, in the codings of both rates).

use super::element::{Element, id};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Two B channels.
    BasicRate,
    /// An E1's 30 B channels: 1 to 15 and 17 to 31.
    PrimaryRate,
}

impl Interface {
    /// The numbers of its B channels.
    pub fn channels(self) -> impl DoubleEndedIterator<Item = u8> {
        let last = match self {
            Self::BasicRate => 2,
            Self::PrimaryRate => 31,
        };
        (1..=last).filter(|number| *number != 16)
    }
}

/// Whether another channel will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    Preferred,
    Exclusive,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// A call without a channel: call waiting.
    None,
    Any,
    One(u8),
    /// Only in RESTART.
    Several(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelIdentification {
    pub interface: Interface,
    pub binding: Binding,
    pub selection: Selection,
}

const EXTENSION: u8 = 0x80;
const INTERFACE_GIVEN: u8 = 0x40;
const PRIMARY: u8 = 0x20;
const EXCLUSIVE: u8 = 0x08;
const D_CHANNEL: u8 = 0x04;
const SLOT_MAP: u8 = 0x10;

impl ChannelIdentification {
    /// None: contents that name no B channel in a way that is understood here.
    pub fn decode(contents: &[u8]) -> Option<Self> {
        let (&third, mut rest) = contents.split_first()?;
        if third & D_CHANNEL != 0 {
            return None;
        }
        if third & INTERFACE_GIVEN != 0 {
            // Which of several interfaces; a D channel here serves its own alone.
            let end = rest.iter().position(|octet| octet & EXTENSION != 0)?;
            rest = &rest[end + 1..];
        }
        let interface = if third & PRIMARY == 0 {
            Interface::BasicRate
        } else {
            Interface::PrimaryRate
        };
        let selection = match (interface, third & 0x03) {
            (_, 0) => Selection::None,
            (_, 3) => Selection::Any,
            (Interface::BasicRate, number) => Selection::One(number),
            (Interface::PrimaryRate, 1) => selected(rest)?,
            (Interface::PrimaryRate, _) => return None,
        };
        Some(Self {
            interface,
            binding: if third & EXCLUSIVE == 0 {
                Binding::Preferred
            } else {
                Binding::Exclusive
            },
            selection,
        })
    }

    pub fn encode(&self) -> Element {
        let mut third = EXTENSION;
        if self.binding == Binding::Exclusive {
            third |= EXCLUSIVE;
        }
        let mut rest = Vec::new();
        third |= match (self.interface, &self.selection) {
            (Interface::BasicRate, selection) => match selection {
                Selection::None => 0,
                Selection::One(number) => number & 0x03,
                // Both channels of a basic rate line, or either.
                Selection::Any | Selection::Several(_) => 3,
            },
            (Interface::PrimaryRate, selection) => {
                PRIMARY
                    | match selection {
                        Selection::None => 0,
                        Selection::Any => 3,
                        Selection::One(number) => {
                            rest = vec![0x83, number | EXTENSION];
                            1
                        }
                        Selection::Several(numbers) => {
                            rest = vec![0x83];
                            rest.extend(numbers.iter().map(|number| number & !EXTENSION));
                            if let Some(last) = rest.last_mut() {
                                *last |= EXTENSION;
                            }
                            1
                        }
                    }
            }
        };
        let contents = [vec![third], rest].concat();
        Element::new(id::CHANNEL_IDENTIFICATION, contents)
    }
}

/// Octets 3.2 and 3.3 of a primary rate line.
fn selected(octets: &[u8]) -> Option<Selection> {
    let (&second, rest) = octets.split_first()?;
    let mut numbers: Vec<u8> = if second & SLOT_MAP == 0 {
        let end = rest.iter().position(|octet| octet & EXTENSION != 0);
        // Some forget to mark the last one.
        let end = end.map_or(rest.len(), |end| end + 1);
        rest[..end].iter().map(|octet| octet & !EXTENSION).collect()
    } else {
        // Slot 31 stands in the first octet's highest bit.
        let map = u32::from_be_bytes(rest.try_into().ok()?);
        (0..32).filter(|slot| map >> slot & 1 != 0).collect()
    };
    match numbers.as_slice() {
        [] => None,
        [one] => Some(Selection::One(*one)),
        _ => {
            numbers.truncate(31);
            Some(Selection::Several(numbers))
        }
    }
}
