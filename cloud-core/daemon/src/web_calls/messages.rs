//! What a page and the core say to each other about calls: docs/web-calls.md.
//!
//! One JSON object a message, told apart by `kind`. Invariant: whatever comes in is either understood
//! or answered by an `error` that says where it is wrong.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of these words. A page says which it speaks; a core goes on understanding older ones.
pub(super) const VERSION: u32 = 1;
/// Octets of one message; a description of WebRTC has some ten thousand.
pub(super) const LONGEST: usize = 64 * 1024;
/// Candidates of one message.
const MOST_CANDIDATES: usize = 32;
/// Keys of one message.
const MOST_DIGITS: usize = 32;

/// What a page says.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Said {
    /// First of all; with the tab it was, when it comes back.
    Hello {
        version: u32,
        tab: Option<String>,
    },
    /// It calls. `call` is a name that it chooses.
    Invite {
        call: String,
        to: String,
        offer: String,
    },
    /// Its answer to the offer that came with `invite`: pictures may come, nobody has answered yet.
    Answer {
        call: String,
        answer: String,
    },
    /// It takes the call that rings.
    Take {
        call: String,
    },
    /// Another offer of its own: its microphone opens, or its network has changed.
    Negotiate {
        call: String,
        offer: String,
    },
    Candidates {
        call: String,
        candidates: Vec<String>,
    },
    /// It will not take the call.
    Reject {
        call: String,
    },
    Hangup {
        call: String,
    },
    Dtmf {
        call: String,
        digits: String,
    },
    Hold {
        call: String,
        held: bool,
    },
    /// To somebody, or to the other side of another call of this page.
    Transfer {
        call: String,
        #[serde(default)]
        to: Option<String>,
        #[serde(default)]
        with: Option<String>,
    },
    /// Ring this page with a call that answers its sound with itself.
    Test,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) number: Option<String>,
}

/// What the core says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Told {
    /// The answer to `hello`. `calls` go on, those that a page knows and are not here have ended.
    Welcome {
        version: u32,
        tab: String,
        calls: Vec<String>,
        /// Seconds that a call goes on without its page.
        patience: u64,
    },
    /// Somebody calls.
    Invite {
        call: String,
        offer: String,
        caller: Caller,
        /// Whom the caller wanted, where it is somebody else.
        dialled: Option<String>,
        priority: u8,
        early_media: bool,
    },
    /// The answer to an offer of the page's.
    Answer { call: String, answer: String },
    /// Of a call of the page's: `ringing`, `queued` or `early_media`.
    Progress { call: String, state: &'static str },
    /// Both sides are connected.
    SelectAnswer { call: String },
    /// What the page wanted does not come about.
    Reject {
        call: String,
        reason: String,
        detail: &'static str,
    },
    /// The call is over.
    Hangup { call: String, reason: String },
    /// How it stands with the network of a call: `connected`, `silent`, `back`.
    Network { call: String, state: &'static str },
    /// What became of a transfer: `trying`, `ringing`, `done`, `failed`.
    Transfer {
        call: String,
        state: &'static str,
        reason: Option<String>,
    },
    /// A message that was not understood, or could not be done.
    Error(Trouble),
}

/// What is wrong with a message, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Trouble {
    pub(super) code: &'static str,
    /// Where in the message, as a JSON pointer.
    pub(super) place: &'static str,
    pub(super) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) call: Option<String>,
}

impl Trouble {
    pub(super) fn new(code: &'static str, place: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            place,
            detail: detail.into(),
            call: None,
        }
    }

    pub(super) fn of(self, call: &str) -> Self {
        Self {
            call: Some(call.to_owned()),
            ..self
        }
    }
}

const KINDS: [&str; 12] = [
    "hello",
    "invite",
    "answer",
    "take",
    "negotiate",
    "candidates",
    "reject",
    "hangup",
    "dtmf",
    "hold",
    "transfer",
    "test",
];

pub(super) fn read(text: &str) -> Result<Said, Trouble> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Trouble::new("not_json", "", format!("Write one JSON object: {error}."))
    })?;
    let kind = value.get("kind").and_then(Value::as_str);
    if !kind.is_some_and(|kind| KINDS.contains(&kind)) {
        let known = KINDS.join(", ");
        return Err(Trouble::new(
            "unknown_kind",
            "/kind",
            format!("Write one of: {known}."),
        ));
    }
    let said = serde_json::from_value(value).map_err(|error| {
        Trouble::new("malformed", "", format!("{error}; see docs/web-calls.md."))
    })?;
    check(said)
}

fn check(said: Said) -> Result<Said, Trouble> {
    if let Some(call) = said.call()
        && !is_name(call)
    {
        return Err(Trouble::new(
            "no_name",
            "/call",
            "Write 1 to 40 letters, digits, hyphens or underscores.",
        ));
    }
    match &said {
        Said::Candidates { candidates, .. } if candidates.len() > MOST_CANDIDATES => Err(
            Trouble::new("too_many", "/candidates", "Send at most 32 in one message."),
        ),
        Said::Dtmf { digits, .. } if digits.is_empty() || digits.len() > MOST_DIGITS => Err(
            Trouble::new("no_digits", "/digits", "Send 1 to 32 keys in one message."),
        ),
        _ => Ok(said),
    }
}

impl Said {
    pub(super) fn call(&self) -> Option<&str> {
        match self {
            Self::Hello { .. } | Self::Test => None,
            Self::Invite { call, .. }
            | Self::Answer { call, .. }
            | Self::Take { call }
            | Self::Negotiate { call, .. }
            | Self::Candidates { call, .. }
            | Self::Reject { call }
            | Self::Hangup { call }
            | Self::Dtmf { call, .. }
            | Self::Hold { call, .. }
            | Self::Transfer { call, .. } => Some(call),
        }
    }
}

fn is_name(text: &str) -> bool {
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=40).contains(&text.len()) && text.bytes().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_told_with_its_place() {
        for (text, code, place) in [
            ("", "not_json", ""),
            ("[]", "unknown_kind", "/kind"),
            (r#"{"kind":7}"#, "unknown_kind", "/kind"),
            (r#"{"kind":"dance"}"#, "unknown_kind", "/kind"),
            (r#"{"kind":"take"}"#, "malformed", ""),
            (r#"{"kind":"take","call":["a"]}"#, "malformed", ""),
            (r#"{"kind":"take","call":""}"#, "no_name", "/call"),
            (r#"{"kind":"take","call":"a b"}"#, "no_name", "/call"),
            (
                r#"{"kind":"dtmf","call":"a","digits":""}"#,
                "no_digits",
                "/digits",
            ),
        ] {
            let trouble = read(text).unwrap_err();
            assert_eq!((trouble.code, trouble.place), (code, place), "{text}");
            assert!(trouble.detail.ends_with('.'), "{}", trouble.detail);
        }
        let many =
            serde_json::json!({"kind": "candidates", "call": "a", "candidates": vec![""; 33]});
        assert_eq!(read(&many.to_string()).unwrap_err().code, "too_many");
    }

    #[test]
    fn words_of_tomorrow_are_passed_over() {
        let said = read(r#"{"kind":"hello","version":9,"tab":null,"colour":"red"}"#).unwrap();
        assert!(matches!(
            said,
            Said::Hello {
                version: 9,
                tab: None
            }
        ));
    }
}
