//! Any stream in any chunks; see `stream` for what must hold.

#![no_main]

#[path = "../../../telephony/sip/tests/messages/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::stream(bytes));
