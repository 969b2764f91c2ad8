//! The rules of the cloud core, without I/O.
//!
//! Who may do what, what a code or a document must look like, what follows from what. Time and
//! randomness are arguments; the daemon owns the world. Invariant: equal inputs give equal outputs.

pub mod attempts;
pub mod catalogue;
pub mod claims;
pub mod commands;
pub mod condition;
pub mod edits;
pub mod ids;
pub mod language;
pub mod letters;
pub mod notices;
pub mod presence;
pub mod rates;
pub mod rights;
pub mod settings;
pub mod subscriptions;
pub mod twin;
