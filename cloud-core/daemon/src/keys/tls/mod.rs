//! Who may open a TLS connection, and with what we answer.
//!
//! The listener of devices wants a certificate of ours and resumes no session, so that each
//! connection is judged anew. The listener of browsers, portals and enrolments asks for one and goes
//! without; it also takes the certificate a device was born with, and one that has expired of late:
//! what such a certificate is good for, its route decides. Whether a certificate is void the row
//! says (`peer`), not the handshake.
//!
//! Invariant: whoever is known by a certificate has shown its private key in this connection.

mod config;
mod peer;
#[cfg(test)]
mod tests;
mod verifier;

#[cfg(test)]
pub(super) use config::ClockOfTls;
pub(super) use config::{Anchors, OurCertificate, device_config, web_config};
pub(crate) use config::{TlsError, provider};
pub(crate) use peer::{Barred, TlsPeer, identify, known};
