//! How a device gets its first certificate and every later one: claim codes, the proof of one, the
//! documents of `POST /v1/enroll` and `POST /v1/reenroll`.
//!
//! A claim code shows a person who holds the device; a factory key, or for a device without one the
//! proof made from its code, shows the core that it speaks with that device. The code itself never
//! travels in an enrolment.
//!
//! Deliberately absent: randomness (octets of a new code are handed in), TLS, certificates.

mod code;
mod documents;
mod field;
mod proof;

pub use code::{ClaimCode, ClaimCodeError};
pub use documents::{
    BadRequest, EnrolRequest, Enrolment, MAX_REQUEST_OCTETS, MAX_SIGNING_REQUEST_OCTETS, Possession,
};
pub use proof::{
    CHANNEL_BINDING_LABEL, CHANNEL_BINDING_OCTETS, ChannelBinding, Handle, HandleError, Proof,
    ProofError, ProofKey,
};
