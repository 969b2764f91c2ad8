//! The relay as its owner sees it, in virtual time.

mod bench;
mod contract;
mod corpus;
mod echo;
mod figures;
mod joints;
mod latching;
mod limits;
mod noise;
mod pressing;
mod properties;
mod reporting;
mod reports;
mod rooms;
mod routes;
mod secrets;
mod secure;
mod sounds;
mod speaker;
mod survives;
mod taps;
mod voices;
