//! The STUN keep-alive of outbound stations on UDP (RFC 5626 4.4.2, RFC 5389).
//!
//! Answers a plain Binding request with the address it came from and knows nothing else of STUN:
//! no credentials, no other method. Invariant: an answer is at most 24 bytes longer than what it
//! answers, so nobody can be flooded through us.

use std::net::{IpAddr, SocketAddr};

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];

/// Whether a datagram is STUN and no SIP: no SIP message begins with such a byte (RFC 5626 8).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] < 4 && datagram[4..8] == COOKIE
}

/// The answer to a Binding request from `source`; other STUN is not ours to answer.
pub(super) fn answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    if !is_stun(datagram) || datagram[..2] != BINDING_REQUEST {
        return None;
    }
    let transaction = &datagram[8..HEADER];
    // RFC 5389 15.2: the port and the address are covered so that NATs do not rewrite them.
    let mut value = match source.ip() {
        IpAddr::V4(_) => vec![0, 1],
        IpAddr::V6(_) => vec![0, 2],
    };
    value.extend(
        source
            .port()
            .to_be_bytes()
            .iter()
            .zip(COOKIE)
            .map(|(b, mask)| b ^ mask),
    );
    let masks = COOKIE.iter().chain(transaction);
    match source.ip() {
        IpAddr::V4(ip) => value.extend(ip.octets().iter().zip(masks).map(|(b, mask)| b ^ mask)),
        IpAddr::V6(ip) => value.extend(ip.octets().iter().zip(masks).map(|(b, mask)| b ^ mask)),
    }
    let length = value.len() as u16;
    let mut answer = Vec::with_capacity(HEADER + 4 + value.len());
    answer.extend_from_slice(&BINDING_SUCCESS);
    answer.extend_from_slice(&(length + 4).to_be_bytes());
    answer.extend_from_slice(&COOKIE);
    answer.extend_from_slice(transaction);
    answer.extend_from_slice(&XOR_MAPPED_ADDRESS);
    answer.extend_from_slice(&length.to_be_bytes());
    answer.extend_from_slice(&value);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 2.2 and 2.3, without the attributes we do not send.
    #[test]
    fn the_source_is_told_as_in_the_test_vectors() {
        let transaction = [
            0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
        ];
        let request = [&[0, 1, 0, 0][..], &COOKIE, &transaction].concat();
        let mapped =
            |source: &str| answer(&request, source.parse().unwrap()).unwrap()[20..].to_vec();
        assert_eq!(
            mapped("192.0.2.1:32853"),
            [
                0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43
            ]
        );
        assert_eq!(
            mapped("[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
            [
                0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3,
                0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9
            ]
        );
    }

    #[test]
    fn only_binding_requests_are_answered() {
        let source = "192.0.2.1:1".parse().unwrap();
        let indication = [&[0, 0x11, 0, 0][..], &COOKIE, &[0; 12]].concat();
        assert!(is_stun(&indication));
        assert_eq!(answer(&indication, source), None);
        assert!(!is_stun(b"OPTIONS sip:a SIP/2.0\r\n"));
        assert!(!is_stun(&indication[..19]));
    }
}
