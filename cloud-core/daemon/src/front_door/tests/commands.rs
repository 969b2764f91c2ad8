//! Commands on their way: once, in order, not late.

use cloud_logic::commands::State;
use cloud_logic::ids::CommandId;
use contract::down::Operation;
use mqtt_protocol_core::mqtt::packet::Packet;

use super::client::Client;
use super::outside::{Version, said, subscriber};
use super::*;
use crate::devices::commands::rows::{self, Command};
use crate::store::changes::Whose;

pub(super) async fn order(
    house: &House,
    device: &Known,
    operation: Operation,
    life: Duration,
) -> CommandId {
    let now = house.core.now();
    let command = Command {
        id: CommandId::new_at(now),
        device: device.id,
        whose: Whose {
            company: Some(house.company),
            ..Whose::default()
        },
        operation,
        args: serde_json::json!({}),
        ordered_by: "us-test".to_owned(),
        issued: now,
        expires: now.saturating_add(life),
        state: State::Queued,
        code: None,
        detail: None,
        ended: None,
    };
    let mut tx = house.write().await;
    let id = command.id;
    rows::insert(&mut tx, &[(command, None)]).await.unwrap();
    tx.commit().await.unwrap();
    id
}

pub(super) async fn state(house: &House, device: &Known, id: CommandId) -> State {
    let mut tx = house.core.store.read().await.unwrap();
    rows::find(&mut tx, device.id, id)
        .await
        .unwrap()
        .unwrap()
        .state
}

pub(super) const LIFE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reaches_the_device_and_its_answer_comes_back_d4() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let before = order(&house, &device, Operation::Identify, LIFE).await;
        let topic = device.down(Down::Command);
        let client = subscriber(&house, &device, Version::Five, &topic, 2);
        until("sent", async || {
            state(&house, &device, before).await == State::Sent
        })
        .await;
        let after = order(&house, &device, Operation::Reboot, LIFE).await;
        let heard = said(client).await;
        let places = [before, after].map(|id| heard.find(&id.to_string()).expect("it came"));
        assert!(places[0] < places[1], "{heard}");
        let done = format!(r#"{{"cmd":"{after}","state":"done"}}"#);
        let up = device.up(Up::Result);
        outside::publish(&house, &device, Version::Three, &up, &done).await;
        assert_eq!(state(&house, &device, after).await, State::Done);
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_once_command_never_leaves_twice_and_a_repeatable_one_comes_again_c4() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        client.subscribe(&device).await;
        let reboot = order(&house, &device, Operation::Reboot, LIFE).await;
        let identify = order(&house, &device, Operation::Identify, LIFE).await;
        for id in [reboot, identify] {
            let (_, _, command) = client.message().await;
            assert_eq!(command["cmd"], id.to_string());
        }
        // Gone without a word, and without PUBACK.
        drop(client);
        let mut client = Client::connect(&house.door, &device, false).await;
        let (_, packet, command) = client.message().await;
        assert_eq!(command["cmd"], identify.to_string());
        client.acknowledge(packet).await;
        // Until then it may come again, as it may be repeated.
        let stored = "SELECT count(*) AS n FROM command
                      WHERE device_id = $1 AND acknowledged IS NOT NULL";
        until("stored", async || house.count(stored, &device).await == 1).await;
        drop(client);
        let mut client = Client::connect(&house.door, &device, false).await;
        let third = order(&house, &device, Operation::Identify, LIFE).await;
        let (_, _, command) = client.message().await;
        assert_eq!(
            command["cmd"],
            third.to_string(),
            "neither of the others comes again"
        );
        assert_eq!(state(&house, &device, reboot).await, State::Sent);
        house.core.clock.advance(LIFE + Duration::from_secs(601));
        until("told honestly", async || {
            state(&house, &device, reboot).await == State::Unknown
        })
        .await;
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_too_long_expires_and_is_not_sent_c4() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let late = order(
            &house,
            &device,
            Operation::OpenDoor,
            Duration::from_secs(10),
        )
        .await;
        house.core.clock.advance(Duration::from_secs(11));
        let mut client = Client::connect(&house.door, &device, true).await;
        client.subscribe(&device).await;
        until("expired", async || {
            state(&house, &device, late).await == State::Expired
        })
        .await;
        let next = order(&house, &device, Operation::Identify, LIFE).await;
        let (_, _, command) = client.message().await;
        assert_eq!(command["cmd"], next.to_string());
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_answers_for_its_own_commands_only_g2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let (device, other) = (house.device().await, house.device().await);
        let id = order(&house, &device, Operation::Identify, LIFE).await;
        let mut client = Client::connect(&house.door, &other, true).await;
        let done = format!(r#"{{"cmd":"{id}","state":"done"}}"#);
        client.publish(&other.up(Up::Result), &done).await;
        assert!(matches!(client.next().await, Some(Packet::V5_0Puback(_))));
        assert_eq!(state(&house, &device, id).await, State::Queued);
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_reach_a_device_that_takes_few_at_once_d4() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        client.subscribe(&device).await;
        let mut ordered = Vec::new();
        for _ in 0..70 {
            ordered.push(
                order(&house, &device, Operation::Identify, LIFE)
                    .await
                    .to_string(),
            );
        }
        let mut came = Vec::new();
        for _ in 0..70 {
            let (_, packet, command) = client.message().await;
            came.push(command["cmd"].as_str().unwrap().to_owned());
            client.acknowledge(packet).await;
        }
        ordered.sort();
        came.sort();
        assert_eq!(came, ordered);
        house.close().await;
    })
    .await;
}
