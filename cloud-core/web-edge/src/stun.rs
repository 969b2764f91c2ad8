//! As much of STUN (RFC 8489) as is needed before a browser's leg is known: whose check it is, and
//! the answer to somebody who only asks for her own address.
//!
//! Checks of ICE themselves, with their integrity, are str0m's. Never panics on what comes in.

use std::net::{IpAddr, SocketAddr};

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const USERNAME: u16 = 0x0006;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// The longest answer: header and an address of IPv6.
pub(crate) const ANSWER: usize = HEADER + 24;

/// What a datagram is as far as STUN goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind<'d> {
    /// Not STUN.
    Other,
    /// A check of ICE, for the one who has this name (RFC 8445 7.2.2).
    Check { ours: &'d str },
    /// "What is my address?"
    Reflexive { transaction: &'d [u8; 12] },
    /// STUN that a server is never asked, or broken.
    Stray,
}

pub(crate) fn kind(datagram: &[u8]) -> Kind<'_> {
    // RFC 7983 7: the first octet tells STUN from DTLS and RTP.
    if datagram.first().is_none_or(|first| *first > 3) {
        return Kind::Other;
    }
    let Some((header, attributes)) = datagram.split_first_chunk::<HEADER>() else {
        return Kind::Stray;
    };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let is_request = header[..2] == BINDING_REQUEST && header[4..8] == COOKIE;
    if !is_request || length != attributes.len() || length % 4 != 0 {
        return Kind::Stray;
    }
    match username(attributes) {
        Some(Ok(name)) => match name.split_once(':') {
            Some((ours, _)) => Kind::Check { ours },
            None => Kind::Stray,
        },
        Some(Err(Broken)) => Kind::Stray,
        None => match header[8..].first_chunk() {
            Some(transaction) => Kind::Reflexive { transaction },
            None => Kind::Stray,
        },
    }
}

struct Broken;

fn username(mut attributes: &[u8]) -> Option<Result<&str, Broken>> {
    while let Some((head, rest)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some(value) = rest.get(..length) else {
            return Some(Err(Broken));
        };
        if u16::from_be_bytes([head[0], head[1]]) == USERNAME {
            return Some(std::str::from_utf8(value).map_err(|_| Broken));
        }
        attributes = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

/// Tells somebody the address that her question came from (RFC 8489 14.2).
pub(crate) fn reflexive(transaction: &[u8; 12], from: SocketAddr) -> ([u8; ANSWER], usize) {
    let mut answer = [0; ANSWER];
    let mut key = [0; 16];
    key[..4].copy_from_slice(&COOKIE);
    key[4..].copy_from_slice(transaction);
    let (family, octets, length) = match from.ip().to_canonical() {
        IpAddr::V4(v4) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&v4.octets());
            (1, octets, 4)
        }
        IpAddr::V6(v6) => (2, v6.octets(), 16),
    };
    let attribute = 4 + length as u16;
    answer[..2].copy_from_slice(&BINDING_SUCCESS);
    answer[2..4].copy_from_slice(&(4 + attribute).to_be_bytes());
    answer[4..20].copy_from_slice(&key);
    answer[20..22].copy_from_slice(&XOR_MAPPED_ADDRESS.to_be_bytes());
    answer[22..24].copy_from_slice(&attribute.to_be_bytes());
    answer[25] = family;
    answer[26..28].copy_from_slice(&(from.port() ^ 0x2112).to_be_bytes());
    let hidden = octets.iter().zip(key).map(|(octet, key)| octet ^ key);
    for (to, octet) in answer[28..28 + length].iter_mut().zip(hidden) {
        *to = octet;
    }
    (answer, 28 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0, 1];
        datagram.extend((attributes.len() as u16).to_be_bytes());
        datagram.extend(COOKIE);
        datagram.extend([7; 12]);
        datagram.extend(attributes);
        datagram
    }

    #[test]
    fn a_check_names_whose_it_is() {
        let check = request(b"\x80\x22\0\x03abc\0\0\x06\0\x09ours:hers\0\0\0");
        assert_eq!(kind(&check), Kind::Check { ours: "ours" });
        let nameless = request(b"\x80\x22\0\x04abcd");
        assert_eq!(
            kind(&nameless),
            Kind::Reflexive {
                transaction: &[7; 12]
            }
        );
    }

    #[test]
    fn what_is_broken_is_stray_and_what_is_no_stun_is_other() {
        for stray in [
            &[0][..],
            &[0, 1, 0, 0],
            &request(b"\0\x06\0\x20our"),
            &request(b"\0\x06\0\x04name"),
            &request(b"\0\x06\0\x03\xff\xff\xff\0"),
            &request(b"\0\x06\0"),
            &[&[1, 1][..], &request(b"")[2..]].concat(),
        ] {
            assert_eq!(kind(stray), Kind::Stray, "{stray:?}");
        }
        for other in [&b""[..], &[22, 254, 253], &[0x80, 111]] {
            assert_eq!(kind(other), Kind::Other);
        }
        let all = request(b"\0\x06\0\x09ours:hers\0\0\0");
        for cut in 1..all.len() {
            assert_eq!(kind(&all[..cut]), Kind::Stray);
        }
    }

    #[test]
    fn an_address_is_told_as_the_standards_vectors_have_it() {
        // RFC 5769 2.2 and 2.3.
        let transaction = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";
        let (v4, length) = reflexive(&transaction, "192.0.2.1:32853".parse().unwrap());
        assert_eq!(
            v4[20..length],
            *b"\0\x20\0\x08\0\x01\xa1\x47\xe1\x12\xa6\x43"
        );
        let six = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
        let (v6, length) = reflexive(&transaction, six.parse().unwrap());
        assert_eq!(
            v6[20..length],
            *b"\0\x20\0\x14\0\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9"
        );
        assert_eq!(length, ANSWER);
    }
}
