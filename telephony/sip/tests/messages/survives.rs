//! What must hold of any bytes. Shared by the property tests, the replay of the corpus and the fuzz
//! targets in `tests/fuzz`.

use sip::framer::{Frame, Framer, FramingError};
use sip::message::{
    HeaderName, Headers, Limits, Message, NameAddr, Response, StatusCode, Via, parse_datagram,
};

/// As a datagram and as a stream.
#[allow(dead_code, reason = "each fuzz target takes one half")]
pub(crate) fn any(bytes: &[u8]) {
    datagram(bytes);
    stream(bytes);
}

/// No panic; what is accepted can be written and read again; what is refused can be answered;
/// what a stream accepts is the same message to a datagram.
pub(crate) fn datagram(bytes: &[u8]) {
    let parsed = parse_datagram(bytes, &Limits::default());
    match &parsed {
        Ok(message) => {
            look_at(message.headers());
            let again = parse_datagram(&message.to_bytes(), &ROOMY)
                .expect("what is accepted is written well");
            assert_eq!(lines(message), lines(&again));
            assert_eq!(message.body(), again.body());
            if let Message::Request(request) = message {
                let answer = Response::answering(request, StatusCode::OK)
                    .with_to_tag("x")
                    .to_bytes();
                let read = parse_datagram(&answer, &ROOMY).expect("an answer is readable");
                assert_eq!(read.headers().cseq(), request.headers.cseq());
                assert_eq!(read.headers().vias(), request.headers.vias());
            }
        }
        Err(error) => {
            assert!(error.offset <= bytes.len(), "{error}");
            assert!(!error.to_string().is_empty());
            if let Some(reply) = error.reply() {
                look_at(&reply.headers);
                assert!(!reply.with_to_tag("x").to_bytes().is_empty());
            }
        }
    }
    let first = frames(&Limits::default(), [bytes])
        .into_iter()
        .find(|frame| !matches!(frame, Ok(Frame::Ping | Frame::Pong)));
    if let Some(Ok(Frame::Message(message))) = first {
        assert_eq!(parsed, Ok(message));
    }
}

/// The first byte cuts the rest into chunks: the frames are those of the whole.
#[allow(dead_code, reason = "each fuzz target takes one half")]
pub(crate) fn stream(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let whole = frames(&TIGHT, [stream]);
    let chunked = frames(&TIGHT, stream.chunks(usize::from(*cut) + 1));
    assert_eq!(whole, chunked);
    assert!(
        whole.iter().rev().skip(1).all(Result::is_ok),
        "nothing comes behind an error"
    );
    for frame in whole {
        if let Ok(Frame::Message(message)) = frame {
            assert!(message.body().len() <= TIGHT.body && message.headers().len() <= TIGHT.headers);
            let again = frames(&ROOMY, [message.to_bytes()]);
            let [Ok(Frame::Message(again))] = again.as_slice() else {
                panic!("what is framed is written well: {again:?}");
            };
            assert_eq!(lines(&message), lines(again));
        }
    }
}

/// Small enough for a fuzzer to reach.
const TIGHT: Limits = Limits {
    message: 1500,
    head: 1000,
    headers: 24,
    uri: 100,
    body: 800,
};

/// Written out, a compact message grows.
const ROOMY: Limits = Limits {
    message: 1 << 20,
    head: 1 << 20,
    headers: 200,
    uri: 1 << 16,
    body: 1 << 17,
};

fn frames<C: AsRef<[u8]>>(
    limits: &Limits,
    chunks: impl IntoIterator<Item = C>,
) -> Vec<Result<Frame, FramingError>> {
    let mut framer = Framer::new(*limits);
    let mut out = Vec::new();
    for chunk in chunks {
        framer.push(chunk.as_ref());
        while let Some(frame) = framer.next() {
            out.push(frame);
        }
        assert!(framer.pending() <= limits.head.max(limits.body));
    }
    out
}

/// All header lines but the one that writing sets anew.
fn lines(message: &Message) -> Vec<(HeaderName, Vec<u8>)> {
    let lines = message
        .headers()
        .iter()
        .map(|(name, value)| (name.clone(), value.to_vec()));
    lines
        .filter(|(name, _)| *name != HeaderName::ContentLength)
        .collect()
}

/// Asks for every view; the answers do not matter here.
fn look_at(headers: &Headers) {
    let _ = (
        headers.via_top(),
        headers.vias(),
        headers.from(),
        headers.to(),
        headers.call_id(),
        headers.cseq(),
    );
    let _ = (
        headers.max_forwards(),
        headers.contacts(),
        headers.contact(),
        headers.routes(),
        headers.record_routes(),
    );
    let _ = (
        headers.path(),
        headers.refer_to(),
        headers.referred_by(),
        headers.content_length(),
    );
    let _ = (
        headers.content_type(),
        headers.expires(),
        headers.min_se(),
        headers.session_expires(),
    );
    let _ = (
        headers.rseq(),
        headers.rack(),
        headers.replaces(),
        headers.reasons(),
        headers.event(),
    );
    let _ = (
        headers.subscription_state(),
        headers.retry_after(),
        headers.supports("x"),
        headers.require().count(),
    );
    for (name, value) in headers.iter() {
        if let Ok(addr) = NameAddr::parse(value) {
            let _ = (
                addr.display(),
                addr.tag(),
                addr.uri.user_unescaped(),
                addr.uri.headers().count(),
            );
            assert_eq!(
                NameAddr::parse(&addr.to_bytes()).as_ref(),
                Ok(&addr),
                "{name}"
            );
            assert!(addr.uri.equivalent(&addr.uri), "{addr}");
            let changed = addr
                .uri
                .with_param("a b", Some("c;d"))
                .without_param("lr")
                .without_zone();
            assert!(changed.without_headers().header("x").is_none());
        }
        if let Ok(via) = Via::parse(value) {
            let _ = (
                via.received(),
                via.rport(),
                via.maddr(),
                via.rfc3261_branch(),
            );
            assert_eq!(Via::parse(via.to_string().as_bytes()), Ok(via), "{name}");
        }
    }
}
