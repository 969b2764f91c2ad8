//! Saying aloud that a test could not run on this machine.
//!
//! Libtest knows only passed and failed. A test that lacks a client says so
//! here; `cargo xtask test` counts it as skipped and prints the reason. Nothing
//! else may be excused this way.

use std::io::Write;

/// Notes that the calling test did not run.
pub fn note(client: &str, why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("DID NOT RUN: {test}: no {client}: {why}");
    if let Some(file) = std::env::var_os("ANTIPHON_NOT_RUN_FILE") {
        let opened = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file);
        let written = opened.and_then(|mut file| writeln!(file, "{test}: no {client}: {why}"));
        written.expect("the pipeline's folder can be written to");
    }
}
