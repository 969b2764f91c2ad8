//! A legacy site to hold in the hand: an older intercom server, its stations, doors and lines.
//!
//! `site` is the site itself, a pure machine; `script` are the words to work it with. The program
//! `antiphon-site` around them owns lines, sound, a control socket and a page for the browser.
//!
//! It is a peer for tests and a toy for people: it checks no permission and secures nothing but its
//! lines. Never part of a gateway.

pub mod program;
pub mod script;
pub mod site;
