//! Why a call was refused or ended (Q.850).

use super::element::{Element, id};

/// A Q.850 cause value, 0 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CauseValue(u8);

impl CauseValue {
    pub const UNALLOCATED_NUMBER: Self = Self(1);
    pub const CHANNEL_UNACCEPTABLE: Self = Self(6);
    pub const NORMAL_CLEARING: Self = Self(16);
    pub const USER_BUSY: Self = Self(17);
    pub const NO_USER_RESPONDING: Self = Self(18);
    pub const NO_ANSWER: Self = Self(19);
    pub const CALL_REJECTED: Self = Self(21);
    pub const NON_SELECTED_USER_CLEARING: Self = Self(26);
    pub const DESTINATION_OUT_OF_ORDER: Self = Self(27);
    pub const INVALID_NUMBER_FORMAT: Self = Self(28);
    pub const RESPONSE_TO_STATUS_ENQUIRY: Self = Self(30);
    pub const NORMAL_UNSPECIFIED: Self = Self(31);
    pub const NO_CHANNEL_AVAILABLE: Self = Self(34);
    pub const TEMPORARY_FAILURE: Self = Self(41);
    pub const SWITCHING_CONGESTION: Self = Self(42);
    pub const CHANNEL_NOT_AVAILABLE: Self = Self(44);
    pub const BEARER_NOT_IMPLEMENTED: Self = Self(65);
    pub const INVALID_CALL_REFERENCE: Self = Self(81);
    pub const CHANNEL_DOES_NOT_EXIST: Self = Self(82);
    pub const MANDATORY_ELEMENT_MISSING: Self = Self(96);
    pub const MESSAGE_TYPE_UNKNOWN: Self = Self(97);
    pub const INVALID_CONTENTS: Self = Self(100);
    pub const NOT_COMPATIBLE_WITH_STATE: Self = Self(101);
    pub const TIMER_EXPIRED: Self = Self(102);
    pub const INTERWORKING: Self = Self(127);

    /// None above 127.
    pub fn new(value: u8) -> Option<Self> {
        (value <= 127).then_some(Self(value))
    }

    pub fn number(self) -> u8 {
        self.0
    }
}

/// Where a cause arose (Q.850 2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    User,
    PrivateLocal,
    PublicLocal,
    Transit,
    PublicRemote,
    PrivateRemote,
    Other(u8),
}

impl Location {
    pub(super) fn from_bits(bits: u8) -> Self {
        match bits & 0x0F {
            0 => Self::User,
            1 => Self::PrivateLocal,
            2 => Self::PublicLocal,
            3 => Self::Transit,
            4 => Self::PublicRemote,
            5 => Self::PrivateRemote,
            other => Self::Other(other),
        }
    }

    pub(super) fn bits(self) -> u8 {
        match self {
            Self::User => 0,
            Self::PrivateLocal => 1,
            Self::PublicLocal => 2,
            Self::Transit => 3,
            Self::PublicRemote => 4,
            Self::PrivateRemote => 5,
            Self::Other(bits) => bits & 0x0F,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub location: Location,
    pub value: CauseValue,
    pub diagnostics: Vec<u8>,
}

impl Cause {
    pub fn new(location: Location, value: CauseValue) -> Self {
        Self {
            location,
            value,
            diagnostics: Vec::new(),
        }
    }

    /// None: contents that are none.
    pub fn decode(contents: &[u8]) -> Option<Self> {
        let (&third, mut rest) = contents.split_first()?;
        if third & 0x80 == 0 {
            // Octet 3a: the recommendation. Values mean the same in all of them.
            rest = rest.get(1..)?;
        }
        let (&value, diagnostics) = rest.split_first()?;
        Some(Self {
            location: Location::from_bits(third),
            value: CauseValue(value & 0x7F),
            diagnostics: diagnostics.to_vec(),
        })
    }

    pub fn encode(&self) -> Element {
        let mut contents = vec![0x80 | self.location.bits(), 0x80 | self.value.number()];
        contents.extend(self.diagnostics.iter().take(32));
        Element::new(id::CAUSE, contents)
    }
}
