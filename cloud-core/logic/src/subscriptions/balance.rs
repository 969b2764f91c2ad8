//! What is there at a moment, and what is missing.

use std::time::Duration;

use model::Timestamp;
use serde::{Deserialize, Serialize};

use super::offers::Sku;

/// After its end a subscription counts for so long, so that an order under way stops nobody.
pub const GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// So long before its end it is said that it ends.
pub const ENDS_SOON: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// So much of one offer, from a day to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    pub sku: Sku,
    pub amount: u32,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Where a subscription is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Ahead,
    Running,
    /// Runs, and ends soon.
    Ending,
    /// Has ended, and still counts.
    Grace,
    Over,
}

impl Standing {
    #[must_use]
    pub const fn counts(self) -> bool {
        match self {
            Self::Running | Self::Ending | Self::Grace => true,
            Self::Ahead | Self::Over => false,
        }
    }

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Running => "running",
            Self::Ending => "ending",
            Self::Grace => "grace",
            Self::Over => "over",
        }
    }
}

impl Subscription {
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        if now < self.from {
            Standing::Ahead
        } else if now >= self.until.saturating_add(GRACE) {
            Standing::Over
        } else if now >= self.until {
            Standing::Grace
        } else if now >= self.until.saturating_sub(ENDS_SOON) {
            Standing::Ending
        } else {
            Standing::Running
        }
    }
}

/// Of one offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    pub sku: Sku,
    /// What counts now.
    pub there: u64,
    /// What of it counts only because of the grace.
    pub in_grace: u64,
    /// What of it ends soon.
    pub ending: u64,
    /// When the next of what counts stops to count.
    pub next_end: Option<Timestamp>,
    /// Nothing where the core does not count it.
    pub used: Option<u64>,
}

impl Balance {
    /// What could be begun with it.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        self.used.map(|used| self.there.saturating_sub(used))
    }

    #[must_use]
    pub fn missing(&self) -> u64 {
        self.used.unwrap_or(0).saturating_sub(self.there)
    }
}

#[must_use]
pub fn balance(
    subscriptions: &[Subscription],
    sku: Sku,
    used: Option<u64>,
    now: Timestamp,
) -> Balance {
    let counting = subscriptions
        .iter()
        .filter(|one| one.sku == sku && one.standing(now).counts());
    let mut balance = Balance {
        sku,
        there: 0,
        in_grace: 0,
        ending: 0,
        next_end: None,
        used,
    };
    for one in counting {
        let amount = u64::from(one.amount);
        balance.there += amount;
        let end = one.until.saturating_add(GRACE);
        balance.next_end = Some(balance.next_end.map_or(end, |known| known.min(end)));
        match one.standing(now) {
            Standing::Grace => balance.in_grace += amount,
            Standing::Ending => balance.ending += amount,
            Standing::Ahead | Standing::Running | Standing::Over => {}
        }
    }
    balance
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn day(number: u32) -> Timestamp {
        Timestamp::from_unix_ms(0).saturating_add(DAY * number)
    }

    fn of(amount: u32, from: u32, until: u32) -> Subscription {
        Subscription {
            sku: Sku::CallService,
            amount,
            from: day(from),
            until: day(until),
        }
    }

    #[test]
    fn n1_a_subscription_counts_from_its_first_day_and_a_grace_beyond_its_last() {
        let year = of(10, 100, 465);
        let standing = |number| year.standing(day(number));
        assert_eq!(standing(99), Standing::Ahead);
        assert_eq!(standing(100), Standing::Running);
        assert_eq!(standing(404), Standing::Running);
        assert_eq!(standing(405), Standing::Ending);
        assert_eq!(standing(465), Standing::Grace);
        assert_eq!(standing(494), Standing::Grace);
        assert_eq!(standing(495), Standing::Over);
    }

    #[test]
    fn n1_what_is_there_is_the_sum_of_what_counts() {
        let all = [of(10, 0, 365), of(5, 300, 665), of(7, 400, 765)];
        let at = |number, used| balance(&all, Sku::CallService, Some(used), day(number));
        let balance = at(330, 12);
        assert_eq!((balance.there, balance.ending), (15, 10));
        assert_eq!((balance.free(), balance.missing()), (Some(3), 0));
        let balance = at(370, 12);
        assert_eq!((balance.there, balance.in_grace), (15, 10));
        assert_eq!(balance.next_end, Some(day(395)));
        let balance = at(396, 12);
        assert_eq!((balance.there, balance.missing()), (5, 7));
        assert_eq!(balance.free(), Some(0));
        let other = super::balance(&all, Sku::SingleSignOn, None, day(330));
        assert_eq!((other.there, other.free(), other.missing()), (0, None, 0));
    }

    proptest! {
        #[test]
        fn more_is_never_less(amount in 0u32..100, more in 0u32..100, used in 0u64..300, at in 0u32..1000) {
            let one = [of(amount, 10, 375)];
            let two = [of(amount, 10, 375), of(more, 200, 565)];
            let before = balance(&one, Sku::CallService, Some(used), day(at));
            let after = balance(&two, Sku::CallService, Some(used), day(at));
            prop_assert!(after.there >= before.there);
            prop_assert!(after.missing() <= before.missing());
        }
    }
}
