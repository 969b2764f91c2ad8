//! What needs a subscription when it is begun.
//!
//! A closed list: claiming in a mode, and looking after a device from afar. Whatever is not asked
//! here needs none: calls, doors, local service, what runs already.

use crate::catalogue::Mode;

use super::offers::Sku;

/// Whether this installation checks subscriptions at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checking {
    /// Whoever runs the core needs none.
    #[default]
    Off,
    Checked,
}

/// What is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the company has {there} of {sku} ({}) and needs {needed}: order more, or release what is no longer used",
    sku.title()
)]
pub struct Missing {
    pub sku: Sku,
    pub there: u64,
    pub needed: u64,
}

/// What comes of what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Covered,
    /// It is done, and said.
    Warned(Missing),
    /// It is not done.
    Refused(Missing),
}

/// Claiming a device: what its mode uses beyond what is `used` already must be there.
///
/// A device of the cloud is nothing without calls through it: it is refused. A managed one works
/// without us, only our looking after it would be missing: it is taken, with a warning. On-prem and
/// mesh devices and gateways need nothing.
#[must_use]
pub fn to_claim(checking: Checking, mode: Mode, of: impl Fn(Sku) -> (u64, u64)) -> Outcome {
    let lacks = |sku| {
        let (there, used) = of(sku);
        let needed = used + 1;
        (needed > there).then_some(Missing { sku, there, needed })
    };
    match (checking, mode) {
        (Checking::Off, Mode::Cloud | Mode::Managed | Mode::OnPremMesh | Mode::Bridge)
        | (Checking::Checked, Mode::OnPremMesh | Mode::Bridge) => Outcome::Covered,
        (Checking::Checked, Mode::Cloud) => match lacks(Sku::CallService) {
            Some(missing) => Outcome::Refused(missing),
            None => lacks(Sku::DeviceManagement).map_or(Outcome::Covered, Outcome::Warned),
        },
        (Checking::Checked, Mode::Managed) => {
            lacks(Sku::DeviceManagement).map_or(Outcome::Covered, Outcome::Warned)
        }
    }
}

/// Looking after one device from afar: reboot, logs, settings. `place` counts the company's devices
/// that need it from 1, the longest claimed first, so that what was paid for keeps working when
/// more come.
#[must_use]
pub fn to_manage(checking: Checking, mode: Mode, there: u64, place: u64) -> Outcome {
    match (checking, mode) {
        (Checking::Off, Mode::Cloud | Mode::Managed | Mode::OnPremMesh | Mode::Bridge)
        // On the premises the subscription stands for automatic firmware updates only, and gateways
        // come with a licence of their own.
        | (Checking::Checked, Mode::OnPremMesh | Mode::Bridge) => Outcome::Covered,
        (Checking::Checked, Mode::Cloud | Mode::Managed) => {
            if place <= there {
                Outcome::Covered
            } else {
                Outcome::Refused(Missing {
                    sku: Sku::DeviceManagement,
                    there,
                    needed: place,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n1_without_checking_nothing_is_missing() {
        for mode in Mode::ALL {
            assert_eq!(to_claim(Checking::Off, mode, |_| (0, 9)), Outcome::Covered);
            assert_eq!(to_manage(Checking::Off, mode, 0, 9), Outcome::Covered);
        }
    }

    #[test]
    fn n1_each_mode_needs_what_the_table_says() {
        let claim = |mode, there| to_claim(Checking::Checked, mode, |_| (there, 3));
        let lacking = |sku| Missing {
            sku,
            there: 3,
            needed: 4,
        };
        assert_eq!(
            claim(Mode::Cloud, 3),
            Outcome::Refused(lacking(Sku::CallService))
        );
        assert_eq!(
            claim(Mode::Managed, 3),
            Outcome::Warned(lacking(Sku::DeviceManagement))
        );
        for mode in Mode::ALL {
            assert_eq!(claim(mode, 4), Outcome::Covered, "{mode}");
        }
        for mode in [Mode::OnPremMesh, Mode::Bridge] {
            assert_eq!(claim(mode, 0), Outcome::Covered, "{mode}");
        }
        let calls_only = |sku| match sku {
            Sku::CallService => (4, 3),
            _ => (0, 0),
        };
        assert!(matches!(
            to_claim(Checking::Checked, Mode::Cloud, calls_only),
            Outcome::Warned(missing) if missing.sku == Sku::DeviceManagement
        ));
    }

    #[test]
    fn n1_what_was_paid_for_is_looked_after_when_more_come() {
        let manage = |place| to_manage(Checking::Checked, Mode::Managed, 2, place);
        assert_eq!((manage(1), manage(2)), (Outcome::Covered, Outcome::Covered));
        let Outcome::Refused(missing) = manage(3) else {
            panic!("the third is not covered");
        };
        let told = missing.to_string();
        assert!(
            told.contains("E-CC-ADM-CTF (active device management)") && told.contains("order more"),
            "{told}"
        );
        for mode in [Mode::OnPremMesh, Mode::Bridge] {
            assert_eq!(to_manage(Checking::Checked, mode, 0, 9), Outcome::Covered);
        }
    }
}
