//! Genuine, forged and damaged packets at one receiver; see `datagrams` for what must hold.

#![no_main]

#[path = "../../../telephony/media/tests/srtp/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::datagrams(bytes));
