//! A body made of its description: the smallest that the schema allows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::testing::PASSWORD;

/// Texts whose form the schema does not tell, by the name of the field.
const TEXTS: &[(&str, &str)] = &[
    ("mail", "somebody@example.com"),
    ("password", PASSWORD),
    ("current", PASSWORD),
    ("new", "four other words then"),
    ("language", "en"),
    ("time_zone", "Europe/Vienna"),
    ("mode", "cloud"),
    ("op", "reboot"),
    ("reason", "withdrawn"),
];

pub(super) fn example(
    schema: &Value,
    document: &Value,
    ids: &BTreeMap<&'static str, String>,
) -> Value {
    of("", schema, document, ids)
}

fn of(name: &str, schema: &Value, document: &Value, ids: &BTreeMap<&'static str, String>) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let referred = document
            .pointer(pointer)
            .expect("what is referred to is there");
        return of(name, referred, document, ids);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(first) = schema[choice].get(0) {
            return of(name, first, document, ids);
        }
    }
    let is_object = schema["type"] == "object";
    if let Some(known) = ids.get(name).filter(|_| !is_object) {
        return json!(known);
    }
    if let Some((_, text)) = TEXTS.iter().find(|(field, _)| *field == name) {
        return json!(text);
    }
    for given in ["example", "default", "const"] {
        if !schema[given].is_null() {
            return schema[given].clone();
        }
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") => object(schema, document, ids),
        Some("array") if schema["minItems"].as_u64() > Some(0) => {
            json!([of(name, &schema["items"], document, ids)])
        }
        Some("array") => json!([]),
        Some("boolean") => json!(true),
        Some("integer" | "number") => schema["minimum"].as_i64().map_or(json!(1), |n| json!(n)),
        Some("null") => Value::Null,
        _ => text(schema),
    }
}

fn object(schema: &Value, document: &Value, ids: &BTreeMap<&'static str, String>) -> Value {
    let none = Vec::new();
    let required = schema["required"].as_array().unwrap_or(&none);
    let fields: Map<String, Value> = required
        .iter()
        .filter_map(Value::as_str)
        .map(|field| {
            let value = of(field, &schema["properties"][field], document, ids);
            (field.to_owned(), value)
        })
        .collect();
    Value::Object(fields)
}

fn text(schema: &Value) -> Value {
    if schema["format"] == "date-time" {
        return json!("2027-01-01T00:00:00Z");
    }
    let least = schema["minLength"].as_u64().unwrap_or(1).max(1);
    json!("x".repeat(usize::try_from(least).unwrap_or(1)))
}
