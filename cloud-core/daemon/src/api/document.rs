//! The description of the interface (OpenAPI 3.1), finished.
//!
//! The routes describe themselves; what holds for all of them is put in here: problems have a content
//! type of their own, every route with a body may refuse it in the same ways, and a schema that takes
//! in another one is written out, so that "nothing else" can be said of the one that is taken in.
//! Invariant: the same routes give the same text.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

const PROBLEM: &str = "#/components/schemas/Problem";

/// In what ways a body may be refused before its route sees it.
const REFUSED_BODIES: [(&str, &str); 4] = [
    ("400", "The body is not JSON."),
    ("413", "The body is too large."),
    ("415", "The body is not marked as JSON."),
    (
        "422",
        "Something in the body is not right; `errors` names it.",
    ),
];

/// What every route may answer.
const LIMITED: (&str, &str) = (
    "429",
    "Too many requests. The headers RateLimit and RateLimit-Policy of every answer say what is left.",
);

pub(super) fn finished(made: &OpenApi) -> Value {
    let mut document = serde_json::to_value(made).unwrap_or_default();
    write_out_schemas(&mut document);
    if let Some(Value::Object(paths)) = document.get_mut("paths") {
        for (path, operations) in paths {
            let operations = operations.as_object_mut().into_iter().flatten();
            for (method, operation) in operations {
                operation["operationId"] = Value::String(name(method, path));
                finish(operation);
            }
        }
    }
    sorted(document)
}

/// In the order of the names, whichever order the maps of this build keep.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let by_name: BTreeMap<_, _> = object.into_iter().collect();
            let entries = by_name
                .into_iter()
                .map(|(name, value)| (name, sorted(value)));
            Value::Object(entries.collect())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Of an operation, for programs that are generated: no two have the same, and it changes only when
/// the address does.
fn name(method: &str, path: &str) -> String {
    let path = path.trim_start_matches("/api/v1");
    let parts = path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    format!("{method}_{}", parts.join("_"))
}

fn refused(description: &str) -> Value {
    json!({
        "description": description,
        "content": {"application/json": {"schema": {"$ref": PROBLEM}}},
    })
}

fn finish(operation: &mut Value) {
    let takes_json = operation
        .pointer("/requestBody/content/application~1json")
        .is_some();
    let Some(Value::Object(responses)) = operation.get_mut("responses") else {
        return;
    };
    let (status, description) = LIMITED;
    let limited = responses
        .entry(status)
        .or_insert_with(|| refused(description));
    limited["headers"] = json!({
        "retry-after": {"description": "Seconds.", "schema": {"type": "integer"}},
    });
    if takes_json {
        for (status, description) in REFUSED_BODIES {
            let refused = || refused(description);
            responses.entry(status).or_insert_with(refused);
        }
    }
    // Every answer that is no success is a problem, however its route came to say so.
    let refusals = responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with(['4', '5']));
    for (_, response) in refusals {
        let Some(Value::Object(content)) = response.get_mut("content") else {
            continue;
        };
        if content.remove("application/json").is_some() {
            let problem = json!({"schema": {"$ref": PROBLEM}});
            content.insert("application/problem+json".to_owned(), problem);
        }
    }
}

/// `allOf` a schema and some properties becomes one schema with all properties.
fn write_out_schemas(document: &mut Value) {
    let known = document
        .pointer("/components/schemas")
        .cloned()
        .unwrap_or_default();
    let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") else {
        return;
    };
    for schema in schemas.values_mut() {
        write_out(schema, &known);
    }
}

fn write_out(schema: &mut Value, known: &Value) {
    match schema {
        Value::Object(object) => {
            object
                .values_mut()
                .for_each(|inner| write_out(inner, known));
            let Some(Value::Array(parts)) = object.get("allOf") else {
                return;
            };
            if let Some(whole) = merged(parts, known) {
                object.remove("allOf");
                object.extend(whole);
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|inner| write_out(inner, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The properties of all parts, if all of them are objects with properties.
fn merged(parts: &[Value], known: &Value) -> Option<Map<String, Value>> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for part in parts {
        let part = match part.get("$ref").and_then(Value::as_str) {
            Some(name) => known.get(name.rsplit('/').next()?)?,
            None => part,
        };
        properties.extend(part.get("properties")?.as_object()?.clone());
        required.extend(
            part.get("required")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        );
    }
    let mut whole = Map::new();
    whole.insert("type".to_owned(), json!("object"));
    whole.insert("required".to_owned(), Value::Array(required));
    whole.insert("properties".to_owned(), Value::Object(properties));
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_takes_in_another_is_written_out() {
        let known = json!({"Settings": {
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {"name": {"type": "string"}},
        }});
        let mut schema = json!({"allOf": [
            {"$ref": "#/components/schemas/Settings"},
            {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        ]});
        write_out(&mut schema, &known);
        assert_eq!(
            schema,
            json!({
                "type": "object", "required": ["name", "id"],
                "properties": {"name": {"type": "string"}, "id": {"type": "string"}},
            })
        );
    }

    #[test]
    fn a_route_with_a_body_may_refuse_it_with_a_problem() {
        let mut operation = json!({
            "requestBody": {"content": {"application/json": {}}},
            "responses": {
                "401": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "200": {"content": {"application/json": {"schema": {"type": "object"}}}},
            },
        });
        finish(&mut operation);
        for status in ["400", "401", "413", "415", "422", "429"] {
            let content = &operation["responses"][status]["content"];
            let schema = &content["application/problem+json"]["schema"];
            assert_eq!(schema["$ref"], PROBLEM, "{status}");
            assert!(content.get("application/json").is_none(), "{status}");
        }
        let success = &operation["responses"]["200"]["content"];
        assert!(success.get("application/problem+json").is_none());
    }
    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = finished(&crate::api::document());
        let paths = document["paths"].as_object().unwrap().values();
        let operations = paths.flat_map(|path| path.as_object().unwrap().values());
        let names: Vec<_> = operations.map(|one| &one["operationId"]).collect();
        let different: std::collections::BTreeSet<_> =
            names.iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(different.len(), names.len());
    }
}
