//! What would let an attacker say one thing to us and another to somebody else, or cost us memory.

use sip::message::{Fault, HeaderFault, HeaderName, Limits, parse_datagram};

use crate::fixtures::{parse, refusal, request};

const HEAD: &str = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
    From: <sip:x@y>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n";

/// The usual head with one more line, and a body.
fn with(line: &str, body: &str) -> Vec<u8> {
    format!("{HEAD}{line}\r\n\r\n{body}").into_bytes()
}

/// The usual head with one line exchanged.
fn instead(old: &str, new: &str) -> Vec<u8> {
    assert!(HEAD.contains(old), "{old}");
    format!("{}\r\n", HEAD.replace(old, new)).into_bytes()
}

fn fault(bytes: &[u8]) -> Fault {
    parse(bytes).expect_err("refused").fault
}

#[test]
fn a_content_length_that_is_no_number_is_refused() {
    for value in [
        "-1",
        "+5",
        "5x",
        "0x5",
        "5 5",
        "",
        "5,5",
        "99999999999999999999999999",
        "\u{661}",
    ] {
        let bytes = with(&format!("Content-Length: {value}"), "hello");
        assert_eq!(fault(&bytes), Fault::ContentLength, "{value}");
        assert_eq!(refusal(&bytes), Some(400), "{value}");
    }
}

#[test]
fn a_content_length_beyond_the_datagram_is_refused_without_arithmetic() {
    for said in [6, u64::from(u32::MAX), u64::MAX - 4, u64::MAX] {
        let bytes = with(&format!("Content-Length: {said}"), "hello");
        assert_eq!(fault(&bytes), Fault::CutShort { said, there: 5 });
    }
}

#[test]
fn two_lengths_are_a_conflict_however_they_are_spelled() {
    for second in [
        "Content-Length: 4",
        "l: 4",
        "CONTENT-LENGTH : 4",
        "l\t:\r\n 4",
    ] {
        assert_eq!(
            fault(&with(&format!("Content-Length: 5\r\n{second}"), "hello")),
            Fault::ContentLengthConflict
        );
    }
    assert_eq!(
        request(&with("Content-Length: 5\r\nl: 05", "hello"))
            .body
            .as_ref(),
        b"hello"
    );
}

#[test]
fn a_line_ends_with_cr_lf_and_nothing_else() {
    for line in [
        "X: a\nContent-Length: 0",
        "X: a\rContent-Length: 0",
        "X: a\r\rContent-Length: 0",
        "X: a\n\r\n",
    ] {
        assert_eq!(fault(&with(line, "")), Fault::LineBreak, "{line:?}");
    }
    assert_eq!(
        fault(b"INVITE sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h\n\n"),
        Fault::LineBreak
    );
}

#[test]
fn an_impossible_header_line_is_refused() {
    for line in [
        "no colon",
        ": no name",
        "two words: x",
        "caf\u{e9}: x",
        "(x): y",
        "Vi\0a: x",
    ] {
        assert_eq!(fault(&with(line, "")), Fault::HeaderLine, "{line}");
    }
}

#[test]
fn headers_that_may_stand_once_stand_once() {
    for line in [
        "From: <sip:x@y>;tag=1",
        "f: <sip:z@y>;tag=2",
        "To: <sip:a@b>",
        "i: 2",
        "CSeq: 1 INVITE",
        "Max-Forwards: 70",
        "Content-Type: a/b\r\nc: c/d",
        "Replaces: 1;to-tag=1;from-tag=2\r\nReplaces: 2;to-tag=1;from-tag=2",
        "Refer-To: <sip:a>\r\nr: <sip:b>",
    ] {
        let Fault::Header(error) = fault(&with(line, "")) else {
            panic!("{line}")
        };
        assert_eq!(error.why, HeaderFault::Repeated, "{line}");
        assert_eq!(refusal(&with(line, "")), Some(400), "{line}");
    }
}

#[test]
fn a_mandatory_header_is_there_and_readable() {
    let named = |bytes: &[u8]| match fault(bytes) {
        Fault::Header(error) => error.header,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        named(&instead("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", "")),
        HeaderName::Via
    );
    assert_eq!(
        named(&instead("SIP/2.0/UDP h;", "SIP/2.0/UDP ;")),
        HeaderName::Via
    );
    assert_eq!(
        named(&instead("SIP/2.0/UDP h;", "SIP/3.0/UDP h;")),
        HeaderName::Via
    );
    assert_eq!(named(&instead("UDP h;", "UDP h:0;")), HeaderName::Via);
    assert_eq!(named(&instead("UDP h;", "UDP h:65536;")), HeaderName::Via);
    assert_eq!(
        named(&instead("From: <sip:x@y>;tag=1\r\n", "")),
        HeaderName::From
    );
    assert_eq!(
        named(&instead("<sip:x@y>;tag=1", "<sip:x@y;tag=1")),
        HeaderName::From
    );
    assert_eq!(
        named(&instead("<sip:x@y>;tag=1", "<sip:x@y>;tag=\"1")),
        HeaderName::From
    );
    assert_eq!(
        named(&instead("<sip:x@y>;tag=1", "<sip:x@y>, <sip:z>")),
        HeaderName::From
    );
    assert_eq!(named(&instead("To: <sip:a@b>\r\n", "")), HeaderName::To);
    assert_eq!(
        named(&instead("To: <sip:a@b>", "To: <sip:a@>")),
        HeaderName::To
    );
    assert_eq!(
        named(&instead("To: <sip:a@b>", "To: <sip:a@c@b>")),
        HeaderName::To
    );
    assert_eq!(named(&instead("Call-ID: 1\r\n", "")), HeaderName::CallId);
    assert_eq!(
        named(&instead("Call-ID: 1", "Call-ID: 1 2")),
        HeaderName::CallId
    );
    assert_eq!(named(&instead("CSeq: 1 INVITE\r\n", "")), HeaderName::CSeq);
    for cseq in [
        "INVITE",
        "1",
        "-1 INVITE",
        "2147483648 INVITE",
        "1 INV ITE",
        "1INVITE",
    ] {
        assert_eq!(
            named(&instead("CSeq: 1 INVITE", &format!("CSeq: {cseq}"))),
            HeaderName::CSeq,
            "{cseq}"
        );
    }
    for hops in ["256", "-1", "x", "", "7 0"] {
        let bytes = instead("Max-Forwards: 70", &format!("Max-Forwards: {hops}"));
        assert_eq!(named(&bytes), HeaderName::MaxForwards, "{hops}");
    }
}

#[test]
fn cseq_names_the_method_of_the_request() {
    assert_eq!(fault(&instead("1 INVITE", "1 ACK")), Fault::CSeqMethod);
    assert_eq!(fault(&instead("1 INVITE", "1 invite")), Fault::CSeqMethod);
}

#[test]
fn a_request_line_has_single_spaces_and_version_2_0() {
    let line = |new: &str| instead("INVITE sip:a@b SIP/2.0", new);
    for bad in [
        "INVITE  sip:a@b SIP/2.0",
        "INVITE sip:a@b SIP/2.0 ",
        "INVITE SIP/2.0",
    ] {
        assert_eq!(fault(&line(bad)), Fault::RequestLine, "{bad}");
    }
    for version in ["SIP/3.0", "SIP/2.00", "SIP/", "SIP/2", "SIP/2.0.1"] {
        let bytes = line(&format!("INVITE sip:a@b {version}"));
        assert_eq!(
            (fault(&bytes), refusal(&bytes)),
            (Fault::Version, Some(505)),
            "{version}"
        );
    }
    assert!(parse(&line("INVITE sip:a@b sip/2.0")).is_ok());
    for bad in [
        "INVITE sip:a@b",
        "INVITE sip:a@b HTTP/1.1",
        " INVITE sip:a@b SIP/2.0",
        "INV(ITE sip:a@b SIP/2.0",
        "INVITE",
    ] {
        assert_eq!(fault(&line(bad)), Fault::NotSip, "{bad}");
    }
}

#[test]
fn each_limit_holds_and_names_its_answer() {
    let limits = Limits {
        message: 2000,
        head: 1000,
        headers: 12,
        uri: 100,
        body: 500,
    };
    let judge = |bytes: &[u8]| {
        let error = parse_datagram(bytes, &limits).expect_err("too much");
        let code = error.reply().map(|reply| reply.status.code());
        (error.fault, code)
    };
    let long = |n| "x".repeat(n);
    let fits = format!("{HEAD}X: {}\r\n\r\n{}", long(700), long(500));
    assert!(parse_datagram(fits.as_bytes(), &limits).is_ok());
    assert_eq!(
        judge(&with("X: y", &long(501))),
        (Fault::BodyTooLong { limit: 500 }, Some(413))
    );
    assert_eq!(
        judge(&with("X: y", &long(2000))),
        (Fault::MessageTooLong { limit: 2000 }, Some(513))
    );
    assert_eq!(
        judge(&with(&format!("X: {}", long(1000)), "")),
        (Fault::HeadTooLong { limit: 1000 }, Some(513))
    );
    assert_eq!(
        judge(&with(&"X: y\r\n".repeat(12), "")),
        (Fault::TooManyHeaders { limit: 12 }, Some(513))
    );
    let uri = format!("INVITE sip:{}@b SIP/2.0", long(100));
    assert_eq!(
        judge(&instead("INVITE sip:a@b SIP/2.0", &uri)),
        (Fault::UriTooLong { limit: 100 }, Some(414))
    );
}

#[test]
fn nothing_is_answered_that_must_not_be() {
    // RFC 3261 17.1.1.3: an ACK never is.
    let ack = String::from_utf8(instead("To: <sip:a@b>", "To: <"))
        .unwrap()
        .replace("INVITE", "ACK");
    assert!(parse(ack.as_bytes()).is_err() && refusal(ack.as_bytes()).is_none());
    // Without Via or CSeq nobody could match it; a response is never answered.
    assert_eq!(
        refusal(&instead("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", "")),
        None
    );
    assert_eq!(refusal(&instead("CSeq: 1 INVITE\r\n", "")), None);
    assert_eq!(
        refusal(&instead("INVITE sip:a@b SIP/2.0", "SIP/2.0 999 Odd")),
        None
    );
    let twice = [b"SIP/2.0 200 OK\r\n".to_vec(), with("CSeq: 2 INVITE", "")].concat();
    assert_eq!(refusal(&twice), None);
}

#[test]
fn a_refusal_says_where_and_why_and_carries_what_was_readable() {
    let error = parse(&instead("To: <sip:a@b>", "To: \"open <sip:a@b>")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "byte 105: To: a quoted string never closes"
    );
    let reply = error.reply().unwrap().with_to_tag("never");
    let text = String::from_utf8(reply.to_bytes()).unwrap();
    assert!(
        text.starts_with("SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\nTo: \"open <sip:a@b>\r\n"), "{text}");
    // Lines behind a broken one are still read.
    let early = HEAD.replace("Max-Forwards", "broken line\r\nMax-Forwards");
    let reply = parse(format!("{early}\r\n").as_bytes())
        .unwrap_err()
        .reply()
        .unwrap();
    assert_eq!(reply.headers.call_id(), Ok("1"));
}

#[test]
fn what_identifies_a_transaction_is_visible_text() {
    let via =
        |branch: &str| parse(&instead("branch=z9hG4bK1", &format!("branch={branch}"))).is_ok();
    assert!(via("z9hG4bK-a:b@c/d[e]%f") && via("\"quoted text\""));
    for bad in [
        "a b",
        "a\0b",
        "\"a\0b\"",
        "\"a\u{7}b\"",
        "a<b",
        "a>b",
        "a\"b",
        "\"a",
        "\"a\"b",
    ] {
        assert!(!via(bad), "{bad:?}");
    }
}
