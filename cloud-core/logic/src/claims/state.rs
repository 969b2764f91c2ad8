//! One claim of one unit: bound, enrolled, ended.

use std::fmt;
use std::time::Duration;

use model::Timestamp;
use serde::{Deserialize, Serialize};

/// How long after its end a certificate still proves the device it was made for. A box that stood in
/// a warehouse comes back by itself.
const GRACE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long an answer that may have been lost on its way is given again to the same key.
const REPEAT: Duration = Duration::from_secs(24 * 3600);

/// Counts the claims of a unit and the units of a device.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Epoch(u64);

impl Epoch {
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    pub const fn number(self) -> u64 {
        self.0
    }

    /// The epoch of a new claim, given the last ones of the unit and of the device.
    pub fn after(unit: Self, device: Self) -> Self {
        Self(unit.0.max(device.0).saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Claimed by a person; the device has not been heard of.
    Bound,
    /// The device has its certificate, the code is burnt.
    Enrolled,
    /// Ended: the unit can be claimed again.
    Ended,
}

impl Stage {
    /// As in documents and rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Enrolled => "enrolled",
            Self::Ended => "ended",
        }
    }
}

/// Why a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimEnd {
    /// The owner let the unit go.
    Released,
    /// Another unit took its place.
    Replaced,
}

impl ClaimEnd {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Replaced => "replaced",
        }
    }
}

/// A claim as far as the rules need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    epoch: Epoch,
    stage: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Bound,
    Enrolled { at: Timestamp },
    Ended(ClaimEnd),
}

/// How a device that wants a certificate shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrol {
    /// By the key it was born with.
    FactoryKey,
    /// By its claim code; `same_key` if the request is for the key that was certified already.
    Code { same_key: bool },
    /// By the certificate it has, of this epoch and with this end.
    Certificate { epoch: Epoch, not_after: Timestamp },
}

/// Why a device gets no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the claim has ended: claim the device again")]
    Ended,
    #[error("the code was used already: release the device and claim it again")]
    CodeBurnt,
    #[error("the certificate is of an earlier claim: enrol again")]
    OldEpoch,
    #[error(
        "the certificate has been expired for more than 30 days: release the device and claim it again"
    )]
    TooLate,
}

impl Refused {
    /// For translation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Ended => "claim_ended",
            Self::CodeBurnt => "claim_code_used",
            Self::OldEpoch => "claim_epoch_old",
            Self::TooLate => "certificate_too_old",
        }
    }
}

impl Claim {
    pub fn bind(epoch: Epoch) -> Self {
        let stage = State::Bound;
        Self { epoch, stage }
    }

    /// As it stands in its row.
    pub fn stored(epoch: Epoch, enrolled_at: Option<Timestamp>, ended: Option<ClaimEnd>) -> Self {
        let stage = match (ended, enrolled_at) {
            (Some(end), _) => State::Ended(end),
            (None, Some(at)) => State::Enrolled { at },
            (None, None) => State::Bound,
        };
        Self { epoch, stage }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn stage(&self) -> Stage {
        match self.stage {
            State::Bound => Stage::Bound,
            State::Enrolled { .. } => Stage::Enrolled,
            State::Ended(_) => Stage::Ended,
        }
    }

    /// A device asks for a certificate. Once it has one, its code is worth nothing but the same
    /// answer for the same key.
    pub fn enrol(&mut self, by: Enrol, now: Timestamp) -> Result<(), Refused> {
        match (self.stage, by) {
            (State::Ended(_), _) => Err(Refused::Ended),
            (State::Bound, Enrol::FactoryKey | Enrol::Code { .. }) => {
                self.stage = State::Enrolled { at: now };
                Ok(())
            }
            // Its key was there before the claim and stays: this is how a device without a
            // certificate comes back.
            (State::Enrolled { .. }, Enrol::FactoryKey) => Ok(()),
            // Nobody but the holder of that key can use what it gets, and an answer may be lost.
            (State::Enrolled { at }, Enrol::Code { same_key: true })
                if now <= at.saturating_add(REPEAT) =>
            {
                Ok(())
            }
            (State::Enrolled { .. }, Enrol::Code { .. }) => Err(Refused::CodeBurnt),
            (State::Bound, Enrol::Certificate { .. }) => Err(Refused::OldEpoch),
            (State::Enrolled { .. }, Enrol::Certificate { epoch, not_after }) => {
                if epoch != self.epoch {
                    Err(Refused::OldEpoch)
                } else if now > not_after.saturating_add(GRACE) {
                    Err(Refused::TooLate)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Ends the claim. Its epoch is over: certificates, counters and commands of it are void.
    pub fn end(&mut self, why: ClaimEnd) -> Result<(), Refused> {
        match self.stage {
            State::Bound | State::Enrolled { .. } => {
                self.stage = State::Ended(why);
                Ok(())
            }
            State::Ended(_) => Err(Refused::Ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 24 * 3600 * 1000;
    const CODE: Enrol = Enrol::Code { same_key: false };
    const SAME: Enrol = Enrol::Code { same_key: true };

    fn day(day: i64) -> Timestamp {
        Timestamp::from_unix_ms(day * DAY)
    }

    fn certificate(epoch: u64, until: i64) -> Enrol {
        let epoch = Epoch::new(epoch);
        let not_after = day(until);
        Enrol::Certificate { epoch, not_after }
    }

    #[test]
    fn d1_the_first_certificate_burns_the_code() {
        let mut claim = Claim::bind(Epoch::new(1));
        assert_eq!(claim.stage(), Stage::Bound);
        assert_eq!(claim.enrol(CODE, day(0)), Ok(()));
        assert_eq!(claim.stage(), Stage::Enrolled);
        assert_eq!(claim.enrol(CODE, day(0)), Err(Refused::CodeBurnt));
    }

    #[test]
    fn d1_an_answer_lost_on_its_way_is_given_again_to_the_same_key_for_a_day() {
        let mut claim = Claim::bind(Epoch::new(1));
        claim.enrol(CODE, day(0)).unwrap();
        assert_eq!(claim.enrol(SAME, day(1)), Ok(()));
        assert_eq!(claim.enrol(SAME, day(2)), Err(Refused::CodeBurnt));
    }

    #[test]
    fn g2_a_box_from_the_warehouse_comes_back() {
        let mut claim = Claim::stored(Epoch::new(2), Some(day(0)), None);
        assert_eq!(claim.enrol(certificate(2, 90), day(60)), Ok(()));
        assert_eq!(claim.enrol(certificate(2, 90), day(120)), Ok(()));
        assert_eq!(
            claim.enrol(certificate(2, 90), day(121)),
            Err(Refused::TooLate)
        );
        assert_eq!(claim.enrol(Enrol::FactoryKey, day(900)), Ok(()));
    }

    #[test]
    fn g2_a_certificate_of_an_earlier_claim_is_void() {
        let mut claim = Claim::stored(Epoch::new(2), Some(day(0)), None);
        let refused = Err(Refused::OldEpoch);
        assert_eq!(claim.enrol(certificate(1, 90), day(1)), refused);
        assert_eq!(
            Claim::bind(Epoch::new(2)).enrol(certificate(1, 90), day(1)),
            refused
        );
    }

    #[test]
    fn d1_a_released_unit_starts_a_new_epoch() {
        let mut claim = Claim::bind(Epoch::after(Epoch::default(), Epoch::default()));
        claim.enrol(CODE, day(0)).unwrap();
        claim.end(ClaimEnd::Released).unwrap();
        for by in [Enrol::FactoryKey, CODE, SAME, certificate(1, 90)] {
            assert_eq!(claim.enrol(by, day(1)), Err(Refused::Ended));
        }
        assert_eq!(claim.end(ClaimEnd::Replaced), Err(Refused::Ended));
        let mut next = Claim::bind(Epoch::after(claim.epoch(), Epoch::default()));
        assert_eq!(next.epoch().number(), 2);
        assert_eq!(
            next.enrol(CODE, day(1)),
            Ok(()),
            "the label's code holds again"
        );
        assert_eq!(Epoch::after(Epoch::new(2), Epoch::new(7)).number(), 8);
    }

    fn any_enrol() -> impl Strategy<Value = Enrol> {
        prop_oneof![
            Just(Enrol::FactoryKey),
            any::<bool>().prop_map(|same_key| Enrol::Code { same_key }),
            (0..3_u64, 0..200_i64).prop_map(|(epoch, until)| certificate(epoch, until)),
        ]
    }

    proptest! {
        // Whatever is tried in whatever order: after the first certificate no other key gets one by
        // code, and nothing at all is given out after the end.
        #[test]
        fn d1_a_code_certifies_one_key(tries in proptest::collection::vec((any_enrol(), 0..300_i64), 0..40), end in 0..40_usize) {
            let mut claim = Claim::bind(Epoch::new(1));
            let mut by_code = 0;
            for (place, (by, at)) in tries.into_iter().enumerate() {
                if place == end {
                    claim.end(ClaimEnd::Released).unwrap();
                }
                let was = claim.stage();
                let given = claim.enrol(by, day(at)).is_ok();
                prop_assert!(!given || was != Stage::Ended);
                if given && by == CODE {
                    by_code += 1;
                }
            }
            prop_assert!(by_code <= 1);
        }
    }
}
