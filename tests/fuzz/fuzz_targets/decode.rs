//! Anything as input of `decode`: messages, descriptions, frames of every protocol, capture files.
//! What it prints is JSON, a line each.

#![no_main]

use libfuzzer_sys::fuzz_target;

const KINDS: [Option<&str>; 9] = [
    None,
    Some("sip"),
    Some("sdp"),
    Some("capture"),
    Some("open-link"),
    Some("acdp"),
    Some("lapd"),
    Some("q931"),
    Some("l1oip"),
];

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, octets) = input;
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    let printed = gateway_daemon::decode(octets, kind);
    assert!(printed.is_empty() || printed.ends_with(b"\n"));
    assert!(!printed.windows(2).any(|pair| pair == b"\n\n"));
});
