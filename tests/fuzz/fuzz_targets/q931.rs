//! Any octets as a message of Q.931; see `message` for what must hold.

#![no_main]

#[path = "../../../legacy-protocols/tests/isdn/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::message(bytes));
