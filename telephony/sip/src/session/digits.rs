//! Digits in INFO: `application/dtmf-relay` (`Signal=5`, `Duration=160`) and `application/dtmf`
//! (the bare digit). Known from the devices that send them; no standard defines either.

use std::time::Duration;

pub(super) const DTMF_RELAY: &str = "application/dtmf-relay";
pub(super) const DTMF: &str = "application/dtmf";

/// What a device that names no duration means.
const USUAL: Duration = Duration::from_millis(160);
/// A longer digit is a mistake.
const LONGEST: Duration = Duration::from_secs(10);

/// The digit in a body of that type.
pub(super) fn parse(content_type: &str, body: &[u8]) -> Option<(char, Duration)> {
    let text = str::from_utf8(body).ok()?;
    if content_type.eq_ignore_ascii_case(DTMF) {
        return Some((digit(text)?, USUAL));
    }
    if !content_type.eq_ignore_ascii_case(DTMF_RELAY) {
        return None;
    }
    let field = |name: &str| {
        text.split(['\r', '\n']).find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let signal = digit(field("Signal")?)?;
    let duration = field("Duration")
        .and_then(|text| text.parse().ok())
        .map_or(USUAL, Duration::from_millis);
    Some((signal, duration.min(LONGEST)))
}

/// The body for one digit.
pub(super) fn relay(digit: char, duration: Duration) -> String {
    format!("Signal={digit}\r\nDuration={}\r\n", duration.as_millis())
}

/// Some devices number the events as RFC 4733 does.
fn digit(text: &str) -> Option<char> {
    let text = text.trim();
    let mut letters = text.chars();
    match (letters.next()?, letters.next()) {
        (letter @ ('0'..='9' | '*' | '#' | 'A'..='D' | 'a'..='d'), None) => {
            Some(letter.to_ascii_uppercase())
        }
        _ => match text {
            "10" => Some('*'),
            "11" => Some('#'),
            "12" => Some('A'),
            "13" => Some('B'),
            "14" => Some('C'),
            "15" => Some('D'),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_as_devices_write_them() {
        let ms = Duration::from_millis;
        let relay = |body: &[u8]| parse("application/dtmf-relay", body);
        assert_eq!(relay(b"Signal=5\r\nDuration=200\r\n"), Some(('5', ms(200))));
        assert_eq!(relay(b"Signal= *\nDuration= 100\n"), Some(('*', ms(100))));
        assert_eq!(relay(b"signal=11"), Some(('#', ms(160))));
        assert_eq!(relay(b"Signal=d\r\nDuration=x"), Some(('D', ms(160))));
        assert_eq!(relay(b"Duration=1"), None);
        assert_eq!(relay(b"Signal=55"), None);
        assert_eq!(parse("Application/DTMF", b" 7\r\n"), Some(('7', ms(160))));
        assert_eq!(parse("text/plain", b"7"), None);
        assert_eq!(
            relay(super::relay('9', ms(80)).as_bytes()),
            Some(('9', ms(80)))
        );
    }
}
