//! `Priority`: how urgent a call is, 1 to 250, 1 the most urgent, in four bands.
//!
//! The scale and the meaning of its bands are those of the best documented public intercom system;
//! links whose scale runs the other way turn it at their edge.

use std::fmt;

/// 1 to 250. `Ord` follows the number: the *smaller* one is the more urgent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

/// What a priority means for a call. Orders like the priority: `Alarm` is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// 1-20: connects at once, ends less urgent calls that stand in its way, is never refused for load.
    Alarm,
    /// 21-40: answered by itself where the station is free.
    High,
    /// 41-100: as the station is set.
    Normal,
    /// 101-250: always rings, never opens a microphone by itself.
    Low,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a priority is 1 (most urgent) to 250, not {0}; alarms are 1-20, high 21-40, normal 41-100, low 101-250"
)]
pub struct PriorityError(pub u64);

impl Priority {
    pub const MOST_URGENT: Self = Self(1);
    /// What an emergency point has when nothing else is said.
    pub const DEFAULT_ALARM: Self = Self(10);
    /// The most urgent that a caller from outside can have.
    pub const MOST_URGENT_NORMAL: Self = Self(41);
    pub const DEFAULT: Self = Self(70);
    pub const LEAST_URGENT: Self = Self(250);

    pub fn new(value: u64) -> Result<Self, PriorityError> {
        match u8::try_from(value) {
            Ok(small @ 1..=250) => Ok(Self(small)),
            _ => Err(PriorityError(value)),
        }
    }

    pub const fn get(self) -> u8 {
        self.0
    }

    pub const fn band(self) -> Band {
        match self.0 {
            0..=20 => Band::Alarm,
            21..=40 => Band::High,
            41..=100 => Band::Normal,
            101..=255 => Band::Low,
        }
    }

    pub fn is_alarm(self) -> bool {
        self.band() == Band::Alarm
    }

    pub fn is_more_urgent_than(self, other: Self) -> bool {
        self.0 < other.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.0, self.band())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_begin_and_end_where_the_table_says() {
        let band = |n| Priority::new(n).unwrap().band();
        assert_eq!([band(1), band(20)], [Band::Alarm; 2]);
        assert_eq!([band(21), band(40)], [Band::High; 2]);
        assert_eq!([band(41), band(70), band(100)], [Band::Normal; 3]);
        assert_eq!([band(101), band(250)], [Band::Low; 2]);
    }

    #[test]
    fn nothing_outside_1_to_250() {
        for bad in [0, 251, 256, u64::MAX] {
            assert_eq!(Priority::new(bad), Err(PriorityError(bad)));
        }
    }

    #[test]
    fn one_is_the_most_urgent() {
        assert!(Priority::MOST_URGENT.is_more_urgent_than(Priority::DEFAULT));
        assert!(!Priority::DEFAULT.is_more_urgent_than(Priority::DEFAULT));
    }
}
