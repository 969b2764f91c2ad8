//! What devices say is stored once, whatever way it comes.

use mqtt_protocol_core::mqtt::packet::Packet;
use serde_json::json;

use super::client::Client;
use super::*;

async fn value(house: &House, device: &Known, text: &'static str) -> serde_json::Value {
    let mut tx = house.core.store.read().await.unwrap();
    let row = tx.one(query(text).bind(device.id)).await.unwrap();
    row.json("value").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_is_acknowledged_and_applied_once_m4() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        // Gaps are the outbox's right; what lies below the mark is known.
        for seq in [1, 2, 2, 5, 1, 4, 6] {
            client.publish(&device.up(Up::Event), &event(seq)).await;
            assert!(matches!(client.next().await, Some(Packet::V5_0Puback(_))));
        }
        assert_eq!(house.events_of(&device).await, 4);
        // A device that lost its store begins with a higher boot.
        let anew = event(1).replace(r#""boot":1"#, r#""boot":2"#);
        client.publish(&device.up(Up::Event), &anew).await;
        assert!(matches!(client.next().await, Some(Packet::V5_0Puback(_))));
        assert_eq!(house.events_of(&device).await, 5);
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_settings_merge_and_are_replaced_when_told_in_full_s3() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        let twin = "SELECT reported AS value FROM twin WHERE device_id = $1";
        for (said, expected) in [
            (
                json!({"seq":1,"boot":1,"ts":1,"patch":{"a":1,"b":{"c":2}}}),
                json!({"a":1,"b":{"c":2}}),
            ),
            (
                json!({"seq":2,"boot":1,"ts":1,"patch":{"a":null,"b":{"d":3}}}),
                json!({"b":{"c":2,"d":3}}),
            ),
            (
                json!({"seq":2,"boot":1,"ts":9,"patch":{"old":1}}),
                json!({"b":{"c":2,"d":3}}),
            ),
            (
                json!({"seq":3,"boot":1,"ts":1,"full":true,"patch":{"x":1}}),
                json!({"x":1}),
            ),
        ] {
            client
                .publish(&device.up(Up::Reported), &said.to_string())
                .await;
            assert!(matches!(client.next().await, Some(Packet::V5_0Puback(_))));
            assert_eq!(value(&house, &device, twin).await, expected);
        }
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_comes_back_learns_what_is_stored_and_the_time_m4() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        client.subscribe(&device).await;
        client.publish(&device.up(Up::Event), &event(7)).await;
        let (channel, _, ack) = client.message().await;
        assert_eq!(channel, "ack");
        assert_eq!((&ack["stream"], &ack["upto"]), (&json!("event"), &json!(7)));
        drop(client);
        let mut client = Client::connect(&house.door, &device, false).await;
        assert!(client.session_present, "its session is a row");
        client.publish(&device.up(Up::Hello), HELLO).await;
        let mut marks = Vec::new();
        for _ in 0..2 {
            let (_, _, ack) = client.message().await;
            assert!(ack["now"].as_i64().unwrap() > 1_700_000_000_000);
            marks.push((ack["stream"].clone(), ack["upto"].clone()));
        }
        assert_eq!(
            marks,
            [(json!("reported"), json!(0)), (json!("event"), json!(7))]
        );
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_reach_a_device_that_has_older_ones_s3() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        client.subscribe(&device).await;
        client.publish(&device.up(Up::Hello), HELLO).await;
        client.message().await;
        client.message().await;
        let mut tx = house.write().await;
        let set = query(
            "INSERT INTO twin (device_id, desired, desired_rev, reported, applied_rev,
                               applied_errors)
             VALUES ($1, '{\"volume\":7}', 42, '{}', 0, '[]')",
        );
        tx.execute(set.bind(device.id)).await.unwrap();
        let whose = crate::store::changes::Whose::default();
        rows::connections::tell(&mut tx, "twin", device.id, whose, house.core.now());
        tx.commit().await.unwrap();
        let (channel, packet, desired) = client.message().await;
        assert_eq!(channel, "desired");
        assert_eq!(desired, json!({"rev":42,"full":{"volume":7}}));
        client.acknowledge(packet).await;
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_kept_no_longer_than_the_company_wants_g1() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        client.publish(&device.up(Up::Event), &event(1)).await;
        client.next().await;
        let days = "SELECT (expires - received) / 86400000 AS n FROM device_event
                    WHERE device_id = $1";
        assert_eq!(house.count(days, &device).await, 90);
        house.close().await;
    })
    .await;
}
