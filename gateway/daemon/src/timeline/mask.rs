//! Blacks out what must not be kept: passwords and their digests, keys of encryption, dialled keys.
//!
//! What is secret is replaced octet by octet, so that a message stays as long as it was and every
//! parser still reads it; what was masked is named beside it. Knows SIP messages as text only: a
//! message that no parser accepts is masked by the same rules. Frames of lines have a file of their
//! own, because a check sequence must fit again.
//!
//! Invariant: the length of a SIP message never changes.

mod frames;

pub(crate) use self::frames::line;

/// What stands in place of a secret. A digit, a letter of hex and of base64 alike.
const MARK: u8 = b'0';

/// Masks a SIP message in place; names what was masked, each once.
pub(crate) fn sip(message: &mut [u8]) -> Vec<String> {
    let mut masked = Masked::default();
    let head = head_length(message);
    let (head, body) = message.split_at_mut(head);
    let mut dialled = false;
    let mut secret_header = None;
    for line in lines_mut(head) {
        // RFC 3261 7.3.1: a line that begins with a blank goes on with the header field before.
        let continued = matches!(line.first(), Some(b' ' | b'\t'));
        let (name, value) = match (continued, line.iter().position(|byte| *byte == b':')) {
            (true, _) | (false, None) => (None, 0),
            (false, Some(colon)) => (
                Some(line[..colon].trim_ascii().to_ascii_lowercase()),
                colon + 1,
            ),
        };
        if !continued {
            secret_header = name.as_deref().and_then(credentials);
        }
        if let Some(what) = secret_header {
            mask_credentials(&mut line[value..], what, &mut masked);
        }
        if matches!(name.as_deref(), Some(b"content-type" | b"c")) {
            let value = line[value..].to_ascii_lowercase();
            dialled = value.windows(4).any(|word| word == b"dtmf");
        }
        mask_uri_passwords(line, &mut masked);
    }
    if dialled {
        mask_keys(body, &mut masked);
    }
    for line in lines_mut(body) {
        mask_description(line, &mut masked);
    }
    masked.names
}

/// Masks the user, its password and what is asked for in a URL; a device may take secrets there.
pub(crate) fn url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let more = if rest.contains('?') { "?..." } else { "" };
    let user = if authority.contains('@') { "...@" } else { "" };
    format!("{scheme}://{user}{host}{path}{more}")
}

#[derive(Default)]
struct Masked {
    names: Vec<String>,
}

impl Masked {
    fn note(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

/// The head of a message with its blank line.
fn head_length(message: &[u8]) -> usize {
    let end = |blank: &[u8]| {
        let at = message
            .windows(blank.len())
            .position(|part| part == blank)?;
        Some(at + blank.len())
    };
    let ends = [end(b"\r\n\r\n"), end(b"\n\n")];
    ends.into_iter().flatten().min().unwrap_or(message.len())
}

fn lines_mut(text: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    let lines = text.split_mut(|byte| matches!(byte, b'\r' | b'\n'));
    lines.filter(|line| !line.is_empty())
}

/// What a header field that proves who somebody is is called in the list of what was masked.
fn credentials(name: &[u8]) -> Option<&'static str> {
    match name {
        b"authorization" => Some("authorization"),
        b"proxy-authorization" => Some("proxy-authorization"),
        b"authentication-info" => Some("authentication-info"),
        b"proxy-authentication-info" => Some("proxy-authentication-info"),
        _ => None,
    }
}

/// Who knows the digest and what it was made of can guess the password at home.
fn mask_credentials(value: &mut [u8], what: &str, masked: &mut Masked) {
    let lower = value.to_ascii_lowercase();
    let start = lower.iter().position(|byte| !byte.is_ascii_whitespace());
    let digest = start.is_some_and(|start| lower[start..].starts_with(b"digest"));
    let info = what.ends_with("info");
    let mut found = false;
    for name in [&b"response"[..], b"rspauth", b"cnonce"] {
        for at in parameter_values(&lower, name) {
            let end = value[at..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b',' | b' '));
            let end = end.map_or(value.len(), |length| at + length);
            value[at..end].fill(MARK);
            found = true;
        }
    }
    // RFC 7617, RFC 6750: what stands behind the scheme is the secret itself.
    if let (false, false, Some(start)) = (digest, info, start) {
        let scheme = lower[start..].iter().position(u8::is_ascii_whitespace);
        if let Some(scheme) = scheme {
            for byte in &mut value[start + scheme..] {
                if !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b',' | b'=') {
                    *byte = MARK;
                }
            }
            found = true;
        }
    }
    if found {
        masked.note(what);
    }
}

/// Where the values of parameter `name` begin, behind a quotation mark if there is one.
fn parameter_values(text: &[u8], name: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..]
        .windows(name.len())
        .position(|part| part == name)
    {
        let start = from + at;
        from = start + name.len();
        let begins = start == 0 || matches!(text[start - 1], b' ' | b',' | b'\t');
        let rest = &text[from..];
        let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
        let blanks = blanks.count();
        if begins && rest.get(blanks) == Some(&b'=') {
            let quote = rest[blanks + 1..]
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'"'));
            found.push(from + blanks + 1 + quote.count());
        }
    }
    found
}

/// RFC 3261 19.1.1: `sip:user:password@host`.
fn mask_uri_passwords(line: &mut [u8], masked: &mut Masked) {
    let mut from = 0;
    while let Some(at) = line[from..]
        .windows(4)
        .position(|part| part.eq_ignore_ascii_case(b"sip:") || part.eq_ignore_ascii_case(b"ips:"))
    {
        let user = from + at + 4;
        from = user;
        let ends = |byte: &u8| matches!(byte, b'@' | b'>' | b'<' | b' ' | b'"' | b',');
        let Some(end) = line[user..].iter().position(ends) else {
            return;
        };
        let end = user + end;
        let colon = line[user..end].iter().position(|byte| *byte == b':');
        if let (b'@', Some(colon)) = (line[end], colon) {
            line[user + colon + 1..end].fill(MARK);
            masked.note("uri-password");
        }
    }
}

/// Keys of a telephone may be the code of a door (RFC 2976 bodies `dtmf` and `dtmf-relay`).
fn mask_keys(body: &mut [u8], masked: &mut Masked) {
    let named = body
        .windows(6)
        .any(|word| word.eq_ignore_ascii_case(b"signal"));
    for line in lines_mut(body) {
        let from = match (named, line.iter().position(|byte| *byte == b'=')) {
            (true, Some(at))
                if line
                    .trim_ascii_start()
                    .to_ascii_lowercase()
                    .starts_with(b"signal") =>
            {
                at + 1
            }
            (true, _) => continue,
            (false, _) => 0,
        };
        for byte in &mut line[from..] {
            if !byte.is_ascii_whitespace() {
                *byte = MARK;
                masked.note("keys");
            }
        }
    }
}

/// Keys in a session description (RFC 4568, RFC 4567, RFC 8839, RFC 4566 5.12).
fn mask_description(line: &mut [u8], masked: &mut Masked) {
    let secret = if line.starts_with(b"a=crypto:") {
        let mut from = 0;
        while let Some(at) = line[from..]
            .windows(7)
            .position(|part| part.eq_ignore_ascii_case(b"inline:"))
        {
            let start = from + at + 7;
            let ends = |byte: &u8| matches!(byte, b'|' | b' ' | b';');
            let end = line[start..].iter().position(ends);
            let end = end.map_or(line.len(), |length| start + length);
            line[start..end].fill(MARK);
            masked.note("srtp-keys");
            from = end;
        }
        return;
    } else if line.starts_with(b"a=key-mgmt:") {
        ("srtp-keys", b"a=key-mgmt:".len())
    } else if line.starts_with(b"a=ice-pwd:") {
        ("ice-password", b"a=ice-pwd:".len())
    } else if line.starts_with(b"k=") {
        ("srtp-keys", 2)
    } else {
        return;
    };
    let (what, from) = secret;
    for byte in &mut line[from..] {
        if !byte.is_ascii_whitespace() {
            *byte = MARK;
        }
    }
    masked.note(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> (String, Vec<String>) {
        let mut message = text.as_bytes().to_vec();
        let names = sip(&mut message);
        assert_eq!(message.len(), text.len());
        (String::from_utf8(message).unwrap(), names)
    }

    const REGISTER: &str = "REGISTER sip:house SIP/2.0\r\nCall-ID: 1@a\r\n\
        Authorization: Digest username=\"102\", realm=\"house\", nonce=\"n0\", uri=\"sip:house\",\r\n \
        response=\"6629fae49393a05397450978507c4ef1\", cnonce=\"0a4f113b\", qop=auth, nc=00000001\r\n\
        Content-Length: 0\r\n\r\n";

    #[test]
    fn a_digest_is_gone_and_the_rest_of_the_header_stays() {
        let (text, names) = masked(REGISTER);
        assert!(
            !text.contains("6629fae4") && !text.contains("0a4f113b"),
            "{text}"
        );
        assert!(text.contains("response=\"00000000000000000000000000000000\""));
        assert!(text.contains("username=\"102\"") && text.contains("nonce=\"n0\""));
        assert_eq!(names, ["authorization"]);
    }

    #[test]
    fn basic_and_bearer_credentials_are_gone_altogether() {
        for scheme in ["Basic MTAyOnNlY3JldA==", "Bearer abc.def", "bAsIc   MTAy"] {
            let secret = scheme.rsplit(' ').next().unwrap();
            let (text, names) = masked(&format!(
                "INVITE sip:a SIP/2.0\r\nproxy-authorization: {scheme}\r\n\r\n"
            ));
            assert!(!text.contains(secret), "{text}");
            assert_eq!(names, ["proxy-authorization"]);
        }
    }

    #[test]
    fn passwords_in_uris_are_gone_wherever_they_stand() {
        let (text, names) = masked(
            "INVITE sip:101:secret@house SIP/2.0\r\nContact: <sips:102:geheim@192.0.2.1:5061>\r\n\
             To: <sip:103@house:5060>\r\n\r\n",
        );
        assert!(
            text.starts_with("INVITE sip:101:000000@house SIP/2.0"),
            "{text}"
        );
        assert!(text.contains("<sips:102:000000@192.0.2.1:5061>"), "{text}");
        assert!(text.contains("<sip:103@house:5060>"), "{text}");
        assert_eq!(names, ["uri-password"]);
    }

    #[test]
    fn keys_of_srtp_and_ice_are_gone() {
        let (text, names) = masked(
            "SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwg|2^20|1:4;inline:QUJD KDR=1\r\n\
             a=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=rtpmap:0 PCMU/8000\r\n",
        );
        for secret in ["WVNf", "QUJD", "asd88"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(
            text.contains("inline:0000000000000000|2^20|1:4;inline:0000 KDR=1"),
            "{text}"
        );
        assert!(text.contains("a=rtpmap:0 PCMU/8000"));
        assert_eq!(names, ["srtp-keys", "ice-password"]);
    }

    #[test]
    fn dialled_keys_are_gone() {
        let (text, names) = masked(
            "INFO sip:a SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal= 7\r\nDuration=250\r\n",
        );
        assert!(text.ends_with("Signal= 0\r\nDuration=250\r\n"), "{text}");
        assert_eq!(names, ["keys"]);
        let (text, _) = masked("INFO sip:a SIP/2.0\r\nc: application/dtmf\r\n\r\n#");
        assert!(text.ends_with("\r\n\r\n0"), "{text}");
    }

    #[test]
    fn what_is_not_secret_is_untouched() {
        let plain =
            "MESSAGE sip:a SIP/2.0\r\nContent-Type: text/plain\r\n\r\nSignal=7 response=1 k=2";
        assert_eq!(masked(plain), (plain.to_owned(), Vec::new()));
    }

    #[test]
    fn urls_keep_host_and_path_only() {
        assert_eq!(
            url("http://admin:pw@192.0.2.7:8080/relay?pin=1234"),
            "http://...@192.0.2.7:8080/relay?..."
        );
        assert_eq!(url("https://door/open"), "https://door/open");
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic_or_changes_the_length(mut octets: Vec<u8>, start in 0..4_usize) {
            let starts: [&[u8]; 4] = [
                b"Authorization: Digest response=", b"\r\n\r\na=crypto:inline:", b"sip::",
                b"c: dtmf\r\n\r\nSignal=",
            ];
            octets.splice(0..0, starts[start].iter().copied());
            let length = octets.len();
            sip(&mut octets);
            proptest::prop_assert_eq!(octets.len(), length);
        }
    }
}
