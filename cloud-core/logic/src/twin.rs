//! The twin of a device: what it shall be set to, what it says it is, and what lies between.
//!
//! A device reports the settings it runs with under the same names as it was told them. Deliberately
//! not here: which settings there are (`settings`), rows, sending. Invariant: a twin is `Applied` as
//! a whole only if each of its settings is.

use contract::limits;
use contract::merge;
use contract::up::ApplyError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::condition::{Attention, Concern, Holds};

/// Both halves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    pub desired: Value,
    /// Counts the changes of `desired`; 0 before the first.
    pub revision: i64,
    pub reported: Value,
    /// The revision that the device says it has taken.
    pub applied: i64,
    /// What it could not take of it.
    pub errors: Vec<ApplyError>,
}

impl Default for Twin {
    fn default() -> Self {
        Self {
            desired: Value::Object(Map::new()),
            revision: 0,
            reported: Value::Object(Map::new()),
            applied: 0,
            errors: Vec::new(),
        }
    }
}

/// How it stands with a setting, or with all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is set.
    None,
    Applied,
    /// The device is set otherwise: somebody has changed it where it stands.
    Differs,
    /// The device has not taken it yet.
    Pending,
    /// The device says that it cannot.
    Failed,
}

/// A setting and how it stands with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// RFC 6901.
    pub pointer: String,
    pub state: State,
    pub desired: Value,
    /// What the device says; none where it says nothing of it.
    pub reported: Option<Value>,
    pub code: Option<String>,
    pub detail: Option<String>,
}

/// Settings that do not fit into a document of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the settings have {0} octets; they may have {max}", max = limits::DOCUMENT)]
pub struct TooLarge(usize);

/// What `desired` becomes by a patch.
///
/// # Errors
/// When it becomes too large.
pub fn patched(desired: &Value, patch: &Value) -> Result<Value, TooLarge> {
    let mut after = desired.clone();
    merge::apply(&mut after, patch);
    let size = after.to_string().len();
    if size > limits::DOCUMENT {
        return Err(TooLarge(size));
    }
    Ok(after)
}

impl Twin {
    /// Each setting that is desired, in the order of the names.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        self.walk(String::new(), &self.desired, &mut keys);
        keys
    }

    fn walk(&self, pointer: String, desired: &Value, keys: &mut Vec<Key>) {
        let Value::Object(members) = desired else {
            keys.push(self.key(pointer, desired));
            return;
        };
        let mut members: Vec<_> = members.iter().collect();
        members.sort_by_key(|(name, _)| *name);
        for (name, value) in members {
            let name = name.replace('~', "~0").replace('/', "~1");
            self.walk(format!("{pointer}/{name}"), value, keys);
        }
    }

    fn key(&self, pointer: String, desired: &Value) -> Key {
        let reported = self.reported.pointer(&pointer).cloned();
        let as_told = reported.as_ref() == Some(desired);
        let error = self.errors.iter().find(|error| covers(error, &pointer));
        let error = error.filter(|_| self.is_answered());
        let state = match (&error, self.is_answered(), &reported) {
            (Some(_), _, _) => State::Failed,
            (None, _, Some(_)) if as_told => State::Applied,
            (None, true, None) => State::Applied,
            (None, true, Some(_)) => State::Differs,
            (None, false, _) => State::Pending,
        };
        Key {
            pointer,
            state,
            desired: desired.clone(),
            reported,
            code: error.map(|error| error.code.to_string()),
            detail: error.and_then(|error| error.detail.as_ref().map(ToString::to_string)),
        }
    }

    /// Whether the device has answered to the newest revision.
    fn is_answered(&self) -> bool {
        self.applied == self.revision
    }

    /// How it stands with all of them: as with the worst.
    #[must_use]
    pub fn state(&self) -> State {
        if self.revision == 0 {
            return State::None;
        }
        if !self.is_answered() {
            return State::Pending;
        }
        if !self.errors.is_empty() {
            return State::Failed;
        }
        let worst = self.keys().iter().map(|key| key.state).max();
        worst.unwrap_or(State::Applied).max(State::Applied)
    }

    /// What of it somebody should look at.
    #[must_use]
    pub fn concerns(&self) -> Attention {
        let state = self.state();
        let faults = match self.reported.get("faults") {
            Some(Value::Object(faults)) => !faults.is_empty(),
            Some(Value::Array(faults)) => !faults.is_empty(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
                false
            }
        };
        Attention::default()
            .with(Concern::Fault, Holds::from(faults))
            .with(Concern::SettingsFailed, Holds::from(state == State::Failed))
            .with(
                Concern::SettingsDiffer,
                Holds::from(state == State::Differs),
            )
    }
}

/// Whether an error is about this setting. `/` is about all of them.
fn covers(error: &ApplyError, pointer: &str) -> bool {
    let about = error.pointer.as_str();
    if about == "/" {
        return true;
    }
    let below = pointer.strip_prefix(about);
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use contract::document::Text;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn error(pointer: &str) -> ApplyError {
        ApplyError {
            pointer: Text::new(pointer).unwrap(),
            code: Text::new("unsupported").unwrap(),
            detail: None,
        }
    }

    fn twin(revision: i64, applied: i64, reported: Value, errors: &[&str]) -> Twin {
        Twin {
            desired: json!({"name": "a", "audio": {"volume": 70, "environment": "loud"}}),
            revision,
            reported,
            applied,
            errors: errors.iter().map(|pointer| error(pointer)).collect(),
        }
    }

    fn states(twin: &Twin) -> Vec<(String, State)> {
        let told = |key: Key| (key.pointer, key.state);
        twin.keys().into_iter().map(told).collect()
    }

    fn of(states: [State; 3]) -> Vec<(String, State)> {
        let names = ["/audio/environment", "/audio/volume", "/name"];
        let names = names.iter().map(|name| (*name).to_owned());
        names.zip(states).collect()
    }

    #[test]
    fn s3_each_setting_tells_how_it_stands_with_it() {
        use State::{Applied, Differs, Failed, Pending};
        let volume = json!({"audio": {"volume": 70}});
        for (twin, expected, whole) in [
            (twin(2, 1, json!({}), &[]), [Pending; 3], Pending),
            (
                twin(2, 1, volume.clone(), &[]),
                [Pending, Applied, Pending],
                Pending,
            ),
            (twin(2, 2, json!({}), &[]), [Applied; 3], Applied),
            (
                twin(2, 2, json!({"name": "b"}), &[]),
                [Applied, Applied, Differs],
                Differs,
            ),
            (
                twin(2, 2, volume, &["/audio"]),
                [Failed, Failed, Applied],
                Failed,
            ),
            (
                twin(2, 2, json!({"name": "b"}), &["/"]),
                [Failed; 3],
                Failed,
            ),
            // Errors of a revision that is no longer the newest count no more.
            (twin(3, 2, json!({}), &["/audio"]), [Pending; 3], Pending),
            (twin(2, 2, json!({}), &["/aud"]), [Applied; 3], Failed),
        ] {
            assert_eq!(states(&twin), of(expected), "{twin:?}");
            assert_eq!(twin.state(), whole, "{twin:?}");
        }
        assert_eq!(Twin::default().state(), State::None);
    }

    #[test]
    fn d2_faults_and_failures_ask_for_attention() {
        let concerns = |twin: &Twin| twin.concerns().iter().collect::<Vec<_>>();
        let quiet = twin(1, 1, json!({"faults": {}}), &[]);
        assert_eq!(concerns(&quiet), []);
        let loud = twin(
            1,
            1,
            json!({"faults": {"mic": {"since": 1}}, "name": "b"}),
            &[],
        );
        assert_eq!(concerns(&loud), [Concern::Fault, Concern::SettingsDiffer]);
        let failed = twin(1, 1, json!({}), &["/name"]);
        assert_eq!(concerns(&failed), [Concern::SettingsFailed]);
    }

    #[test]
    fn what_would_not_fit_a_document_is_refused() {
        let patch = json!({"name": "x".repeat(limits::DOCUMENT)});
        assert!(patched(&json!({}), &patch).is_err());
        let patch = json!({"name": "x"});
        assert_eq!(patched(&json!({"name": 1}), &patch), Ok(patch));
    }

    proptest! {
        #[test]
        fn a_twin_is_applied_only_if_each_setting_is(
            applied in 0..3i64,
            name in 0..3u8,
            errors in prop::sample::subsequence(vec!["/", "/audio", "/name", "/other"], 0..3),
        ) {
            let reported = match name {
                0 => json!({}),
                1 => json!({"name": "a"}),
                _ => json!({"name": "b"}),
            };
            let twin = twin(2, applied, reported, &errors);
            if twin.state() == State::Applied {
                prop_assert!(twin.keys().iter().all(|key| key.state == State::Applied));
            }
        }
    }
}
