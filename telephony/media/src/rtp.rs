//! RTP headers: read once, rewritten in place (RFC 3550 5.1).
//!
//! Knows where a header ends and a payload begins, whatever contributing
//! sources, extension or padding stand between. Does not judge sequence
//! numbers (see [`crate::source`]) and never touches a payload.
//!
//! Invariant: a [`Header`] exists only for a packet whose stated lengths all
//! lie inside it.

use std::time::Duration;

use thiserror::Error;

/// The fixed part of each header.
pub const FIXED_LEN: usize = 12;

const VERSION: u8 = 2;

/// What a datagram at a media port is, told by its first two octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rtp,
    Rtcp,
}

/// Why a datagram is not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("the datagram is empty")]
    Empty,
    #[error("it does not begin as RTP version 2 does (STUN, DTLS and ZRTP do not either)")]
    NotRtp,
    #[error("it ends inside its fixed header")]
    Short,
    #[error("its list of contributing sources runs over its end")]
    Sources,
    #[error("its header extension runs over its end")]
    Extension,
    #[error("its padding is longer than its payload, or is said to be there and is empty")]
    Padding,
    #[error("an RTCP length runs over the end of the datagram")]
    Rtcp,
}

/// Tells RTP from RTCP, also where both share a port.
pub fn kind(datagram: &[u8]) -> Result<Kind, Malformed> {
    let (&first, rest) = datagram.split_first().ok_or(Malformed::Empty)?;
    if first >> 6 != VERSION {
        return Err(Malformed::NotRtp);
    }
    // RFC 5761 4: the second octet of an RTCP packet is 192-223, which as RTP
    // would be the payload types 64-95 with a marker; nobody may use those.
    match rest.first() {
        Some(192..=223) => Ok(Kind::Rtcp),
        Some(_) => Ok(Kind::Rtp),
        None => Err(Malformed::Short),
    }
}

/// A time on an RTP clock, which wraps. In 64 bits, because it is asked per packet.
pub(crate) fn ticks(time: Duration, clock_rate: u32) -> u32 {
    let rate = u64::from(clock_rate);
    let part = u64::from(time.subsec_nanos()) * rate / 1_000_000_000;
    time.as_secs().wrapping_mul(rate).wrapping_add(part) as u32
}

/// The fields that a relay reads and rewrites, and where the payload lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub(crate) payload_start: usize,
    pub(crate) payload_end: usize,
}

impl Header {
    pub fn parse(packet: &[u8]) -> Result<Header, Malformed> {
        if kind(packet)? != Kind::Rtp {
            return Err(Malformed::NotRtp);
        }
        let Some((fixed, rest)) = packet.split_first_chunk::<FIXED_LEN>() else {
            return Err(Malformed::Short);
        };
        let sources = usize::from(fixed[0] & 0x0f) * 4;
        let rest = rest.get(sources..).ok_or(Malformed::Sources)?;
        let extension = match (fixed[0] & 0x10 != 0).then(|| rest.split_first_chunk::<4>()) {
            None => 0,
            Some(None) => return Err(Malformed::Extension),
            Some(Some((head, _))) => 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4,
        };
        let payload = rest.get(extension..).ok_or(Malformed::Extension)?;
        let padding = match (fixed[0] & 0x20 != 0).then(|| payload.last()) {
            None => 0,
            Some(None | Some(0)) => return Err(Malformed::Padding),
            Some(Some(&octets)) => usize::from(octets),
        };
        if padding > payload.len() {
            return Err(Malformed::Padding);
        }
        Ok(Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            payload_start: packet.len() - payload.len(),
            payload_end: packet.len() - padding,
        })
    }

    /// A header of our own, whose packet has nothing between it and the payload.
    pub(crate) fn of(payload_type: u8, sequence: u16, timestamp: u32, marker: bool) -> Header {
        Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: 0,
            payload_start: FIXED_LEN,
            payload_end: FIXED_LEN,
        }
    }

    /// Writes the whole fixed header, of a packet that has only that.
    pub(crate) fn begin(&self, packet: &mut [u8]) {
        if let Some(first) = packet.first_mut() {
            *first = VERSION << 6;
        }
        self.write(packet);
    }

    /// The payload without padding. Empty for another packet than the parsed one.
    pub fn payload<'p>(&self, packet: &'p [u8]) -> &'p [u8] {
        packet
            .get(self.payload_start..self.payload_end)
            .unwrap_or_default()
    }

    /// Writes the fields over the fixed header of `packet`; version, padding,
    /// extension and contributing sources stay as they are.
    pub fn write(&self, packet: &mut [u8]) {
        let Some(fixed) = packet.first_chunk_mut::<FIXED_LEN>() else {
            return;
        };
        fixed[1] = u8::from(self.marker) << 7 | (self.payload_type & 0x7f);
        fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, after_header: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, 0x80 | 8, 0x12, 0x34];
        packet.extend_from_slice(&0x0102_0304u32.to_be_bytes());
        packet.extend_from_slice(&0xdead_beefu32.to_be_bytes());
        packet.extend_from_slice(after_header);
        packet
    }

    #[test]
    fn reads_each_field_and_finds_the_payload() {
        let plain = packet(0x80, b"audio");
        let header = Header::parse(&plain).unwrap();
        assert!(header.marker);
        assert_eq!(header.payload_type, 8);
        assert_eq!(header.sequence, 0x1234);
        assert_eq!(header.timestamp, 0x0102_0304);
        assert_eq!(header.ssrc, 0xdead_beef);
        assert_eq!(header.payload(&plain), b"audio");
    }

    #[test]
    fn steps_over_sources_extension_and_padding() {
        let mut rest = vec![1, 1, 1, 1, 2, 2, 2, 2];
        rest.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        rest.extend_from_slice(b"voice\0\0\x03");
        let all = packet(0x80 | 0x20 | 0x10 | 2, &rest);
        assert_eq!(Header::parse(&all).unwrap().payload(&all), b"voice");
    }

    #[test]
    fn refuses_lengths_that_run_over_the_end() {
        let table: &[(u8, &[u8], Malformed)] = &[
            (0x82, &[0; 7], Malformed::Sources),
            (0x90, &[0; 3], Malformed::Extension),
            (0x90, &[0, 0, 0, 2, 0, 0, 0, 0], Malformed::Extension),
            (0xa0, &[], Malformed::Padding),
            (0xa0, &[1, 0], Malformed::Padding),
            (0xa0, &[1, 3], Malformed::Padding),
            (0x40, &[], Malformed::NotRtp),
        ];
        for (first, rest, expected) in table {
            assert_eq!(Header::parse(&packet(*first, rest)), Err(*expected));
        }
        assert_eq!(Header::parse(&[]), Err(Malformed::Empty));
        assert_eq!(Header::parse(&[0x80]), Err(Malformed::Short));
        assert_eq!(Header::parse(&[0x80; 11]), Err(Malformed::Short));
        assert_eq!(Header::parse(&[0x80, 200, 0, 0]), Err(Malformed::NotRtp));
    }

    #[test]
    fn rewrites_in_place_and_leaves_the_rest() {
        let mut all = packet(0x91, &[7, 7, 7, 7, 0, 0, 0, 0, 1, 2]);
        let before = all.clone();
        let header = Header {
            marker: false,
            payload_type: 96,
            sequence: 7,
            timestamp: 8,
            ssrc: 9,
            ..Header::parse(&all).unwrap()
        };
        header.write(&mut all);
        assert_eq!(Header::parse(&all), Ok(header));
        assert_eq!(all[0], before[0]);
        assert_eq!(all[FIXED_LEN..], before[FIXED_LEN..]);
    }

    #[test]
    fn ticks_count_fractions_and_wrap() {
        assert_eq!(ticks(Duration::from_millis(20), 8000), 160);
        assert_eq!(ticks(Duration::from_micros(33_333), 90_000), 2999);
        let days = Duration::from_secs(30 * 86_400);
        let wrapped = (30u64 * 86_400 * 48_000) as u32;
        assert_eq!(ticks(days, 48_000), wrapped);
    }

    #[test]
    fn tells_the_two_kinds_apart_on_one_port() {
        for second in 0..=255 {
            let expected = match second {
                192..=223 => Kind::Rtcp,
                _ => Kind::Rtp,
            };
            assert_eq!(kind(&[0x80, second]), Ok(expected));
        }
    }
}
