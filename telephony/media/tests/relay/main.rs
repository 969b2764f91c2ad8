//! The relay as its owner sees it, in virtual time.

mod bench;
mod contract;
mod joints;
mod latching;
mod limits;
mod properties;
mod reports;
mod routes;
