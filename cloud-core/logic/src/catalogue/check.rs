//! Whether a device may be run in a mode, and if not, every reason why.

use super::{Catalogue, Family, Firmware, Mode, Model, Revision};

/// A device that may be claimed, and what could not be judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<'a> {
    pub model: &'a Model,
    /// A device can be claimed before it has ever been online: what it did not tell yet is checked
    /// when it enrols.
    pub later: Vec<Later>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    Revision,
    Firmware,
}

/// Why a device cannot be run in a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("`{model}` is no model of the catalogue: compare it with the type plate")]
    UnknownModel { model: String },
    #[error("{model} does not run in mode {mode}; it runs in: {}", list(.offered))]
    ModeNotOffered {
        model: String,
        mode: Mode,
        offered: Vec<Mode>,
    },
    #[error(
        "{model} needs hardware revision {wanted} or newer, this one is {found}: it has to be replaced"
    )]
    RevisionTooOld {
        model: String,
        found: Revision,
        wanted: Revision,
    },
    #[error(
        "in mode {mode}, {model} needs firmware {wanted} or newer, this one has {found}: update it first"
    )]
    FirmwareTooOld {
        model: String,
        mode: Mode,
        found: Firmware,
        wanted: Firmware,
    },
}

impl Refusal {
    /// For translation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownModel { .. } => "model_unknown",
            Self::ModeNotOffered { .. } => "mode_not_offered",
            Self::RevisionTooOld { .. } => "revision_too_old",
            Self::FirmwareTooOld { .. } => "firmware_too_old",
        }
    }
}

/// From which firmware on a family can be claimed in a mode. None where any will do.
pub const fn minimum_firmware(family: Family, mode: Mode) -> Option<Firmware> {
    match (family, mode) {
        (Family::Mx, Mode::Cloud) => Some(Firmware::new([3, 2, 1, 65])),
        (Family::Mx, Mode::Managed) => Some(Firmware::new([3, 8, 1, 14])),
        (Family::Mx, Mode::OnPremMesh) => Some(Firmware::new([4, 6, 1, 21])),
        (Family::Bf, Mode::Cloud) => Some(Firmware::new([5, 0, 2, 11])),
        (Family::Bf, Mode::Managed) => Some(Firmware::new([5, 1, 1, 2])),
        (Family::Bf, Mode::OnPremMesh)
        | (Family::Mx | Family::Bf, Mode::Bridge)
        | (Family::Gateway, Mode::Cloud | Mode::Managed | Mode::OnPremMesh | Mode::Bridge) => None,
    }
}

impl Catalogue {
    /// Checks what is known of a device against a mode.
    pub fn check(
        &self,
        name: &str,
        revision: Option<Revision>,
        firmware: Option<Firmware>,
        mode: Mode,
    ) -> Result<Checked<'_>, Vec<Refusal>> {
        let Some(model) = self.model(name) else {
            let model = name.to_owned();
            return Err(vec![Refusal::UnknownModel { model }]);
        };
        let mut refusals = Vec::new();
        let mut later = Vec::new();
        if !model.runs_in(mode) {
            refusals.push(Refusal::ModeNotOffered {
                model: model.name.clone(),
                mode,
                offered: model.modes().to_vec(),
            });
        }
        match revision {
            None => later.push(Later::Revision),
            Some(found) if found < model.min_revision => refusals.push(Refusal::RevisionTooOld {
                model: model.name.clone(),
                found,
                wanted: model.min_revision,
            }),
            Some(_new_enough) => {}
        }
        match (firmware, minimum_firmware(model.family, mode)) {
            (None, Some(_wanted)) => later.push(Later::Firmware),
            (Some(found), Some(wanted)) if found < wanted => {
                refusals.push(Refusal::FirmwareTooOld {
                    model: model.name.clone(),
                    mode,
                    found,
                    wanted,
                });
            }
            (Some(_), Some(_)) | (Some(_) | None, None) => {}
        }
        if refusals.is_empty() {
            Ok(Checked { model, later })
        } else {
            Err(refusals)
        }
    }
}

fn list(modes: &[Mode]) -> String {
    let names: Vec<String> = modes.iter().map(Mode::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::compiled;

    fn check(name: &str, revision: &str, firmware: &str, mode: Mode) -> Vec<&'static str> {
        let revision = Some(revision.parse().unwrap());
        let firmware = Some(firmware.parse().unwrap());
        match compiled().check(name, revision, firmware, mode) {
            Ok(checked) => {
                assert_eq!(checked.later, []);
                Vec::new()
            }
            Err(refusals) => refusals.iter().map(Refusal::code).collect(),
        }
    }

    #[test]
    fn d5_the_minimum_firmware_is_the_one_of_family_and_mode() {
        let lines = [
            ("OD1", Mode::Cloud, "03.02.01.64", "03.02.01.65"),
            ("OD1", Mode::Managed, "03.08.01.13", "03.08.01.14"),
            ("OD1", Mode::OnPremMesh, "04.06.01.20", "04.06.01.21"),
            ("ET 962H", Mode::Cloud, "05.00.02.10", "05.00.02.11"),
            ("ET 962H", Mode::Managed, "05.01.01.01", "05.01.01.02"),
        ];
        for (model, mode, below, minimum) in lines {
            let refused = check(model, "AD", below, mode);
            assert_eq!(refused, ["firmware_too_old"], "{model} {mode}");
            assert_eq!(check(model, "AD", minimum, mode), [""; 0], "{model} {mode}");
        }
    }

    #[test]
    fn d1_all_reasons_are_told_at_once_and_in_words() {
        let revision = Some("AA".parse().unwrap());
        let firmware = Some("01.00.00.00".parse().unwrap());
        let refusals = compiled()
            .check("ID5 TD", revision, firmware, Mode::Cloud)
            .unwrap_err();
        let told: Vec<String> = refusals.iter().map(Refusal::to_string).collect();
        assert_eq!(
            told,
            [
                "ID5 TD needs hardware revision AD or newer, this one is AA: it has to be replaced",
                "in mode cloud, ID5 TD needs firmware 03.02.01.65 or newer, this one has \
                 01.00.00.00: update it first",
            ]
        );
        let refusals = compiled()
            .check("AF 20H", None, None, Mode::OnPremMesh)
            .unwrap_err();
        assert_eq!(
            refusals[0].to_string(),
            "AF 20H does not run in mode on-prem/mesh; it runs in: managed"
        );
        assert_eq!(
            check("OD 99", "AA", "9.0.0.0", Mode::Cloud),
            ["model_unknown"]
        );
    }

    #[test]
    fn d1_what_is_not_known_yet_is_checked_later() {
        let checked = compiled().check("OD1", None, None, Mode::Cloud).unwrap();
        assert_eq!(checked.later, [Later::Revision, Later::Firmware]);
        let gateway = compiled()
            .check("GATEWAY", None, None, Mode::Bridge)
            .unwrap();
        assert_eq!(gateway.later, [Later::Revision]);
    }

    #[test]
    fn d5_every_offered_mode_of_a_station_has_a_minimum() {
        for model in compiled().models() {
            for mode in model.modes() {
                let wanted = minimum_firmware(model.family, *mode);
                assert_eq!(wanted.is_none(), *mode == Mode::Bridge, "{}", model.name);
            }
        }
    }
}
