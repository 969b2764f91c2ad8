//! Documents and topics of the cloud link: what is read is within its limits, and comes
//! back as it was when it is written and read again.

#![no_main]

use contract::document::{Document, read, write};
use contract::{DeviceName, down, topic, up};
use libfuzzer_sys::fuzz_target;

fn stable<D: Document + PartialEq + std::fmt::Debug>(octets: &[u8]) {
    if let Ok(document) = read::<D>(octets) {
        let written = write(&document);
        // A number in its shortest form may be longer than it was: only length may refuse.
        let Ok(written) = written else {
            assert!(octets.len() > 1024, "a short document can be written");
            return;
        };
        assert_eq!(read::<D>(&written).expect("it was written here"), document);
    }
}

fuzz_target!(|octets: &[u8]| {
    stable::<up::Hello>(octets);
    stable::<up::Reported>(octets);
    stable::<up::Event>(octets);
    stable::<up::Outcome>(octets);
    stable::<up::Heartbeat>(octets);
    stable::<up::Will>(octets);
    stable::<down::Desired>(octets);
    stable::<down::Command>(octets);
    stable::<down::Ack>(octets);
    stable::<down::Poke>(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        let device: DeviceName = "de-01JZ5W3N8Q4V7X2K9M6T1R0PAB".parse().expect("valid");
        if topic::published(&device, text).is_ok() || topic::subscribed(&device, text).is_ok() {
            assert!(text.starts_with("d/de-01JZ5W3N8Q4V7X2K9M6T1R0PAB/1/"));
        }
        if let Ok((whose, channel)) = topic::anybodys(text) {
            assert_eq!(channel.topic(&whose), text);
        }
    }
});
