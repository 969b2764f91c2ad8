//! From what devices send to lines that `sdp-types` reads: only those a relay has a use for, each
//! in a form that cannot fail.
//!
//! Origin, times, titles and contacts of the peer mean nothing to us, because our own description
//! is written anew; so they are dropped before they can be malformed. Invariant: the result is
//! never longer than the body, but for one line, and has at most [`MAX_LINES`] lines.

use super::DescriptionError;

/// Larger bodies are refused unread; a browser's offer is about a third of it.
pub(super) const MAX_BYTES: usize = 32 * 1024;
pub(super) const MAX_LINES: usize = 1000;

pub(super) fn normalised(body: &[u8]) -> Result<String, DescriptionError> {
    if body.len() > MAX_BYTES {
        return Err(DescriptionError::TooLong);
    }
    let text = String::from_utf8_lossy(body);
    // RFC 8866 9: LF alone is to be accepted.
    let mut lines = text
        .split('\n')
        .map(|line| line.trim_end_matches(['\r', ' ', '\t', '\0']));
    let first = lines.find(|line| !line.is_empty()).unwrap_or("");
    if first.trim_start_matches('\u{feff}') != "v=0" {
        return Err(DescriptionError::Syntax(
            "it does not begin with v=0".into(),
        ));
    }
    let mut out = String::with_capacity(text.len() + 8);
    out.push_str("v=0\r\n");
    let mut section = Section::default();
    for (count, line) in lines.enumerate() {
        if count >= MAX_LINES {
            return Err(DescriptionError::TooLong);
        }
        let Some((key, value)) = line.split_once('=') else {
            continue; // RFC 8866 5: what is no type=value line is nothing
        };
        let value = value.replace('\t', " ");
        if !value.contains(char::is_control) {
            section.take(key, value.trim_start_matches(' '), &mut out)?;
        }
    }
    Ok(out)
}

/// Which lines were seen since the last m-line.
#[derive(Default)]
struct Section {
    media: usize,
    connections: usize,
}

impl Section {
    fn take(&mut self, key: &str, value: &str, out: &mut String) -> Result<(), DescriptionError> {
        let mut words = value.split_ascii_whitespace();
        match key {
            "m" => {
                self.media += 1;
                self.connections = 0;
                media_line(value, out).ok_or(DescriptionError::MediaLine(self.media))?;
            }
            // Only the first one counts; several mean layers of a multicast (RFC 8866 5.7).
            "c" if self.connections == 0 => {
                let [Some(net), Some(family), Some(address)] = [(); 3].map(|()| words.next())
                else {
                    return Ok(());
                };
                if is_token(net) && is_token(family) {
                    self.connections = 1;
                    push_line("c", &[net, " ", family, " ", address], out);
                }
            }
            "b" if self.media > 0 => {
                if let Some((kind, rate)) = value.split_once(':')
                    && is_token(kind)
                    && let Ok(rate) = rate.trim().parse::<u64>()
                {
                    push_line("b", &[kind, ":", &rate.to_string()], out);
                }
            }
            "a" if !value.is_empty() && !value.starts_with(':') => push_line("a", &[value], out),
            _ => {}
        }
        Ok(())
    }
}

/// `media port[/count] proto formats`. A port that is none refuses the stream but keeps its place.
fn media_line(value: &str, out: &mut String) -> Option<()> {
    let mut words = value.split_ascii_whitespace();
    let (media, port, proto) = (words.next()?, words.next()?, words.next()?);
    let formats: Vec<&str> = words.collect();
    if formats.is_empty() {
        return None;
    }
    let port = port
        .split('/')
        .next()
        .and_then(|port| port.parse::<u16>().ok())
        .unwrap_or(0);
    push_line(
        "m",
        &[
            media,
            " ",
            &port.to_string(),
            " ",
            proto,
            " ",
            &formats.join(" "),
        ],
        out,
    );
    Some(())
}

fn push_line(key: &str, parts: &[&str], out: &mut String) {
    out.push_str(key);
    out.push('=');
    parts.iter().for_each(|part| out.push_str(part));
    out.push_str("\r\n");
}

/// RFC 8866 9, the part of it that is used for names.
fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'+');
    !text.is_empty() && text.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, lines: &[&str]) {
        let out = normalised(body.as_bytes()).unwrap();
        assert_eq!(
            out.split("\r\n").collect::<Vec<_>>(),
            [&["v=0"], lines, &[""]].concat()
        );
    }

    #[test]
    fn lines_of_no_use_go_before_they_can_be_wrong() {
        check(
            "\n\nv=0 \no=too few\ns=\nt=x\nr=1\nz=9\nk=clear:1\nx=?\nnonsense\nc=IN IP4\n\
             c= IN IP4  10.0.0.7 extra\nc=IN IP4 10.0.0.8\nb=AS:64\na=sendonly\na=\na=:x\n\
             m=audio  70000/2\tRTP/AVP 0  8 \nc=IN IP4 10.0.0.9\nb=AS: 64\nb=AS:x\na=x:\u{1}\n",
            &[
                "c=IN IP4 10.0.0.7",
                "a=sendonly",
                "m=audio 0 RTP/AVP 0 8",
                "c=IN IP4 10.0.0.9",
                "b=AS:64",
            ],
        );
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let refused = |body: &[u8]| normalised(body).unwrap_err();
        assert!(matches!(refused(b""), DescriptionError::Syntax(_)));
        assert!(matches!(refused(b"v=1\r\n"), DescriptionError::Syntax(_)));
        assert!(matches!(
            refused(b"s=-\r\nv=0\r\n"),
            DescriptionError::Syntax(_)
        ));
        assert_eq!(
            refused(b"v=0\r\nm=audio 1 RTP/AVP\r\n"),
            DescriptionError::MediaLine(1)
        );
        assert_eq!(
            refused(&vec![b'v'; MAX_BYTES + 1]),
            DescriptionError::TooLong
        );
        let many = "v=0\n".to_owned() + &"a=x\n".repeat(MAX_LINES + 1);
        assert_eq!(refused(many.as_bytes()), DescriptionError::TooLong);
    }
}
