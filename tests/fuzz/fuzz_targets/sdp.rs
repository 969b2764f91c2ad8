//! Any session description; see `description` for what must hold.

#![no_main]

#[path = "../../../telephony/sip/tests/sdp/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::description(bytes));
