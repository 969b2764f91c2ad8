//! The small elements: progress, call state, restart, notification, text.

use super::cause::Location;
use super::element::{Element, id};

/// Q.931 table 4-20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressDescription {
    NotEndToEnd,
    DestinationNotIsdn,
    OriginNotIsdn,
    Returned,
    /// Tones or announcements can be heard.
    InBand,
    Other(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressIndicator {
    pub location: Location,
    pub description: ProgressDescription,
}

impl ProgressIndicator {
    /// None: contents that are none.
    pub fn decode(contents: &[u8]) -> Option<Self> {
        let &[third, fourth, ..] = contents else {
            return None;
        };
        Some(Self {
            location: Location::from_bits(third),
            description: match fourth & 0x7F {
                1 => ProgressDescription::NotEndToEnd,
                2 => ProgressDescription::DestinationNotIsdn,
                3 => ProgressDescription::OriginNotIsdn,
                4 => ProgressDescription::Returned,
                8 => ProgressDescription::InBand,
                other => ProgressDescription::Other(other),
            },
        })
    }

    pub fn encode(self) -> Element {
        let description = match self.description {
            ProgressDescription::NotEndToEnd => 1,
            ProgressDescription::DestinationNotIsdn => 2,
            ProgressDescription::OriginNotIsdn => 3,
            ProgressDescription::Returned => 4,
            ProgressDescription::InBand => 8,
            ProgressDescription::Other(bits) => bits & 0x7F,
        };
        let contents = vec![0x80 | self.location.bits(), 0x80 | description];
        Element::new(id::PROGRESS_INDICATOR, contents)
    }
}

/// A call's state in numbers of Q.931 2.1 and 2.2, for STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallState(pub u8);

impl CallState {
    /// No call, and the state of a global call reference at rest.
    pub const NULL: Self = Self(0);
    pub const ACTIVE: Self = Self(10);

    /// None: no contents, or a coding that is not Q.931's.
    pub fn decode(contents: &[u8]) -> Option<Self> {
        let &octet = contents.first()?;
        (octet & 0xC0 == 0).then_some(Self(octet))
    }

    pub fn encode(self) -> Element {
        Element::new(id::CALL_STATE, vec![self.0 & 0x3F])
    }
}

/// What RESTART means (Q.931 4.5.25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartClass {
    /// The channels that the message names.
    Channels,
    SingleInterface,
    AllInterfaces,
}

impl RestartClass {
    /// None: contents that are none, or a class that is reserved.
    pub fn decode(contents: &[u8]) -> Option<Self> {
        match contents.first()? & 0x07 {
            0 => Some(Self::Channels),
            6 => Some(Self::SingleInterface),
            7 => Some(Self::AllInterfaces),
            _ => None,
        }
    }
}

pub fn restart_indicator(class: RestartClass) -> Element {
    let bits = match class {
        RestartClass::Channels => 0,
        RestartClass::SingleInterface => 6,
        RestartClass::AllInterfaces => 7,
    };
    Element::new(id::RESTART_INDICATOR, vec![0x80 | bits])
}

/// Q.931 4.5.22: 0 suspended, 1 resumed, 2 bearer changed; supplementary services add theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationIndicator(pub u8);

impl NotificationIndicator {
    pub fn decode(contents: &[u8]) -> Option<Self> {
        Some(Self(contents.first()? & 0x7F))
    }

    pub fn encode(self) -> Element {
        Element::new(id::NOTIFICATION_INDICATOR, vec![0x80 | self.0])
    }
}

/// The text of a display or keypad element: printable ASCII, all else left out. A first octet
/// with the highest bit set names a character set or a kind of display and is no text.
pub fn text(contents: &[u8]) -> String {
    let octets = contents.iter().map(|octet| octet & 0x7F);
    let octets = octets.skip(usize::from(
        contents.first().is_some_and(|first| first & 0x80 != 0),
    ));
    octets
        .filter(|octet| octet.is_ascii_graphic() || *octet == b' ')
        .map(char::from)
        .collect()
}

/// Q.931 4.5.16: networks of the first days took 34 octets.
const LONGEST_TEXT: usize = 32;

pub fn display(text: &str) -> Element {
    Element::new(id::DISPLAY, ascii(text))
}

pub fn keypad(keys: &str) -> Element {
    Element::new(id::KEYPAD, ascii(keys))
}

/// Characters that the line cannot carry become question marks, so that a name keeps its length.
fn ascii(text: &str) -> Vec<u8> {
    let octets = text.chars().map(|character| match u8::try_from(character) {
        Ok(octet) if octet.is_ascii_graphic() || octet == b' ' => octet,
        _ => b'?',
    });
    octets.take(LONGEST_TEXT).collect()
}
