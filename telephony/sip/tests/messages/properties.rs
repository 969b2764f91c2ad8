//! Properties of generated and of mutated messages, and agreement with rsip where rsip understands a message at all.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};
use sip::framer::{Frame, Framer};
use sip::message::{
    CSeq, HeaderName, Host, Limits, Message, Method, NameAddr, Params, Request, Response,
    StatusCode, Uri, Via, ViaTransport,
};

use crate::fixtures::{all, parse};
use crate::survives;

#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Delete(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let token = select(vec![
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\n",
        " ",
        "\t",
        ":",
        ";",
        ",",
        "<",
        ">",
        "\"",
        "\\",
        "%",
        "%00",
        "@",
        "[",
        "]",
        "=",
        "?",
        "Content-Length: 1\r\n",
        "l:99999999999999999999\r\n",
        "\r\n ",
        "Via: ",
        "SIP/2.0",
        "sip:",
        "tel:",
        "*",
        "\0",
        "é",
    ]);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        (any::<Index>(), 1usize..40).prop_map(|(at, len)| Change::Delete(at, len)),
        (any::<Index>(), token).prop_map(|(at, text)| Change::Insert(at, text.as_bytes().to_vec())),
        (any::<Index>(), 1usize..60).prop_map(|(at, len)| Change::Repeat(at, len)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: Change) {
    let place = |at: Index, bytes: &[u8]| at.index(bytes.len() + 1);
    match change {
        Change::Flip(at, byte) => {
            let at = place(at, bytes);
            if let Some(b) = bytes.get_mut(at) {
                *b = byte;
            }
        }
        Change::Delete(at, len) => {
            let at = place(at, bytes);
            bytes.drain(at..(at + len).min(bytes.len()));
        }
        Change::Insert(at, text) => {
            let at = place(at, bytes);
            bytes.splice(at..at, text);
        }
        Change::Repeat(at, len) => {
            let at = place(at, bytes);
            let piece = bytes[at..(at + len).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}

fn any_fixture() -> impl Strategy<Value = Vec<u8>> {
    let messages = [all("rfc4475"), all("rfc5118")].concat();
    select(
        messages
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect::<Vec<_>>(),
    )
}

fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+`'~-]{1,12}"
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{2,5}){0,2}"
            .prop_map(|name| Host::parse(&name).expect("a name")),
        any::<std::net::IpAddr>().prop_map(Host::from),
        any::<std::net::Ipv6Addr>()
            .prop_map(|addr| Host::parse(&format!("[{addr}%eth0]")).expect("scoped")),
    ]
}

fn uri() -> impl Strategy<Value = Uri> {
    let user = proptest::option::of("\\PC{1,12}");
    let param = proptest::option::of((token(), proptest::option::of("\\PC{0,8}")));
    (
        any::<bool>(),
        user,
        host(),
        proptest::option::of(1u16..),
        param,
    )
        .prop_map(|(secure, user, host, port, param)| {
            let user = user.as_deref();
            let uri = if secure {
                Uri::sips(user, &host, port)
            } else {
                Uri::sip(user, &host, port)
            };
            match param {
                Some((name, value)) => uri.with_param(&name, value.as_deref()),
                None => uri,
            }
        })
}

fn name_addr() -> impl Strategy<Value = NameAddr> {
    (uri(), "\\PC{0,16}", token())
        .prop_map(|(uri, display, tag)| NameAddr::new(uri).with_display(&display).with_tag(&tag))
}

fn via() -> impl Strategy<Value = Via> {
    let transport = prop_oneof![
        Just(ViaTransport::Udp),
        Just(ViaTransport::Tcp),
        Just(ViaTransport::Tls)
    ];
    (
        transport,
        host(),
        proptest::option::of(1u16..),
        token(),
        any::<bool>(),
    )
        .prop_map(|(transport, host, port, branch, rport)| {
            let mut via = Via::new(transport, host, port, &format!("z9hG4bK{branch}"));
            if rport {
                via.params.set("rport", None);
            }
            via
        })
}

fn generated() -> impl Strategy<Value = Request> {
    let known = select(Method::KNOWN.to_vec());
    let other = "X[A-Z]{1,8}".prop_map(|name| Method::parse(name.as_bytes()).expect("a token"));
    let method = prop_oneof![4 => known, 1 => other];
    let parts = (
        method,
        uri(),
        proptest::collection::vec(via(), 1..4),
        name_addr(),
        name_addr(),
        token(),
        0u32..1 << 31,
    );
    let more = (
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec("\\PC{0,30}", 0..4),
    );
    (parts, more).prop_map(
        |((method, uri, vias, from, to, id, number), (body, extra))| {
            let mut request = Request::new(method.clone(), uri);
            for via in vias {
                request.headers.push(HeaderName::Via, via.to_string());
            }
            request.headers.push(HeaderName::MaxForwards, "70");
            request.headers.push(HeaderName::From, from.to_bytes());
            request.headers.push(HeaderName::To, to.to_bytes());
            request.headers.push(HeaderName::CallId, id);
            request
                .headers
                .push(HeaderName::CSeq, CSeq { number, method }.to_string());
            for value in extra {
                request.headers.push(HeaderName::Subject, value.trim());
            }
            request.with_body("application/octet-stream", body)
        },
    )
}

/// Within what rsip reads rightly: no escapes in display names, no IPv6, no zone.
fn plain() -> impl Strategy<Value = Request> {
    let uri = || {
        (
            "[a-z][a-z0-9_-]{0,9}",
            "[a-z]{1,8}(\\.[a-z]{2,4})?",
            proptest::option::of(1u16..),
        )
            .prop_map(|(user, host, port)| {
                Uri::sip(Some(&user), &Host::parse(&host).expect("a name"), port)
            })
    };
    let named = move || (uri(), "[a-zA-Z ,;]{0,10}", "[a-z0-9]{1,8}");
    let parts = (
        select(Method::KNOWN.to_vec()),
        uri(),
        named(),
        named(),
        "[a-z0-9@.]{1,16}",
        0u32..1 << 31,
    );
    (parts, "[a-z0-9]{1,12}").prop_map(|((method, target, from, to, id, number), branch)| {
        let addr = |(uri, display, tag): (Uri, String, String)| {
            NameAddr::new(uri).with_display(&display).with_tag(&tag)
        };
        let via = Via::new(
            ViaTransport::Udp,
            Host::parse("192.0.2.1").expect("an address"),
            None,
            &branch,
        );
        Request::new(method.clone(), target)
            .with_header(HeaderName::Via, via.to_string())
            .with_header(HeaderName::From, addr(from).to_bytes())
            .with_header(HeaderName::To, addr(to).to_bytes())
            .with_header(HeaderName::CallId, id)
            .with_header(HeaderName::CSeq, CSeq { number, method }.to_string())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_mutated_torture_message_does_harm(
        bytes in any_fixture(),
        changes in proptest::collection::vec(change(), 0..8),
    ) {
        let mut bytes = bytes;
        for change in changes {
            apply(&mut bytes, change);
        }
        survives::any(&bytes);
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        survives::any(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read_back(request in generated()) {
        let back = parse(&request.to_bytes());
        let mut expected = request.clone();
        expected.headers.push(HeaderName::ContentLength, request.body.len().to_string());
        prop_assert_eq!(back, Ok(Message::Request(expected)));
    }

    #[test]
    fn an_answer_to_anything_is_read_back(request in generated(), code in 100u16..700) {
        let status = StatusCode::new(code).expect("in range");
        let bytes = Response::answering(&request, status).with_to_tag("t").to_bytes();
        let Ok(Message::Response(back)) = parse(&bytes) else {
            return Err(TestCaseError::fail("an answer is refused"));
        };
        prop_assert_eq!(back.status, status);
        prop_assert_eq!(back.headers.vias(), request.headers.vias());
        prop_assert_eq!(back.headers.from(), request.headers.from());
        prop_assert_eq!(back.headers.cseq(), request.headers.cseq());
    }

    #[test]
    fn any_chunking_gives_the_same_frames(
        requests in proptest::collection::vec(generated(), 1..4),
        pings in any::<bool>(),
        cuts in proptest::collection::vec(any::<Index>(), 0..12),
    ) {
        let gap = if pings { b"\r\n\r\n".as_slice() } else { b"" };
        let stream: Vec<u8> = requests.iter().flat_map(|r| [r.to_bytes(), gap.to_vec()].concat()).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let frames = |chunks: &mut dyn Iterator<Item = &[u8]>| {
            let mut framer = Framer::new(Limits::default());
            let mut out = Vec::new();
            for chunk in chunks {
                framer.push(chunk);
                while let Some(frame) = framer.next() {
                    out.push(frame);
                }
            }
            out
        };
        let whole = frames(&mut std::iter::once(stream.as_slice()));
        let cut = frames(&mut cuts.windows(2).map(|w| &stream[w[0]..w[1]]));
        prop_assert_eq!(&whole, &cut);
        let messages = whole.iter().filter(|frame| matches!(frame, Ok(Frame::Message(_)))).count();
        prop_assert_eq!(messages, requests.len());
    }

    #[test]
    fn a_user_survives_escaping(user in "\\PC{1,20}", host in host()) {
        let uri = Uri::sip(Some(&user), &host, None);
        prop_assert_eq!(uri.user_unescaped().expect("a user"), user);
        prop_assert_eq!(Uri::parse(uri.as_str().as_bytes()), Ok(uri.clone()));
        prop_assert!(uri.equivalent(&uri));
    }

    #[test]
    fn no_value_adds_a_line(value in proptest::collection::vec(any::<u8>(), 0..60), request in generated()) {
        let lines = request.headers.len();
        let name = HeaderName::parse(b"X-Anything").expect("a token");
        let bytes = request.with_header(name, &value).to_bytes();
        let message = parse(&bytes).expect("still a message");
        prop_assert_eq!(message.headers().len(), lines + 2); // this one and Content-Length
    }

    #[test]
    fn parameters_are_set_read_and_removed(
        names in proptest::collection::vec(token(), 1..5),
        value in "\\PC{0,12}",
    ) {
        prop_assume!(!value.starts_with('"')); // what is quoted already passes as it is
        let mut params = Params::default();
        for name in &names {
            params.set(name, Some(&value));
        }
        let read = Params::parse(params.as_str().as_bytes()).expect("well written");
        prop_assert_eq!(&read, &params);
        for name in &names {
            let seen = read.unquoted(name).expect("set").into_owned();
            let expected: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            prop_assert_eq!(seen, expected);
            params.remove(name);
        }
        prop_assert!(params.is_empty());
    }

    #[test]
    fn rsip_understands_the_same(request in plain()) {
        agrees_with_rsip(&request.to_bytes());
    }
}

#[test]
fn rsip_understands_the_same_of_the_torture_messages() {
    for (_, bytes) in [all("rfc4475"), all("rfc5118")].concat() {
        if parse(&bytes).is_ok() {
            agrees_with_rsip(&bytes);
        }
    }
}

/// Where rsip reads a view at all, it reads what we read.
fn agrees_with_rsip(bytes: &[u8]) {
    let (Ok(Message::Request(ours)), Ok(rsip::SipMessage::Request(theirs))) =
        (parse(bytes), rsip::SipMessage::try_from(bytes))
    else {
        return;
    };
    let headers = &ours.headers;
    assert_eq!(ours.method.as_str(), theirs.method.to_string());
    if let Ok(id) = theirs.call_id_header() {
        assert_eq!(headers.call_id().unwrap(), id.value().trim());
    }
    if let Ok(cseq) = theirs.cseq_header().and_then(|h| h.typed()) {
        let read = headers.cseq().unwrap();
        assert_eq!(
            (read.number, read.method.to_string()),
            (cseq.seq, cseq.method.to_string())
        );
    }
    if let Ok(from) = theirs.from_header().and_then(|h| h.typed()) {
        let read = headers.from().unwrap();
        assert_eq!(
            read.tag().map(str::to_owned),
            from.tag().map(|tag| tag.to_string())
        );
        same_uri(&read.uri, &from.uri);
    }
    if let Ok(to) = theirs.to_header().and_then(|h| h.typed()) {
        let read = headers.to().unwrap();
        assert_eq!(
            read.tag().map(str::to_owned),
            to.tag().map(|tag| tag.to_string())
        );
        same_uri(&read.uri, &to.uri);
    }
    if let Ok(via) = theirs.via_header().and_then(|h| h.typed()) {
        let read = headers.via_top().unwrap();
        assert_eq!(
            read.branch().map(str::to_owned),
            via.branch().map(|branch| branch.to_string())
        );
    }
    same_uri(&ours.uri, &theirs.uri);
}

fn same_uri(ours: &Uri, theirs: &rsip::Uri) {
    // rsip takes `j.user@h` for a host, and gives a host to schemes that have none.
    if theirs.host().to_string().contains('@') || ours.host().is_none() {
        return;
    }
    let host = ours
        .host()
        .map(|host| host.to_string().to_ascii_lowercase());
    assert_eq!(
        host,
        Some(theirs.host().to_string().to_ascii_lowercase()),
        "{ours}"
    );
    let port = theirs.port().map(|port| *port.value());
    assert_eq!(ours.port(), port, "{ours}");
    assert_eq!(
        ours.user().map(str::to_owned),
        theirs.user().map(str::to_owned),
        "{ours}"
    );
}
