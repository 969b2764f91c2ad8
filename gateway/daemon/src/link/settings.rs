//! Which of the core's settings a gateway takes, and what it says of the others.
//!
//! All or nothing: with one that cannot be taken, none is. Deliberately not here: what stands in the
//! gateway's own configuration; that belongs to whoever runs the machine.

use contract::document::{Counter, Text};
use contract::up::{Applied, ApplyError};
use serde_json::Value;

/// Nothing installs firmware here but whoever runs the machine.
pub(super) const FIRMWARE_POLICY: &str = "manual";
const LONGEST_NAME: usize = 100;

/// Settings that hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CloudSet {
    /// What it is called in the portal.
    pub(crate) name: Option<String>,
}

/// Judges settings; what holds then, and what the core is told.
pub(crate) fn apply(rev: Counter, settings: &Value) -> (Option<CloudSet>, Applied) {
    let mut set = CloudSet::default();
    let mut errors = Vec::new();
    for (name, value) in settings.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("name", Value::String(name)) if fits(name) => set.name = Some(name.clone()),
            ("name", _) => errors.extend(error("/name", "wrong-value")),
            ("firmware", Value::Object(firmware)) => {
                for (name, value) in firmware {
                    let takes = name == "policy" && value == FIRMWARE_POLICY;
                    if !takes {
                        errors.extend(error(&format!("/firmware/{name}"), "unsupported"));
                    }
                }
            }
            (other, _) => errors.extend(error(&format!("/{other}"), "unsupported")),
        }
    }
    // The order of a document's keys means nothing.
    errors.sort_by(|a, b| a.pointer.as_str().cmp(b.pointer.as_str()));
    errors.truncate(contract::limits::APPLY_ERRORS);
    let ok = errors.is_empty();
    let applied = Applied {
        desired: rev,
        ok,
        errors,
    };
    (ok.then_some(set), applied)
}

fn fits(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

fn error(pointer: &str, code: &str) -> Option<ApplyError> {
    Some(ApplyError {
        // A pointer too long for an error is told as all of it.
        pointer: Text::new(pointer).or_else(|_| Text::new("/")).ok()?,
        code: Text::new(code).ok()?,
        detail: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn d4_settings_are_taken_whole_or_not_at_all() {
        let rev = Counter::new(3).unwrap();
        let (set, applied) = apply(
            rev,
            &json!({"name": "North", "firmware": {"policy": "manual"}}),
        );
        assert_eq!(set.unwrap().name.as_deref(), Some("North"));
        assert!(applied.ok && applied.errors.is_empty());
        let wrong = json!({"name": "North", "language": "de", "firmware": {"policy": "all"}});
        let (set, applied) = apply(rev, &wrong);
        assert_eq!(set, None);
        let told: Vec<_> = applied
            .errors
            .iter()
            .map(|one| one.pointer.as_str())
            .collect();
        assert_eq!(told, ["/firmware/policy", "/language"]);
        assert!(!applied.ok);
        let (set, _) = apply(rev, &json!({}));
        assert_eq!(set, Some(CloudSet::default()));
    }
}
