//! Any life on a D channel; see `d_channel` for what must hold.

#![no_main]

#[path = "../../../legacy-protocols/tests/isdn/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::d_channel(bytes));
