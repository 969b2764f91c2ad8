//! What devices say is stored once, whatever way it comes.

use mqtt_protocol_core::mqtt::packet::Packet;
use serde_json::json;

use super::client::Client;
use super::*;
use crate::devices::twin;

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
        let settings = json!({"volume": 7});
        let hash = contract::canonical::hash(&settings);
        assert_eq!(
            desired,
            json!({"rev": 42, "full": settings, "hash": hash.as_str()})
        );
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

#[tokio::test(flavor = "multi_thread")]
async fn what_lists_show_follows_the_connection_d2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let shown = async || {
            let asked =
                query("SELECT presence, firmware, since, revision FROM device WHERE id = $1");
            let mut tx = house.core.store.read().await.unwrap();
            tx.one(asked.bind(device.id)).await.unwrap()
        };
        assert_eq!(shown().await.text("presence").unwrap(), "never_seen");
        let mut client = Client::connect(&house.door, &device, true).await;
        client.publish(&device.up(Up::Hello), HELLO).await;
        assert!(matches!(client.next().await, Some(Packet::V5_0Puback(_))));
        let row = shown().await;
        assert_eq!(row.text("presence").unwrap(), "online");
        assert_eq!(row.text("firmware").unwrap(), "11.1.6.0");
        assert_eq!(row.text("revision").unwrap(), "AB");
        drop(client);
        until("gone", async || house.door.figures().devices() == 0).await;
        // Its end may be heard of after the first step.
        until("offline", async || {
            house.core.clock.advance(Duration::from_secs(60));
            !house.is_online(&device).await
        })
        .await;
        let gone = shown().await;
        assert_eq!(gone.text("presence").unwrap(), "offline");
        assert!(gone.int("since").unwrap() > row.int("since").unwrap());
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_answers_to_its_settings_key_by_key_s3() {
    use cloud_logic::twin::State::{Applied, Differs, Failed, Pending};
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut tx = house.write().await;
        let whose = crate::devices::whose(&mut tx, device.id)
            .await
            .unwrap()
            .unwrap();
        let now = house.core.now();
        let wish = cloud_logic::twin::Twin {
            desired: json!({"language": "de", "name": "Gate"}),
            revision: 1,
            ..Default::default()
        };
        let wanted = twin::rows::want(&mut tx, (device.id, whose), &wish, now).await;
        assert!(wanted.unwrap());
        tx.commit().await.unwrap();
        let mut client = Client::connect(&house.door, &device, true).await;
        for (seq, (said, states, attention)) in (1..).zip([
            (json!({"patch": {"language": "de"}}), [Applied, Pending], 0),
            (
                json!({"patch": {}, "applied": {"desired": 1, "ok": false, "errors":
                    [{"pointer": "/name", "code": "too-long", "detail": "12 at most"}]}}),
                [Applied, Failed],
                2,
            ),
            (
                json!({"patch": {"name": "Here"}, "applied": {"desired": 1, "ok": true}}),
                [Applied, Differs],
                4,
            ),
            (
                json!({"patch": {"name": "Gate", "faults": {"mic": {}}}}),
                [Applied, Applied],
                1,
            ),
            (json!({"patch": {"faults": null}}), [Applied, Applied], 0),
        ]) {
            let mut document = said;
            document["seq"] = json!(seq);
            document["boot"] = json!(1);
            document["ts"] = json!(1);
            let topic = device.up(Up::Reported);
            client.publish(&topic, &document.to_string()).await;
            assert!(matches!(client.next().await, Some(Packet::V5_0Puback(_))));
            let mut tx = house.core.store.read().await.unwrap();
            let (twin, _) = twin::rows::find(&mut tx, device.id).await.unwrap();
            let told: Vec<_> = twin.keys().into_iter().map(|key| key.state).collect();
            assert_eq!(told, states, "{document}");
            let asked = query("SELECT attention FROM device WHERE id = $1").bind(device.id);
            let row = tx.one(asked).await.unwrap();
            assert_eq!(row.int("attention").unwrap(), attention, "{document}");
        }
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_was_put_back_is_obeyed_again_g6() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut tx = house.write().await;
        let set = query(
            "INSERT INTO twin (device_id, desired, desired_rev, reported, applied_rev,
                               applied_errors)
             VALUES ($1, '{\"language\":\"de\"}', 3, '{}', 3, '[]')",
        );
        tx.execute(set.bind(device.id)).await.unwrap();
        tx.commit().await.unwrap();
        let mut client = Client::connect(&house.door, &device, true).await;
        client.subscribe(&device).await;
        let ahead = HELLO.replace(r#""desired":0"#, r#""desired":41"#);
        client.publish(&device.up(Up::Hello), &ahead).await;
        let desired = loop {
            let (channel, _, document) = client.message().await;
            if channel == "desired" {
                break document;
            }
        };
        assert_eq!(desired["rev"], 42);
        assert_eq!(desired["full"], json!({"language": "de"}));
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_reports_do_not_make_a_large_one() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        for seq in 1..6 {
            let text = "x".repeat(20_000);
            let document =
                json!({"seq": seq, "boot": 1, "ts": 1, "patch": {format!("k{seq}"): text}});
            client
                .publish(&device.up(Up::Reported), &document.to_string())
                .await;
            assert!(matches!(client.next().await, Some(Packet::V5_0Puback(_))));
        }
        let size = "SELECT length(reported) AS n FROM twin WHERE device_id = $1";
        let mut tx = house.core.store.read().await.unwrap();
        let asked = match tx.engine() {
            crate::store::Engine::Sqlite => query(size),
            crate::store::Engine::Postgres => {
                query("SELECT length(reported)::bigint AS n FROM twin WHERE device_id = $1")
            }
        };
        let size = tx
            .one(asked.bind(device.id))
            .await
            .unwrap()
            .int("n")
            .unwrap();
        assert!((60_000..65_536).contains(&size), "{size}");
        house.close().await;
    })
    .await;
}
