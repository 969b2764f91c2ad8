//! Where the sound of a call goes, on lines that tell it: an RTP end point.
//!
//! It says nothing about how sound is carried on lines with channels of their own, and carries
//! none itself. The lines are networks of their own, so the sound is not encrypted.
//!
//! Invariant: at least one codec, none twice, the best one first.

use std::net::SocketAddr;

/// One end of the sound of a call. Whoever sets the call up tells what it can do; whoever takes it
/// answers with what both can, and the first of those is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundEnd {
    /// RTP goes here; RTCP to the port above.
    pub address: SocketAddr,
    pub codecs: SoundCodecs,
    pub keys: SoundKeys,
}

/// How the keys of a telephone travel beside the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SoundKeys {
    /// As commands of the line only.
    #[default]
    OnTheLine,
    /// As telephone events too (RFC 4733), payload type 101.
    Events,
}

/// RFC 3551 6, by their static payload types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SoundCodec {
    G722,
    Pcma,
    Pcmu,
}

/// What an end speaks, the best first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SoundCodecs {
    codecs: [SoundCodec; SoundCodec::ALL.len()],
    count: u8,
}

impl SoundCodec {
    pub const ALL: [Self; 3] = [Self::G722, Self::Pcma, Self::Pcmu];

    pub const fn payload_type(self) -> u8 {
        match self {
            Self::G722 => 9,
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    pub fn of_payload_type(payload_type: u8) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|codec| codec.payload_type() == payload_type)
    }
}

impl SoundCodecs {
    /// All there are, wideband first.
    pub const ALL: Self = Self {
        codecs: SoundCodec::ALL,
        count: SoundCodec::ALL.len() as u8,
    };

    /// None where there is no codec at all. One that comes again counts once.
    pub fn new(best_first: impl IntoIterator<Item = SoundCodec>) -> Option<Self> {
        let mut found = Self {
            codecs: SoundCodec::ALL,
            count: 0,
        };
        for codec in best_first {
            if !found.as_slice().contains(&codec) {
                // No more than there are, as none stands there twice.
                found.codecs[usize::from(found.count)] = codec;
                found.count += 1;
            }
        }
        (found.count > 0).then_some(found)
    }

    pub fn as_slice(&self) -> &[SoundCodec] {
        &self.codecs[..usize::from(self.count)]
    }

    /// The one that is spoken when both ends speak all of these.
    pub const fn best(self) -> SoundCodec {
        self.codecs[0]
    }

    /// Those that the other end speaks too, in this end's order. None: they cannot hear each other.
    pub fn shared_with(self, other: Self) -> Option<Self> {
        let theirs = other.as_slice();
        let own = self.as_slice().iter().copied();
        Self::new(own.filter(|codec| theirs.contains(codec)))
    }
}

impl std::fmt::Debug for SoundCodecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c9_what_both_speak_keeps_the_order_of_who_answers() {
        use SoundCodec::{G722, Pcma, Pcmu};
        let own = SoundCodecs::new([G722, Pcma, G722]).unwrap();
        assert_eq!(own.as_slice(), [G722, Pcma]);
        assert_eq!(own.best(), G722);
        let shared = own.shared_with(SoundCodecs::new([Pcmu, Pcma, G722]).unwrap());
        assert_eq!(shared, Some(own));
        assert_eq!(own.shared_with(SoundCodecs::new([Pcmu]).unwrap()), None);
        assert_eq!(SoundCodecs::new([]), None);
    }

    #[test]
    fn each_codec_is_found_by_its_payload_type() {
        for codec in SoundCodec::ALL {
            let found = SoundCodec::of_payload_type(codec.payload_type());
            assert_eq!(found, Some(codec));
        }
        assert_eq!(SoundCodec::of_payload_type(101), None);
    }
}
