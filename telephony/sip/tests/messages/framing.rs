//! Messages cut from a stream: whatever the chunks, whatever the peer says about lengths.

use sip::framer::{Frame, Framer};
use sip::message::{Fault, HeaderName, Limits, Message};

use crate::fixtures::parse;

const LIMITS: Limits = Limits {
    message: 3000,
    head: 1000,
    headers: 20,
    uri: 200,
    body: 2500,
};

/// A request with these extra header lines (each with its CRLF).
fn message(call_id: &str, lines: &str, body: &str) -> String {
    format!(
        "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{call_id}\r\nFrom: <sip:x@y>;tag=1\r\n\
         To: <sip:a@b>\r\nCall-ID: {call_id}\r\nCSeq: 1 MESSAGE\r\n{lines}\r\n{body}"
    )
}

fn framed(call_id: &str, body: &str) -> String {
    message(
        call_id,
        &format!("Content-Length: {}\r\n", body.len()),
        body,
    )
}

/// Feeds chunks and tells in short what came out.
fn frames<C: AsRef<[u8]>>(chunks: impl IntoIterator<Item = C>) -> Vec<String> {
    let mut framer = Framer::new(LIMITS);
    let mut out = Vec::new();
    for chunk in chunks {
        framer.push(chunk.as_ref());
        while let Some(frame) = framer.next() {
            out.push(match frame {
                Ok(Frame::Message(message)) => told(&message),
                Ok(Frame::Ping) => "ping".into(),
                Ok(Frame::Pong) => "pong".into(),
                Ok(Frame::Refused(error)) => {
                    format!("refused {}", error.reply().expect("answered").status)
                }
                Err(error) => match error.0.reply() {
                    Some(reply) => format!("broken {}", reply.status),
                    None => "broken".into(),
                },
            });
        }
    }
    out
}

fn told(message: &Message) -> String {
    let id = message.headers().call_id().expect("judged by the parser");
    format!("{id} {}", String::from_utf8_lossy(message.body()))
}

fn whole(stream: &str) -> Vec<String> {
    frames([stream.as_bytes()])
}

#[test]
fn one_message_follows_the_other_in_any_chunking() {
    let stream = [
        framed("1", "hello"),
        framed("2", ""),
        framed("3", "a\r\n\r\nb"),
    ]
    .concat();
    let expected = ["1 hello", "2 ", "3 a\r\n\r\nb"];
    assert_eq!(whole(&stream), expected);
    for size in 1..stream.len() {
        assert_eq!(
            frames(stream.as_bytes().chunks(size)),
            expected,
            "chunks of {size}"
        );
    }
}

#[test]
fn a_stream_and_a_datagram_are_read_alike() {
    let text = framed("1", "hello");
    let mut framer = Framer::new(LIMITS);
    framer.push(text.as_bytes());
    assert_eq!(
        framer.next(),
        Some(Ok(Frame::Message(parse(text.as_bytes()).unwrap())))
    );
    assert_eq!(framer.next(), None);
}

#[test]
fn content_length_is_found_in_all_its_spellings() {
    for line in [
        "l:5",
        "CONTENT-LENGTH   :   5",
        "Content-Length:\r\n 5",
        "L\t:\t005\t",
        "Content-Length: 5\r\nl: 5",
    ] {
        let stream = [
            message("1", &format!("{line}\r\n"), "hello"),
            framed("2", ""),
        ]
        .concat();
        assert_eq!(whole(&stream), ["1 hello", "2 "], "{line}");
    }
}

#[test]
fn keep_alives_are_told_from_messages() {
    // RFC 5626 4.4.1
    let stream = format!(
        "\r\n\r\n{}\r\n{}\r\n\r\n\r\n\r\n",
        framed("1", ""),
        framed("2", "")
    );
    let expected = [
        "pong", "ping", "1 ", "pong", "2 ", "pong", "ping", "pong", "ping",
    ];
    assert_eq!(whole(&stream), expected);
    assert_eq!(frames(stream.as_bytes().chunks(1)), expected);
}

#[test]
fn a_message_that_can_be_framed_does_not_end_the_stream() {
    let broken = [
        message("1", "Content-Length: 2\r\nno colon\r\n", "hi"),
        message("1", "Content-Length: 2\r\nMax-Forwards: 300\r\n", "hi"),
        message("1", "Content-Length: 2\r\nTo: <sip:twice>\r\n", "hi"),
        framed("1", "hi").replace("<sip:x@y>", "<sip:x@y"),
        framed("1", "hi").replace("CSeq: 1 MESSAGE", "CSeq: 1 INVITE"),
    ];
    for text in broken {
        assert_eq!(
            whole(&(text.clone() + &framed("2", ""))),
            ["refused 400", "2 "],
            "{text}"
        );
    }
    let odd = framed("1", "hi").replace("SIP/2.0\r\nVia", "SIP/2.1\r\nVia");
    assert_eq!(whole(&(odd + &framed("2", ""))), ["refused 505", "2 "]);
}

#[test]
fn a_stream_in_doubt_ends() {
    for lines in [
        "",
        "Content-Length: -1\r\n",
        "Content-Length: 5x\r\n",
        "Content-Length: 5\r\nContent-Length: 4\r\n",
        "Content-Length: 5\r\nl : 4\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "X: y\nContent-Length: 5\r\n",
        "X: y\rContent-Length: 5\r\n",
        "no colon\r\nContent-Length: 5\nX: y\r\n",
    ] {
        let stream = message("1", lines, "hello") + &framed("2", "");
        assert_eq!(whole(&stream), ["broken 400"], "{lines:?}");
        assert_eq!(
            frames(stream.as_bytes().chunks(1)),
            ["broken 400"],
            "{lines:?}"
        );
    }
    let many = message("1", &"X: y\r\n".repeat(20), "");
    assert_eq!(whole(&many), ["broken 513"]);
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
    for length in ["2501", "4294967296", "18446744073709551615"] {
        assert_eq!(
            whole(&message("1", &format!("Content-Length: {length}\r\n"), "")),
            ["broken 413"],
            "{length}"
        );
    }
    let together = message(
        "1",
        &format!("X: {}\r\nContent-Length: 2500\r\n", "x".repeat(700)),
        "",
    );
    assert_eq!(whole(&together), ["broken 513"]);
}

#[test]
fn a_head_without_end_is_given_up_at_the_limit() {
    let endless = message("1", "", "").trim_end().to_owned() + "\r\nX: " + &"x".repeat(5000);
    assert_eq!(whole(&endless), ["broken 513"]);
    assert_eq!(frames(endless.as_bytes().chunks(7)), ["broken 513"]);
}

#[test]
fn what_is_no_sip_is_known_by_its_first_byte_or_line() {
    for noise in [
        b"\x16\x03\x01\x02\0".as_slice(),
        b"\0",
        b"\n",
        b"\r\r",
        b" MESSAGE",
    ] {
        assert_eq!(frames([noise]), ["broken"], "{noise:?}");
    }
    assert_eq!(
        whole("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        ["broken"]
    );
}

#[test]
fn a_slow_drip_keeps_no_more_than_one_message() {
    let stream = [
        framed("1", &"x".repeat(2000)),
        framed("2", &"y".repeat(2000)),
    ]
    .concat();
    let mut framer = Framer::new(LIMITS);
    let mut seen = 0;
    for byte in stream.as_bytes().chunks(1) {
        framer.push(byte);
        while let Some(frame) = framer.next() {
            assert!(matches!(frame, Ok(Frame::Message(_))));
            seen += 1;
        }
        assert!(framer.pending() <= LIMITS.head.max(LIMITS.body));
    }
    assert_eq!((seen, framer.pending()), (2, 0));
}

#[test]
fn a_broken_stream_takes_nothing_more() {
    let mut framer = Framer::new(LIMITS);
    framer.push(b"\x16");
    assert!(matches!(framer.next(), Some(Err(error)) if error.0.fault == Fault::NotSip));
    framer.push(framed("1", "").as_bytes());
    assert_eq!((framer.next(), framer.pending()), (None, 0));
}

#[test]
fn an_unframed_message_still_gets_its_answer() {
    let mut framer = Framer::new(LIMITS);
    framer.push(message("77", "", "hello").as_bytes());
    let Some(Err(error)) = framer.next() else {
        panic!("no Content-Length")
    };
    assert_eq!(error.0.fault, Fault::NoContentLength);
    assert_eq!(
        error.0.reply().unwrap().headers.get_str(HeaderName::CallId),
        Some("77")
    );
}
