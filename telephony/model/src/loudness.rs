//! How much louder or softer than it comes the sound of a station is made.

use std::fmt;

/// In whole decibels; beyond these bounds something else is wrong with the station.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gain(i8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} dB is not between {min} and {max} dB", min = Gain::LEAST_DB, max = Gain::MOST_DB)]
pub struct GainError(i64);

impl Gain {
    pub const NONE: Self = Self(0);
    pub const LEAST_DB: i8 = -24;
    pub const MOST_DB: i8 = 24;

    pub fn from_db(db: i64) -> Result<Self, GainError> {
        let whole = i8::try_from(db).ok();
        let bounded = whole.filter(|db| (Self::LEAST_DB..=Self::MOST_DB).contains(db));
        bounded.map(Self).ok_or(GainError(db))
    }

    pub const fn db(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+} dB", self.0)
    }
}

/// Of a station, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loudness {
    /// Of what others hear of it.
    pub microphone: Gain,
    /// Of what it hears.
    pub loudspeaker: Gain,
}

/// Whether others hear what a leg says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mute {
    On,
    #[default]
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_bounded() {
        assert_eq!(Gain::from_db(0), Ok(Gain::NONE));
        for (db, shown) in [(-24, "-24 dB"), (6, "+6 dB"), (24, "+24 dB")] {
            assert_eq!(Gain::from_db(db).unwrap().to_string(), shown);
        }
        for db in [-25, 25, i64::MIN, i64::MAX] {
            let error = Gain::from_db(db).unwrap_err();
            assert!(error.to_string().contains("between -24 and 24 dB"));
        }
    }
}
