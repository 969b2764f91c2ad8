//! Subscriptions from outside: what is shown, what is refused, and what never asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Method;
use cloud_logic::ids::DeviceId;
use cloud_logic::rights::{Role, Scope};
use cloud_logic::subscriptions::Subscription;
use serde_json::{Value, json};

use super::*;
use crate::claims::NewUnit;
use crate::claims::add as add_unit;
use crate::people::testing::{Answer, Browser, Place, World};
use crate::store::audit::Actor;
use crate::store::testing::on_both;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn order(world: &World, company: CompanyId, sku: Sku, amount: u32, days: u32) {
    let mut tx = world.core.store.write().await.unwrap();
    let now = world.core.now();
    let subscription = Subscription {
        sku,
        amount,
        from: now,
        until: now.saturating_add(DAY * days),
    };
    add(&mut tx, company, subscription, "order 7", now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Claims a new unit in a mode.
async fn claim(world: &World, who: &Browser, place: Place, mode: &str) -> Answer {
    let mut tx = world.core.store.write().await.unwrap();
    let unit = NewUnit {
        model: "ID5 TD CM-B".to_owned(),
        revision: Some("AZ".parse().unwrap()),
        serial_number: None,
        factory_key: None,
        code: None,
    };
    let actor = Actor::named("us-tester");
    let (_, code) = add_unit(&mut tx, &world.core, &actor, unit).await.unwrap();
    tx.commit().await.unwrap();
    let body = json!({ "code": code.printed().as_str(), "mode": mode });
    let path = format!("/api/v1/sites/{}/claims", place.site);
    world.post(who, &path, &body).await
}

async fn command(world: &World, who: &Browser, device: &str, op: &str) -> Answer {
    let mut who = who.clone();
    let key = DeviceId::from_bits(u128::from_be_bytes(crate::random::octets()) >> 8);
    who.headers.push(("idempotency-key", key.to_string()));
    let path = format!("/api/v1/devices/{device}/commands");
    world
        .send(&who, Method::POST, &path, Some(&json!({ "op": op })))
        .await
}

async fn shown(world: &World, who: &Browser, company: CompanyId) -> Value {
    let path = format!("/api/v1/companies/{company}/subscriptions");
    world.get(who, &path).await.is(200).json()
}

fn balance_of(shown: &Value, sku: &str) -> Value {
    let balances = shown["balances"].as_array().unwrap();
    let found = balances.iter().find(|balance| balance["sku"] == sku);
    found.unwrap().clone()
}

#[tokio::test]
async fn n1_a_core_that_checks_nothing_refuses_nothing() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "o@example.com").await;
        let claimed = claim(&world, &owner, place, "cloud").await.is(201).json();
        assert_eq!(claimed["warnings"], json!([]));
        let device = claimed["device"].as_str().unwrap();
        command(&world, &owner, device, "reboot").await.is(202);
        let shown = shown(&world, &owner, place.company).await;
        assert_eq!(shown["checked"], false);
        let calls = balance_of(&shown, "E-CC-CTF");
        assert_eq!((&calls["used"], &calls["there"]), (&json!(1), &json!(0)));
    })
    .await;
}

#[tokio::test]
async fn n1_what_is_missing_is_said_and_what_runs_runs_on() {
    on_both(async |store| {
        let mut world = World::new(store).await;
        world.check_subscriptions();
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "o@example.com").await;
        world.holder(Role::WebClient, scope, "w@example.com").await;
        // The web client uses one.
        order(&world, place.company, Sku::CallService, 1, 365).await;
        let refused = claim(&world, &owner, place, "cloud").await;
        assert_eq!(refused.is(402).code(), "subscription_missing");
        assert!(refused.text.contains("E-CC-CTF") && refused.text.contains("order more"));
        order(&world, place.company, Sku::CallService, 2, 365).await;
        let claimed = claim(&world, &owner, place, "cloud").await.is(201).json();
        let device = claimed["device"].as_str().unwrap();
        // Claimed, with a word on what else is missing.
        assert_eq!(claimed["warnings"][0]["code"], "subscription_missing");
        for (op, status) in [
            ("reboot", 402),
            ("logs.upload", 402),
            ("door.open", 202),
            ("identify", 202),
        ] {
            command(&world, &owner, device, op).await.is(status);
        }
        order(&world, place.company, Sku::DeviceManagement, 1, 365).await;
        command(&world, &owner, device, "reboot").await.is(202);
        // On the premises and between servers nothing is asked.
        claim(&world, &owner, place, "on_prem_mesh").await.is(201);
        let told = shown(&world, &owner, place.company).await;
        let calls = balance_of(&told, "E-CC-CTF");
        assert_eq!(calls["there"], 3);
        assert_eq!((&calls["used"], &calls["free"]), (&json!(2), &json!(1)));
        assert_eq!(balance_of(&told, "E-CC-SSO-STN")["used"], Value::Null);
        assert_eq!(told["items"][0]["reference"], "order 7");
        // Past its end it counts for a while, then doors still open.
        let mut owner = owner;
        for (days, standing, reboot) in [(370, "grace", 202), (30, "over", 402)] {
            world.core.clock.advance(DAY * days);
            owner = world.sign_in("o@example.com").await;
            let told = shown(&world, &owner, place.company).await;
            assert_eq!(told["items"][0]["standing"], standing);
            command(&world, &owner, device, "reboot").await.is(reboot);
            command(&world, &owner, device, "door.open").await.is(202);
        }
        claim(&world, &owner, place, "cloud").await.is(402);
        let managed = claim(&world, &owner, place, "managed").await;
        assert_eq!(
            managed.is(201).json()["warnings"][0]["code"],
            "subscription_missing"
        );
    })
    .await;
}

#[tokio::test]
async fn n1_only_whoever_runs_the_core_writes_subscriptions_down() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, other) = (world.company("acme").await, world.company("other").await);
        let mut tx = world.core.store.write().await.unwrap();
        let now = world.core.now();
        let wrong = Subscription {
            sku: Sku::Bridge,
            amount: 1,
            from: now,
            until: now,
        };
        let refused = add(&mut tx, place.company, wrong, "", now).await;
        assert!(matches!(refused, Err(Refused::Period)));
        drop(tx);
        order(&world, place.company, Sku::Bridge, 1, 30).await;
        let mut tx = world.core.store.write().await.unwrap();
        let id = rows::of_company(&mut tx, place.company).await.unwrap()[0].id;
        let changed = change(&mut tx, id, (Some(5), None), now).await.unwrap();
        assert_eq!(changed.subscription.amount, 5);
        end(&mut tx, id, now).await.unwrap();
        assert!(matches!(
            end(&mut tx, id, now).await,
            Err(Refused::NoSubscription)
        ));
        tx.commit().await.unwrap();
        let mut tx = world.core.store.read().await.unwrap();
        assert!(
            all(&mut tx)
                .await
                .unwrap()
                .iter()
                .all(|(_, _, orders)| orders.is_empty())
        );
        drop(tx);
        // Billing looks; a stranger does not know of it.
        let scope = Scope::Company(place.company);
        let billing = world.holder(Role::Billing, scope, "b@example.com").await;
        let path = format!("/api/v1/companies/{}/subscriptions", place.company);
        world.post(&billing, &path, &json!({})).await.is(405);
        let foreign = Scope::Company(other.company);
        let stranger = world.holder(Role::Owner, foreign, "s@example.com").await;
        world.get(&stranger, &path).await.is(404);
    })
    .await;
}

/// Every file of this program that asks for subscriptions. Calls, doors, presence, events and the
/// devices' door are not among them, and whoever adds one has to look here first.
#[test]
fn n1_nothing_that_runs_asks_for_a_subscription() {
    const MAY_ASK: &[&str] = &[
        "api/router.rs",
        "claims/bind.rs",
        "claims/routes.rs",
        "cli/admin/mod.rs",
        "cli/admin/subscriptions.rs",
        "config/check.rs",
        "config/mod.rs",
        "core.rs",
        "devices/commands/orders.rs",
        "devices/edits/run.rs",
        "devices/registry/overview.rs",
        "devices/twin/routes.rs",
        "keys/testing.rs",
        "notices/conditions.rs",
        "people/testing.rs",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 100, "the sources are where they were");
    for file in files {
        let name = file
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let asks = text.contains("subscriptions::") || text.contains("require_management");
        let may = MAY_ASK.contains(&name.as_str()) || name.starts_with("subscriptions/");
        assert!(!asks || may, "{name} asks for subscriptions");
    }
    // What a command of the door kind goes through asks for nothing.
    let commands = fs::read_to_string(root.join("devices/commands/routes.rs")).unwrap();
    let needing = commands.split("fn needs_management").nth(1).unwrap();
    let needing = needing.split("\n}").next().unwrap();
    assert!(
        needing.contains("Operation::Identify | Operation::OpenDoor => false"),
        "{needing}"
    );
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
