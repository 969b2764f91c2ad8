//! When a letter that did not leave is tried again.
//!
//! Pure: chance is an argument. Invariant: the waits grow, and never beyond an hour and a quarter.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long to wait after the `tries`-th try failed.
///
/// Twice as long each time, and up to a quarter more by `chance`, so that what waited together
/// does not come back together. A server that puts strangers off (greylisting, RFC 6647) takes
/// the second or third try.
#[must_use]
pub fn retry_after(tries: u32, chance: u8) -> Duration {
    let doublings = tries.saturating_sub(1).min(6);
    let wait = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    wait + wait * u32::from(chance) / (4 * 255)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wait_doubles_up_to_an_hour() {
        let minutes = |tries| retry_after(tries, 0).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 7, 100].map(minutes), [1, 2, 4, 8, 60, 60]);
        assert_eq!(minutes(0), 1);
    }

    proptest! {
        #[test]
        fn chance_adds_a_quarter_at_most(tries: u32, chance: u8) {
            let least = retry_after(tries, 0);
            let wait = retry_after(tries, chance);
            prop_assert!(wait >= least && wait <= least * 5 / 4);
        }
    }
}
