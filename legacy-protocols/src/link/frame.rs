//! The frames of the link engine, from the control field on: Q.921 3.4 to 3.6, modulo 128.
//!
//! Addresses, flags and check sequences belong to whoever carries the frame. What decodes encodes
//! to the same octets, but for padding bits that the standard tells receivers to ignore.

use thiserror::Error;

/// Sequence numbers count modulo this.
pub(super) const MODULUS: u8 = 128;

/// Who says something, where the carrier can tell (an address field's C/R bit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Command,
    Response,
}

/// A control field and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Information {
        /// N(S)
        number: u8,
        /// N(R)
        expected: u8,
        poll: bool,
        payload: &'a [u8],
    },
    Supervisory {
        function: Supervision,
        /// N(R)
        expected: u8,
        /// Poll in a command, final in a response.
        poll_final: bool,
    },
    Unnumbered {
        function: Unnumbered,
        poll_final: bool,
        /// Empty but for UI, FRMR and XID.
        payload: &'a [u8],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    ReceiveReady,
    ReceiveNotReady,
    Reject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnumbered {
    SetAsynchronousBalancedModeExtended,
    DisconnectedMode,
    Disconnect,
    UnnumberedAcknowledgement,
    FrameReject,
    UnnumberedInformation,
    ExchangeIdentification,
}

impl Unnumbered {
    /// The control octet without its P/F bit.
    fn octet(self) -> u8 {
        match self {
            Self::SetAsynchronousBalancedModeExtended => 0x6F,
            Self::DisconnectedMode => 0x0F,
            Self::Disconnect => 0x43,
            Self::UnnumberedAcknowledgement => 0x63,
            Self::FrameReject => 0x87,
            Self::UnnumberedInformation => 0x03,
            Self::ExchangeIdentification => 0xAF,
        }
    }

    fn from_octet(octet: u8) -> Option<Self> {
        [
            Self::SetAsynchronousBalancedModeExtended,
            Self::DisconnectedMode,
            Self::Disconnect,
            Self::UnnumberedAcknowledgement,
            Self::FrameReject,
            Self::UnnumberedInformation,
            Self::ExchangeIdentification,
        ]
        .into_iter()
        .find(|function| function.octet() == octet & !POLL_FINAL_UNNUMBERED)
    }

    fn carries_payload(self) -> bool {
        match self {
            Self::FrameReject | Self::UnnumberedInformation | Self::ExchangeIdentification => true,
            Self::SetAsynchronousBalancedModeExtended
            | Self::DisconnectedMode
            | Self::Disconnect
            | Self::UnnumberedAcknowledgement => false,
        }
    }
}

const POLL_FINAL_UNNUMBERED: u8 = 0x10;

/// Why octets are no frame; the peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("a frame without a whole control field; check the line or the framing below")]
    Truncated,
    #[error("control field {0:#04x} is not defined in Q.921")]
    UndefinedControl(u8),
    #[error("an information field where none is allowed")]
    UnexpectedPayload,
}

impl<'a> Frame<'a> {
    /// Reads a frame that begins with its control field.
    pub fn decode(octets: &'a [u8]) -> Result<Self, FrameError> {
        let (&first, rest) = octets.split_first().ok_or(FrameError::Truncated)?;
        if first & 0x03 == 0x03 {
            let function =
                Unnumbered::from_octet(first).ok_or(FrameError::UndefinedControl(first))?;
            if !rest.is_empty() && !function.carries_payload() {
                return Err(FrameError::UnexpectedPayload);
            }
            return Ok(Self::Unnumbered {
                function,
                poll_final: first & POLL_FINAL_UNNUMBERED != 0,
                payload: rest,
            });
        }
        let (&second, payload) = rest.split_first().ok_or(FrameError::Truncated)?;
        let (expected, poll_final) = (second >> 1, second & 1 != 0);
        if first & 1 == 0 {
            return Ok(Self::Information {
                number: first >> 1,
                expected,
                poll: poll_final,
                payload,
            });
        }
        // Q.921 3.4.3: bits 5 to 8 are reserved and not looked at.
        let function = match first & 0x0F {
            0x01 => Supervision::ReceiveReady,
            0x05 => Supervision::ReceiveNotReady,
            0x09 => Supervision::Reject,
            _ => return Err(FrameError::UndefinedControl(first)),
        };
        if !payload.is_empty() {
            return Err(FrameError::UnexpectedPayload);
        }
        Ok(Self::Supervisory {
            function,
            expected,
            poll_final,
        })
    }

    /// Writes the control field and the payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        match *self {
            Self::Information {
                number,
                expected,
                poll,
                payload,
            } => {
                octets.extend([number << 1, expected << 1 | u8::from(poll)]);
                octets.extend_from_slice(payload);
            }
            Self::Supervisory {
                function,
                expected,
                poll_final,
            } => {
                let first = match function {
                    Supervision::ReceiveReady => 0x01,
                    Supervision::ReceiveNotReady => 0x05,
                    Supervision::Reject => 0x09,
                };
                octets.extend([first, expected << 1 | u8::from(poll_final)]);
            }
            Self::Unnumbered {
                function,
                poll_final,
                payload,
            } => {
                let bit = if poll_final { POLL_FINAL_UNNUMBERED } else { 0 };
                octets.push(function.octet() | bit);
                octets.extend_from_slice(payload);
            }
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(octets: &[u8], frame: Frame<'_>) {
        assert_eq!(Frame::decode(octets).as_ref(), Ok(&frame));
        assert_eq!(frame.encode(), octets);
    }

    #[test]
    fn each_frame_has_its_published_octets() {
        let unnumbered = |function, poll_final| Frame::Unnumbered {
            function,
            poll_final,
            payload: &[],
        };
        use Unnumbered::*;
        check(
            &[0x7F],
            unnumbered(SetAsynchronousBalancedModeExtended, true),
        );
        check(&[0x73], unnumbered(UnnumberedAcknowledgement, true));
        check(&[0x53], unnumbered(Disconnect, true));
        check(&[0x1F], unnumbered(DisconnectedMode, true));
        let supervisory = |function, expected, poll_final| Frame::Supervisory {
            function,
            expected,
            poll_final,
        };
        check(
            &[0x01, 0x02],
            supervisory(Supervision::ReceiveReady, 1, false),
        );
        check(
            &[0x05, 0xFF],
            supervisory(Supervision::ReceiveNotReady, 127, true),
        );
        check(&[0x09, 0x01], supervisory(Supervision::Reject, 0, true));
        check(
            &[0x04, 0x05, 0xAA],
            Frame::Information {
                number: 2,
                expected: 2,
                poll: true,
                payload: &[0xAA],
            },
        );
    }

    #[test]
    fn what_is_no_frame_says_why() {
        let check = |octets: &[u8], why| assert_eq!(Frame::decode(octets), Err(why));
        check(&[], FrameError::Truncated);
        check(&[0x00], FrameError::Truncated);
        check(&[0x01], FrameError::Truncated);
        check(&[0x0D, 0x00], FrameError::UndefinedControl(0x0D));
        check(&[0xFF], FrameError::UndefinedControl(0xFF));
        check(&[0x7F, 0x00], FrameError::UnexpectedPayload);
        check(&[0x01, 0x00, 0x00], FrameError::UnexpectedPayload);
    }

    proptest! {
        #[test]
        fn what_decodes_means_the_same_once_encoded(octets in proptest::collection::vec(any::<u8>(), 0..8)) {
            if let Ok(frame) = Frame::decode(&octets) {
                let again = frame.encode();
                prop_assert_eq!(Frame::decode(&again), Ok(frame));
            }
        }
    }
}
