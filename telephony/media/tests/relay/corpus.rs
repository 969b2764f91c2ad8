//! Replays the seeds of the fuzz targets, and whatever they once found.

use std::fs;
use std::path::Path;

use crate::{secrets, survives};

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    let mut seeds = 0;
    for entry in fs::read_dir(folder.join(target)).expect("the corpus is there") {
        let file = entry.expect("a file").path();
        body(&fs::read(file).expect("it can be read"));
        seeds += 1;
    }
    assert!(seeds >= 5);
}

#[test]
fn the_corpus_of_the_fuzz_target_rtp_is_survived() {
    replay("rtp", survives::traffic);
}

#[test]
fn the_corpus_of_the_fuzz_target_relay_is_survived() {
    replay("relay", secrets::house);
}
