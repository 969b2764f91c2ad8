//! The ciphers of SRTP: counter mode of RFC 3711 and the GCM suites of RFC 7714.
//!
//! Headers, keys, indices and tags of HMAC are str0m's.

use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128, Aes256, Block};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use str0m::crypto::{
    AeadAes128GcmCipher, AeadAes256GcmCipher, Aes128CmSha1_80Cipher, CryptoError, SrtpProvider,
    SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80,
};

const BLOCK: usize = 16;
const TAG: usize = 16;
/// Blocks that are enciphered together: the processor works on so many at once.
const TOGETHER: usize = 8;

#[derive(Debug)]
pub(super) struct Srtp;

impl SrtpProvider for Srtp {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        &Srtp
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &Srtp
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        &Srtp
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        round(&cipher_of::<Aes128>(key), input, output);
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        round(&cipher_of::<Aes256>(key), input, output);
    }
}

fn cipher_of<C: KeyInit>(key: &[u8]) -> C {
    C::new_from_slice(key).expect("a key of SRTP has the length of its suite")
}

/// One block of the keys' derivation (RFC 3711 4.3.3).
fn round(
    cipher: &impl BlockEncrypt<BlockSize = aes::cipher::consts::U16>,
    input: &[u8],
    output: &mut [u8],
) {
    let mut block = Block::clone_from_slice(&input[..BLOCK]);
    cipher.encrypt_block(&mut block);
    output[..BLOCK].copy_from_slice(&block);
}

impl SupportedAes128CmSha1_80 for Srtp {
    fn create_cipher(&self, key: [u8; 16], _: bool) -> Box<dyn Aes128CmSha1_80Cipher> {
        Box::new(CounterMode(cipher_of(&key)))
    }
}

impl SupportedAeadAes128Gcm for Srtp {
    fn create_cipher(&self, key: [u8; 16], _: bool) -> Box<dyn AeadAes128GcmCipher> {
        Box::new(Gcm::new(&AES_128_GCM, &key))
    }
}

impl SupportedAeadAes256Gcm for Srtp {
    fn create_cipher(&self, key: [u8; 32], _: bool) -> Box<dyn AeadAes256GcmCipher> {
        Box::new(Gcm::new(&AES_256_GCM, &key))
    }
}

struct CounterMode(Aes128);

impl std::fmt::Debug for CounterMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CounterMode")
    }
}

impl CounterMode {
    /// RFC 3711 4.1.1. Both directions are the same.
    fn apply(&self, iv: [u8; BLOCK], input: &[u8], output: &mut [u8]) {
        let mut counter = u128::from_be_bytes(iv);
        let portions = input.chunks(TOGETHER * BLOCK);
        for (from, to) in portions.zip(output.chunks_mut(TOGETHER * BLOCK)) {
            let mut stream = [Block::default(); TOGETHER];
            let needed = from.len().div_ceil(BLOCK);
            for block in &mut stream[..needed] {
                *block = counter.to_be_bytes().into();
                counter = counter.wrapping_add(1);
            }
            self.0.encrypt_blocks(&mut stream[..needed]);
            let key = stream.iter().flatten();
            for ((to, from), key) in to.iter_mut().zip(from).zip(key) {
                *to = from ^ key;
            }
        }
    }
}

impl Aes128CmSha1_80Cipher for CounterMode {
    fn encrypt(
        &mut self,
        iv: &[u8; 16],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.apply(*iv, input, output);
        Ok(())
    }

    fn decrypt(
        &mut self,
        iv: &[u8; 16],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.apply(*iv, input, output);
        Ok(())
    }
}

struct Gcm {
    key: LessSafeKey,
    /// The text and what it is bound to, next to each other as ring wants them.
    text: Vec<u8>,
    bound: Vec<u8>,
}

impl std::fmt::Debug for Gcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gcm")
    }
}

impl Gcm {
    fn new(algorithm: &'static ring::aead::Algorithm, key: &[u8]) -> Self {
        let key = UnboundKey::new(algorithm, key).expect("its type has the suite's length");
        Self {
            key: LessSafeKey::new(key),
            text: Vec::new(),
            bound: Vec::new(),
        }
    }

    fn seal(
        &self,
        iv: [u8; 12],
        bound: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        let (text, rest) = output
            .split_at_mut_checked(input.len())
            .ok_or_else(no_room)?;
        let tag_room = rest.get_mut(..TAG).ok_or_else(no_room)?;
        text.copy_from_slice(input);
        let nonce = Nonce::assume_unique_for_key(iv);
        let tag: Tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(bound), text)
            .map_err(|_| CryptoError::Other("a packet is too long to be sealed".to_owned()))?;
        tag_room.copy_from_slice(tag.as_ref());
        Ok(())
    }

    fn open(
        &mut self,
        iv: [u8; 12],
        bound: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CryptoError> {
        self.text.clear();
        self.text.extend_from_slice(input);
        self.bound.clear();
        bound
            .iter()
            .for_each(|part| self.bound.extend_from_slice(part));
        let nonce = Nonce::assume_unique_for_key(iv);
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(&self.bound), &mut self.text)
            .map_err(|_| CryptoError::Other("a packet's tag is not right".to_owned()))?;
        let room = output.get_mut(..plain.len()).ok_or_else(no_room)?;
        room.copy_from_slice(plain);
        Ok(plain.len())
    }
}

fn no_room() -> CryptoError {
    CryptoError::Other("there is no room for the packet".to_owned())
}

macro_rules! gcm {
    ($suite:ident) => {
        impl $suite for Gcm {
            fn encrypt(
                &mut self,
                iv: &[u8; 12],
                aad: &[u8],
                input: &[u8],
                output: &mut [u8],
            ) -> Result<(), CryptoError> {
                self.seal(*iv, aad, input, output)
            }

            fn decrypt(
                &mut self,
                iv: &[u8; 12],
                aads: &[&[u8]],
                input: &[u8],
                output: &mut [u8],
            ) -> Result<usize, CryptoError> {
                self.open(*iv, aads, input, output)
            }
        }
    };
}

gcm!(AeadAes128GcmCipher);
gcm!(AeadAes256GcmCipher);

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_key_stream_is_that_of_the_standard() {
        // RFC 3711 B.2.
        let key = octets("2B7E151628AED2A6ABF7158809CF4F3C");
        let mut cipher = CounterMode(cipher_of(&key));
        let iv: [u8; 16] = octets("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000")
            .try_into()
            .unwrap();
        let mut stream = [0; 48];
        cipher.encrypt(&iv, &[0; 48], &mut stream).unwrap();
        let wanted = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
                      41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream.to_vec(), octets(wanted));
    }

    #[test]
    fn lengths_around_blocks_and_portions_come_back() {
        let mut cipher = CounterMode(cipher_of(&[7; 16]));
        for len in [0, 1, 15, 16, 17, 127, 128, 129, 1200] {
            let plain: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let (mut hidden, mut back) = (vec![0; len], vec![0; len]);
            cipher.encrypt(&[9; 16], &plain, &mut hidden).unwrap();
            cipher.decrypt(&[9; 16], &hidden, &mut back).unwrap();
            assert_eq!(back, plain);
        }
    }

    #[test]
    fn a_sealed_packet_opens_unless_a_bit_of_it_or_of_its_header_changed() {
        // RFC 7714 16.1.1.
        let mut gcm = Gcm::new(&AES_128_GCM, &octets("000102030405060708090a0b0c0d0e0f"));
        let iv: [u8; 12] = octets("51753c6580c2726f20718414").try_into().unwrap();
        let header = octets("8040f17b8041f8d35501a0b2");
        let plain =
            octets("47616c6c696120657374206f6d6e6973206469766973612069 6e207061727465732074726573");
        let mut sealed = vec![0; plain.len() + TAG];
        gcm.seal(iv, &header, &plain, &mut sealed).unwrap();
        assert_eq!(
            sealed,
            octets(
                "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce"
            )
        );
        let mut back = vec![0; plain.len()];
        let (front, rest) = header.split_at(4);
        assert_eq!(
            gcm.open(iv, &[front, rest], &sealed, &mut back).unwrap(),
            plain.len()
        );
        assert_eq!(back, plain);
        sealed[3] ^= 1;
        gcm.open(iv, &[&header], &sealed, &mut back).unwrap_err();
    }
}
