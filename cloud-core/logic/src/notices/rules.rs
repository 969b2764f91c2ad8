//! What a company finds worth telling.

use std::time::Duration;

/// Checked by [`Rules::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    offline_after: Duration,
    site_share: u8,
}

/// A rule that would tell everything, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    #[error("give 30 seconds to a day")]
    OfflineAfter,
    #[error("give 10 to 100 percent")]
    SiteShare,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            offline_after: Duration::from_secs(2 * 60),
            site_share: 50,
        }
    }
}

impl Rules {
    pub fn new(offline_after: Duration, site_share: u8) -> Result<Self, BadRule> {
        if !(30..=24 * 60 * 60).contains(&offline_after.as_secs()) {
            return Err(BadRule::OfflineAfter);
        }
        if !(10..=100).contains(&site_share) {
            return Err(BadRule::SiteShare);
        }
        Ok(Self {
            offline_after,
            site_share,
        })
    }

    /// A device that is away for less has not been away.
    #[must_use]
    pub fn offline_after(&self) -> Duration {
        self.offline_after
    }

    /// Of so many percent of its devices, and of two at least, an outage is one of the site.
    #[must_use]
    pub fn site_share(&self) -> u8 {
        self.site_share
    }

    /// So many of `devices` make an outage of the site.
    pub(super) fn many_of(&self, devices: usize) -> usize {
        let share = devices * usize::from(self.site_share);
        share.div_ceil(100).max(2)
    }
}

/// A device that is back for less is not back yet.
pub(super) const BACK_AFTER: Duration = Duration::from_secs(60);

/// A device that is lost so many times...
pub(super) const UNSTEADY_LOSSES: usize = 5;

/// ...within this comes and goes,
pub(super) const UNSTEADY_WITHIN: Duration = Duration::from_secs(60 * 60);

/// until it has stayed for so long,
pub(super) const STEADY_AFTER: Duration = Duration::from_secs(60 * 60);

/// or stayed away for so long: then it is simply away.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_tell_everything_or_nothing_are_refused() {
        let rules = |seconds, share| Rules::new(Duration::from_secs(seconds), share);
        assert_eq!(rules(29, 50), Err(BadRule::OfflineAfter));
        assert_eq!(rules(86_401, 50), Err(BadRule::OfflineAfter));
        assert_eq!(rules(120, 9), Err(BadRule::SiteShare));
        assert_eq!(rules(120, 50), Ok(Rules::default()));
    }

    #[test]
    fn d2_most_of_a_site_is_two_at_least() {
        let many = |devices| Rules::default().many_of(devices);
        assert_eq!([0, 1, 2, 3, 4, 5, 100].map(many), [2, 2, 2, 2, 2, 3, 50]);
    }
}
