//! Frames between flags, with octet stuffing and a check sequence (section 2).
//!
//! Knows nothing of what a frame says. Invariant: what comes out passed its check and is no longer
//! than the longest frame; whatever else arrives is counted by its reason.

use crate::crc;
use crate::octets::hex;

const FLAG: u8 = 0x7E;
const ESCAPE: u8 = 0x7D;
const FLIP: u8 = 0x20;

pub const LONGEST_PAYLOAD: usize = 1024;
/// Two octets of control, the payload, the check.
const LONGEST: usize = 2 + LONGEST_PAYLOAD + 2;
/// One octet of control and the check.
const SHORTEST: usize = 3;

/// A frame ready for the line; `octets` are control field and payload.
pub fn frame(octets: &[u8]) -> Vec<u8> {
    let [high, low] = crc::x25(octets).to_be_bytes();
    let mut line = Vec::with_capacity(octets.len() + 8);
    line.push(FLAG);
    for octet in octets.iter().copied().chain([low, high]) {
        if octet == FLAG || octet == ESCAPE {
            line.extend_from_slice(&[ESCAPE, octet ^ FLIP]);
        } else {
            line.push(octet);
        }
    }
    line.push(FLAG);
    line
}

/// A payload as logs and tests print it: hex digits, a star and the check over the payload alone.
pub fn printable(payload: &[u8]) -> String {
    format!("{}*{:04X}", hex(payload), crc::x25(payload))
}

/// Why octets between two flags were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    #[error("the check sequence does not fit; noise on the line or a wrong speed")]
    BadCheck,
    #[error("too short for a frame")]
    TooShort,
    #[error("longer than the longest frame")]
    TooLong,
    #[error("the sender gave the frame up")]
    Aborted,
}

/// Cuts a stream into frames.
#[derive(Debug, Default)]
pub struct Deframer {
    octets: Vec<u8>,
    escaped: bool,
    too_long: bool,
    /// Nothing before the first flag is a frame.
    begun: bool,
}

impl Deframer {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Control field and payload, or a fault, where this octet ended something.
    pub fn push(&mut self, octet: u8) -> Option<Result<Vec<u8>, FrameFault>> {
        if octet == FLAG {
            return self.end();
        }
        if !self.begun {
            return None;
        }
        if octet == ESCAPE && !self.escaped {
            self.escaped = true;
            return None;
        }
        let plain = if std::mem::take(&mut self.escaped) {
            octet ^ FLIP
        } else {
            octet
        };
        if self.octets.len() < LONGEST {
            self.octets.push(plain);
        } else {
            self.too_long = true;
        }
        None
    }

    fn end(&mut self) -> Option<Result<Vec<u8>, FrameFault>> {
        let mut octets = std::mem::take(&mut self.octets);
        let aborted = std::mem::take(&mut self.escaped);
        let too_long = std::mem::take(&mut self.too_long);
        // A flag may end one frame and begin the next, and fill the time between two.
        if !std::mem::replace(&mut self.begun, true) || (octets.is_empty() && !aborted) {
            return None;
        }
        let fault = if aborted {
            FrameFault::Aborted
        } else if too_long {
            FrameFault::TooLong
        } else if octets.len() < SHORTEST {
            FrameFault::TooShort
        } else {
            let check = octets.split_off(octets.len() - 2);
            if crc::x25(&octets) == u16::from_le_bytes([check[0], check[1]]) {
                return Some(Ok(octets));
            }
            FrameFault::BadCheck
        };
        Some(Err(fault))
    }
}
