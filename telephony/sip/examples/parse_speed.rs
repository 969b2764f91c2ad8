//! How fast messages are parsed, beside rsip in the same run:
//! `cargo run --release -p sip --example parse_speed`.
//! Counts CPU time, so other work on the machine disturbs little. The figures are those of one core
//! of this machine; the ratio is what travels.

#![expect(clippy::print_stdout, reason = "a measurement for the terminal")]

use std::hint::black_box;
use std::time::Duration;

use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};
use sip::message::{Limits, Message, Response, StatusCode, parse_datagram};

/// An INVITE as a phone behind two proxies sends it, 1132 bytes.
const INVITE: &str = "INVITE sip:8500@gateway.example.com;transport=udp SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---7ee2b9e0c2f1a64d;rport\r\n\
Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK87asdks7;received=203.0.113.4;rport=41022\r\n\
Max-Forwards: 69\r\n\
Record-Route: <sip:192.0.2.10;lr;ftag=9fxced76sl>\r\n\
Contact: <sip:door-17@198.51.100.7:5062;transport=udp;ob>\r\n\
To: \"Front Desk\" <sip:8500@gateway.example.com>\r\n\
From: \"Main Entrance\" <sip:door-17@gateway.example.com>;tag=9fxced76sl\r\n\
Call-ID: 3848276298220188511@door-17.example.com\r\n\
CSeq: 314159 INVITE\r\n\
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE, PRACK\r\n\
Supported: replaces, 100rel, timer, outbound, path\r\n\
Session-Expires: 1800;refresher=uac\r\n\
User-Agent: Doorphone/4.1.7-r12\r\n\
Allow-Events: message-summary, refer, dialog, presence\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 268\r\n\
\r\n\
v=0\r\n\
o=door-17 3724394400 3724394405 IN IP4 198.51.100.7\r\n\
s=-\r\n\
c=IN IP4 198.51.100.7\r\n\
t=0 0\r\n\
m=audio 49170 RTP/AVP 9 8 0 101\r\n\
a=rtpmap:9 G722/8000\r\n\
a=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:0 PCMU/8000\r\n\
a=rtpmap:101 telephone-event/8000\r\n\
a=fmtp:101 0-16\r\n\
a=ptime:20\r\n\
a=sendrecv\r\n";

fn main() {
    println!(
        "INVITE of {} bytes, messages per second of CPU:",
        INVITE.len()
    );
    let limits = Limits::default();
    let bytes = INVITE.as_bytes();
    let ours = rate("ours, parse", || parse_datagram(bytes, &limits).is_ok());
    let theirs = rate("rsip, parse", || rsip::SipMessage::try_from(bytes).is_ok());
    println!("{:28} {:>10.2}", "ratio", ours / theirs);
    let ours = rate("ours, parse and typed views", || {
        typed(bytes, &limits).is_some()
    });
    let theirs = rate("rsip, parse and typed views", || {
        typed_by_rsip(bytes).is_some()
    });
    println!("{:28} {:>10.2}", "ratio", ours / theirs);
    rate("ours, parse and answer", || {
        answer(bytes, &limits).is_some()
    });
}

/// What a transaction layer and a dialog ask for.
fn typed(bytes: &[u8], limits: &Limits) -> Option<usize> {
    let Message::Request(request) = parse_datagram(bytes, limits).ok()? else {
        return None;
    };
    let headers = &request.headers;
    let via = headers.via_top().ok()?;
    let (from, to) = (headers.from().ok()?, headers.to().ok()?);
    let contact = headers.contact().ok()??;
    let routes = headers.record_routes().ok()?;
    let number = headers.cseq().ok()?.number as usize;
    let id = headers.call_id().ok()?;
    black_box((&via, &from, &to, &contact, &routes, id));
    Some(number)
}

fn typed_by_rsip(bytes: &[u8]) -> Option<usize> {
    let rsip::SipMessage::Request(request) = rsip::SipMessage::try_from(bytes).ok()? else {
        return None;
    };
    let via = request.via_header().ok()?.typed().ok()?;
    let (from, to) = (
        request.from_header().ok()?.typed().ok()?,
        request.to_header().ok()?.typed().ok()?,
    );
    let contact = request.contact_header().ok()?.typed().ok()?;
    let routes = request.record_route_header()?.typed().ok()?;
    let number = request.cseq_header().ok()?.typed().ok()?.seq as usize;
    let id = request.call_id_header().ok()?.value();
    black_box((&via, &from, &to, &contact, &routes, id));
    Some(number)
}

fn answer(bytes: &[u8], limits: &Limits) -> Option<usize> {
    let Message::Request(request) = parse_datagram(bytes, limits).ok()? else {
        return None;
    };
    let mut out = Vec::with_capacity(1024);
    Response::answering(&request, StatusCode::RINGING)
        .with_to_tag("a6c85cf")
        .write(&mut out);
    Some(black_box(out).len())
}

fn rate(what: &str, mut once: impl FnMut() -> bool) -> f64 {
    let mut run = |time: Duration| {
        let (start, mut count) = (cpu_time(), 0u32);
        loop {
            for _ in 0..4096 {
                assert!(black_box(once()), "{what}: the message is refused");
            }
            count += 4096;
            let spent = cpu_time() - start;
            if spent >= time {
                return f64::from(count) / spent.as_secs_f64();
            }
        }
    };
    run(Duration::from_millis(100));
    // The best of several short runs: other work can only slow one down.
    let best = (0..5)
        .map(|_| run(Duration::from_millis(200)))
        .fold(0.0, f64::max);
    println!("{what:28} {best:>10.0}");
    best
}

/// What this thread has spent so far.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let spent = text.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(spent.expect("the first number is nanoseconds"))
}
