//! Tokens: for a few minutes they say to any of our services who somebody is.
//!
//! A page asks for one with its session and holds it in memory; an integration asks with its
//! secret. They are JWTs signed with ES256 (RFC 7519, RFC 7518 3.4); services that verify them by
//! themselves take the public keys from `/.well-known/jwks.json`. At our own interface a token is
//! worth as much as the session or integration that it names: ended there, it is nothing here.
//!
//! Invariant: the algorithm is ours to choose, never the token's.

mod claims;
mod keys;
mod routes;
mod rows;

pub(super) use claims::{Audience, Claims, Refused, verify};
pub(super) use keys::tend;
pub(super) use routes::routes;
