//! `LegAudio`: how well the sound of one leg travelled, in figures.
//!
//! Both directions as seen from us: what the device sends, and what it says about what it is sent.
//! Plain numbers; how they are measured is written where they are measured.

use std::fmt;
use std::time::Duration;

/// The sound of one leg since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegAudio {
    /// What the device speaks; `None`: nothing was heard of it.
    pub codec: Option<AudioCodec>,
    pub band: Option<Bandwidth>,
    pub carried: Carried,
    /// The suite of SRTP that protected it last; `None`: it was spoken in the clear.
    pub encryption: Option<&'static str>,
    /// There and back between us and the device, by RTCP.
    pub round_trip: Option<Duration>,
    /// How long ago the device was heard last, when these figures were taken.
    pub silent_for: Option<Duration>,
    pub received: Received,
    pub sent: Sent,
}

/// What the device sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub packets: u64,
    /// Lost on the way, by the numbers of those that came (RFC 3550 A.3).
    pub lost: u64,
    pub jitter: Duration,
    /// From mouth to us, estimated.
    pub delay: Option<Duration>,
    pub mos: Option<Mos>,
    /// Only where the sound is decoded here.
    pub decoded: Option<Decoded>,
}

/// What becomes of sound that is decoded here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Packets that came too late to be played.
    pub late: u64,
    /// How much sound was invented in place of what was missing.
    pub concealed: Duration,
    /// How long packets wait for those behind them, now and at most.
    pub buffer: Duration,
    pub buffer_most: Duration,
    /// Of the sound, not of silence; `None`: nothing but silence yet.
    pub level: Option<Level>,
}

/// What the device was sent, and what it says about that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub packets: u64,
    /// `None`: the device has not reported.
    pub far: Option<FarEnd>,
}

/// The device's own report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FarEnd {
    pub lost: u64,
    pub jitter: Duration,
    pub mos: Option<Mos>,
}

/// The codecs of audio that are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AudioCodec {
    Pcma,
    Pcmu,
    G722,
    Opus,
    /// Relayed, whatever it is.
    Other,
}

impl AudioCodec {
    pub const ALL: [Self; 5] = [Self::Pcma, Self::Pcmu, Self::G722, Self::Opus, Self::Other];

    /// The name in records, figures and the API. Never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcma => "pcma",
            Self::Pcmu => "pcmu",
            Self::G722 => "g722",
            Self::Opus => "opus",
            Self::Other => "other",
        }
    }
}

/// How much of a voice can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bandwidth {
    /// To 3.4 kHz.
    Narrow,
    /// To 7 kHz.
    Wide,
    /// To 20 kHz.
    Full,
}

impl Bandwidth {
    /// The name in records and the API. Never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Narrow => "narrow",
            Self::Wide => "wide",
            Self::Full => "full",
        }
    }
}

/// What is done with the packets of a leg on their way to whoever hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carried {
    /// Passed on as they are.
    Relayed,
    /// Decoded, and encoded anew for at least one who hears it, or who is heard.
    Transcoded,
}

impl Carried {
    pub const ALL: [Self; 2] = [Self::Relayed, Self::Transcoded];
}

/// A mean opinion score, estimated; in hundredths, from 1.00 to 5.00.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mos(u16);

impl Mos {
    pub const WORST: Self = Self(100);
    pub const BEST: Self = Self(500);

    /// The nearest there is.
    pub const fn from_hundredths(hundredths: u16) -> Self {
        match hundredths {
            0..100 => Self::WORST,
            100..=500 => Self(hundredths),
            501.. => Self::BEST,
        }
    }

    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Mos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl fmt::Debug for Mos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mos({self})")
    }
}

/// How loud sound is, in tenths of a decibel below full scale (dBFS).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(i16);

impl Level {
    pub const fn from_tenths(tenths: i16) -> Self {
        Self(tenths)
    }

    pub const fn tenths(self) -> i16 {
        self.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        write!(f, "{sign}{}.{}", size / 10, size % 10)
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Level({self} dBFS)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_stay_on_their_scale_and_read_as_people_write_them() {
        let text = |hundredths| Mos::from_hundredths(hundredths).to_string();
        assert_eq!([text(0), text(437), text(900)], ["1.00", "4.37", "5.00"]);
    }

    #[test]
    fn levels_read_as_people_write_them() {
        let text = |tenths| Level::from_tenths(tenths).to_string();
        assert_eq!([text(-5), text(-264), text(0)], ["-0.5", "-26.4", "0.0"]);
    }
}
