//! RFC 4475, all 49 messages: each is judged as its section says.
//!
//! `Accept` is followed by what must have been understood. `Owner` means: parsed, and the
//! transaction user refuses by the view its note names (a scheme, an option tag, a hop count).

use sip::message::{
    Contacts, Fault, HeaderFault, HeaderName, Headers, Method, Scheme, StatusCode, UriError,
};

use crate::fixtures::{all, fixture, parse, refusal, request, response};

const SET: &str = "rfc4475";

enum Verdict {
    Accept,
    /// Parsed; the owner sees the reason to refuse it in the view that its note names.
    Owner,
    /// Refused by the parser with this answer.
    Refuse(u16),
    /// Refused by the parser, in silence.
    Discard,
}

use Verdict::{Accept, Discard, Owner, Refuse};

#[rustfmt::skip]
const JUDGED: [(&str, &str, Verdict); 49] = [
    ("wsinv",      "3.1.1.1",  Accept),
    ("intmeth",    "3.1.1.2",  Owner),       // 501: the method
    ("esc01",      "3.1.1.3",  Accept),
    ("escnull",    "3.1.1.4",  Accept),
    ("esc02",      "3.1.1.5",  Owner),       // 501: the method is not REGISTER
    ("lwsdisp",    "3.1.1.6",  Accept),
    ("longreq",    "3.1.1.7",  Accept),
    ("dblreq",     "3.1.1.8",  Accept),     // the second message is discarded
    ("semiuri",    "3.1.1.9",  Accept),
    ("transports", "3.1.1.10", Accept),
    ("mpart01",    "3.1.1.11", Accept),
    ("unreason",   "3.1.1.12", Accept),
    ("noreason",   "3.1.1.13", Accept),
    ("badinv01",   "3.1.2.1",  Refuse(400)),
    ("clerr",      "3.1.2.2",  Refuse(400)),
    ("ncl",        "3.1.2.3",  Refuse(400)),
    ("scalar02",   "3.1.2.4",  Refuse(400)),
    ("scalarlg",   "3.1.2.5",  Discard),
    ("quotbal",    "3.1.2.6",  Refuse(400)),
    ("ltgtruri",   "3.1.2.7",  Refuse(400)),
    ("lwsruri",    "3.1.2.8",  Refuse(400)),
    ("lwsstart",   "3.1.2.9",  Refuse(400)),
    ("trws",       "3.1.2.10", Refuse(400)),
    ("escruri",    "3.1.2.11", Refuse(400)),
    ("baddate",    "3.1.2.12", Accept),     // "may ignore": nobody here reads Date
    ("regbadct",   "3.1.2.13", Owner),       // 400: Contact
    ("badaspec",   "3.1.2.14", Refuse(400)),
    ("baddn",      "3.1.2.15", Refuse(400)),
    ("badvers",    "3.1.2.16", Refuse(505)),
    ("mismatch01", "3.1.2.17", Refuse(400)),
    ("mismatch02", "3.1.2.18", Refuse(400)), // 501 or 400
    ("bigcode",    "3.1.2.19", Discard),
    ("badbranch",  "3.2.1",    Owner),       // 400, or matched as RFC 2543: no branch to use
    ("insuf",      "3.3.1",    Refuse(400)),
    ("unkscm",     "3.3.2",    Owner),       // 416: the scheme
    ("novelsc",    "3.3.3",    Owner),       // 416: the scheme
    ("unksm2",     "3.3.4",    Owner),       // 400: To, where the registrar knows no such scheme
    ("bext01",     "3.3.5",    Owner),       // 420: Require
    ("invut",      "3.3.6",    Owner),       // 415: Content-Type
    ("regaut01",   "3.3.7",    Owner),       // 401: Authorization
    ("multi01",    "3.3.8",    Refuse(400)),
    ("mcl01",      "3.3.9",    Refuse(400)),
    ("bcast",      "3.3.10",   Owner),       // dropped: two Vias
    ("zeromf",     "3.3.11",   Owner),       // 483 of a proxy: Max-Forwards
    ("cparam01",   "3.3.12",   Accept),
    ("cparam02",   "3.3.13",   Accept),
    ("regescrt",   "3.3.14",   Accept),
    ("sdp01",      "3.3.15",   Accept),     // the Accept header is the owner's matter
    ("inv2543",    "3.4.1",    Accept),
];

#[test]
fn each_message_is_judged_as_its_section_says() {
    let mut names: Vec<_> = all(SET).into_iter().map(|(name, _)| name).collect();
    for (name, section, verdict) in &JUDGED {
        names.retain(|n| n != name);
        let bytes = fixture(SET, name);
        let parsed = parse(&bytes);
        match verdict {
            Accept | Owner => {
                parsed.unwrap_or_else(|error| panic!("{name} ({section}): {error}"));
            }
            Refuse(code) => assert_eq!(refusal(&bytes), Some(*code), "{name} ({section})"),
            Discard => assert_eq!(refusal(&bytes), None, "{name} ({section})"),
        }
    }
    assert!(names.is_empty(), "not judged: {names:?}");
}

#[test]
fn what_is_accepted_survives_writing_and_reading_again() {
    for (name, _, verdict) in &JUDGED {
        if matches!(verdict, Accept | Owner) {
            let once = parse(&fixture(SET, name)).unwrap();
            let mut again =
                parse(&once.to_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
            // A Content-Length is always written, in its own place.
            again.headers_mut().remove(HeaderName::ContentLength);
            let mut once = once;
            once.headers_mut().remove(HeaderName::ContentLength);
            assert_eq!(once, again, "{name}");
        }
    }
}

#[test]
fn a_short_tortuous_invite_is_understood() {
    let invite = request(&fixture(SET, "wsinv"));
    let headers = &invite.headers;
    assert!(invite.uri.has_param("unknownparam"));
    assert_eq!(headers.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(headers.from().unwrap().tag(), Some("98asjd8"));
    assert_eq!(headers.from().unwrap().display(), "J Rosenberg \\\"");
    assert_eq!(headers.max_forwards().unwrap(), Some(68));
    assert_eq!(headers.cseq().unwrap().to_string(), "9 INVITE");
    assert_eq!(headers.get(HeaderName::Subject), Some(b"".as_slice()));
    let vias: Vec<_> = headers
        .vias()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
            "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
        ]
    );
    let route = &headers.routes().unwrap()[0];
    assert!(route.uri.is_loose_router());
    assert_eq!(route.uri.param("unknownwith"), Some("value"));
    let contact = headers.contact().unwrap().unwrap();
    assert_eq!(contact.display(), "Quoted string \"\"");
    assert_eq!(
        contact.params.as_str(),
        ";newparam=newvalue;secondparam;q=0.33"
    );
    assert_eq!(
        headers
            .get_other("newfangledheader")
            .map(squeezed)
            .as_deref(),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(invite.body.len(), 150);
}

fn squeezed(value: &[u8]) -> String {
    String::from_utf8_lossy(value)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn all_valid_characters_are_let_pass() {
    let odd = request(&fixture(SET, "intmeth"));
    assert_eq!(
        odd.method.as_str(),
        "!interesting-Method0123456789_*+`.%indeed'~"
    );
    assert_eq!(
        odd.uri.user(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(odd.uri.host().unwrap().to_string(), "example.com");
    assert_eq!(
        odd.headers.to().unwrap().display(),
        "BEL:\u{7} NUL:\0 DEL:\u{7f}"
    );
    assert_eq!(
        odd.headers.from().unwrap().display(),
        "token1~` token2'+_ token3*%!.-"
    );
    assert_eq!(odd.headers.from().unwrap().tag(), Some("_token~1'+`*%!-."));
    assert_eq!(
        odd.headers.call_id().unwrap(),
        "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    );
}

#[test]
fn escapes_are_neither_lost_nor_doubled() {
    let invite = request(&fixture(SET, "esc01"));
    assert_eq!(invite.uri.user(), Some("sips%3Auser%40example.com"));
    assert_eq!(
        invite.uri.user_unescaped().unwrap(),
        "sips:user@example.com"
    );
    assert_eq!(
        invite.headers.to().unwrap().uri.user_unescaped().unwrap(),
        "user"
    );
    assert!(
        invite
            .to_bytes()
            .starts_with(b"INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0\r\n")
    );
    assert!(
        invite
            .headers
            .to()
            .unwrap()
            .uri
            .equivalent(&"sip:user@example.com".parse().unwrap())
    );

    let register = request(&fixture(SET, "esc02"));
    assert_eq!(register.method.as_str(), "RE%47IST%45R");
    let Contacts::Each(contacts) = register.headers.contacts().unwrap() else {
        panic!("not a star")
    };
    assert_eq!(contacts.len(), 2); // `C%6Fntact` is another header

    let null = request(&fixture(SET, "escnull"));
    assert_eq!(
        null.headers.to().unwrap().uri.user_unescaped().unwrap(),
        "null-\0-null"
    );
}

#[test]
fn display_name_and_bracket_may_touch() {
    let from = request(&fixture(SET, "lwsdisp")).headers.from().unwrap();
    assert_eq!(
        (from.display().as_ref(), from.tag()),
        ("caller", Some("323"))
    );
}

#[test]
fn long_values_are_kept_whole() {
    let long = request(&fixture(SET, "longreq"));
    assert_eq!(long.headers.count(HeaderName::Via), 34);
    assert_eq!(long.headers.from().unwrap().tag().map(str::len), Some(155));
    assert_eq!(long.body.len(), 150);
}

#[test]
fn what_follows_a_message_in_its_datagram_is_discarded() {
    let register = request(&fixture(SET, "dblreq"));
    assert_eq!(
        register.headers.call_id().unwrap(),
        "dblreq.0ha0isndaksdj99sdfafnl3lk233412"
    );
    assert!(register.body.is_empty());
}

#[test]
fn a_semicolon_may_stand_in_a_user_part() {
    let uri = request(&fixture(SET, "semiuri")).uri;
    assert_eq!(uri.user_unescaped().unwrap(), "user;par=u@example.net");
    assert!(!uri.has_param("par"));
}

#[test]
fn unknown_transports_are_named_as_they_came() {
    let vias = request(&fixture(SET, "transports")).headers.vias().unwrap();
    let names: Vec<_> = vias.iter().map(|via| via.transport.as_str()).collect();
    assert_eq!(names, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

#[test]
fn a_body_is_bytes() {
    let message = request(&fixture(SET, "mpart01"));
    assert_eq!(message.body.len(), 553);
    assert!(str::from_utf8(&message.body).is_err());
}

#[test]
fn a_reason_phrase_may_be_strange_or_empty() {
    let strange = response(&fixture(SET, "unreason"));
    assert!(
        strange
            .reason
            .starts_with("= 2**3 * 5**2 но сто".as_bytes())
    );
    let empty = response(&fixture(SET, "noreason"));
    assert_eq!(
        (empty.status, empty.reason.as_ref()),
        (StatusCode::TRYING, b"".as_slice())
    );
}

/// A refusal for another reason than the one tested would prove nothing.
#[test]
fn refusals_name_the_right_fault() {
    let fault = |name| parse(&fixture(SET, name)).unwrap_err().fault;
    let header = |name| match fault(name) {
        Fault::Header(error) => error.header,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(header("badinv01"), HeaderName::Via);
    assert_eq!(
        fault("clerr"),
        Fault::CutShort {
            said: 9999,
            there: 154
        }
    );
    assert_eq!(fault("ncl"), Fault::ContentLength);
    assert_eq!(header("scalar02"), HeaderName::CSeq);
    assert_eq!(header("scalarlg"), HeaderName::CSeq);
    assert_eq!(header("quotbal"), HeaderName::To);
    assert_eq!(fault("ltgtruri"), Fault::Uri(UriError::Character));
    assert_eq!(fault("lwsruri"), Fault::RequestLine);
    assert_eq!(fault("lwsstart"), Fault::RequestLine);
    assert_eq!(fault("trws"), Fault::RequestLine);
    assert_eq!(fault("escruri"), Fault::UriHeaders);
    assert_eq!(header("badaspec"), HeaderName::To);
    assert_eq!(fault("badvers"), Fault::Version);
    assert_eq!(fault("mismatch01"), Fault::CSeqMethod);
    assert_eq!(fault("mismatch02"), Fault::CSeqMethod);
    assert_eq!(fault("bigcode"), Fault::StatusLine);
    assert!(matches!(fault("insuf"), Fault::Header(error) if error.why == HeaderFault::Missing));
    assert!(matches!(fault("multi01"), Fault::Header(error) if error.why == HeaderFault::Repeated));
    assert_eq!(fault("mcl01"), Fault::ContentLengthConflict);
    // As published it also lacks the empty line behind its headers.
    let whole = [fixture(SET, "baddn"), b"\r\n".to_vec()].concat();
    assert!(
        matches!(parse(&whole).unwrap_err().fault, Fault::Header(error) if error.header == HeaderName::From)
    );
}

#[test]
fn the_owner_can_see_why_to_refuse() {
    let headers = |name| -> Headers { request(&fixture(SET, name)).headers };
    assert!(matches!(
        request(&fixture(SET, "esc02")).method,
        Method::Other(_)
    ));
    assert!(headers("regbadct").contacts().is_err());
    assert_eq!(
        headers("badbranch").via_top().unwrap().rfc3261_branch(),
        None
    );
    assert_eq!(request(&fixture(SET, "unkscm")).uri.scheme(), Scheme::Other);
    assert_eq!(
        request(&fixture(SET, "novelsc")).uri.scheme_str(),
        "soap.beep"
    );
    assert_eq!(headers("unksm2").to().unwrap().uri.scheme_str(), "isbn");
    let required: Vec<_> = headers("bext01")
        .require()
        .map(|tag| tag.into_owned())
        .collect();
    assert_eq!(
        required,
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    assert!(
        headers("invut")
            .content_type()
            .unwrap()
            .unwrap()
            .is("application/unknownformat")
    );
    assert!(
        headers("regaut01")
            .get(HeaderName::Authorization)
            .unwrap()
            .starts_with(b"NoOneKnowsThisScheme")
    );
    assert_eq!(
        response(&fixture(SET, "bcast"))
            .headers
            .vias()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(headers("zeromf").max_forwards().unwrap(), Some(0));
}

#[test]
fn a_parameter_behind_a_bare_uri_belongs_to_the_header() {
    let bare = request(&fixture(SET, "cparam01"))
        .headers
        .contact()
        .unwrap()
        .unwrap();
    assert!(bare.params.has("unknownparam") && !bare.uri.has_param("unknownparam"));
    let bracketed = request(&fixture(SET, "cparam02"))
        .headers
        .contact()
        .unwrap()
        .unwrap();
    assert!(!bracketed.params.has("unknownparam") && bracketed.uri.has_param("unknownparam"));
    let escaped = request(&fixture(SET, "regescrt"))
        .headers
        .contact()
        .unwrap()
        .unwrap();
    assert_eq!(
        escaped.uri.header("route").unwrap(),
        "<sip:sip.example.com>"
    );
}

#[test]
fn an_rfc_2543_invite_is_read_to_the_end_of_its_datagram() {
    let invite = request(&fixture(SET, "inv2543"));
    assert_eq!(invite.headers.from().unwrap().tag(), None);
    assert_eq!(invite.headers.via_top().unwrap().branch(), None);
    assert!(invite.body.ends_with(b"RTP/AVP 0\r\n"));
}
