//! The program around the site: lines, sound, orders, the page.
//!
//! One task owns the site and hears everybody through one bounded queue; it never waits for a send.

mod cable;
mod control;
mod file;
mod isdn;
mod lines;
mod run;
mod sound;
mod view;
mod web;

pub use file::{DEMO, SiteFile};
pub use run::{Settings, run};
