//! Any packets at a jitter buffer; see `stream` for what must hold.

#![no_main]

#[path = "../../../telephony/media/tests/jitter/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::stream(bytes));
