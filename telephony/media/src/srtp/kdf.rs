//! Session keys from a master key (RFC 3711 4.3), at the derivation rate zero.

use super::counter::Aes;
use super::suite::MasterKey;

/// RFC 3711 4.3.1 and 4.3.2.
#[derive(Clone, Copy)]
pub(super) enum Label {
    RtpKey = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Fills `out` with the session key of that label. A counter without index, because the
/// derivation rate is zero; AES-256 where the suite has it (RFC 6188 3).
pub(super) fn derive(master: &MasterKey, label: Label, out: &mut [u8]) {
    let counter = salt(master.salt()) ^ (u128::from(label as u8) << 64);
    out.fill(0);
    Aes::new(master.key()).apply(counter, out);
}

/// A salt at its place above the 16 bits that count blocks; the shorter one of GCM is filled up
/// with zeros on its right (RFC 7714 11).
pub(super) fn salt(octets: &[u8]) -> u128 {
    let mut wide = [0; 16];
    wide[..octets.len()].copy_from_slice(octets);
    u128::from_be_bytes(wide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::{Suite, hex};

    fn check(suite: Suite, master: &str, expected: [(Label, &str); 3]) {
        let master = MasterKey::new(suite, &hex(master)).unwrap();
        for (label, expected) in expected {
            let expected = hex(expected);
            let mut out = vec![0xff; expected.len()];
            derive(&master, label, &mut out);
            assert_eq!(out, expected);
        }
    }

    // RFC 3711 B.3
    #[test]
    fn session_keys_of_128_bits_are_those_of_the_standard() {
        check(
            Suite::AesCm128HmacSha1_80,
            "e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6",
            [
                (Label::RtpKey, "c61e7a93744f39ee10734afe3ff7a087"),
                (Label::RtpSalt, "30cbbc08863d8c85d49db34a9ae1"),
                (
                    Label::RtpAuthentication,
                    "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbce
                     e049646c43d9327ad175578ef72270986371c10c9a369ac2f94a8c5fbcdddc25
                     6d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2",
                ),
            ],
        );
    }

    // RFC 6188 7.2
    #[test]
    fn session_keys_of_256_bits_are_those_of_the_standard() {
        check(
            Suite::AesCm256HmacSha1_80,
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6
             3b04803de51ee7c96423ab5b78d2",
            [
                (
                    Label::RtpKey,
                    "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
                ),
                (Label::RtpSalt, "fa31791685ca444a9e07c6c64e93"),
                (
                    Label::RtpAuthentication,
                    "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
                ),
            ],
        );
    }
}
