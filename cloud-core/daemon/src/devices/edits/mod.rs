//! One setting on many devices: look first, then do it, and be able to take it back (S2).
//!
//! A preview judges each device and is kept; it is carried out only if, at that moment, it would
//! look the same again. Then devices are changed in portions by whichever node comes first, so that
//! it goes on after a crash where it ended. What each device was set to before is kept: the way back
//! is a preview like any other. Invariant: a device is changed once by an edit, and never when it was
//! set otherwise since the preview.

mod preview;
mod routes;
mod rows;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use run::tend;

pub(super) use routes::routes;
