//! AES in counter mode (RFC 3711 4.1.1, RFC 6188 2): the key stream of every suite.
//!
//! Makes as many blocks at once as the processor works on in parallel, which is most of the speed.

use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc, Block};

/// 20 ms of G.711 under GCM: ten blocks, and two for the tag. More than a packet needs costs more
/// to clear than long packets gain.
pub(super) const BATCH: usize = 12;
pub(super) const BLOCK: usize = 16;

#[expect(
    clippy::large_enum_variant,
    reason = "both are large, and whoever holds the keys of a leg boxes them all together"
)]
pub(super) enum Aes {
    Short(Aes128Enc),
    Long(Aes256Enc),
}

impl Aes {
    /// `key` has 16 or 32 octets, as its suite says.
    pub(super) fn new(key: &[u8]) -> Aes {
        match key.len() {
            16 => Aes::Short(Aes128Enc::new(key.into())),
            _ => Aes::Long(Aes256Enc::new(key.into())),
        }
    }

    /// The key stream from `counter` on.
    pub(super) fn stream(&self, counter: u128, blocks: &mut [Block]) {
        for (block, n) in blocks.iter_mut().zip(0..) {
            *block = counter.wrapping_add(n).to_be_bytes().into();
        }
        match self {
            Aes::Short(aes) => aes.encrypt_blocks(blocks),
            Aes::Long(aes) => aes.encrypt_blocks(blocks),
        }
    }

    /// Encrypts or decrypts `data` by the key stream from `counter` on.
    pub(super) fn apply(&self, mut counter: u128, data: &mut [u8]) {
        let mut blocks = [Block::default(); BATCH];
        for part in data.chunks_mut(BATCH * BLOCK) {
            let needed = part.len().div_ceil(BLOCK);
            self.stream(counter, &mut blocks[..needed]);
            combine(part, &blocks);
            counter = counter.wrapping_add(BATCH as u128);
        }
    }
}

/// XORs the stream into the data.
pub(super) fn combine(data: &mut [u8], stream: &[Block]) {
    let (whole, rest) = data.as_chunks_mut::<BLOCK>();
    for (part, key) in whole.iter_mut().zip(stream) {
        let key = u128::from_ne_bytes((*key).into());
        *part = (u128::from_ne_bytes(*part) ^ key).to_ne_bytes();
    }
    let last = stream.get(whole.len()).into_iter().flatten();
    for (octet, key) in rest.iter_mut().zip(last) {
        *octet ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::hex;

    fn check(key: &str, counters: [u16; 6], expected: &str) {
        let aes = Aes::new(&hex(key));
        let salt = 0xf0f1_f2f3_f4f5_f6f7_f8f9_fafb_fcfd_0000;
        let blocks = counters.map(|counter| {
            let mut block = [0; 16];
            aes.apply(salt + u128::from(counter), &mut block);
            block
        });
        assert_eq!(blocks.concat(), hex(expected));
    }

    const COUNTERS: [u16; 6] = [0, 1, 2, 0xfeff, 0xff00, 0xff01];

    // RFC 3711 B.2
    #[test]
    fn the_key_stream_of_128_bits_is_that_of_the_standard() {
        check(
            "2b7e151628aed2a6abf7158809cf4f3c",
            COUNTERS,
            "e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab
             41e95b3bb0a2e8dd477901e4fca894c0 ec8cdf7398607cb0f2d21675ea9ea1e4
             362b7c3c6773516318a077d7fc5073ae 6a2cc3787889374fbeb4c81b17ba6c44",
        );
    }

    // RFC 6188 7.1
    #[test]
    fn the_key_stream_of_256_bits_is_that_of_the_standard() {
        check(
            "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
            COUNTERS,
            "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac
             63c4868b7096d88421b563b8c94c9a31 cea518c90fd91ced9cbb18c078a54711
             3dbc4814f4da5f00a08772b63c6a046d 6eb246913062a16891433e97dd01a57f",
        );
    }

    #[test]
    fn any_length_is_one_stream() {
        let aes = Aes::new(&[7; 16]);
        let mut stream = [0; 1500];
        aes.apply(5, &mut stream);
        for len in [0, 1, 15, 16, 17, 255, 256, 257, 1499] {
            let mut part = vec![0; len];
            aes.apply(5, &mut part);
            assert_eq!(part, stream[..len]);
        }
        let mut later = [0; 16];
        aes.apply(5 + 40, &mut later);
        assert_eq!(later, stream[640..656]);
    }
}
