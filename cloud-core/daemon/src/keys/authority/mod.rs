//! The core's own certificate authority.
//!
//! A root, whose key may be taken away once it has signed; below it one authority that signs devices
//! (client purpose only) and one that signs our own listeners (server purpose only). Of each kind
//! one signs, and the one before it is still trusted. Whether a certificate holds is decided by its
//! row (`void`), at once and on every node; lists of void certificates (`crl`) tell others.
//!
//! Invariants: no serial and no key is certified twice; nothing of a request but its public key
//! reaches a certificate; a key stands in a row only sealed.

mod crl;
mod device;
mod ground;
mod public_key;
mod serial;
mod signing;

#[cfg(test)]
mod judged;

pub(crate) use crl::{List, maintain as maintain_lists, read as read_list};
#[cfg(test)]
pub(crate) use device::revoke;
pub(crate) use device::{
    Certificate, Holder, IssueError, Issued, Reason, certificate, certificate_of_key,
    certificates_of, issue, number, revoke_device,
};
pub(crate) use ground::{
    AuthorityError, Kind, anchors, found, issue_server, remove_root_key, renew, roots,
};
#[cfg(test)]
pub(crate) use public_key::BadSigningRequest;
pub(crate) use public_key::{PublicKey, hash_of_key};
pub(crate) use serial::Serial;
