//! The one way to write a document of settings, so that both ends hash the same octets (RFC 8785).
//!
//! Without white space, names in the order of their UTF-16 code units. Numbers of settings are whole
//! and below 2^53, which every writer writes alike. Invariant: equal documents give equal octets,
//! whatever order their maps keep.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::document::Text;

/// A document in canonical form.
#[must_use]
pub fn text(document: &Value) -> String {
    let mut out = String::new();
    write(document, &mut out);
    out
}

/// `sha256:` and the hex digest of the canonical form.
///
/// # Panics
///
/// Never: 71 characters fit.
#[must_use]
pub fn hash(document: &Value) -> Text<80> {
    let digest = Sha256::digest(text(document));
    let mut told = String::with_capacity(71);
    told.push_str("sha256:");
    for octet in digest {
        for digit in [octet >> 4, octet & 15] {
            told.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    Text::new(told).expect("71 characters of ASCII fit into 80")
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // RFC 8785 3.2.3
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (place, (name, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(&Value::String(name.clone()), out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        // RFC 8785 3.2.2.2: serde_json escapes what must be, in the same way.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 8785 3.2.3.
    #[test]
    fn names_stand_in_the_order_of_the_standard() {
        let document = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet",
            "1": "One", "\u{1f600}": "Emoji", "\u{80}": "Control", "\u{f6}": "Latin",
        });
        let order = [
            "Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew",
        ];
        let text = text(&document);
        let places: Vec<_> = order.iter().map(|word| text.find(word)).collect();
        assert!(places.is_sorted() && places[0].is_some(), "{text}");
    }

    /// As Python's `json.dumps(..., sort_keys=True, separators=(",", ":"), ensure_ascii=False)` and
    /// `sha256sum` have it.
    #[test]
    fn the_hash_is_that_of_the_octets() {
        let document =
            json!({"name": "Tür \"1\"\n", "audio": {"volume": 70, "list": [1, null, true]}});
        assert_eq!(
            text(&document),
            "{\"audio\":{\"list\":[1,null,true],\"volume\":70},\"name\":\"Tür \\\"1\\\"\\n\"}"
        );
        assert_eq!(
            hash(&json!({})).as_str(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
