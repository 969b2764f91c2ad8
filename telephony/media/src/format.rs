//! What the payload type numbers of a leg mean.
//!
//! The owner gives the result of its offer and answer; nothing here reads SDP.
//! Two legs may number the same codec differently: [`FormatTable::map_to`]
//! says which number a packet gets on the other leg.
//!
//! Invariant: a table holds at most [`MAX_FORMATS`] formats, each payload type
//! once and below 128.

use thiserror::Error;

use crate::codec::AudioCodec;

/// More formats than one media line of a real device carries.
pub const MAX_FORMATS: usize = 24;

/// Ten times what any payload of RFC 3551 or its successors uses.
const MAX_CLOCK_RATE: u32 = 1_000_000;

const NONE: u8 = u8::MAX;

/// A codec as far as a relay must tell one from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Pcmu,
    Pcma,
    G722,
    Opus,
    /// RFC 4733 digits.
    TelephoneEvent,
    /// RFC 3389 comfort noise.
    ComfortNoise,
    /// Video, and audio that is only relayed. The owner numbers these; equal
    /// numbers are equal codecs with compatible parameters.
    Other(u16),
}

/// One payload type of one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub payload_type: u8,
    pub codec: Codec,
    /// The RTP clock: 8000 for G.722 too (RFC 3551 4.5.2).
    pub clock_rate: u32,
}

/// Why a list of formats cannot be used; the owner is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormatError {
    #[error("payload type {0} is not below 128")]
    PayloadType(u8),
    #[error("payload type {0} is given twice")]
    Twice(u8),
    #[error("the clock rate of payload type {0} is not between 1 and {MAX_CLOCK_RATE}")]
    ClockRate(u8),
    #[error("more than {MAX_FORMATS} formats on one leg")]
    TooMany,
}

/// The formats of a leg, ready for a look-up per packet.
#[derive(Debug, Clone)]
pub(crate) struct FormatTable {
    formats: Vec<Format>,
    /// Payload type to index into `formats`.
    by_type: [u8; 128],
}

impl FormatTable {
    pub(crate) fn new(formats: Vec<Format>) -> Result<FormatTable, FormatError> {
        if formats.len() > MAX_FORMATS {
            return Err(FormatError::TooMany);
        }
        let mut by_type = [NONE; 128];
        for (index, format) in formats.iter().enumerate() {
            let slot = by_type
                .get_mut(usize::from(format.payload_type))
                .ok_or(FormatError::PayloadType(format.payload_type))?;
            if *slot != NONE {
                return Err(FormatError::Twice(format.payload_type));
            }
            if !(1..=MAX_CLOCK_RATE).contains(&format.clock_rate) {
                return Err(FormatError::ClockRate(format.payload_type));
            }
            *slot = index as u8;
        }
        Ok(FormatTable { formats, by_type })
    }

    pub(crate) fn find(&self, payload_type: u8) -> Option<(u8, Format)> {
        let index = *self.by_type.get(usize::from(payload_type))?;
        Some((index, *self.formats.get(usize::from(index))?))
    }

    /// The preferred format that can be encoded here.
    pub(crate) fn voice(&self) -> Option<(Format, AudioCodec)> {
        let mut voices = self.formats.iter();
        voices.find_map(|format| Some((*format, AudioCodec::of(format.codec)?)))
    }

    /// Key presses beside a codec with this clock (RFC 4733 2.1), or on another one: telephones that
    /// know them at 8000 only name that beside Opus too.
    pub(crate) fn events(&self, clock_rate: u32) -> Option<Format> {
        let events = |format: &&Format| format.codec == Codec::TelephoneEvent;
        let mut fitting = self.formats.iter().filter(events);
        let same = fitting
            .clone()
            .find(|format| format.clock_rate == clock_rate);
        same.or_else(|| fitting.next()).copied()
    }

    /// The preferred format.
    pub(crate) fn first(&self) -> Option<Format> {
        self.formats.first().copied()
    }

    /// For each format here, its payload type on the leg `to`.
    pub(crate) fn map_to(&self, to: &FormatTable) -> FormatMap {
        let mut map = [NONE; MAX_FORMATS];
        for (slot, from) in map.iter_mut().zip(&self.formats) {
            let same =
                |other: &&Format| other.codec == from.codec && other.clock_rate == from.clock_rate;
            if let Some(twin) = to.formats.iter().find(same) {
                *slot = twin.payload_type;
            }
        }
        FormatMap(map)
    }
}

/// Payload types of a receiving leg by the format index of the leg it hears.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormatMap([u8; MAX_FORMATS]);

impl FormatMap {
    pub(crate) const EMPTY: FormatMap = FormatMap([NONE; MAX_FORMATS]);

    pub(crate) fn payload_type(&self, format: u8) -> Option<u8> {
        let found = *self.0.get(usize::from(format))?;
        (found != NONE).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(payload_type: u8, codec: Codec, clock_rate: u32) -> Format {
        Format {
            payload_type,
            codec,
            clock_rate,
        }
    }

    #[test]
    fn the_same_codec_gets_the_number_of_the_other_leg() {
        let here = FormatTable::new(vec![
            format(8, Codec::Pcma, 8000),
            format(111, Codec::Opus, 48000),
            format(101, Codec::TelephoneEvent, 8000),
        ])
        .unwrap();
        let there = FormatTable::new(vec![
            format(96, Codec::TelephoneEvent, 8000),
            format(8, Codec::Pcma, 8000),
            format(97, Codec::TelephoneEvent, 48000),
        ])
        .unwrap();
        let map = here.map_to(&there);
        let mapped = |payload_type| map.payload_type(here.find(payload_type).unwrap().0);
        assert_eq!(mapped(8), Some(8));
        assert_eq!(mapped(101), Some(96));
        assert_eq!(mapped(111), None);
        assert_eq!(here.find(0), None);
        assert_eq!(map.payload_type(200), None);
    }

    #[test]
    fn a_wrong_list_is_refused() {
        let table = |formats: Vec<Format>| FormatTable::new(formats).err();
        let pcma = format(8, Codec::Pcma, 8000);
        assert_eq!(table(vec![pcma, pcma]), Some(FormatError::Twice(8)));
        assert_eq!(
            table(vec![format(128, Codec::Opus, 48000)]),
            Some(FormatError::PayloadType(128))
        );
        assert_eq!(
            table(vec![format(9, Codec::G722, 0)]),
            Some(FormatError::ClockRate(9))
        );
        assert_eq!(
            table(vec![format(96, Codec::Other(1), 1_000_001)]),
            Some(FormatError::ClockRate(96))
        );
        let many = (0..25).map(|n| format(n, Codec::Other(n.into()), 1));
        assert_eq!(table(many.collect()), Some(FormatError::TooMany));
    }
}
