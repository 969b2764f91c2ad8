//! Drivers that are tables: a protocol described by data, for servers whose specification somebody
//! else holds.
//!
//! A `Manifest` says how frames are cut, checked and acknowledged, which fields telegrams have, and
//! what they mean in neutral words. `Session::new` refuses one that makes no sense, with all its
//! problems at once, and one that drives outputs without saying so. What a table cannot express
//! (cryptography, acknowledgements with a memory) it does not try to.
//!
//! Presets exist for what is public; see `presets` for how surely each is known.

mod codec;
mod layout;
mod manifest;
mod mask;
pub mod presets;
mod session;
mod slots;
mod validate;

#[cfg(test)]
mod tests;

pub use manifest::{
    Acknowledge, Check, CheckKind, CheckOver, CheckText, Encoding, Escape, Field, Frame, KeepAlive,
    Length, LengthField, Limits, Manifest, Meaning, Outputs, Pad, ReceiveRule, Shape, TransmitRule,
};
pub use mask::{Cutter, without_keys};
pub use session::Session;
pub use slots::Slot;
pub use validate::{Problem, validate};
