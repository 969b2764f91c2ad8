//! Integrations: programs of a company that use the interface with a secret of their own.
//!
//! An integration holds grants as a person does. Its secret is shown once; a new secret ends the
//! tokens of the old one.

mod routes;
mod rows;

pub(super) use routes::routes;
pub(super) use rows::version_of;
