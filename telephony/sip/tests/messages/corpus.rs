//! Replays the seeds of the fuzz targets, and whatever they once found.

use std::fs;

use crate::fixtures::folder;
use crate::survives;

#[test]
fn the_corpus_of_each_target_is_survived() {
    for (target, survived) in [
        ("message", survives::datagram as fn(&[u8])),
        ("framer", survives::stream),
    ] {
        let mut seeds = 0;
        for entry in fs::read_dir(folder("../fuzz/corpus").join(target)).unwrap() {
            survived(&fs::read(entry.unwrap().path()).unwrap());
            seeds += 1;
        }
        assert!(seeds > 10, "{target}");
    }
}
