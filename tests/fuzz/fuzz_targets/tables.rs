//! Any manifest, and any stream on lines that manifests describe; see `survives` for what must hold.

#![no_main]

#[path = "../../../legacy-protocols/tests/lines/survives.rs"]
mod survives;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survives::tables(bytes));
