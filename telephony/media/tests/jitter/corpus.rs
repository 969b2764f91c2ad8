//! Replays the seeds of the fuzz target, and whatever it once found.

use std::fs;
use std::path::Path;

use crate::survives;

#[test]
fn the_corpus_of_the_fuzz_target_is_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/jitter");
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        survives::stream(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds >= 5);
}
