//! Any datagrams at plain, secure and transcoded legs; see `house` for what must hold.

#![no_main]

#[path = "../../../telephony/media/tests/relay/secrets.rs"]
mod secrets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| secrets::house(bytes));
