//! One change of settings for many devices: what it does to each.
//!
//! Deliberately not here: which devices, rows, when it is carried out. Invariant: after a change and
//! its way back a device is set as it was before.

use std::fmt;
use std::str::FromStr;

use contract::merge;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalogue::Family;
use crate::settings;
use crate::twin;

/// What becomes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It would change, and waits for its turn.
    Waiting,
    /// It is to be set like this already.
    Same,
    /// It does not take this.
    Refused,
    /// It shall be set like this from now on.
    Changed,
    /// When its turn came, it was no longer as it had been shown.
    Skipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an outcome is `waiting`, `same`, `refused`, `changed` or `skipped`")]
pub struct UnknownOutcome;

impl Outcome {
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Same,
        Self::Refused,
        Self::Changed,
        Self::Skipped,
    ];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Same => "same",
            Self::Refused => "refused",
            Self::Changed => "changed",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.word() == text)
            .ok_or(UnknownOutcome)
    }
}

/// What a patch would do to a device, and why not, if it would not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub outcome: Outcome,
    pub why: Option<Why>,
}

/// A reason, for programs and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub code: &'static str,
    pub detail: String,
}

impl Verdict {
    const fn plain(outcome: Outcome) -> Self {
        Self { outcome, why: None }
    }

    fn refused(code: &'static str, detail: String) -> Self {
        Self {
            outcome: Outcome::Refused,
            why: Some(Why { code, detail }),
        }
    }
}

/// Judges a patch for a device that shall be set like `desired`.
#[must_use]
pub fn judge(desired: &Value, patch: &Map<String, Value>, family: Option<Family>) -> Verdict {
    if let Err(refusals) = settings::check(patch, family)
        && let Some(first) = refusals.first()
    {
        let detail = format!("{}: {first}", first.pointer());
        return Verdict::refused(first.code(), detail);
    }
    match twin::patched(desired, &Value::Object(patch.clone())) {
        Err(error) => Verdict::refused("too_large", error.to_string()),
        Ok(after) if after == *desired => Verdict::plain(Outcome::Same),
        Ok(_) => Verdict::plain(Outcome::Waiting),
    }
}

/// Judges the way back for a device that was changed by `patch`: only where everything that the
/// patch set is still so.
#[must_use]
pub fn judge_back(desired: &Value, patch: &Value, back: &Value) -> Verdict {
    let mut again = desired.clone();
    merge::apply(&mut again, patch);
    if again != *desired {
        let detail = "It was set otherwise since; see its settings.".to_owned();
        return Verdict::refused("changed_since", detail);
    }
    let mut before = desired.clone();
    merge::apply(&mut before, back);
    if before == *desired {
        Verdict::plain(Outcome::Same)
    } else {
        Verdict::plain(Outcome::Waiting)
    }
}

/// The patch that leads from `after` back to `before`.
#[must_use]
pub fn back(before: &Value, after: &Value) -> Value {
    merge::between(after, before).unwrap_or_else(|| Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn s2_a_patch_changes_is_there_already_or_does_not_fit() {
        let loud = object(json!({"audio": {"volume": 90}}));
        let set = json!({"audio": {"volume": 90, "environment": "loud"}});
        let judged = |desired, family| judge(&desired, &loud, family).outcome;
        assert_eq!(judged(json!({}), Some(Family::Mx)), Outcome::Waiting);
        assert_eq!(judged(set, Some(Family::Bf)), Outcome::Same);
        let refused = judge(&json!({}), &loud, Some(Family::Gateway));
        assert_eq!(refused.outcome, Outcome::Refused);
        let why = refused.why.unwrap();
        assert_eq!(why.code, "not_of_this_model");
        assert!(why.detail.starts_with("/audio/volume: "), "{}", why.detail);
    }

    #[test]
    fn s2_the_way_back_heeds_what_was_done_since() {
        let (patch, way) = (json!({"a": 2}), json!({"a": 1}));
        let judged = |desired| judge_back(&desired, &patch, &way).outcome;
        assert_eq!(judged(json!({"a": 2, "b": 7})), Outcome::Waiting);
        assert_eq!(judged(json!({"a": 3})), Outcome::Refused);
        assert_eq!(judged(json!({})), Outcome::Refused);
    }

    #[test]
    fn an_outcome_reads_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.word().parse(), Ok(outcome));
        }
    }

    /// Settings: groups of values, none of them null.
    fn documents() -> impl Strategy<Value = Value> {
        let group = prop::collection::btree_map("[a-c]", 0..3u8, 0..3);
        let group = group.prop_map(|map| {
            let members = map.into_iter().map(|(name, n)| (name, json!(n)));
            Value::Object(members.collect())
        });
        let value = prop_oneof![(0..3u8).prop_map(Value::from), group];
        prop::collection::btree_map("[a-d]", value, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn the_way_back_leads_back(before in documents(), patch in documents()) {
            let mut after = before.clone();
            merge::apply(&mut after, &patch);
            let way = back(&before, &after);
            let mut again = after.clone();
            merge::apply(&mut again, &way);
            prop_assert_eq!(&again, &before);
            // Right after the change nothing has been done since.
            prop_assert_ne!(judge_back(&after, &patch, &way).outcome, Outcome::Refused);
        }
    }
}
