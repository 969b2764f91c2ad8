//! Any text as the file of a table driver: it makes a driver that can be used, or it is refused with
//! reasons.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    match gateway_daemon::read_driver(text) {
        Ok(manifest) => {
            legacy_protocols::table::Session::new(manifest).expect("what was read can be used");
        }
        Err(why) => assert!(why.contains("remedy: ")),
    }
});
