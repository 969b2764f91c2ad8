//! What a network does to packets: loses some, delays each, all by a seed.
//!
//! Packets may overtake each other, as they do on two ways at once; a sender's
//! clock may run fast or slow.

use std::time::Duration;

/// Between a sender and who receives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// The mean part of packets that never come, 0 to 1.
    pub loss: f64,
    /// How many in a row are lost on average; 1: each by itself.
    pub burst: f64,
    pub jitter: Jitter,
    /// How much faster the sender's clock runs than ours, in millionths.
    pub drift_ppm: f64,
    pub seed: u64,
}

/// How much longer than the fastest a packet takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Jitter {
    None,
    /// Exponential: the mean is also the jitter of RFC 3550 6.4.1, and the tail is long.
    Exponential {
        mean: Duration,
    },
    /// Anything up to this.
    Uniform {
        most: Duration,
    },
}

/// When a packet was sent and when it arrives, from the beginning; the number is its place in
/// what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passage {
    pub arrives: Duration,
    pub number: usize,
    pub sent: Duration,
}

impl Network {
    pub const PERFECT: Network = Network {
        loss: 0.0,
        burst: 1.0,
        jitter: Jitter::None,
        drift_ppm: 0.0,
        seed: 1,
    };

    /// What becomes of packets sent every 20 ms, in order of arrival.
    pub fn carry(&self, packets: usize) -> Vec<Passage> {
        let mut random = Random(self.seed);
        let mut losing = false;
        let mut passages: Vec<Passage> = (0..packets)
            .filter_map(|number| {
                let delay = self.delay(&mut random);
                losing = self.loses(losing, &mut random);
                let sent = self.sent(number);
                (!losing).then_some(Passage {
                    arrives: sent + delay,
                    number,
                    sent,
                })
            })
            .collect();
        passages.sort();
        passages
    }

    /// On our clock; a packet leaves when its last sample was spoken.
    pub fn sent(&self, number: usize) -> Duration {
        let spoken = Duration::from_millis(20) * (number as u32 + 1);
        spoken.div_f64(1.0 + self.drift_ppm / 1e6)
    }

    /// Gilbert's two states: in the bad one all is lost.
    fn loses(&self, losing: bool, random: &mut Random) -> bool {
        let stay = 1.0 - 1.0 / self.burst.max(1.0);
        let begin = self.loss * (1.0 - stay) / (1.0 - self.loss).max(1e-9);
        let of_one = random.unit();
        match (losing, self.burst <= 1.0) {
            (_, true) => of_one < self.loss,
            (true, false) => of_one < stay,
            (false, false) => of_one < begin,
        }
    }

    fn delay(&self, random: &mut Random) -> Duration {
        let of_one = random.unit();
        match self.jitter {
            Jitter::None => Duration::ZERO,
            Jitter::Exponential { mean } => mean.mul_f64(-(1.0 - of_one).ln()),
            Jitter::Uniform { most } => most.mul_f64(of_one),
        }
    }
}

/// SplitMix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// At least 0, less than 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / 2f64.powi(64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 100_000;

    #[test]
    fn as_much_is_lost_as_asked_singly_and_in_bursts() {
        for burst in [1.0, 3.0] {
            let network = Network {
                loss: 0.05,
                burst,
                ..Network::PERFECT
            };
            let came = network.carry(MANY);
            let lost = 1.0 - came.len() as f64 / MANY as f64;
            assert!((lost - 0.05).abs() < 0.005, "{lost}");
            let gaps = came.windows(2).filter(|w| w[1].number > w[0].number + 1);
            let mean = (MANY - came.len()) as f64 / gaps.count() as f64;
            assert!((mean - burst.max(1.0 / 0.95)).abs() < 0.15, "{mean}");
        }
    }

    #[test]
    fn the_jitter_has_the_mean_asked_for_and_packets_overtake() {
        let mean = Duration::from_millis(15);
        let network = Network {
            jitter: Jitter::Exponential { mean },
            ..Network::PERFECT
        };
        let came = network.carry(MANY);
        let total: Duration = came.iter().map(|p| p.arrives - p.sent).sum();
        let found = total.as_secs_f64() / MANY as f64;
        assert!((found - 0.015).abs() < 0.0005, "{found}");
        assert!(came.windows(2).any(|w| w[1].number < w[0].number));
    }

    #[test]
    fn a_fast_clock_sends_early_and_the_same_seed_gives_the_same() {
        let fast = Network {
            drift_ppm: 200.0,
            ..Network::PERFECT
        };
        let ten_minutes = 30_000;
        let early = Network::PERFECT.sent(ten_minutes) - fast.sent(ten_minutes);
        assert!(early.abs_diff(Duration::from_millis(120)) < Duration::from_millis(1));
        assert_eq!(fast.carry(500), fast.carry(500));
    }
}
