//! Numbers that scatter, from a seed: so that the waits of many machines do not fall together, and
//! the same seed gives the same story again.
//!
//! SplitMix64 (Steele, Lea, Flood 2014). No secret may hang on it. Invariant: equal seeds draw equal
//! numbers.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit` - 1; 0 when `limit` is 0.
    pub fn below(&mut self, limit: u32) -> u32 {
        let scaled = ((self.draw() >> 32) * u64::from(limit)) >> 32;
        u32::try_from(scaled).expect("less than `limit`")
    }

    /// From 0 to 1.
    pub fn fraction(&mut self) -> f64 {
        let upper = u32::try_from(self.draw() >> 32).expect("32 bits are left");
        f64::from(upper) / f64::from(u32::MAX)
    }

    /// From nothing to `longest`.
    pub fn wait(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_draws_what_the_published_algorithm_draws() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut chance = Chance::new(1_234_567);
        let drawn = [chance.draw(), chance.draw(), chance.draw()];
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn all_draws_stay_inside_their_limits() {
        let mut chance = Chance::new(7);
        for _ in 0..1000 {
            assert!(chance.below(3) < 3);
            assert!((0.0..=1.0).contains(&chance.fraction()));
            assert!(chance.wait(Duration::from_secs(1)) <= Duration::from_secs(1));
        }
        assert_eq!(chance.below(0), 0);
    }
}
