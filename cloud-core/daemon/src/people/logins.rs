//! Who has to wait before trying again: per account and per address.
//!
//! Kept in memory: a flood of guesses must not keep the disk busy. With several nodes each counts
//! for itself. Which accounts exist does not show: unknown ones are counted alike.

use std::net::IpAddr;
use std::time::Duration;

use cloud_logic::attempts::{Attempts, Patience, TooEarly};
use model::Timestamp;

use super::Peer;
use crate::api::{Code, Problem};

const HOUR: Duration = Duration::from_secs(3600);

/// Not so long that somebody could keep another one out for good.
const ACCOUNTS: Patience = Patience {
    free: 5,
    first_wait: Duration::from_secs(1),
    longest_wait: Duration::from_secs(5 * 60),
    memory: HOUR,
    capacity: 20_000,
};

/// Many people share an address.
const ADDRESSES: Patience = Patience {
    free: 20,
    first_wait: Duration::from_secs(2),
    longest_wait: Duration::from_secs(15 * 60),
    memory: HOUR,
    capacity: 20_000,
};

#[derive(Debug)]
pub(super) struct Logins {
    accounts: Attempts<String>,
    addresses: Attempts<Option<IpAddr>>,
}

impl Logins {
    pub(super) fn new() -> Self {
        Self {
            accounts: Attempts::new(ACCOUNTS),
            addresses: Attempts::new(ADDRESSES),
        }
    }

    /// Begins a try at something that can be guessed. `account` is the mail address, or what
    /// else names the goal.
    pub(super) fn begin(
        &mut self,
        account: &str,
        peer: Peer,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let account = account.to_owned();
        self.accounts.check(&account, now).map_err(wait)?;
        self.addresses
            .begin(&peer.neighbourhood(), now)
            .map_err(wait)?;
        self.accounts.begin(&account, now).map_err(wait)
    }

    /// Begins a try at a secret that is too long to be guessed: who tries is slowed down, what
    /// she tries for is not, so that nobody keeps its owner out.
    pub(super) fn begin_unguessable(&mut self, peer: Peer, now: Timestamp) -> Result<(), Problem> {
        self.addresses
            .begin(&peer.neighbourhood(), now)
            .map_err(wait)
    }

    /// That try was right.
    pub(super) fn unguessable_succeeded(&mut self, peer: Peer) {
        self.addresses.take_back(&peer.neighbourhood());
    }

    /// The try was right.
    pub(super) fn succeeded(&mut self, account: &str, peer: Peer) {
        self.accounts.forgive(&account.to_owned());
        // Who has one account of her own must not wash away what she does to others.
        self.addresses.take_back(&peer.neighbourhood());
    }
}

fn wait(TooEarly(wait): TooEarly) -> Problem {
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
    Problem::new(
        Code::TooMany,
        format!("Too many tries that did not fit. Wait {seconds} seconds, then try again."),
    )
    .retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(0);

    fn peer(last: u8) -> Peer {
        Peer(Some(IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn s1_guessing_one_account_from_many_addresses_is_slowed_down() {
        let mut logins = Logins::new();
        let begun = (0..=255).filter(|&last| logins.begin("anna", peer(last), NOW).is_ok());
        assert_eq!(begun.count(), 5);
    }

    #[test]
    fn s1_guessing_many_accounts_from_one_address_is_slowed_down() {
        let mut logins = Logins::new();
        let mut guess = |n: u32| logins.begin(&format!("user{n}"), peer(1), NOW).is_ok();
        assert_eq!((0..1000).filter(|&n| guess(n)).count(), 20);
    }

    #[test]
    fn an_account_of_ones_own_does_not_buy_more_guesses() {
        let mut logins = Logins::new();
        let mut guesses = 0;
        for n in 0..1000 {
            if logins.begin("mine", peer(1), NOW).is_ok() {
                logins.succeeded("mine", peer(1));
            }
            if logins.begin(&format!("user{n}"), peer(1), NOW).is_ok() {
                guesses += 1;
            }
        }
        assert_eq!(guesses, 20);
    }
}
