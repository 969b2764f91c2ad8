//! Who hears whom in a conversation of two.

/// Between the two legs `a` and `b` of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TalkMode {
    /// Both at once.
    OpenDuplex,
    /// Both at once on the wire; the louder one mutes the other at the station.
    VoiceSwitched,
    /// One at a time; the talk key decides.
    Simplex { talker: Talker },
    /// `a` hears `b`, `b` does not hear `a`.
    ListenOnly,
    /// `b` hears `a`, `a` does not hear `b`.
    TalkOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Talker {
    A,
    B,
    Nobody,
}

impl TalkMode {
    /// Whether sound goes from `a` to `b`.
    pub const fn a_is_heard(self) -> bool {
        match self {
            Self::OpenDuplex | Self::VoiceSwitched | Self::TalkOnly => true,
            Self::Simplex { talker } => matches!(talker, Talker::A),
            Self::ListenOnly => false,
        }
    }

    /// Whether sound goes from `b` to `a`.
    pub const fn b_is_heard(self) -> bool {
        match self {
            Self::OpenDuplex | Self::VoiceSwitched | Self::ListenOnly => true,
            Self::Simplex { talker } => matches!(talker, Talker::B),
            Self::TalkOnly => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_simplex_one_is_heard_at_a_time() {
        for (talker, heard) in [
            (Talker::A, (true, false)),
            (Talker::B, (false, true)),
            (Talker::Nobody, (false, false)),
        ] {
            let mode = TalkMode::Simplex { talker };
            assert_eq!((mode.a_is_heard(), mode.b_is_heard()), heard);
        }
        assert!(TalkMode::TalkOnly.a_is_heard() && !TalkMode::TalkOnly.b_is_heard());
        assert!(!TalkMode::ListenOnly.a_is_heard() && TalkMode::ListenOnly.b_is_heard());
    }
}
