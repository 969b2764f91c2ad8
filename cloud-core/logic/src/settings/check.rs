//! A patch of settings against the table.

use serde_json::{Map, Value};

use super::table::{KNOWN, Kind, Setting};
use crate::catalogue::{Family, Firmware};

/// So many refusals are told at once.
const MOST: usize = 32;

/// Why a patch is not taken: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("There is no such setting; the description of the interface lists them.")]
    Unknown { pointer: String },
    #[error("This is a group of settings: write an object, or null to remove all of them.")]
    NotAGroup { pointer: String },
    #[error("Write {expected}, or null to remove it.")]
    Value { pointer: String, expected: String },
    #[error("Devices of this model have no such setting.")]
    NotOfThisModel { pointer: String },
}

impl Refusal {
    /// For translation.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown_setting",
            Self::NotAGroup { .. } => "not_a_group",
            Self::Value { .. } => "wrong_value",
            Self::NotOfThisModel { .. } => "not_of_this_model",
        }
    }

    /// RFC 6901, into the patch.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::Unknown { pointer }
            | Self::NotAGroup { pointer }
            | Self::Value { pointer, .. }
            | Self::NotOfThisModel { pointer } => pointer,
        }
    }
}

/// Holds a patch against the table, for a device of a family if that is known.
///
/// # Errors
/// Everything that is wrong with it, in the order of the patch.
pub fn check(patch: &Map<String, Value>, family: Option<Family>) -> Result<(), Vec<Refusal>> {
    let mut refusals = Vec::new();
    for (name, value) in patch {
        let pointer = format!("/{}", escaped(name));
        if let Some(setting) = named(&pointer) {
            refusals.extend(judge(setting, value, family));
        } else if is_group(&pointer) {
            check_group(&pointer, value, family, &mut refusals);
        } else {
            refusals.push(Refusal::Unknown { pointer });
        }
        if refusals.len() >= MOST {
            break;
        }
    }
    refusals.truncate(MOST);
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(refusals)
    }
}

fn check_group(group: &str, value: &Value, family: Option<Family>, refusals: &mut Vec<Refusal>) {
    let members = match value {
        Value::Null => return,
        Value::Object(members) => members,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let pointer = group.to_owned();
            refusals.push(Refusal::NotAGroup { pointer });
            return;
        }
    };
    for (name, value) in members.iter().take(MOST) {
        let pointer = format!("{group}/{}", escaped(name));
        match named(&pointer) {
            Some(setting) => refusals.extend(judge(setting, value, family)),
            None => refusals.push(Refusal::Unknown { pointer }),
        }
    }
}

/// The settings that a patch changes or removes.
pub fn touches(patch: &Map<String, Value>) -> impl Iterator<Item = &'static Setting> + '_ {
    KNOWN.iter().filter(|setting| {
        let mut names = setting.pointer.split('/').skip(1);
        let top = names.next().and_then(|name| patch.get(name));
        match (top, names.next()) {
            (None, _) => false,
            // The whole group, or the setting itself.
            (Some(Value::Object(members)), Some(name)) => members.contains_key(name),
            (Some(_), _) => true,
        }
    })
}

fn named(pointer: &str) -> Option<&'static Setting> {
    KNOWN.iter().find(|setting| setting.pointer == pointer)
}

fn is_group(pointer: &str) -> bool {
    KNOWN.iter().any(|setting| {
        let below = setting.pointer.strip_prefix(pointer);
        below.is_some_and(|below| below.starts_with('/'))
    })
}

/// RFC 6901 3.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn judge(setting: &Setting, value: &Value, family: Option<Family>) -> Option<Refusal> {
    let pointer = setting.pointer.to_owned();
    if value.is_null() {
        return None;
    }
    if family.is_some_and(|family| !setting.families.contains(&family)) {
        return Some(Refusal::NotOfThisModel { pointer });
    }
    if fits(setting.kind, value) {
        return None;
    }
    let expected = match setting.kind {
        Kind::Text(most) => format!("a text of 1 to {most} characters on one line"),
        Kind::OneOf(words) => format!("one of: {}", words.join(", ")),
        Kind::Whole(least, most) => format!("a whole number from {least} to {most}"),
        Kind::Switch => "true or false".to_owned(),
        Kind::Language => "a language such as de or pt-BR".to_owned(),
        Kind::Version => "a version such as 04.06.01.21".to_owned(),
    };
    Some(Refusal::Value { pointer, expected })
}

fn fits(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Text(most), Value::String(text)) => {
            (1..=most).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control)
        }
        (Kind::OneOf(words), Value::String(word)) => words.contains(&word.as_str()),
        (Kind::Whole(least, most), Value::Number(number)) => number
            .as_i64()
            .is_some_and(|number| (least..=most).contains(&number)),
        (Kind::Switch, Value::Bool(_)) => true,
        (Kind::Language, Value::String(tag)) => is_language(tag),
        (Kind::Version, Value::String(version)) => version.parse::<Firmware>().is_ok(),
        (
            Kind::Text(_)
            | Kind::OneOf(_)
            | Kind::Whole(..)
            | Kind::Switch
            | Kind::Language
            | Kind::Version,
            _,
        ) => false,
    }
}

/// RFC 5646 2.1, as far as a device needs it: a language, perhaps a region.
fn is_language(tag: &str) -> bool {
    let (language, region) = match tag.split_once('-') {
        None => (tag, None),
        Some((language, region)) => (language, Some(region)),
    };
    let lower = |text: &str| text.bytes().all(|c| c.is_ascii_lowercase());
    let upper = |text: &str| text.bytes().all(|c| c.is_ascii_uppercase());
    (2..=3).contains(&language.len())
        && lower(language)
        && region.is_none_or(|region| region.len() == 2 && upper(region))
}

#[cfg(test)]
mod tests {
    use contract::merge;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::Needs;
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other}"),
        }
    }

    fn found(patch: Value, family: Option<Family>) -> Vec<(String, &'static str)> {
        let refusals = check(&object(patch), family).err().unwrap_or_default();
        let told = |one: &Refusal| (one.pointer().to_owned(), one.code());
        refusals.iter().map(told).collect()
    }

    #[test]
    fn s3_what_is_known_is_taken_and_everything_else_is_named() {
        let good = json!({
            "name": "Main gate", "language": "pt-BR", "role": {"station": "door", "calls": null},
            "audio": {"volume": 0, "noise_suppression": "high"}, "display": null,
            "end_call_button": true, "firmware": {"policy": "security", "target": "04.06.01.21"},
        });
        assert_eq!(found(good, Some(Family::Mx)), []);
        let bad = json!({
            "audio": {"volume": 101, "loudness": 3, "environment": "noisy"}, "colour": "red",
            "display": 7, "language": "German", "name": " ", "a/b~": 1,
        });
        let mut told = found(bad, None);
        told.sort();
        let expected = [
            ("/audio/environment", "wrong_value"),
            ("/audio/loudness", "unknown_setting"),
            ("/audio/volume", "wrong_value"),
            ("/a~1b~0", "unknown_setting"),
            ("/colour", "unknown_setting"),
            ("/display", "not_a_group"),
            ("/language", "wrong_value"),
            ("/name", "wrong_value"),
        ];
        assert_eq!(
            told,
            expected.map(|(pointer, code)| (pointer.to_owned(), code))
        );
    }

    #[test]
    fn s3_a_setting_is_for_those_devices_that_have_it() {
        let bright = json!({"display": {"brightness": 5}});
        assert_eq!(found(bright.clone(), Some(Family::Mx)), []);
        let refused = found(bright, Some(Family::Bf));
        assert_eq!(
            refused,
            [("/display/brightness".to_owned(), "not_of_this_model")]
        );
        // To remove what is not there harms nobody.
        assert_eq!(
            found(json!({"display": {"brightness": null}}), Some(Family::Bf)),
            []
        );
    }

    #[test]
    fn d3_what_touches_firmware_is_known_however_it_is_written() {
        for patch in [
            json!({"firmware": null}),
            json!({"firmware": {"policy": "all"}}),
            json!({"name": "x", "firmware": {"target": null}}),
        ] {
            assert!(touches(&object(patch)).any(|one| one.needs == Needs::Firmware));
        }
        for patch in [json!({"firmware": {}}), json!({"audio": {"volume": 1}})] {
            assert!(touches(&object(patch)).all(|one| one.needs == Needs::Configure));
        }
    }

    #[test]
    fn refusals_are_told_up_to_a_limit() {
        let many: Map<_, _> = (0..1000).map(|n| (format!("k{n}"), json!(1))).collect();
        assert_eq!(check(&many, None).unwrap_err().len(), 32);
    }

    /// Patches made of known names and others, with values that fit and others.
    fn patches() -> impl Strategy<Value = Value> {
        let value = prop_oneof![
            Just(json!(null)),
            Just(json!(true)),
            (0..200i64).prop_map(Value::from),
            prop_oneof![
                Just("door"),
                Just("quiet"),
                Just("de"),
                Just("all"),
                Just("x")
            ]
            .prop_map(Value::from),
        ];
        let name = "(volume|station|environment|brightness|policy|other)";
        let group = prop::collection::btree_map(name, value.clone(), 0..4);
        let group = group.prop_map(|map| Value::Object(map.into_iter().collect()));
        let names = "(name|language|role|audio|display|firmware|other)";
        prop::collection::btree_map(names, prop_oneof![value, group], 0..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        /// The heading's invariant.
        #[test]
        fn checked_patches_make_documents_of_known_settings_only(
            patches in prop::collection::vec(patches(), 0..6)
        ) {
            let mut document = json!({});
            for patch in &patches {
                if check(&object(patch.clone()), None).is_ok() {
                    merge::apply(&mut document, patch);
                }
            }
            prop_assert_eq!(check(&object(document), None), Ok(()));
        }
    }
}
