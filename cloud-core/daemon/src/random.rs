//! Numbers that nobody can foretell, and the ids made of them.

use model::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

/// So many random octets, from the operating system.
///
/// # Panics
///
/// When the system has no randomness: nothing the core does would be safe then.
pub(crate) fn octets<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    SystemRandom::new()
        .fill(&mut octets)
        .expect("the operating system gives random octets");
    octets
}

/// Something from 0 to 1.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::from_be_bytes(octets())) / f64::from(u32::MAX)
}

/// The bits of a ULID: 48 of time, 80 random. Ids made later sort later.
pub(crate) fn id_bits(now: Timestamp) -> u128 {
    let random = u128::from_be_bytes(octets());
    let ms = u128::from(now.unix_ms().max(0).unsigned_abs());
    ms << 80 | random >> 48
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_their_time_and_are_never_the_same() {
        let at = |ms| id_bits(Timestamp::from_unix_ms(ms));
        assert!(at(1_000) < at(1_001));
        assert_ne!(at(1_000), at(1_000));
    }
}
