//! AES-GCM over one packet (NIST SP 800-38D, RFC 7714): the key stream of [`Aes`], the hash of
//! `ghash`, joined here.
//!
//! Joined by hand, because a packet then goes to each of them in one piece; a general AEAD
//! feeds them in small pieces and takes twice the time. See docs/adr/0007.

use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::counter::{Aes, BATCH, BLOCK, combine};

pub(super) const TAG: usize = 16;

pub(super) struct Gcm {
    aes: Aes,
    hash: GHash,
}

/// What is authenticated but not encrypted: a header, and an index that stands elsewhere.
pub(super) type Associated<'p> = [&'p [u8]; 2];

/// The tag did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forged;

/// The key stream of the beginning; its first block is for the tag.
type Beginning = [aes::Block; BATCH];

/// So much of a text lies under the beginning of its key stream.
const UNDER: usize = (BATCH - 1) * BLOCK;

impl Drop for Gcm {
    /// `ghash` can wipe itself, but then also each copy that a packet needs, which takes longer
    /// than hashing the packet. So its key is overwritten here.
    fn drop(&mut self) {
        self.hash = GHash::new(&[0; BLOCK].into());
        zeroize::optimization_barrier(&self.hash);
    }
}

impl Gcm {
    pub(super) fn new(key: &[u8]) -> Gcm {
        let aes = Aes::new(key);
        let mut zero = [0; BLOCK];
        aes.apply(0, &mut zero);
        let hash = GHash::new(&zero.into());
        zero.zeroize();
        Gcm { aes, hash }
    }

    /// Encrypts `text` in place. `nonce` has 96 bits.
    pub(super) fn seal(
        &self,
        nonce: u128,
        associated: Associated<'_>,
        text: &mut [u8],
    ) -> [u8; TAG] {
        let mut stream = Beginning::default();
        self.begin(nonce, text.len(), &mut stream);
        self.apply(nonce, &stream, text);
        self.tag(&stream[0], associated, text)
    }

    /// Decrypts `text` in place, if the tag is right.
    pub(super) fn open(
        &self,
        nonce: u128,
        associated: Associated<'_>,
        text: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Forged> {
        let mut stream = Beginning::default();
        self.begin(nonce, text.len(), &mut stream);
        let right = self.tag(&stream[0], associated, text);
        if !bool::from(right.as_slice().ct_eq(tag)) {
            return Err(Forged);
        }
        self.apply(nonce, &stream, text);
        Ok(())
    }

    fn begin(&self, nonce: u128, len: usize, stream: &mut Beginning) {
        let needed = 1 + len.min(UNDER).div_ceil(BLOCK);
        self.aes.stream(first_counter(nonce), &mut stream[..needed]);
    }

    fn apply(&self, nonce: u128, stream: &Beginning, text: &mut [u8]) {
        let (first, rest) = text.split_at_mut(text.len().min(UNDER));
        combine(first, &stream[1..]);
        if !rest.is_empty() {
            self.aes.apply(first_counter(nonce) + BATCH as u128, rest);
        }
    }

    fn tag(&self, mask: &aes::Block, associated: Associated<'_>, text: &[u8]) -> [u8; TAG] {
        let mut hash = self.hash.clone();
        let mut pieces = Pieces {
            hash: &mut hash,
            blocks: [[0; BLOCK]; BATCH],
            used: 0,
        };
        for part in associated {
            pieces.push(part);
        }
        pieces.fill_up();
        pieces.push(text);
        pieces.fill_up();
        let bits = |octets: usize| 8 * octets as u128;
        let associated = associated.iter().map(|part| part.len()).sum();
        let lengths = bits(associated) << 64 | bits(text.len());
        pieces.push(&lengths.to_be_bytes());
        pieces.flush();
        let tag = u128::from_be_bytes(hash.finalize().into());
        (tag ^ u128::from_be_bytes((*mask).into())).to_be_bytes()
    }
}

/// NIST SP 800-38D 7.1: with a nonce of 96 bits the counter begins with one.
fn first_counter(nonce: u128) -> u128 {
    nonce << 32 | 1
}

/// Collects blocks, so that the hash gets many at once.
struct Pieces<'h> {
    hash: &'h mut GHash,
    blocks: [[u8; BLOCK]; BATCH],
    used: usize,
}

impl Pieces<'_> {
    fn push(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            if self.used == BATCH * BLOCK {
                self.flush();
            }
            let room = &mut self.blocks.as_flattened_mut()[self.used..];
            let (now, later) = octets.split_at(octets.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.used += now.len();
            octets = later;
        }
    }

    /// Zeros up to the end of the block.
    fn fill_up(&mut self) {
        let end = self.used.next_multiple_of(BLOCK);
        self.blocks.as_flattened_mut()[self.used..end].fill(0);
        self.used = end;
    }

    fn flush(&mut self) {
        let blocks = &self.blocks[..self.used / BLOCK];
        self.hash.update(Block::cast_slice_from_core(blocks));
        self.used = 0;
    }
}
