//! Any bytes on the lines of every protocol; see `survives` for what must hold.

mod survives;

use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        survives::any(&bytes);
    }

    /// Small octets make more manifests that are valid.
    #[test]
    fn manifests_of_small_octets_are_survived(
        bytes in proptest::collection::vec(0u8..12, 0..400)
    ) {
        survives::tables(&bytes);
    }
}
