//! Bearer capability: what the B channel shall carry (Q.931 4.5.5).

use super::element::{Element, id};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    Speech,
    UnrestrictedDigital,
    RestrictedDigital,
    Audio3k1,
    /// 7 kHz telephony asks for this (EN 300 267).
    UnrestrictedWithTones,
    Video,
    Other(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer1 {
    /// V.110
    RateAdaption,
    G711MuLaw,
    G711ALaw,
    /// H.221 and H.242, formerly G.722 and G.725
    H221,
    Other(u8),
}

/// The parts that matter for telephony; what follows them stays in the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BearerCapability {
    pub capability: Capability,
    /// Circuit mode, 64 kbit/s. Nothing else fits one B channel.
    pub one_channel: bool,
    pub layer1: Option<Layer1>,
}

impl BearerCapability {
    pub const SPEECH_A_LAW: Self = Self {
        capability: Capability::Speech,
        one_channel: true,
        layer1: Some(Layer1::G711ALaw),
    };

    /// None: contents that are none.
    pub fn decode(contents: &[u8]) -> Option<Self> {
        let &[third, fourth, ref rest @ ..] = contents else {
            return None;
        };
        let capability = match third & 0x1F {
            0x00 => Capability::Speech,
            0x08 => Capability::UnrestrictedDigital,
            0x09 => Capability::RestrictedDigital,
            0x10 => Capability::Audio3k1,
            0x11 => Capability::UnrestrictedWithTones,
            0x18 => Capability::Video,
            other => Capability::Other(other),
        };
        // A multiplier follows the rate 0x18.
        let rest = if fourth & 0x1F == 0x18 {
            rest.get(1..).unwrap_or(&[])
        } else {
            rest
        };
        let layer1 = rest.first().filter(|octet| *octet & 0x60 == 0x20);
        Some(Self {
            capability,
            one_channel: fourth & 0x7F == 0x10,
            layer1: layer1.map(|octet| match octet & 0x1F {
                1 => Layer1::RateAdaption,
                2 => Layer1::G711MuLaw,
                3 => Layer1::G711ALaw,
                5 => Layer1::H221,
                other => Layer1::Other(other),
            }),
        })
    }

    /// For one channel of 64 kbit/s.
    pub fn encode(self) -> Element {
        let capability = match self.capability {
            Capability::Speech => 0x00,
            Capability::UnrestrictedDigital => 0x08,
            Capability::RestrictedDigital => 0x09,
            Capability::Audio3k1 => 0x10,
            Capability::UnrestrictedWithTones => 0x11,
            Capability::Video => 0x18,
            Capability::Other(bits) => bits & 0x1F,
        };
        let mut contents = vec![0x80 | capability, 0x90];
        if let Some(layer1) = self.layer1 {
            let bits = match layer1 {
                Layer1::RateAdaption => 1,
                Layer1::G711MuLaw => 2,
                Layer1::G711ALaw => 3,
                Layer1::H221 => 5,
                Layer1::Other(bits) => bits & 0x1F,
            };
            contents.push(0xA0 | bits);
        }
        Element::new(id::BEARER_CAPABILITY, contents)
    }
}
