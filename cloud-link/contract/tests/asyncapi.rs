//! `docs/asyncapi.yaml` says what the types say: topics, keys, which of them are
//! required, and examples that are read and written back the same.

use contract::document::{Document, read, write};
use contract::topic::{Down, Up};
use contract::{DeviceName, down, up};
use serde_json::Value;

fn description() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/asyncapi.yaml");
    let text = std::fs::read_to_string(path).expect("docs/asyncapi.yaml is there");
    serde_saphyr::from_str(&text).expect("docs/asyncapi.yaml is YAML")
}

fn keys(object: &Value) -> Vec<String> {
    let mut keys: Vec<String> = object
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    keys.sort();
    keys
}

/// Holds the schema called `name`, its message's examples and the type against each other.
fn compare<D: Document>(description: &Value, name: &str) {
    let schema = &description["components"]["schemas"][name];
    let examples = description["components"]["messages"][name]["examples"]
        .as_array()
        .unwrap_or_else(|| panic!("{name} has examples"));
    let mut seen = Vec::new();
    for example in examples {
        let payload = &example["payload"];
        let octets = serde_json::to_vec(payload).expect("JSON");
        let document: D = read(&octets).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let back: Value =
            serde_json::from_slice(&write(&document).expect("within limits")).expect("JSON");
        assert_eq!(
            &back, payload,
            "{name}: the example comes back as it went in"
        );
        seen.extend(keys(payload));
        compare_required::<D>(name, schema, payload);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(
        seen,
        keys(&schema["properties"]),
        "{name}: the examples show each key"
    );
}

/// A key is required if and only if reading fails without it.
fn compare_required<D: Document>(name: &str, schema: &Value, payload: &Value) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .expect("each document requires something")
        .iter()
        .map(|key| key.as_str().expect("a name"))
        .collect();
    for key in keys(payload) {
        let mut less = payload.clone();
        less.as_object_mut().expect("an object").remove(&key);
        // Whatever depends on another key is said in words.
        let depends = matches!(
            (name, key.as_str()),
            ("desired", "base" | "patch") | ("result", "code")
        );
        if depends {
            continue;
        }
        let refused = read::<D>(&serde_json::to_vec(&less).expect("JSON")).is_err();
        assert_eq!(
            refused,
            required.contains(&key.as_str()),
            "{name}.{key} required"
        );
    }
    let mut more = payload.clone();
    more["a key of a later version"] = Value::from(1);
    read::<D>(&serde_json::to_vec(&more).expect("JSON"))
        .unwrap_or_else(|error| panic!("{name} with an unknown key: {error:?}"));
}

#[test]
fn documents_are_as_described() {
    let description = description();
    compare::<up::Hello>(&description, "hello");
    compare::<up::Reported>(&description, "reported");
    compare::<up::Event>(&description, "event");
    compare::<up::Outcome>(&description, "result");
    compare::<up::Heartbeat>(&description, "hb");
    compare::<up::Will>(&description, "lwt");
    compare::<down::Desired>(&description, "desired");
    compare::<down::Command>(&description, "cmd");
    compare::<down::Ack>(&description, "ack");
    compare::<down::Poke>(&description, "poke");
}

#[test]
fn topics_are_as_described() {
    let description = description();
    let device: DeviceName = "de-01JZ5W3N8Q4V7X2K9M6T1R0PAB".parse().expect("valid");
    let mut topics: Vec<(String, String)> = Vec::new();
    for channel in Up::ALL {
        topics.push((channel.segment().into(), channel.topic(&device)));
    }
    for channel in Down::ALL {
        topics.push((channel.segment().into(), channel.topic(&device)));
    }
    topics.sort();
    let described = description["channels"].as_object().expect("channels");
    let mut expected: Vec<(String, String)> = described
        .iter()
        .map(|(name, channel)| {
            let address = channel["address"].as_str().expect("an address");
            (name.clone(), address.replace("{device}", device.as_str()))
        })
        .collect();
    expected.sort();
    assert_eq!(topics, expected);
}
