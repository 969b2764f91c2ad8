//! Documents keep to their limits, whatever comes.

use contract::document::{Document, ReadError, read, write};
use contract::{down, limits, up};
use proptest::prelude::*;
use serde_json::{Value, json};

fn refused<D: Document>(document: &Value) -> String {
    match read::<D>(&serde_json::to_vec(document).expect("JSON")) {
        Ok(_) => panic!("accepted: {document}"),
        Err(error) => error.to_string(),
    }
}

fn accepted<D: Document>(document: &Value) {
    read::<D>(&serde_json::to_vec(document).expect("JSON"))
        .unwrap_or_else(|error| panic!("{document}: {error:?}"));
}

#[test]
fn a_document_has_32_kib_at_most() {
    let event = |length: usize| json!({"seq": 1, "boot": 1, "ts": 1, "type": "t", "id": "i", "data": {"x": "y".repeat(length)}});
    let empty = serde_json::to_vec(&event(0)).expect("JSON").len();
    accepted::<up::Event>(&event(limits::DOCUMENT - empty));
    let octets = serde_json::to_vec(&event(limits::DOCUMENT - empty + 1)).expect("JSON");
    assert!(matches!(
        read::<up::Event>(&octets),
        Err(ReadError::TooLong(32769))
    ));
}

#[test]
fn counters_stay_whole_where_numbers_are_doubles() {
    accepted::<up::Will>(&json!({"boot": 9_007_199_254_740_991_u64, "conn": 0}));
    refused::<up::Will>(&json!({"boot": 9_007_199_254_740_992_u64, "conn": 0}));
    refused::<up::Will>(&json!({"boot": -1, "conn": 0}));
    refused::<up::Will>(&json!({"boot": 1.5, "conn": 0}));
    refused::<up::Will>(&json!({"boot": "1", "conn": 0}));
}

#[test]
fn words_are_short_and_printable() {
    let hello = |fw: &str| json!({"boot":1,"conn":1,"fw":fw,"mode":"bridge","have":{"desired":0},"outbox":{"from":0,"n":0}});
    accepted::<up::Hello>(&hello("11.1.6.0"));
    refused::<up::Hello>(&hello(""));
    refused::<up::Hello>(&hello(&"1".repeat(33)));
    refused::<up::Hello>(&hello("1\n2"));
    accepted::<up::Hello>(
        &json!({"boot":1,"conn":1,"fw":"1","mode":"hovering","have":{"desired":0},"outbox":{"from":0,"n":0}}),
    );
}

#[test]
fn call_data_lives_180_days_at_most() {
    let event =
        |days: u16| json!({"seq":1,"boot":1,"ts":1,"type":"t","id":"i","data":{},"ttl_days":days});
    accepted::<up::Event>(&event(180));
    refused::<up::Event>(&event(181));
    refused::<up::Event>(&event(0));
}

#[test]
fn a_refusal_says_why() {
    refused::<up::Outcome>(&json!({"cmd":"c","state":"failed"}));
    refused::<up::Outcome>(&json!({"cmd":"c","state":"asleep"}));
    accepted::<up::Outcome>(&json!({"cmd":"c","state":"failed","code":"jammed"}));
}

#[test]
fn a_door_command_lives_ten_seconds_and_is_never_repeated() {
    let command = |op: &str, life: i64, idem: &str| json!({"cmd":"c","op":op,"issued":1_000_000,"expires":1_000_000 + life,"idem":idem,"by":"us"});
    accepted::<down::Command>(&command("door.open", 10_000, "once"));
    refused::<down::Command>(&command("door.open", 10_001, "once"));
    refused::<down::Command>(&command("door.open", 10_000, "repeatable"));
    accepted::<down::Command>(&command("reboot", 86_400_000, "once"));
    refused::<down::Command>(&command("reboot", 86_400_001, "once"));
    refused::<down::Command>(&command("reboot", 0, "once"));
    refused::<down::Command>(&command("reboot", -1, "once"));
    accepted::<down::Command>(&command(
        "an operation of a later version",
        1000,
        "repeatable",
    ));
}

#[test]
fn a_load_is_a_number() {
    accepted::<up::Heartbeat>(&json!({"up":1,"load":0.5}));
    refused::<up::Heartbeat>(&json!({"up":1,"load":-0.5}));
    refused::<up::Heartbeat>(&json!({"up":1,"load":1e300}));
}

#[test]
fn desired_settings_are_a_change_or_the_whole() {
    accepted::<down::Desired>(&json!({"rev":2,"base":1,"patch":{}}));
    accepted::<down::Desired>(&json!({"rev":2,"full":{}}));
    refused::<down::Desired>(&json!({"rev":2,"base":1}));
    refused::<down::Desired>(&json!({"rev":2,"patch":{}}));
    refused::<down::Desired>(&json!({"rev":2,"base":1,"patch":{},"full":{}}));
    refused::<down::Desired>(&json!({"rev":2,"base":2,"patch":{}}));
    refused::<down::Desired>(&json!({"rev":2,"full":[]}));
}

/// JSON that is nearly a document: known keys with wrong or wild values.
fn wild() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,40}".prop_map(Value::from),
        prop::sample::select(vec![
            "running", "failed", "once", "bridge", "event", "reboot"
        ])
        .prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "boot", "conn", "fw", "rev", "mode", "have", "desired", "outbox", "from", "n", "seq", "ts",
        "full", "patch", "applied", "ok", "errors", "type", "id", "data", "ttl_days", "cmd", "try",
        "state", "code", "detail", "up", "base", "op", "issued", "expires", "idem", "by", "stream",
        "upto", "now", "what", "args",
    ]);
    leaf.prop_recursive(3, 32, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(String::from), inner, 0..12)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What is read can be written, and is read again as the same.
fn stable<D: Document + PartialEq + std::fmt::Debug>(octets: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(document) = read::<D>(octets) {
        let written = write(&document).expect("what was read keeps the limits");
        prop_assert_eq!(read::<D>(&written).expect("it was written here"), document);
    }
    Ok(())
}

fn all_stable(octets: &[u8]) -> Result<(), TestCaseError> {
    stable::<up::Hello>(octets)?;
    stable::<up::Reported>(octets)?;
    stable::<up::Event>(octets)?;
    stable::<up::Outcome>(octets)?;
    stable::<up::Heartbeat>(octets)?;
    stable::<up::Will>(octets)?;
    stable::<down::Desired>(octets)?;
    stable::<down::Command>(octets)?;
    stable::<down::Ack>(octets)?;
    stable::<down::Poke>(octets)
}

proptest! {
    #[test]
    fn no_octets_make_a_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..256)) {
        all_stable(&octets)?;
    }

    #[test]
    fn what_is_read_is_written_as_the_same(document in wild()) {
        all_stable(&serde_json::to_vec(&document).expect("JSON"))?;
    }
}
