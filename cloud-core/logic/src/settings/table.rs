//! Every setting that the core knows.

use crate::catalogue::Family;

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Characters at most; at least one, none of them a control character.
    Text(usize),
    OneOf(&'static [&'static str]),
    /// A whole number from the first to the second.
    Whole(i64, i64),
    Switch,
    /// A language as `de` or `pt-BR` (BCP 47, language and region).
    Language,
    /// A version of firmware.
    Version,
}

/// What somebody must be allowed to set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Configure,
    Firmware,
}

/// A known setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// RFC 6901, into the document of settings.
    pub pointer: &'static str,
    pub kind: Kind,
    /// Which devices have it.
    pub families: &'static [Family],
    pub needs: Needs,
}

const ALL: &[Family] = &[Family::Mx, Family::Bf, Family::Gateway];
const STATIONS: &[Family] = &[Family::Mx, Family::Bf];
const DISPLAYS: &[Family] = &[Family::Mx];

const fn setting(pointer: &'static str, kind: Kind, families: &'static [Family]) -> Setting {
    let needs = Needs::Configure;
    Setting {
        pointer,
        kind,
        families,
        needs,
    }
}

const fn firmware(pointer: &'static str, kind: Kind) -> Setting {
    let needs = Needs::Firmware;
    Setting {
        pointer,
        kind,
        families: ALL,
        needs,
    }
}

pub const KNOWN: &[Setting] = &[
    // What others see of it; the same as its name in the portal.
    setting("/name", Kind::Text(100), ALL),
    setting("/language", Kind::Language, ALL),
    setting(
        "/role/station",
        Kind::OneOf(&["door", "receiving"]),
        STATIONS,
    ),
    setting(
        "/role/calls",
        Kind::OneOf(&["initiator", "receiver", "both"]),
        STATIONS,
    ),
    setting("/end_call_button", Kind::Switch, STATIONS),
    setting("/audio/volume", Kind::Whole(0, 100), STATIONS),
    setting("/audio/ring_volume", Kind::Whole(0, 100), STATIONS),
    setting(
        "/audio/environment",
        Kind::OneOf(&["quiet", "normal", "loud", "outdoor"]),
        STATIONS,
    ),
    setting(
        "/audio/noise_suppression",
        Kind::OneOf(&["off", "low", "high"]),
        STATIONS,
    ),
    setting("/display/brightness", Kind::Whole(0, 100), DISPLAYS),
    // 0 leaves it on.
    setting(
        "/display/switch_off_seconds",
        Kind::Whole(0, 86_400),
        DISPLAYS,
    ),
    firmware(
        "/firmware/policy",
        Kind::OneOf(&["all", "security", "manual"]),
    ),
    firmware("/firmware/target", Kind::Version),
];
