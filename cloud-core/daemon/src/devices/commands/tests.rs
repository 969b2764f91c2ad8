//! Commands by the interface, on both engines.

use axum::http::Method;
use cloud_logic::ids::DeviceId;
use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use crate::core::NewId;
use crate::people::testing::{Answer, Browser, Place, World};
use crate::store::query;
use crate::store::testing::on_both;

async fn device(world: &World, place: &Place) -> DeviceId {
    let id = DeviceId::new_at(world.core.now());
    let mut tx = world.core.store.write().await.unwrap();
    let made = query(
        "INSERT INTO device (id, company_id, project_id, site_id, version, created)
         VALUES ($1, $2, $3, $4, 1, 1)",
    );
    let made = made
        .bind(id)
        .bind(place.company)
        .bind(place.project)
        .bind(place.site);
    tx.execute(made).await.unwrap();
    tx.commit().await.unwrap();
    id
}

fn of(device: DeviceId) -> String {
    format!("/api/v1/devices/{device}/commands")
}

async fn order(world: &World, who: &Browser, device: DeviceId, key: &str, body: Value) -> Answer {
    let mut who = who.clone();
    who.headers.push(("idempotency-key", key.to_owned()));
    world
        .send(&who, Method::POST, &of(device), Some(&body))
        .await
}

#[tokio::test]
async fn an_order_is_taken_once_however_often_it_is_tried_d4() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let device = device(&world, &place).await;
        let scope = Scope::Company(place.company);
        let (user, owner) = world.somebody(Role::Owner, scope, "o@a.example").await;
        let reboot = json!({"op": "reboot"});
        let first = order(&world, &owner, device, "k1", reboot.clone()).await;
        let told = first.is(202).json();
        assert_eq!(
            (&told["state"], &told["op"]),
            (&json!("queued"), &json!("reboot"))
        );
        assert_eq!(told["ordered_by"], user.to_string());
        let again = order(&world, &owner, device, "k1", reboot.clone()).await;
        assert_eq!(again.is(202).json(), told);
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert!(!first.headers.contains_key("idempotency-replayed"));
        let other = order(&world, &owner, device, "k1", json!({"op": "identify"})).await;
        let other = other.is(422).json();
        assert_eq!(other["errors"][0]["code"], "used_for_another");
        let other = order(&world, &owner, device, "k2", reboot.clone()).await;
        assert_ne!(other.is(202).json()["id"], told["id"]);
        let id = told["id"].as_str().unwrap();
        let read = world.get(&owner, &format!("{}/{id}", of(device))).await;
        assert_eq!(read.is(200).json(), told);
        let list = world
            .get(&owner, &format!("{}?limit=1", of(device)))
            .await
            .is(200)
            .json();
        assert_eq!(list["items"][0]["id"], other.json()["id"], "newest first");
        let next = list["next_cursor"].as_str().unwrap();
        let next = world
            .get(&owner, &format!("{}?cursor={next}", of(device)))
            .await;
        assert_eq!(next.is(200).json()["items"], json!([told]));
        world.post(&owner, &of(device), &reboot).await.is(422);
        let mut tx = world.core.store.read().await.unwrap();
        let audited = query("SELECT count(*) AS n FROM audit WHERE action = 'command.order'");
        assert_eq!(tx.one(audited).await.unwrap().int("n").unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn tries_at_the_same_instant_act_once_and_a_failed_one_leaves_its_key_free_u4() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let device = device(&world, &place).await;
        let scope = Scope::Company(place.company);
        let (_, owner) = world.somebody(Role::Owner, scope, "o@a.example").await;
        let (_, other) = world.somebody(Role::Admin, scope, "a@a.example").await;
        let order_once = || order(&world, &owner, device, "k", json!({"op": "identify"}));
        let answers = tokio::join!(order_once(), order_once(), order_once(), order_once());
        let answers = <[Answer; 4]>::from(answers);
        let mut replayed = 0;
        for answer in &answers {
            assert_eq!(answer.is(202).json(), answers[0].json());
            replayed += usize::from(answer.headers.contains_key("idempotency-replayed"));
        }
        assert_eq!(replayed, 3);
        let hers = order(&world, &other, device, "k", json!({"op": "identify"})).await;
        assert_ne!(
            hers.is(202).json()["id"],
            answers[0].json()["id"],
            "a key of her own"
        );
        let list = world.get(&owner, &of(device)).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), 2);

        let long = json!({"op": "door.open", "seconds": 11});
        order(&world, &owner, device, "again", long).await.is(422);
        let mended = json!({"op": "door.open", "seconds": 10});
        order(&world, &owner, device, "again", mended).await.is(202);
        for key in ["", "with space", "ü", &"x".repeat(65)] {
            let refused = order(&world, &owner, device, key, json!({"op": "reboot"})).await;
            assert_eq!(
                refused.is(422).json()["errors"][0]["pointer"],
                "idempotency-key"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_command_does_not_and_who_sees_nothing_hears_nothing_u1() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, foreign) = (world.company("a").await, world.company("b").await);
        let device = device(&world, &place).await;
        let scope = Scope::Company(place.company);
        let (_, viewer) = world.somebody(Role::Viewer, scope, "v@a.example").await;
        let scope = Scope::Company(foreign.company);
        let (_, stranger) = world.somebody(Role::Owner, scope, "o@b.example").await;
        let nothing = DeviceId::new_at(world.core.now());
        for op in ["reboot", "door.open", "logs.upload"] {
            let body = json!({"op": op});
            order(&world, &viewer, device, op, body.clone())
                .await
                .is(403);
            let hidden = order(&world, &stranger, device, op, body.clone()).await;
            let none = order(&world, &stranger, nothing, op, body).await;
            assert_eq!(
                (hidden.is(404).json(), none.is(404).json()),
                (none.json(), hidden.json())
            );
        }
        world.get(&viewer, &of(device)).await.is(200);
        world.get(&stranger, &of(device)).await.is(404);
        let nobody = World::ours();
        world.get(&nobody, &of(device)).await.is(401);
    })
    .await;
}

#[tokio::test]
async fn an_order_keeps_its_limits_c4() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let device = device(&world, &place).await;
        let scope = Scope::Company(place.company);
        let (_, owner) = world.somebody(Role::Owner, scope, "o@a.example").await;
        for (key, body) in [
            ("a", json!({"op": "door.open", "seconds": 11})),
            ("b", json!({"op": "reboot", "seconds": 86_401})),
            ("c", json!({"op": "reboot", "seconds": 0})),
            ("d", json!({"op": "dance"})),
            ("e", json!({"op": "reboot", "args": [1]})),
            (
                "f",
                json!({"op": "reboot", "args": {"x": "y".repeat(9000)}}),
            ),
        ] {
            order(&world, &owner, device, key, body).await.is(422);
        }
        let door = order(&world, &owner, device, "g", json!({"op": "door.open"})).await;
        door.is(202);
        for n in 1..50 {
            let key = format!("k{n}");
            order(&world, &owner, device, &key, json!({"op": "identify"}))
                .await
                .is(202);
        }
        let more = order(&world, &owner, device, "more", json!({"op": "identify"})).await;
        more.is(429);
    })
    .await;
}

#[tokio::test]
async fn a_command_is_taken_back_as_long_as_it_is_here_d4() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let device = device(&world, &place).await;
        let scope = Scope::Company(place.company);
        let (_, owner) = world.somebody(Role::Owner, scope, "o@a.example").await;
        let ordered = order(&world, &owner, device, "k", json!({"op": "reboot"})).await;
        let id = ordered.is(202).json()["id"].as_str().unwrap().to_owned();
        let path = format!("{}/{id}", of(device));
        let cancelled = world.delete(&owner, &path).await;
        assert_eq!(cancelled.is(200).json()["state"], "cancelled");
        world.delete(&owner, &path).await.is(409);
    })
    .await;
}
