//! The fuzzer's corpus and random octets, through what must hold for all of them.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::survives;

fn each(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let inputs = fs::read_dir(folder.join(target)).expect("the corpus");
    let mut count = 0;
    for input in inputs {
        let path = input.expect("a file of the corpus").path();
        check(&fs::read(path).expect("a file of the corpus"));
        count += 1;
    }
    assert!(count > 0, "the corpus of {target} is empty");
}

#[test]
fn the_corpus_holds() {
    each("q931", survives::message);
    each("lapd", survives::d_channel);
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    let message = (
        prop_oneof![Just(0u8), Just(1), Just(2), Just(0x80)],
        prop_oneof![
            Just(1u8),
            Just(2),
            Just(5),
            Just(7),
            Just(0x45),
            Just(0x46),
            Just(0x4D),
            Just(0x5A),
            Just(0x7D),
            any::<u8>()
        ],
        proptest::collection::vec(any::<u8>(), 0..12),
    )
        .prop_map(|(reference, kind, elements)| {
            let bearer = [0x04, 0x03, 0x80, 0x90, 0xA3];
            [
                &[8, 2, reference & 0x80, reference & 0x7F, kind][..],
                &bearer,
                &elements,
            ]
            .concat()
        });
    let octets = prop_oneof![message, proptest::collection::vec(any::<u8>(), 0..10)];
    (any::<u8>(), 0u8..100, octets).prop_map(|(what, pause, octets)| {
        [&[what, octets.len() as u8, pause][..], &octets].concat()
    })
}

proptest! {
    #[test]
    fn any_life_on_a_d_channel_is_survived(
        kind in 0u8..8,
        records in proptest::collection::vec(record(), 0..40),
    ) {
        survives::d_channel(&[vec![kind], records.concat()].concat());
    }
}
