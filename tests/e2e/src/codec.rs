//! The voice codecs of the gateway, by the names that foreign programs give them.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Pcma,
    Pcmu,
    G722,
    Opus,
}

impl Codec {
    pub const ALL: [Self; 4] = [Self::Pcma, Self::Pcmu, Self::G722, Self::Opus];

    pub fn in_baresip(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA/8000/1",
            Self::Pcmu => "PCMU/8000/1",
            Self::G722 => "G722/16000/1",
            // As `opus_stereo no` makes it.
            Self::Opus => "opus/48000/1",
        }
    }

    pub fn in_linphone(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA/8000/1",
            Self::Pcmu => "PCMU/8000/1",
            Self::G722 => "G722/8000/1",
            Self::Opus => "opus/48000/2",
        }
    }

    /// The ready-made pjsua2 has no Opus.
    pub fn in_pjsua2(self) -> Option<&'static str> {
        match self {
            Self::Pcma => Some("PCMA/8000/1"),
            Self::Pcmu => Some("PCMU/8000/1"),
            Self::G722 => Some("G722/16000/1"),
            Self::Opus => None,
        }
    }
}
