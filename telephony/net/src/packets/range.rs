//! Pairs of an even port and the odd one after it (RFC 3550 11).
//!
//! Walks round the range from a random start, so that a pair that was given
//! back rests until all others had their turn: what a far end still sends to
//! an ended call does not reach the next one.

use thiserror::Error;

/// The first pair begins at an even port, the last ends at an odd one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    pairs: u16,
}

/// Why a range cannot be used; the configuration is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RangeError {
    #[error("ports {first}-{last} hold no pair of an even port and the next; widen the range")]
    NoPair { first: u16, last: u16 },
    #[error("port {first} is below 1024, where ports belong to system services; begin higher")]
    Privileged { first: u16 },
}

impl PortRange {
    /// From `first` to `last`, both included; a half pair at either end is left out.
    pub fn new(first: u16, last: u16) -> Result<PortRange, RangeError> {
        if first < 1024 {
            return Err(RangeError::Privileged { first });
        }
        let even = first.checked_next_multiple_of(2);
        let pairs = even.map_or(0, |even| {
            (u32::from(last) + 1).saturating_sub(even.into()) / 2
        });
        match even {
            Some(even) if pairs > 0 => Ok(PortRange {
                first: even,
                pairs: pairs as u16,
            }),
            Some(_) | None => Err(RangeError::NoPair { first, last }),
        }
    }

    pub fn pairs(&self) -> u16 {
        self.pairs
    }

    fn rtp_port(&self, pair: u16) -> u16 {
        self.first + 2 * pair
    }
}

impl Default for PortRange {
    fn default() -> PortRange {
        PortRange {
            first: 10_000,
            pairs: 20_000,
        }
    }
}

/// Which pairs of one address are out, and which comes next.
#[derive(Debug)]
pub(crate) struct Walk {
    range: PortRange,
    out: Vec<bool>,
    next: u16,
}

impl Walk {
    pub(crate) fn new(range: PortRange, random: u64) -> Walk {
        Walk {
            range,
            out: vec![false; usize::from(range.pairs)],
            next: (random % u64::from(range.pairs)) as u16,
        }
    }

    /// The pairs that are not out, each once, from where the last walk ended.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (u16, u16)> + use<'_> {
        let (pairs, next) = (u32::from(self.range.pairs), u32::from(self.next));
        (0..pairs)
            .map(move |step| ((next + step) % pairs) as u16)
            .filter(|pair| !self.out[usize::from(*pair)])
            .map(|pair| (pair, self.range.rtp_port(pair)))
    }

    pub(crate) fn take(&mut self, pair: u16) {
        self.out[usize::from(pair)] = true;
        self.next = (pair + 1) % self.range.pairs;
    }

    pub(crate) fn give_back(&mut self, pair: u16) {
        self.out[usize::from(pair)] = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_pairs_at_the_ends_are_left_out() {
        let ports = |first, last| {
            let range = PortRange::new(first, last).unwrap();
            let walk = Walk::new(range, 0);
            walk.candidates().map(|(_, port)| port).collect::<Vec<_>>()
        };
        assert_eq!(ports(10_000, 10_003), [10_000, 10_002]);
        assert_eq!(ports(10_001, 10_004), [10_002]);
        assert_eq!(ports(65_532, 65_535), [65_532, 65_534]);
        let default = PortRange::default();
        assert_eq!(Ok(default), PortRange::new(10_000, 50_000));
    }

    #[test]
    fn ranges_without_a_pair_and_system_ports_are_refused() {
        for (first, last) in [(10_000, 10_000), (10_001, 10_002), (2000, 1999)] {
            let refused = PortRange::new(first, last);
            assert_eq!(refused, Err(RangeError::NoPair { first, last }));
        }
        let refused = PortRange::new(65_535, 65_535);
        assert!(matches!(refused, Err(RangeError::NoPair { .. })));
        let refused = PortRange::new(1000, 2000);
        assert_eq!(refused, Err(RangeError::Privileged { first: 1000 }));
    }

    #[test]
    fn a_pair_given_back_comes_last() {
        let range = PortRange::new(20_000, 20_007).unwrap();
        let mut walk = Walk::new(range, 6);
        let mut given = Vec::new();
        for _ in 0..3 {
            let (pair, port) = walk.candidates().next().unwrap();
            walk.take(pair);
            given.push(port);
        }
        assert_eq!(given, [20_004, 20_006, 20_000]);
        walk.give_back(2);
        let left: Vec<_> = walk.candidates().map(|(_, port)| port).collect();
        assert_eq!(left, [20_002, 20_004]);
    }
}
