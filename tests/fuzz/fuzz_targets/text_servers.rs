//! Any stream to the servers' ends of MC-IP and OpenWebNet; see `survives` for what must hold.

#![no_main]

#[path = "../../../legacy-protocols/tests/lines/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::text_servers(bytes));
