//! Which devices there are, in which modes they run, from which revision and firmware on.
//!
//! The table is compiled in (`data/device-catalogue.csv`); the minimum firmware of a family and mode
//! stands in `minimum`. A device is checked when it is claimed, when it enrols and before a firmware
//! is rolled out. All reasons for a refusal are told at once, each with a word for translation.
//!
//! Gateways are a model of their own: they run in no mode but `bridge`, and nothing else does.

mod check;
mod firmware;
mod mode;
mod revision;
mod table;

pub use check::{Checked, Later, Refusal, minimum_firmware};
pub use firmware::{Firmware, NotFirmware};
pub use mode::{Mode, UnknownMode};
pub use revision::{NotARevision, Revision};
pub use table::{Catalogue, Family, GATEWAY_MODEL, Model, compiled};
