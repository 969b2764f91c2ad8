//! Texts that people read: on a display, beside a call request.
//!
//! A `Text` is safe to show by its type: bounded, and without control characters, so that no line
//! smuggles commands into a terminal, a display or another protocol. Its content is redacted in
//! `Debug`, as it may name people.

use std::fmt;

/// At most so many octets of UTF-8.
pub const MOST_OCTETS: usize = 120;

#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(String);

impl Text {
    /// What can be shown of it: without control and direction characters, cut to the limit at a
    /// character.
    pub fn clip(source: &str) -> Self {
        let mut text = String::new();
        for c in source.chars().filter(|c| is_harmless(*c)) {
            if text.len() + c.len_utf8() > MOST_OCTETS {
                break;
            }
            text.push(c);
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Direction overrides could show another text than the one that was sent.
fn is_harmless(c: char) -> bool {
    let turns =
        matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}')
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_holds_no_control_characters_and_stops_at_its_limit() {
        let text = Text::clip("Gate\r\n\u{1b}[2J East\u{0} \u{202e}txe");
        assert_eq!(text.as_str(), "Gate[2J East txe");
        let long = Text::clip(&"\u{fc}".repeat(200));
        assert_eq!(long.as_str().len(), MOST_OCTETS);
        assert_eq!(
            Text::clip(&format!("{}\u{fc}", "a".repeat(119)))
                .as_str()
                .len(),
            119
        );
    }

    #[test]
    fn a_text_is_not_seen_in_logs() {
        assert_eq!(format!("{:?}", Text::clip("Ms Miller")), "Text(9 octets)");
    }
}
