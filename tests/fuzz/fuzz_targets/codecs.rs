//! Any payloads of any codec; see `payloads` for what must hold.

#![no_main]

#[path = "../../../telephony/media/tests/codec/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::payloads(bytes));
