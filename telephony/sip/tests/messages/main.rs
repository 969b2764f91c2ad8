//! Messages from outside: the torture sets of RFC 4475 and RFC 5118, what devices really send, what
//! attackers would, and properties that hold for any bytes.

#![expect(clippy::unwrap_used, reason = "the panic of a test is its failure")]

mod corpus;
mod danger;
mod devices;
mod fixtures;
mod framing;
mod properties;
mod rfc4475;
mod rfc5118;
mod survives;
