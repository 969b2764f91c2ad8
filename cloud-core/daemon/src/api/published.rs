//! What was published stays: programs that were written against it go on working.
//!
//! Each file in `cloud-core/published/` is a description of the interface as it was at a release, and
//! never changes again; `draft.json` is the one before the first release. The routes of today are
//! compared with all of them. Taking less than before or giving less than before breaks somebody's
//! program; taking more and giving more does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};

/// Which way a document goes: what may change depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Programs write it: nothing more may be asked of them.
    Request,
    /// Programs read it: nothing may be missing.
    Response,
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// References that were compared, or are being compared.
    seen: BTreeSet<(String, bool)>,
    breaks: Vec<String>,
}

/// All that a program of then stumbles over now.
fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        old,
        new,
        seen: BTreeSet::new(),
        breaks: Vec::new(),
    };
    for (path, methods) in entries(&old["paths"]) {
        for (method, operation) in entries(methods) {
            let now = &new["paths"][path][method];
            let at = format!("{} {path}", method.to_uppercase());
            if now.is_null() {
                comparison.breaks.push(format!("{at} is gone"));
            } else {
                comparison.operation(&at, operation, now);
            }
        }
    }
    comparison.breaks
}

impl Comparison<'_> {
    fn operation(&mut self, at: &str, old: &Value, new: &Value) {
        let key = |parameter: &Value| (parameter["name"].clone(), parameter["in"].clone());
        let (before, now) = (&old["parameters"], &new["parameters"]);
        for one in items(before) {
            if !items(now).any(|other| key(other) == key(one)) {
                self.broken(at, format!("the parameter {} is gone", one["name"]));
            }
        }
        for one in items(now).filter(|one| one["required"] == true) {
            let known = items(before).find(|other| key(other) == key(one));
            if known.is_none_or(|other| other["required"] != true) {
                self.broken(at, format!("the parameter {} is needed now", one["name"]));
            }
        }
        let body = "/requestBody/content/application~1json/schema";
        match (old.pointer(body), new.pointer(body)) {
            (Some(old), Some(new)) => self.schema(Way::Request, at, old, new),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => self.broken(at, "takes another kind of body"),
        }
        for (status, answer) in entries(&old["responses"]) {
            if !status.starts_with('2') {
                continue;
            }
            let now = &new["responses"][status];
            if now.is_null() {
                self.broken(at, format!("does not answer {status} any more"));
            }
            for (kind, content) in entries(&answer["content"]) {
                let at = format!("{at} -> {status}");
                match now["content"].get(kind) {
                    Some(now) => {
                        self.schema(Way::Response, &at, &content["schema"], &now["schema"]);
                    }
                    None => self.broken(&at, format!("is not {kind} any more")),
                }
            }
        }
    }

    fn schema(&mut self, way: Way, at: &str, old: &Value, new: &Value) {
        if let Some(name) = old["$ref"].as_str() {
            // A schema may hold itself.
            if !self
                .seen
                .insert((format!("{name} {}", new["$ref"]), way == Way::Request))
            {
                return;
            }
        }
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        self.kinds(way, at, old, new);
        for (name, property) in entries(&old["properties"]) {
            match new["properties"].get(name) {
                Some(now) => self.schema(way, &format!("{at}/{name}"), property, now),
                None => self.broken(at, format!("{name} is gone")),
            }
        }
        let needed = |schema: &Value| -> BTreeSet<String> {
            let names = items(&schema["required"]).filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        };
        let (before, now) = (needed(old), needed(new));
        let (missing, why) = match way {
            Way::Request => (&now - &before, "is needed now"),
            Way::Response => (&before - &now, "may be missing now"),
        };
        for name in missing {
            self.broken(at, format!("{name} {why}"));
        }
        for inner in ["items", "additionalProperties"] {
            if let (Some(Value::Object(_)), Some(now)) = (old.get(inner), new.get(inner)) {
                self.schema(way, &format!("{at}/*"), &old[inner], now);
            }
        }
        for variants in ["oneOf", "anyOf", "allOf"] {
            let (before, now) = (items(&old[variants]), items(&new[variants]));
            if before.clone().count() != now.clone().count() {
                self.broken(at, "has other variants");
                continue;
            }
            for (before, now) in before.zip(now) {
                self.schema(way, at, before, now);
            }
        }
    }

    /// Types, and words of an enumeration.
    fn kinds(&mut self, way: Way, at: &str, old: &Value, new: &Value) {
        let types = |schema: &Value| -> BTreeSet<String> {
            match &schema["type"] {
                Value::String(one) => BTreeSet::from([one.clone()]),
                all => items(all).map(ToString::to_string).map(unquoted).collect(),
            }
        };
        let words = |schema: &Value| -> BTreeSet<String> {
            items(&schema["enum"]).map(ToString::to_string).collect()
        };
        let (before, now) = (types(old), types(new));
        let fits = match way {
            Way::Request => before.is_subset(&now) || now.is_empty(),
            Way::Response => now.is_subset(&before) || before.is_empty(),
        };
        if !fits {
            self.broken(at, format!("was {before:?} and is {now:?}"));
        }
        let (before, now) = (words(old), words(new));
        // A program has to bear words that it does not know; it must not be refused its own.
        if way == Way::Request && !now.is_empty() {
            for word in &before - &now {
                self.broken(at, format!("{word} is not taken any more"));
            }
        }
    }

    fn broken(&mut self, at: &str, what: impl std::fmt::Display) {
        self.breaks.push(format!("{at}: {what}"));
    }
}

fn unquoted(text: String) -> String {
    text.trim_matches('"').to_owned()
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|at| at.strip_prefix('#'));
    name.and_then(|at| document.pointer(at)).unwrap_or(schema)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../published"))
}

#[test]
fn u4_what_was_published_still_works() {
    let today = super::description();
    if std::env::var_os("UPDATE_DRAFT").is_some() {
        fs::write(folder().join("draft.json"), &today).unwrap();
    }
    let today: Value = serde_json::from_str(&today).unwrap();
    let mut compared = 0;
    for file in fs::read_dir(folder()).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let then: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let broken = breaks(&then, &today);
        assert!(
            broken.is_empty(),
            "programs written against {} break: {broken:#?}\n(a draft may be taken anew: UPDATE_DRAFT=1)",
            file.display()
        );
        compared += 1;
    }
    assert!(compared > 0, "there is a description to compare with");
}

#[test]
fn u4_giving_less_and_asking_more_is_noticed_and_the_opposite_is_not() {
    let then: Value = serde_json::from_str(&super::description()).unwrap();
    assert_eq!(breaks(&then, &then), Vec::<String>::new());
    let order = "/paths/~1api~1v1~1devices~1{device}~1commands/post";
    let schemas = "/components/schemas";
    let change = |at: String, value: Value| {
        let mut now = then.clone();
        let (parent, last) = at.rsplit_once('/').unwrap();
        let parent = now.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => parent.remove(last),
            value => parent.insert(last.to_owned(), value),
        };
        breaks(&then, &now)
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (at, value, word) in [
        (order.to_owned(), Value::Null, "is gone"),
        (format!("{order}/responses/202"), Value::Null, "202"),
        (format!("{order}/parameters"), json("[]"), "idempotency-key"),
        (
            format!("{schemas}/Order/required"),
            json(r#"["op", "seconds"]"#),
            "seconds is needed",
        ),
        (
            format!("{schemas}/Order/properties/seconds"),
            Value::Null,
            "seconds is gone",
        ),
        (
            format!("{schemas}/Order/properties/seconds/type"),
            json(r#""string""#),
            "seconds: was",
        ),
        (
            format!("{schemas}/Op/enum"),
            json(r#"["reboot"]"#),
            "identify",
        ),
        (
            format!("{schemas}/CommandBody/properties/state"),
            Value::Null,
            "state is gone",
        ),
        (
            format!("{schemas}/CommandBody/required"),
            json(r#"["id"]"#),
            "may be missing",
        ),
    ] {
        let found = change(at.clone(), value);
        assert!(
            found.iter().any(|one| one.contains(word)),
            "{at}: {found:?}"
        );
    }
    for (at, value) in [
        (
            format!("{schemas}/CommandBody/properties/more"),
            json(r#"{"type": "string"}"#),
        ),
        (
            format!("{schemas}/Order/properties/more"),
            json(r#"{"type": "string"}"#),
        ),
        (format!("{order}/responses/200"), json("{}")),
    ] {
        assert_eq!(change(at, value), Vec::<String>::new());
    }
}
