//! Called, calling and connected numbers (Q.931 4.5.8 and 4.5.10).

use super::element::Element;

/// Type of number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbering {
    #[default]
    Unknown,
    International,
    National,
    NetworkSpecific,
    Subscriber,
    Abbreviated,
    Other(u8),
}

/// Whether the called party may see it (Q.931 table 4-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presentation {
    Allowed,
    Restricted,
    NotAvailable,
    Reserved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    pub numbering: Numbering,
    /// Numbering plan: 0 unknown, 1 ISDN (E.164), 9 private.
    pub plan: u8,
    /// With the screening indicator; only calling and connected numbers have it.
    pub presentation: Option<(Presentation, u8)>,
    pub digits: String,
}

/// No more digits than fit any element of a D channel's frame.
const LONGEST: usize = 64;

impl Number {
    /// Of unknown type in an unknown plan, as within one house.
    pub fn unknown(digits: &str) -> Self {
        Self {
            numbering: Numbering::Unknown,
            plan: 0,
            presentation: None,
            digits: digits.to_owned(),
        }
    }

    /// None: contents that are none, or digits that are not printable, or too many.
    pub fn decode(contents: &[u8]) -> Option<Self> {
        let (&third, mut rest) = contents.split_first()?;
        let mut presentation = None;
        if third & 0x80 == 0 {
            let (&shown, digits) = rest.split_first()?;
            rest = digits;
            let who = match shown >> 5 & 0x03 {
                0 => Presentation::Allowed,
                1 => Presentation::Restricted,
                2 => Presentation::NotAvailable,
                _ => Presentation::Reserved,
            };
            presentation = Some((who, shown & 0x03));
        }
        let printable = rest.iter().all(u8::is_ascii_graphic);
        if !printable || rest.len() > LONGEST {
            return None;
        }
        Some(Self {
            numbering: match third >> 4 & 0x07 {
                0 => Numbering::Unknown,
                1 => Numbering::International,
                2 => Numbering::National,
                3 => Numbering::NetworkSpecific,
                4 => Numbering::Subscriber,
                6 => Numbering::Abbreviated,
                other => Numbering::Other(other),
            },
            plan: third & 0x0F,
            presentation,
            digits: rest.iter().map(|octet| char::from(*octet)).collect(),
        })
    }

    /// As the element `id`. What is not ASCII, or too much, is left out.
    pub fn encode(&self, id: u8) -> Element {
        let numbering = match self.numbering {
            Numbering::Unknown => 0,
            Numbering::International => 1,
            Numbering::National => 2,
            Numbering::NetworkSpecific => 3,
            Numbering::Subscriber => 4,
            Numbering::Abbreviated => 6,
            Numbering::Other(bits) => bits & 0x07,
        };
        let mut third = numbering << 4 | self.plan & 0x0F;
        let mut contents = Vec::new();
        match self.presentation {
            None => {
                third |= 0x80;
                contents.push(third);
            }
            Some((who, screening)) => {
                let who = match who {
                    Presentation::Allowed => 0,
                    Presentation::Restricted => 1,
                    Presentation::NotAvailable => 2,
                    Presentation::Reserved => 3,
                };
                contents.extend([third, 0x80 | who << 5 | screening & 0x03]);
            }
        }
        let digits = self.digits.bytes().filter(u8::is_ascii_graphic);
        contents.extend(digits.take(LONGEST));
        Element::new(id, contents)
    }
}
