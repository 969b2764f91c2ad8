//! How often somebody may be wrong about a claim code.
//!
//! With 100 random bits nobody finds a code by trying; the limits keep a person from trying
//! a neighbour's misread label, and a stolen account from making noise.

use std::time::Duration;

/// So many wrong codes within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimit {
    pub most: u32,
    pub within: Duration,
}

/// Whose attempts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    OfUser,
    OfCompany,
}

impl Attempts {
    pub const fn limit(self) -> AttemptLimit {
        match self {
            Self::OfUser => AttemptLimit {
                most: 5,
                within: Duration::from_secs(3600),
            },
            Self::OfCompany => AttemptLimit {
                most: 50,
                within: Duration::from_secs(24 * 3600),
            },
        }
    }

    /// Whether one more may be made after so many wrong ones within the time of the limit.
    pub const fn one_more(self, wrong: u32) -> bool {
        wrong < self.limit().most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_five_wrong_codes_an_hour_and_fifty_a_day() {
        assert!(Attempts::OfUser.one_more(4));
        assert!(!Attempts::OfUser.one_more(5));
        assert!(Attempts::OfCompany.one_more(49));
        assert!(!Attempts::OfCompany.one_more(50));
        assert!(Attempts::OfUser.limit().within < Attempts::OfCompany.limit().within);
    }
}
