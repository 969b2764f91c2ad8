//! Any stream on a line of the open link profile, at both ends; see `survives` for what must hold.

#![no_main]

#[path = "../../../legacy-protocols/tests/lines/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::open_link(bytes));
