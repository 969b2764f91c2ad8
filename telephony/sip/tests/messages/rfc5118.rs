//! RFC 5118: IPv6 in every place an address can stand.

use std::net::IpAddr;

use sip::message::{Fault, HeaderName, UriError};

use crate::fixtures::{fixture, parse, refusal, request};

const SET: &str = "rfc5118";

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn an_ipv6_reference_is_understood_everywhere() {
    // 4.1
    let register = request(&fixture(SET, "ipv6-good"));
    assert_eq!(register.uri.host().unwrap().ip(), ip("2001:db8::10"));
    assert_eq!(
        register.headers.via_top().unwrap().host.ip(),
        ip("2001:db8::9:1")
    );
    let contact = register.headers.contact().unwrap().unwrap();
    assert_eq!(
        (contact.display().as_ref(), contact.uri.user()),
        ("Caller", Some("caller"))
    );
    assert_eq!(contact.uri.host().unwrap().ip(), ip("2001:db8::1"));
}

#[test]
fn without_brackets_it_is_refused() {
    // 4.2
    let bytes = fixture(SET, "ipv6-bad");
    assert_eq!(refusal(&bytes), Some(400));
    assert_eq!(parse(&bytes).unwrap_err().fault, Fault::Uri(UriError::Port));
}

#[test]
fn a_port_stands_behind_the_brackets_only() {
    // 4.3
    let ambiguous = request(&fixture(SET, "port-ambiguous")).uri;
    assert_eq!(
        (ambiguous.host().unwrap().ip(), ambiguous.port()),
        (ip("2001:db8::10:5070"), None)
    );
    // 4.4
    let clear = request(&fixture(SET, "port-unambiguous")).uri;
    assert_eq!(
        (clear.host().unwrap().ip(), clear.port()),
        (ip("2001:db8::10"), Some(5070))
    );
}

#[test]
fn received_is_read_with_and_without_brackets() {
    // 4.5
    for name in [
        "via-received-param-with-delim",
        "via-received-param-no-delim",
    ] {
        let via = request(&fixture(SET, name)).headers.via_top().unwrap();
        assert_eq!(via.received(), ip("2001:db8::9:255"), "{name}");
        assert!(
            via.rfc3261_branch().unwrap().starts_with("z9hG4bKas3"),
            "{name}"
        );
    }
}

#[test]
fn addresses_of_both_families_stand_side_by_side() {
    // 4.7
    let vias = request(&fixture(SET, "mult-ip-in-header"))
        .headers
        .vias()
        .unwrap();
    let seen: Vec<_> = vias
        .iter()
        .map(|via| (via.host.ip(), via.port, via.received()))
        .collect();
    assert_eq!(
        seen,
        [
            (ip("2001:db8::9:1"), Some(6050), None),
            (ip("192.0.2.1"), None, None),
            (ip("2001:db8::9:255"), None, ip("192.0.2.200")),
        ]
    );
    // 4.6, 4.8
    for name in ["ipv6-in-sdp", "mult-ip-in-sdp"] {
        let invite = request(&fixture(SET, name));
        assert!(
            invite
                .headers
                .content_type()
                .unwrap()
                .unwrap()
                .is("application/sdp"),
            "{name}"
        );
        assert!(
            invite.body.ends_with(b"a=rtpmap:107 H263-1998/90000\r\n"),
            "{name}"
        );
    }
}

#[test]
fn a_mapped_ipv4_address_is_an_ipv6_address() {
    // 4.9
    let invite = request(&fixture(SET, "ipv4-mapped-ipv6"));
    let top = invite.headers.via_top().unwrap();
    assert_eq!(
        (top.host.ip(), top.port),
        (ip("::ffff:192.0.2.10"), Some(19823))
    );
    let contact = invite.headers.contact().unwrap().unwrap();
    assert_eq!(contact.uri.host().unwrap().ip(), ip("::ffff:192.0.2.2"));
}

#[test]
fn the_third_colon_of_the_old_grammar_is_tolerated() {
    // 4.10
    let (old, new) = (
        fixture(SET, "ipv6-bug-abnf-3-colons"),
        fixture(SET, "ipv6-correct-abnf-2-colons"),
    );
    let (old, new) = (request(&old), request(&new));
    assert_eq!(old.uri.host(), new.uri.host());
    assert!(old.uri.equivalent(&new.uri));
    assert_eq!(old.headers.count(HeaderName::To), 1);
}
