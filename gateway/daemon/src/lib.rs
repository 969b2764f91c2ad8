//! antiphon-gateway: composition root, shells, store and command line of the gateway.
//!
//! Everything that touches the world is here or in `net`: configuration, sockets, disk, clock,
//! systemd, signals. What a call does is decided in `exchange`, which this crate feeds and
//! whose orders it carries out.
//!
//! Threads: the main one runs the calls and the SIP flows (`main_loop`); the store writes on its
//! own two (`store`); media packets move on theirs (`switchboard`); recordings are made on one of
//! their own (`recorder`), lines to older servers on theirs (`lines`), and the timeline is written on
//! one (`timeline`), the link to the cloud core on one (`link`); metrics, control socket and reading the configuration again share a small one
//! (`side`). Invariant: the main loop never waits for any of the others.

mod carry;
mod cli;
mod clock;
mod config;
mod control;
mod decode;
mod diagnosis;
mod events;
mod lines;
mod link;
mod listeners;
mod listening;
mod logging;
mod machine;
mod main_loop;
mod metrics;
mod open_files;
mod operator;
mod orders;
mod playing;
mod random;
mod recorder;
mod reload;
mod serve;
mod side;
pub mod store;
mod systemd;
mod timeline;
mod uplink;
mod urls;

pub use cli::{Exit, run};

/// What `decode` prints about `input`, taken for `kind` as `--as` names it or for what it looks like.
/// For those who feed it nonsense.
pub fn decode(input: &[u8], kind: Option<&str>) -> Vec<u8> {
    let form = kind.and_then(cli::form_named);
    let mut printed = Vec::new();
    // Writing to memory does not fail, and what is understood is printed.
    let _ = decode::decode(input, form, &mut printed);
    printed
}

/// Reads the text of a table driver, as `driver` does; what is wrong with it as text. For those who
/// feed it nonsense.
pub fn read_driver(text: &str) -> Result<legacy_protocols::table::Manifest, String> {
    let file = std::path::Path::new("driver.toml");
    config::driver::parse(file, text).map_err(|errors| errors.to_string())
}
