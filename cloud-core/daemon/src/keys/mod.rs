//! Secrets at rest, the core's own certificate authority, and who may open a connection.
//!
//! `sealer` encrypts whatever secret stands in a row. `authority` issues the certificates of devices
//! and of our own listeners and tells which are void. Invariant: a key stands in a row only sealed,
//! and whatever a device asks for, nothing of its request but the public key reaches a certificate.

pub(crate) mod authority;
mod key_file;
mod sealer;

pub(crate) use key_file::{KeyFileError, create as create_key_file};
pub(crate) use sealer::{Sealer, Secret, UnsealError};
