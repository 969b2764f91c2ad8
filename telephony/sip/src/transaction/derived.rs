//! The two requests that are made from the INVITE they belong to: CANCEL (RFC 3261 9.1) and the
//! ACK to a refusal (17.1.1.3).
//!
//! Works on the bytes we have sent ourselves, line by line, so Via, Route, Request-URI and
//! credentials agree to the letter and nothing else needs to be kept while a phone rings.

use bytes::Bytes;

use crate::message::Method;

/// `to` replaces the To line (the ACK repeats the tag of the refusal); `more` are whole extra
/// lines, each with its CRLF.
pub(super) fn derive(invite: &[u8], method: &Method, to: Option<&[u8]>, more: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(512 + more.len());
    let mut lines = head_lines(invite);
    let uri_and_version = lines
        .next()
        .and_then(|line| line.strip_prefix(b"INVITE".as_slice()))
        .unwrap_or_default();
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(uri_and_version);
    out.extend_from_slice(b"\r\n");
    for line in lines {
        let name = &line[..line.iter().position(|b| *b == b':').unwrap_or(0)];
        match (name, to) {
            (b"To", Some(to)) => {
                out.extend_from_slice(b"To: ");
                out.extend_from_slice(to);
            }
            (b"CSeq", _) => {
                let number = line.strip_suffix(b"INVITE".as_slice()).unwrap_or(line);
                out.extend_from_slice(number);
                out.extend_from_slice(method.as_str().as_bytes());
            }
            (
                b"Via" | b"From" | b"To" | b"Call-ID" | b"Max-Forwards" | b"Route" | b"User-Agent",
                _,
            )
            | (b"Authorization" | b"Proxy-Authorization", _) => out.extend_from_slice(line),
            _ => continue,
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(more);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    out.into()
}

/// The same request for another transport: only the top Via says which (RFC 3261 18.1.1).
pub(super) fn over(request: &[u8], from: &str, to: &str) -> Bytes {
    let old = format!("Via: SIP/2.0/{from} ");
    match request
        .windows(old.len())
        .position(|text| text == old.as_bytes())
    {
        Some(at) => {
            let new = format!("Via: SIP/2.0/{to} ");
            [&request[..at], new.as_bytes(), &request[at + old.len()..]]
                .concat()
                .into()
        }
        None => Bytes::copy_from_slice(request),
    }
}

fn head_lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        (!line.is_empty()).then_some(line)
    })
    .fuse()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:7@house;x=1 SIP/2.0\r\nVia: SIP/2.0/TCP h:5060;branch=z9hG4bKa\r\n\
        Route: <sip:p;lr>\r\nMax-Forwards: 69\r\nFrom: <sip:1@h>;tag=f\r\nTo: <sip:7@house>\r\nCall-ID: c\r\n\
        CSeq: 4 INVITE\r\nContact: <sip:1@h>\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n";

    #[test]
    fn a_cancel_repeats_what_the_invite_said() {
        let cancel = derive(INVITE, &Method::Cancel, None, b"Reason: SIP;cause=200\r\n");
        assert_eq!(
            str::from_utf8(&cancel).unwrap(),
            "CANCEL sip:7@house;x=1 SIP/2.0\r\nVia: SIP/2.0/TCP h:5060;branch=z9hG4bKa\r\nRoute: <sip:p;lr>\r\n\
             Max-Forwards: 69\r\nFrom: <sip:1@h>;tag=f\r\nTo: <sip:7@house>\r\nCall-ID: c\r\nCSeq: 4 CANCEL\r\n\
             Reason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn an_ack_to_a_refusal_carries_its_to_tag() {
        let ack = derive(INVITE, &Method::Ack, Some(b"<sip:7@house>;tag=t"), b"");
        let ack = str::from_utf8(&ack).unwrap();
        assert!(ack.starts_with("ACK sip:7@house;x=1 SIP/2.0\r\n"));
        assert!(
            ack.contains("\r\nTo: <sip:7@house>;tag=t\r\n") && ack.contains("\r\nCSeq: 4 ACK\r\n")
        );
        assert!(!ack.contains("Contact") && !ack.contains("v=0"));
    }

    #[test]
    fn the_transport_of_a_request_can_be_changed() {
        let udp = over(INVITE, "TCP", "UDP");
        assert!(
            str::from_utf8(&udp)
                .unwrap()
                .contains("\r\nVia: SIP/2.0/UDP h:5060;branch")
        );
    }
}
