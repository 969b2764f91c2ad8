//! What devices really send, and what they expect back.

use sip::message::{
    Contacts, Fault, HeaderName, Host, Method, NameAddr, Request, Response, Scheme, StatusCode,
    Uri, Via, ViaTransport,
};

use crate::fixtures::{parse, refusal, request, response};

/// An OPTIONS with these header lines in front of the mandatory ones that are not among them.
fn options(lines: &[&str]) -> Vec<u8> {
    let mut text = "OPTIONS sip:gate@192.0.2.1 SIP/2.0\r\n".to_owned();
    let usual = [
        (
            "via",
            "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKa1;rport",
        ),
        ("from", "From: <sip:17@192.0.2.1>;tag=f1"),
        ("to", "To: <sip:gate@192.0.2.1>"),
        ("call-id", "Call-ID: c1@192.0.2.7"),
        ("cseq", "CSeq: 7 OPTIONS"),
    ];
    let name = |line: &str| {
        line.split(':')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    };
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    for (_, line) in usual
        .iter()
        .filter(|(n, _)| !lines.iter().any(|line| name(line) == *n))
    {
        text.push_str(line);
        text.push_str("\r\n");
    }
    (text + "\r\n").into_bytes()
}

#[test]
fn compact_forms_stand_for_all_they_shorten() {
    let text = b"MESSAGE sip:a@b SIP/2.0\r\nv:SIP/2.0/UDP h;branch=z9hG4bK1\r\nf:<sip:x@y>;tag=1\r\nt:<sip:a@b>\r\n\
        i:id\r\nCSEQ:1 MESSAGE\r\nm:<sip:x@y>\r\nc:text/plain\r\nl:2\r\nk:timer\r\ns:hi\r\ne:gzip\r\no:presence\r\n\
        x:90\r\nr:<sip:z>\r\nb:<sip:q>\r\nu:dialog\r\n\r\nhi";
    let message = request(text);
    let names: Vec<_> = message
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Via",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Contact",
            "Content-Type",
            "Content-Length",
            "Supported",
            "Subject",
            "Content-Encoding",
            "Event",
            "Session-Expires",
            "Refer-To",
            "Referred-By",
            "Allow-Events",
        ]
    );
    assert_eq!(message.body.as_ref(), b"hi");
}

#[test]
fn a_duplicate_uri_parameter_means_its_first() {
    let bytes = options(&["Contact: <sip:17@192.0.2.7;transport=tls;transport=tls>"]);
    let contact = request(&bytes).headers.contact().unwrap().unwrap();
    assert_eq!(contact.uri.param("transport"), Some("tls"));
    assert_eq!(
        contact.uri.without_param("transport").as_str(),
        "sip:17@192.0.2.7"
    );
    assert_eq!(
        contact.uri.with_param("transport", Some("tcp")).as_str(),
        "sip:17@192.0.2.7;transport=tcp"
    );
}

#[test]
fn latin_1_in_a_display_name_is_kept_byte_for_byte() {
    let mut bytes = options(&[
        "From: \"T?r 5\" <sip:17@h>;tag=1",
        "To: Foyer ? links <sip:a@b>",
    ]);
    bytes
        .iter_mut()
        .skip(36)
        .filter(|b| **b == b'?')
        .for_each(|b| *b = 0xfc);
    let received = request(&bytes);
    assert_eq!(received.headers.from().unwrap().display(), "T\u{fffd}r 5");
    assert_eq!(received.headers.to().unwrap().uri.as_str(), "sip:a@b");
    let answer = Response::answering(&received, StatusCode::OK).to_bytes();
    assert!(answer.windows(6).any(|w| w == b"T\xfcr 5\""));
}

#[test]
fn an_addr_spec_gives_its_parameters_to_the_header() {
    let from = request(&options(&["From: sip:17@h;tag=x;user=phone"]))
        .headers
        .from()
        .unwrap();
    assert_eq!((from.tag(), from.uri.as_str()), (Some("x"), "sip:17@h"));
    assert_eq!(from.params.value("user"), Some("phone"));
}

#[test]
fn scoped_link_local_addresses_are_read_and_can_be_stripped() {
    let text = b"INVITE sip:service@[fe80::1%eth0]:15070 SIP/2.0\r\n\
        Via: SIP/2.0/UDP [fe80::2%eth0]:15072;branch=z9hG4bK-1-0\r\nFrom: sipp <sip:sipp@[fe80::2%eth0]:15072>;tag=1\r\n\
        To: service <sip:service@[fe80::1%eth0]:15070>\r\nCall-ID: 1-1@fe80::2%eth0\r\nCSeq: 1 INVITE\r\n\
        Contact: sip:sipp@[fe80::2%eth0]:15072\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    let invite = request(text);
    assert_eq!(invite.uri.host().unwrap().zone(), Some("eth0"));
    let mut via = invite.headers.via_top().unwrap();
    assert_eq!((via.host.zone(), via.port), (Some("eth0"), Some(15072)));
    via.host = via.host.without_zone();
    assert_eq!(
        via.to_string(),
        "SIP/2.0/UDP [fe80::2]:15072;branch=z9hG4bK-1-0"
    );
    let contact = invite.headers.contact().unwrap().unwrap().uri;
    assert_eq!(contact.as_str(), "sip:sipp@[fe80::2%eth0]:15072");
    assert_eq!(contact.without_zone().as_str(), "sip:sipp@[fe80::2]:15072");
}

#[test]
fn the_source_is_noted_as_rport_and_received_ask() {
    let noted = |via: &str, source: &str| {
        let mut via = Via::parse(via.as_bytes()).unwrap();
        via.note_source(source.parse().unwrap());
        via.to_string()
    };
    // RFC 3581 4
    assert_eq!(
        noted(
            "SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjs",
            "192.0.2.1:9988"
        ),
        "SIP/2.0/UDP 10.1.1.1:4540;rport=9988;branch=z9hG4bKkjs;received=192.0.2.1"
    );
    // RFC 3261 18.2.1: only when it differs
    assert_eq!(
        noted("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkjs", "192.0.2.1:9988"),
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkjs"
    );
    assert_eq!(
        noted(
            "SIP/2.0/UDP gate.local;branch=z9hG4bKkjs",
            "[2001:db8::7]:5060"
        ),
        "SIP/2.0/UDP gate.local;branch=z9hG4bKkjs;received=2001:db8::7"
    );
    // An IPv4 sender at a socket for both families.
    assert_eq!(
        noted(
            "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKkjs",
            "[::ffff:192.0.2.1]:5060"
        ),
        "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKkjs;received=192.0.2.1"
    );
    assert_eq!(
        noted(
            "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkjs",
            "[::ffff:192.0.2.1]:5060"
        ),
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkjs"
    );
    // What the sender claims about itself is not believed.
    assert_eq!(
        noted(
            "SIP/2.0/UDP 192.0.2.1;received=198.51.100.9;branch=z9hG4bKkjs",
            "192.0.2.1:5060"
        ),
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkjs"
    );
}

#[test]
fn only_the_top_via_is_rewritten() {
    let mut received = request(&options(&[
        "Via: SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKtop, SIP/2.0/UDP far;branch=z9hG4bKx",
        "Via: SIP / 2.0 / UDP  farther ; branch=z9hG4bKy",
    ]));
    let mut via = received.headers.via_top().unwrap();
    assert_eq!(via.transport, ViaTransport::Tcp);
    via.note_source("[2001:db8::2]:40000".parse().unwrap());
    received.headers.set_via_top(&via);
    let lines: Vec<_> = received
        .headers
        .all(HeaderName::Via)
        .map(String::from_utf8_lossy)
        .collect();
    assert_eq!(
        lines,
        [
            "SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKtop;received=2001:db8::2, SIP/2.0/UDP far;branch=z9hG4bKx",
            "SIP / 2.0 / UDP  farther ; branch=z9hG4bKy",
        ]
    );
}

#[test]
fn a_telephone_uri_is_an_address_too() {
    let text = b"INVITE tel:+49-30-1234;phone-context=example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
        From: <tel:17>;tag=1\r\nTo: <tel:+49301234>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n";
    let invite = request(text);
    assert_eq!(
        (invite.uri.scheme(), invite.uri.user()),
        (Scheme::Tel, Some("+49-30-1234"))
    );
    assert_eq!(invite.uri.param("phone-context"), Some("example.com"));
    assert_eq!(invite.headers.from().unwrap().uri.user(), Some("17"));
}

#[test]
fn an_unknown_method_reaches_its_owner() {
    let text = b"BREW sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:a@b>\r\n\
        Call-ID: 1\r\nCSeq: 1 BREW\r\n\r\n";
    let brew = request(text);
    assert_eq!(brew.method, Method::parse(b"BREW").unwrap());
    assert_ne!(brew.method, Method::parse(b"brew").unwrap());
}

#[test]
fn blank_lines_may_come_first_and_a_body_without_length_runs_to_the_end() {
    let bytes = [
        b"\r\n\r\n".to_vec(),
        options(&["Content-Type: text/plain"]),
        b"to the end\r\n".to_vec(),
    ]
    .concat();
    assert_eq!(request(&bytes).body.as_ref(), b"to the end\r\n");
    let bytes = [options(&["Content-Length: 3"]), b"abcdef".to_vec()].concat();
    assert_eq!(request(&bytes).body.as_ref(), b"abc");
}

#[test]
fn a_keep_alive_is_told_from_rubbish() {
    for keep_alive in [b"\r\n\r\n".as_slice(), b"\r\n", b""] {
        assert_eq!(parse(keep_alive).unwrap_err().fault, Fault::Empty);
    }
    // What some stations send every 20 seconds, and a STUN binding request.
    for rubbish in [
        b"\0\0\0\0".as_slice(),
        b"\0\x01\0\0\x21\x12\xa4\x42",
        b"jaK",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(refusal(rubbish), None);
    }
}

#[test]
fn a_star_contact_is_no_address() {
    let contacts = |line| request(&options(&[line])).headers.contacts();
    assert_eq!(contacts("Contact: *").unwrap(), Contacts::All);
    assert!(contacts("Contact: *, <sip:a@b>").is_err());
}

#[test]
fn a_list_is_split_outside_quotes_and_brackets_only() {
    let bytes = options(&["Contact: \"C, <D>\" <sip:a,b@h>;expires=60 , <sip:c@d>;q=0.5"]);
    let Contacts::Each(contacts) = request(&bytes).headers.contacts().unwrap() else {
        panic!("no star")
    };
    let uris: Vec<_> = contacts.iter().map(|c| c.uri.as_str()).collect();
    assert_eq!(uris, ["sip:a,b@h", "sip:c@d"]);
    assert_eq!(contacts[0].display(), "C, <D>");
    assert_eq!(contacts[0].params.value("expires"), Some("60"));
}

#[test]
fn an_answer_carries_what_it_must() {
    let received = request(&options(&[
        "Record-Route: <sip:p1;lr>",
        "Via: SIP/2.0/UDP p1;branch=z9hG4bKp1",
        "Via: SIP/2.0/UDP h;branch=z9hG4bKh",
        "Timestamp: 54",
        "Subject: not echoed",
    ]));
    let trying = Response::answering(&received, StatusCode::TRYING);
    assert_eq!(trying.headers.get_str(HeaderName::Timestamp), Some("54"));
    assert!(!trying.headers.has(HeaderName::RecordRoute));
    let ok = Response::answering(&received, StatusCode::OK)
        .with_to_tag("t1")
        .with_to_tag("t2");
    assert_eq!(
        String::from_utf8_lossy(&ok.to_bytes()),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP p1;branch=z9hG4bKp1\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKh\r\n\
         From: <sip:17@192.0.2.1>;tag=f1\r\nTo: <sip:gate@192.0.2.1>;tag=t1\r\nCall-ID: c1@192.0.2.7\r\n\
         CSeq: 7 OPTIONS\r\nRecord-Route: <sip:p1;lr>\r\nContent-Length: 0\r\n\r\n"
    );
    let busy = Response::answering(&received, StatusCode::BUSY_HERE);
    assert!(!busy.headers.has(HeaderName::RecordRoute));
    assert_eq!(response(&busy.to_bytes()).status, StatusCode::BUSY_HERE);
}

#[test]
fn what_is_built_is_read_back() {
    let host = Host::parse("[fe80::1%eth0]").unwrap();
    let uri = Uri::sip(Some("Tür 5; \"west\"@x"), &host, Some(5070))
        .with_param("transport", Some("tls"))
        .with_param("ob", None);
    assert_eq!(
        uri.as_str(),
        "sip:T%C3%BCr%205;%20%22west%22%40x@[fe80::1%eth0]:5070;transport=tls;ob"
    );
    assert_eq!(uri.user_unescaped().unwrap(), "Tür 5; \"west\"@x");
    let from = NameAddr::new(uri)
        .with_display("Door \"west\"\r\nVia: evil")
        .with_tag("1");
    let text = Request::new(
        Method::Options,
        Uri::sip(None, &Host::parse("h").unwrap(), None),
    )
    .with_header(
        HeaderName::Via,
        Via::new(ViaTransport::Udp, host, None, "z9hG4bK1").to_string(),
    )
    .with_header(HeaderName::From, from.to_bytes())
    .with_header(HeaderName::To, "<sip:h>\r\nX-Evil: 1")
    .with_header(HeaderName::CallId, "1")
    .with_header(HeaderName::CSeq, "1 OPTIONS")
    .with_body("text/plain", "hi")
    .to_bytes();
    let error = parse(&text).unwrap_err(); // the line break did not make a header
    assert!(error.to_string().contains("To"), "{error}");
    let text = String::from_utf8(text).unwrap().replace("  X-Evil: 1", "");
    let back = request(text.as_bytes());
    assert_eq!(
        back.headers.from().unwrap().display(),
        "Door \"west\"  Via: evil"
    );
    assert_eq!(back.headers.count(HeaderName::Via), 1);
    assert_eq!(back.body.as_ref(), b"hi");
}

#[test]
fn a_refer_carries_headers_in_its_uri() {
    let uri: Uri =
        "sip:18@h;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=next%20door"
            .parse()
            .unwrap();
    assert_eq!(uri.header("replaces").unwrap(), "a@b;to-tag=1;from-tag=2");
    assert_eq!(uri.without_headers().as_str(), "sip:18@h;method=INVITE");
    let built: Uri = "sip:18@h".parse().unwrap();
    let built = built.with_header("Replaces", "a@b;to-tag=1;from-tag=2");
    assert_eq!(built.header("Replaces"), uri.header("Replaces"));
    assert!(built.as_str().starts_with("sip:18@h?Replaces=a%40b%3B"));
}

#[test]
fn typed_headers_are_understood_in_their_variants() {
    let headers = request(&options(&[
        "Session-Expires: 1800 ; refresher = UAC",
        "Min-SE: 90;x=y",
        "RAck: 776656 1 INVITE",
        "RSeq: 988789",
        "Replaces: 425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only",
        "Reason: SIP ;cause=200 ;text=\"Call completed elsewhere\", Q.850;cause=16",
        "Retry-After: 18000;duration=3600",
        "Expires: 99999999999",
        "Event: dialog;id=7",
        "Subscription-State: active ; expires=3600",
        "Refer-To: <sip:18@h>",
        "Require: 100rel,timer",
        "Supported:",
        "Content-Type: application/sdp ;charset=utf-8",
    ]))
    .headers;
    assert_eq!(
        headers.session_expires().unwrap().unwrap().to_string(),
        "1800;refresher=uac"
    );
    assert_eq!(headers.min_se().unwrap(), Some(90));
    assert_eq!(
        headers.rack().unwrap().unwrap().to_string(),
        "776656 1 INVITE"
    );
    assert_eq!(headers.rseq().unwrap(), Some(988_789));
    assert_eq!(
        headers.replaces().unwrap().unwrap().to_string(),
        "425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only"
    );
    let reasons: Vec<_> = headers
        .reasons()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        reasons,
        [
            "SIP;cause=200;text=\"Call completed elsewhere\"",
            "Q.850;cause=16"
        ]
    );
    assert_eq!(headers.retry_after().unwrap(), Some(18_000));
    assert_eq!(headers.expires().unwrap(), Some(u32::MAX));
    assert_eq!(
        headers.event().unwrap().unwrap().params.value("id"),
        Some("7")
    );
    assert!(headers.subscription_state().unwrap().unwrap().is("Active"));
    assert!(headers.supports("100rel") && headers.supports("TIMER") && !headers.supports("path"));
    assert!(
        headers
            .content_type()
            .unwrap()
            .unwrap()
            .is("application/SDP")
    );
    assert_eq!(headers.max_forwards(), Ok(None));
}

#[test]
fn harmless_slips_are_let_pass() {
    let from = |value: &str| {
        request(&options(&[&format!("From: {value}")]))
            .headers
            .from()
            .unwrap()
    };
    assert_eq!(from("<sip:@192.0.2.7>;tag=1").uri.user(), None);
    assert_eq!(from("gate@west <sip:17@h>;tag=1").display(), "gate@west");
    assert_eq!(from("<sip:17@h;transport=udp;>;tag=1;").tag(), Some("1"));
    assert_eq!(
        from("<sip:100%@h>;tag=1").uri.user_unescaped().unwrap(),
        "100%"
    );
    assert_eq!(from("<sip:*21#@h>;tag=1").uri.user(), Some("*21#"));
    assert_eq!(from("<sip:tür@h>;tag=1").uri.user(), Some("tür"));
    assert_eq!(from("\"\"<sip:17@my_pbx>;tag=a@b:1").tag(), Some("a@b:1"));
    let answer = Response::answering(&request(&options(&["To: <sip:gate@h> ;"])), StatusCode::OK)
        .with_to_tag("t");
    assert_eq!(
        answer.headers.get_str(HeaderName::To),
        Some("<sip:gate@h>;tag=t")
    );
}
