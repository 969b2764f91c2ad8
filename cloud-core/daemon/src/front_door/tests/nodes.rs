//! Take-over, restarts, and two nodes on one store.

use mqtt_protocol_core::mqtt::packet::Packet;
use mqtt_protocol_core::mqtt::result_code::DisconnectReasonCode;

use super::client::Client;
use super::*;

fn code(packet: Option<Packet>) -> Option<DisconnectReasonCode> {
    match packet {
        Some(Packet::V5_0Disconnect(disconnect)) => disconnect.reason_code(),
        other => panic!("no DISCONNECT: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_connection_wins_on_one_node_and_on_two_g6() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut first = Client::connect(&house.door, &device, true).await;
        let mut second = Client::connect(&house.door, &device, true).await;
        let taken_over = Some(DisconnectReasonCode::SessionTakenOver);
        assert_eq!(code(first.end().await), taken_over);

        let other = open(house.core.clone(), settings()).await.unwrap();
        let mut third = Client::connect(&other, &device, true).await;
        assert_eq!(code(second.end().await), taken_over);
        third.publish(&device.up(Up::Event), &event(1)).await;
        assert!(matches!(third.next().await, Some(Packet::V5_0Puback(_))));
        assert!(
            house.is_online(&device).await,
            "the end of the older ones ends nothing"
        );
        other.close().await;
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_a_node_that_is_gone_are_offline_unless_they_come_to_another_g6() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let (moved, lost) = (house.device().await, house.device().await);
        let gone = open(house.core.clone(), settings()).await.unwrap();
        let clients = [
            Client::connect(&gone, &moved, true).await,
            Client::connect(&gone, &lost, true).await,
        ];
        let node = gone.ground.node;
        // Killed: no farewell, and its rows stand as they were.
        std::mem::forget(clients);
        let mut tx = house.write().await;
        let dead = query("UPDATE node SET lease_until = $2 WHERE id = $1");
        let long_ago = house.core.now().saturating_sub(Duration::from_secs(300));
        tx.execute(dead.bind(node).bind(long_ago)).await.unwrap();
        tx.commit().await.unwrap();
        let _here = Client::connect(&house.door, &moved, true).await;
        until("the lost one is offline", async || {
            !house.is_online(&lost).await
        })
        .await;
        assert!(house.is_online(&moved).await);
        drop(gone);
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_stays_away_is_offline_after_its_grace_d2() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let client = Client::connect(&house.door, &device, true).await;
        drop(client);
        until("gone", async || house.door.figures().devices() == 0).await;
        assert!(house.is_online(&device).await);
        house.core.clock.advance(Duration::from_secs(46));
        until("offline", async || !house.is_online(&device).await).await;
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_door_that_closes_says_so_and_stores_what_came_g6() {
    on_both(async |store| {
        let house = House::new(&store).await;
        let device = house.device().await;
        let mut client = Client::connect(&house.door, &device, true).await;
        house.door.close().await;
        assert_eq!(
            code(client.end().await),
            Some(DisconnectReasonCode::ServerShuttingDown)
        );
        let mut tx = store.read().await.unwrap();
        let nodes = tx
            .one(query("SELECT count(*) AS n FROM node"))
            .await
            .unwrap();
        assert_eq!(nodes.int("n").unwrap(), 0);
    })
    .await;
}
