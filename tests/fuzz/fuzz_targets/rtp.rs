//! Any datagrams at the ports of two calls; see `traffic` for what must hold.

#![no_main]

#[path = "../../../telephony/media/tests/relay/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::traffic(bytes));
