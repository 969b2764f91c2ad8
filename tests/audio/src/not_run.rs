//! Saying aloud that a test could not run on this machine, as `tests/e2e` does:
//! `cargo xtask test` counts it as skipped and prints the reason.

use std::io::Write;

/// Notes that the calling test did not run.
pub fn note(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{test}: no judge, flite or ffmpeg: {why}");
    eprintln!("DID NOT RUN: {line}");
    if let Some(file) = std::env::var_os("ANTIPHON_NOT_RUN_FILE") {
        let opened = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file);
        let written = opened.and_then(|mut file| writeln!(file, "{line}"));
        written.expect("the pipeline's folder can be written to");
    }
}
