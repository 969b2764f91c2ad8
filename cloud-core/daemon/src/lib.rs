//! antiphon-cloud: store, API, front door of devices and command line of the cloud core.
//!
//! Everything that touches the world is here: databases, listeners, disk, clock, mail. What is
//! allowed and what follows from what is decided in `cloud-logic`. One folder per domain, each with
//! its rows and its routes.

mod api;
mod backup;
mod blobs;
mod calls;
mod claims;
mod cli;
mod clock;
mod config;
mod core;
mod devices;
mod events;
mod front_door;
mod keys;
mod listener;
mod logging;
mod mail;
mod notices;
mod people;
mod random;
mod retention;
mod serve;
mod service;
mod store;
mod subscriptions;
mod tenancy;
mod web_calls;

pub use cli::{Exit, run};
