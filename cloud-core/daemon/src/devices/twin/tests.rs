//! Settings by the interface, on both engines.

use axum::http::Method;
use cloud_logic::ids::DeviceId;
use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use crate::people::testing::{Answer, Browser, World};
use crate::store::query;
use crate::store::testing::on_both;

async fn patch(world: &World, who: &Browser, path: &str, (revision, body): (i64, Value)) -> Answer {
    let mut who = who.clone();
    who.headers.push(("if-match", format!("\"{revision}\"")));
    world.send(&who, Method::PATCH, path, Some(&body)).await
}

async fn is_model(world: &World, device: DeviceId, model: &str) {
    let mut tx = world.core.store.write().await.unwrap();
    let made = query("UPDATE device SET model = $2 WHERE id = $1");
    tx.execute(made.bind(device).bind(model)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn settings_are_merged_counted_and_told_s3() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let device = world.device(place).await;
        is_model(&world, device, "OD1 CM-B").await;
        let scope = Scope::Company(place.company);
        let who = world.holder(Role::Owner, scope, "o@a.example").await;
        let path = format!("/api/v1/devices/{device}/twin");
        let empty = world.get(&who, &path).await;
        assert_eq!(empty.is(200).json()["state"], "none");
        assert_eq!(empty.etag(), "\"0\"");
        let wish = json!({"audio": {"volume": 70, "environment": "loud"}, "name": "Main gate"});
        let first = patch(&world, &who, &path, (0, wish.clone())).await;
        let told = first.is(200).json();
        assert_eq!((&told["desired"], &told["revision"]), (&wish, &json!(1)));
        assert_eq!(told["state"], "pending");
        assert_eq!(told["settings"][0]["pointer"], "/audio/environment");
        assert_eq!(told["settings"][0]["state"], "pending");
        // Somebody else was faster.
        patch(&world, &who, &path, (0, json!({"language": "de"})))
            .await
            .is(412);
        let wish = json!({"audio": {"environment": null}, "language": "de"});
        let second = patch(&world, &who, &path, (1, wish)).await;
        assert_eq!(
            second.is(200).json()["desired"],
            json!({"audio": {"volume": 70}, "language": "de", "name": "Main gate"})
        );
        // What changes nothing is no revision.
        let same = patch(&world, &who, &path, (2, json!({"language": "de"}))).await;
        assert_eq!(same.is(200).json()["revision"], 2);
        let mut tx = world.core.store.read().await.unwrap();
        let audited = query("SELECT count(*) AS n FROM audit WHERE action = 'twin.change'");
        assert_eq!(tx.one(audited).await.unwrap().int("n").unwrap(), 2);
        let told = query("SELECT count(*) AS n FROM change WHERE kind = 'twin'");
        assert_eq!(tx.one(told).await.unwrap().int("n").unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_device_has_one_name_whichever_way_it_is_given_s3() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let device = world.device(place).await;
        let scope = Scope::Company(place.company);
        let who = world.holder(Role::Owner, scope, "o@a.example").await;
        let path = format!("/api/v1/devices/{device}");
        let twin = format!("{path}/twin");
        let wish = json!({"name": "East gate"});
        patch(&world, &who, &twin, (0, wish)).await.is(200);
        let seen = world.get(&who, &path).await;
        assert_eq!(seen.is(200).json()["name"], "East gate");
        let wish = json!({"name": "West gate"});
        patch(&world, &who, &path, (2, wish.clone())).await.is(200);
        assert_eq!(world.get(&who, &twin).await.json()["desired"], wish);
    })
    .await;
}

#[tokio::test]
async fn what_a_device_does_not_have_is_refused_by_name_s3() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let device = world.device(place).await;
        is_model(&world, device, "AF 20H").await;
        let scope = Scope::Company(place.company);
        let who = world.holder(Role::Owner, scope, "o@a.example").await;
        let path = format!("/api/v1/devices/{device}/twin");
        for (wish, pointer, code) in [
            (json!({"colour": 1}), "/colour", "unknown_setting"),
            (json!({"audio": 3}), "/audio", "not_a_group"),
            (
                json!({"audio": {"volume": 101}}),
                "/audio/volume",
                "wrong_value",
            ),
            (
                json!({"display": {"brightness": 1}}),
                "/display/brightness",
                "not_of_this_model",
            ),
        ] {
            let refused = patch(&world, &who, &path, (0, wish)).await.is(422).json();
            assert_eq!(refused["errors"][0]["pointer"], pointer);
            assert_eq!(refused["errors"][0]["code"], code);
        }
        let viewer = world.holder(Role::Viewer, scope, "v@a.example").await;
        patch(&world, &viewer, &path, (0, json!({}))).await.is(403);
        world.get(&viewer, &path).await.is(200);
        let told = world.get(&viewer, "/api/v1/settings").await.is(200).json();
        let volume = told.as_array().unwrap().iter();
        let volume = volume.clone().find(|one| one["pointer"] == "/audio/volume");
        assert_eq!(volume.unwrap()["most"], 100);
    })
    .await;
}
