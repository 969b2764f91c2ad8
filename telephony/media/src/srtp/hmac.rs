//! HMAC-SHA1 over one packet (RFC 2104, RFC 3711 4.2.1).
//!
//! The packet lies in memory as it is hashed, so its blocks go to the compression function
//! where they are; a general hash copies them through a buffer of its own, which costs a fifth.

use sha1::digest::generic_array::GenericArray;
use zeroize::Zeroize;

const BLOCK: usize = 64;
/// FIPS 180-4 5.3.1.
const INITIAL: [u32; 5] = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

/// The two states that a key leads to.
pub(super) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    pub(super) const KEY: usize = 20;

    pub(super) fn new(key: &[u8; Self::KEY]) -> HmacSha1 {
        let keyed = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (octet, key) in block.iter_mut().zip(key) {
                *octet ^= key;
            }
            let mut state = INITIAL;
            compress(&mut state, &block);
            block.zeroize();
            state
        };
        HmacSha1 {
            inner: keyed(0x36),
            outer: keyed(0x5c),
        }
    }

    /// The code of `data` followed by `tail`, which has at most eight octets.
    pub(super) fn code(&self, data: &[u8], tail: &[u8]) -> [u8; 20] {
        let inner = finish(self.inner, data, tail);
        finish(self.outer, &inner, &[])
    }
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// The hash of a keyed block, `data` and `tail`, from the state behind the block.
fn finish(mut state: [u32; 5], data: &[u8], tail: &[u8]) -> [u8; 20] {
    let (whole, rest) = data.as_chunks::<BLOCK>();
    for block in whole {
        compress(&mut state, block);
    }
    let mut last = [0; 2 * BLOCK];
    let used = rest.len() + tail.len();
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()..used].copy_from_slice(tail);
    last[used] = 0x80;
    let end = if used + 1 + 8 <= BLOCK {
        BLOCK
    } else {
        2 * BLOCK
    };
    let bits = 8 * (BLOCK + data.len() + tail.len()) as u64;
    last[end - 8..end].copy_from_slice(&bits.to_be_bytes());
    for block in last[..end].as_chunks::<BLOCK>().0 {
        compress(&mut state, block);
    }
    let mut code = [0; 20];
    for (octets, word) in code.chunks_exact_mut(4).zip(state) {
        octets.copy_from_slice(&word.to_be_bytes());
    }
    code
}

fn compress(state: &mut [u32; 5], block: &[u8; BLOCK]) {
    let block = GenericArray::from_slice(block);
    sha1::compress(state, std::slice::from_ref(block));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::hex;

    // RFC 2202 3, the cases with keys of 20 octets
    #[test]
    fn codes_are_those_of_the_standard() {
        let code = |key: &[u8; 20], data: &[u8]| HmacSha1::new(key).code(data, &[]).to_vec();
        let first = code(&[0x0b; 20], b"Hi There");
        assert_eq!(first, hex("b617318655057264e28bc0b6fb378c8ef146be00"));
        let third = code(&[0xaa; 20], &[0xdd; 50]);
        assert_eq!(third, hex("125d7342b9ac11cd91a39af48aa17b4f63f175d3"));
        let sixth = code(&[0x0c; 20], b"Test With Truncation");
        assert_eq!(sixth, hex("4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"));
    }

    #[test]
    fn a_tail_is_hashed_as_if_it_followed_and_any_length_agrees_with_the_hash() {
        use sha1::{Digest, Sha1};
        let key = [9; 20];
        let data: Vec<u8> = (0..200).collect();
        let pad = |pad: u8| [key.map(|octet| octet ^ pad).as_slice(), &[pad; 44]].concat();
        for len in 0..data.len() - 4 {
            let inner = Sha1::new().chain_update(pad(0x36));
            let inner = inner.chain_update(&data[..len + 4]).finalize();
            let outer = Sha1::new().chain_update(pad(0x5c)).chain_update(inner);
            let code = HmacSha1::new(&key).code(&data[..len], &data[len..len + 4]);
            assert_eq!(code.as_slice(), outer.finalize().as_slice());
        }
    }
}
