//! Notices from outside: devices come and go in the store, people look and are written to.

use std::time::Duration;

use axum::http::Method;
use cloud_logic::condition::Presence;
use cloud_logic::ids::{DeviceId, SiteId};
use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use super::watch::Watch;
use crate::config;
use crate::core::NewId;
use crate::devices::registry::rows::is_now;
use crate::mail;
use crate::people::testing::{Browser, Place, World};
use crate::store::changes::{Change, What, Whose};
use crate::store::testing::on_both;
use crate::store::{Row, Store, query};

const MINUTE: Duration = Duration::from_secs(60);

/// A core that has a mail server, though nobody takes letters to it here.
async fn world(store: Store) -> World {
    let settings = config::Mail {
        host: "127.0.0.1".to_owned(),
        port: 25,
        encryption: config::MailEncryption::Off,
        user: None,
        password: None,
        authority: None,
        from: "no-reply@example.com".to_owned(),
    };
    World::with_mail(store, mail::Mail::new(Some(settings))).await
}

/// What the devices' door writes when a device comes or goes.
async fn set(world: &World, place: Place, devices: &[DeviceId], online: bool) {
    let now = world.core.now();
    let mut tx = world.core.store.write().await.unwrap();
    for &device in devices {
        let presence = if online {
            Presence::Online
        } else {
            Presence::Offline
        };
        is_now(&mut tx, device, presence, now).await.unwrap();
        tx.changed(Change {
            at: now,
            whose: Whose {
                company: Some(place.company),
                project: Some(place.project),
                site: Some(place.site),
            },
            kind: "presence",
            id: device.to_string(),
            what: What::Updated,
        });
    }
    tx.commit().await.unwrap();
}

async fn devices(world: &World, place: Place, count: usize) -> Vec<DeviceId> {
    let mut devices = Vec::new();
    for _ in 0..count {
        devices.push(world.device(place).await);
    }
    set(world, place, &devices, true).await;
    devices
}

async fn notices(world: &World, who: &Browser, place: Place, state: &str) -> Vec<Value> {
    let path = format!("/api/v1/companies/{}/notices?state={state}", place.company);
    let answer = world.get(who, &path).await.is(200).json();
    answer["items"].as_array().unwrap().clone()
}

/// Recipients of letters, the oldest first.
async fn letters(world: &World) -> Vec<(String, Value)> {
    let mut tx = world.core.store.read().await.unwrap();
    let asked = query("SELECT recipient, words FROM letter WHERE kind = 'notice' ORDER BY id");
    let rows = tx.all(asked).await.unwrap();
    let letter = |row: &Row| (row.text("recipient").unwrap(), row.json("words").unwrap());
    rows.iter().map(letter).collect()
}

async fn pass(world: &World, watch: &mut Watch, time: Duration) {
    world.core.clock.advance(time);
    watch.step(&world.core).await.unwrap();
}

#[tokio::test]
async fn d2_an_outage_of_a_site_is_one_notice_and_one_letter_to_who_looks_after_it() {
    on_both(async |store| {
        let world = world(store).await;
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        let viewer = world
            .holder(Role::Viewer, scope, "viewer@example.com")
            .await;
        let beside = Scope::Project(place.company, place.other_project);
        let other = world
            .holder(Role::Admin, beside, "beside@example.com")
            .await;
        let mut watch = Watch::new(world.core.now());
        let devices = devices(&world, place, 10).await;
        watch.step(&world.core).await.unwrap();
        for device in &devices {
            pass(&world, &mut watch, Duration::from_secs(5)).await;
            set(&world, place, &[*device], false).await;
        }
        pass(&world, &mut watch, MINUTE).await;
        assert!(notices(&world, &owner, place, "open").await.is_empty());
        pass(&world, &mut watch, 2 * MINUTE).await;
        let open = notices(&world, &viewer, place, "open").await;
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!(
            (&open[0]["kind"], &open[0]["severity"]),
            (&json!("site_outage"), &json!("critical"))
        );
        assert_eq!(open[0]["words"]["affected"], 10);
        assert!(
            open[0]["text"]
                .as_str()
                .unwrap()
                .contains("10 of 10 devices are offline")
        );
        assert!(notices(&world, &other, place, "open").await.is_empty());
        let told = letters(&world).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, "owner@example.com");
        assert!(told[0].1["subject"].as_str().unwrap().ends_with(": outage"));
        // Looking on, and taking over, tells nothing again.
        pass(&world, &mut watch, 20 * MINUTE).await;
        let mut watch = Watch::new(world.core.now());
        pass(&world, &mut watch, 20 * MINUTE).await;
        assert_eq!(letters(&world).await.len(), 1);
        set(&world, place, &devices, true).await;
        for _ in 0..4 {
            pass(&world, &mut watch, MINUTE).await;
        }
        assert!(notices(&world, &owner, place, "open").await.is_empty());
        let closed = notices(&world, &owner, place, "closed").await;
        assert_eq!((closed.len(), &closed[0]["how"]), (1, &json!("back")));
        let told = letters(&world).await;
        assert_eq!(told.len(), 2);
        assert_eq!(told[1].1["items"], json!(["The outage is over."]));
    })
    .await;
}

#[tokio::test]
async fn g6_of_two_nodes_one_tells_and_the_other_goes_on_when_it_is_gone() {
    on_both(async |store| {
        let world = world(store).await;
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        let now = world.core.now();
        let (mut one, mut other) = (Watch::new(now), Watch::new(now));
        let devices = devices(&world, place, 3).await;
        one.step(&world.core).await.unwrap();
        other.step(&world.core).await.unwrap();
        set(&world, place, &devices[..1], false).await;
        // The first is gone without a word, before it has seen anything.
        pass(&world, &mut other, Duration::from_secs(10)).await;
        pass(&world, &mut other, 3 * MINUTE).await;
        let open = notices(&world, &owner, place, "open").await;
        assert_eq!(
            (open.len(), &open[0]["kind"]),
            (1, &json!("device_offline"))
        );
        // Both at once, as when a clock jumps: the notice stays one, and so does its letter.
        let mut third = Watch::new(world.core.now());
        set(&world, place, &devices[..2], false).await;
        world.core.clock.advance(5 * MINUTE);
        let (first, second) = tokio::join!(other.step(&world.core), third.step(&world.core));
        // On one engine the second may find its transaction cut off, and tries again.
        drop((first, second));
        pass(&world, &mut third, MINUTE).await;
        let open = notices(&world, &owner, place, "open").await;
        assert_eq!((open.len(), &open[0]["kind"]), (1, &json!("site_outage")));
        assert_eq!(letters(&world).await.len(), 2, "the device, then the site");
    })
    .await;
}

#[tokio::test]
async fn d2_everybody_chooses_what_comes_by_mail() {
    on_both(async |store| {
        let world = world(store).await;
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        let path = "/api/v1/me/notice-choice";
        let choose = async |who: &Browser, version: &str, choice: Value| {
            let mut who = who.clone();
            who.headers.push(("if-match", version.to_owned()));
            world.put(&who, path, &choice).await
        };
        let owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        let viewer = world
            .holder(Role::Viewer, scope, "viewer@example.com")
            .await;
        let admin = world.holder(Role::Admin, scope, "admin@example.com").await;
        let none = world.get(&owner, path).await;
        assert_eq!(none.is(200).json()["by_mail"], Value::Null);
        let off = choose(&owner, &none.etag(), json!({"by_mail": false})).await;
        off.is(200);
        choose(&owner, &none.etag(), json!({"by_mail": true}))
            .await
            .is(412);
        let kept = world.get(&owner, path).await;
        assert_eq!(
            (kept.is(200).json()["by_mail"].clone(), kept.etag()),
            (json!(false), off.etag())
        );
        let here = json!({"by_mail": true, "kinds": ["device_offline"], "places": [place.site]});
        choose(&viewer, "\"1\"", here).await.is(200);
        let elsewhere = json!({"by_mail": true, "places": [place.other_site]});
        choose(&admin, "\"1\"", elsewhere).await.is(200);
        for bad in [
            json!({"by_mail": true, "places": ["everywhere"]}),
            json!({"by_mail": true, "kinds": ["birthday"]}),
            json!({"kinds": ["device_offline"]}),
        ] {
            choose(&admin, "\"2\"", bad).await.is(422);
        }
        let mut watch = Watch::new(world.core.now());
        let devices = devices(&world, place, 5).await;
        watch.step(&world.core).await.unwrap();
        set(&world, place, &devices[..1], false).await;
        pass(&world, &mut watch, MINUTE).await;
        pass(&world, &mut watch, 3 * MINUTE).await;
        let told: Vec<String> = letters(&world)
            .await
            .into_iter()
            .map(|(to, _)| to)
            .collect();
        assert_eq!(told, ["viewer@example.com"]);
    })
    .await;
}

#[tokio::test]
async fn d2_rules_of_the_company_hold_and_somebody_looks_after_a_notice_once() {
    on_both(async |store| {
        let world = world(store).await;
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        let (user, owner) = world
            .somebody(Role::Owner, scope, "owner@example.com")
            .await;
        let (_, second) = world
            .somebody(Role::Admin, scope, "admin@example.com")
            .await;
        let viewer = world
            .holder(Role::Viewer, scope, "viewer@example.com")
            .await;
        let path = format!("/api/v1/companies/{}/notice-rules", place.company);
        let rules = world.get(&viewer, &path).await;
        assert_eq!(
            rules.is(200).json(),
            json!({"offline_after": 120, "site_share": 50})
        );
        let wish = json!({"offline_after": 600, "site_share": 80});
        let change = async |who: &Browser, version: &str, wish: &Value| {
            let mut who = who.clone();
            who.headers.push(("if-match", version.to_owned()));
            world.put(&who, &path, wish).await
        };
        change(&viewer, &rules.etag(), &wish).await.is(403);
        change(
            &owner,
            &rules.etag(),
            &json!({"offline_after": 1, "site_share": 50}),
        )
        .await
        .is(422);
        change(&owner, &rules.etag(), &wish).await.is(200);
        change(&owner, &rules.etag(), &wish).await.is(412);
        let mut watch = Watch::new(world.core.now());
        let devices = devices(&world, place, 4).await;
        watch.step(&world.core).await.unwrap();
        set(&world, place, &devices[..2], false).await;
        pass(&world, &mut watch, 9 * MINUTE).await;
        assert!(notices(&world, &owner, place, "open").await.is_empty());
        pass(&world, &mut watch, MINUTE).await;
        let open = notices(&world, &owner, place, "open").await;
        assert_eq!(open.len(), 2, "two of four are no outage here");
        let id = open[0]["id"].as_str().unwrap();
        let path = format!("/api/v1/notices/{id}");
        let seen = format!("{path}/acknowledge");
        let post = async |who: &Browser| world.send(who, Method::POST, &seen, None).await;
        post(&viewer).await.is(403);
        let first = post(&owner).await.is(200).json();
        assert_eq!(first["acknowledged_by"], user.to_string());
        assert_eq!(post(&second).await.is(200).json(), first, "the first stays");
        assert_eq!(world.get(&viewer, &path).await.is(200).json(), first);
        assert_eq!(first["closed"], Value::Null, "it is not over by that");
    })
    .await;
}

#[tokio::test]
async fn d2_nobody_drowns_in_letters_when_everything_goes() {
    on_both(async |store| {
        let world = world(store).await;
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        world.holder(Role::Owner, scope, "owner@example.com").await;
        let now = world.core.now();
        let mut sites = Vec::new();
        for number in 0..30 {
            let mut tx = world.core.store.write().await.unwrap();
            let site = SiteId::new_at(now);
            let made = query(
                "INSERT INTO site (id, company_id, project_id, name, name_key, time_zone, address,
                                   metadata, version, created)
                 VALUES ($1, $2, $3, $4, $4, 'UTC', '', '{}', 1, 0)",
            );
            let made = made.bind(site).bind(place.company).bind(place.project);
            tx.execute(made.bind(format!("site {number}")))
                .await
                .unwrap();
            tx.commit().await.unwrap();
            let here = Place { site, ..place };
            sites.push((here, devices(&world, here, 2).await));
        }
        let mut watch = Watch::new(now);
        watch.step(&world.core).await.unwrap();
        for (here, devices) in &sites {
            set(&world, *here, devices, false).await;
        }
        pass(&world, &mut watch, MINUTE).await;
        pass(&world, &mut watch, 2 * MINUTE).await;
        assert_eq!(letters(&world).await.len(), 20);
        let held_back = &world.core.mail.figures().held_back;
        assert_eq!(held_back.load(std::sync::atomic::Ordering::Relaxed), 10);
        let mut tx = world.core.store.read().await.unwrap();
        let open = super::open_of_company(&mut tx, place.company)
            .await
            .unwrap();
        assert_eq!(open, [(cloud_logic::notices::Kind::SiteOutage, 30)]);
    })
    .await;
}

#[tokio::test]
async fn d2_what_went_wrong_is_told_once_and_over_when_it_was_seen() {
    on_both(async |store| {
        let world = world(store).await;
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        let device = world.device(place).await;
        let mut watch = Watch::new(world.core.now());
        watch.step(&world.core).await.unwrap();
        let mut who = owner.clone();
        who.headers.push(("idempotency-key", "k".to_owned()));
        let path = format!("/api/v1/devices/{device}/commands");
        let body = json!({"op": "reboot"});
        world
            .send(&who, Method::POST, &path, Some(&body))
            .await
            .is(202);
        let mut tx = world.core.store.write().await.unwrap();
        // As if it had been sent, and nobody answered.
        tx.execute(query("UPDATE command SET state = 'unknown'"))
            .await
            .unwrap();
        let letter = mail::Letter {
            company: place.company,
            kind: mail::Kind::PasswordReset,
            recipient: "gone@example.com",
            language: "en",
            words: json!({}),
            link: None,
            expires: world.core.now().saturating_add(MINUTE),
        };
        mail::write(&mut tx, &world.core, letter).await.unwrap();
        tx.commit().await.unwrap();
        world.core.clock.advance(2 * MINUTE);
        let mut tx = world.core.store.write().await.unwrap();
        assert_eq!(mail::forget(&mut tx, world.core.now()).await.unwrap(), 1);
        tx.commit().await.unwrap();
        watch.step(&world.core).await.unwrap();
        watch.step(&world.core).await.unwrap();
        let open = notices(&world, &owner, place, "open").await;
        let kinds: Vec<&Value> = open.iter().map(|notice| &notice["kind"]).collect();
        assert_eq!(kinds.len(), 2, "{open:?}");
        assert!(kinds.contains(&&json!("command_failed")));
        assert!(kinds.contains(&&json!("letter_undelivered")));
        assert!(
            !json!(open).to_string().contains("gone@example.com"),
            "names nobody"
        );
        for notice in &open {
            let path = format!(
                "/api/v1/notices/{}/acknowledge",
                notice["id"].as_str().unwrap()
            );
            let seen = world.send(&owner, Method::POST, &path, None).await;
            assert_eq!(seen.is(200).json()["how"], "seen");
        }
        let mut watch = Watch::new(world.core.now());
        pass(&world, &mut watch, 10 * MINUTE).await;
        assert!(notices(&world, &owner, place, "open").await.is_empty());
        assert!(
            letters(&world).await.is_empty(),
            "whoever ordered it looks anyway"
        );
    })
    .await;
}

#[tokio::test]
async fn d2_letters_that_cannot_leave_are_told_in_the_portal() {
    on_both(async |store| {
        let world = world(store).await;
        let place = world.company("acme").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        let mut tx = world.core.store.write().await.unwrap();
        let letter = mail::Letter {
            company: place.company,
            kind: mail::Kind::PasswordReset,
            recipient: "anna@example.com",
            language: "en",
            words: json!({}),
            link: None,
            expires: world.core.now().saturating_add(60 * MINUTE),
        };
        mail::write(&mut tx, &world.core, letter).await.unwrap();
        let tried = query("UPDATE letter SET tries = 1, reason = 'no route to host'");
        tx.execute(tried).await.unwrap();
        tx.commit().await.unwrap();
        let mut watch = Watch::new(world.core.now());
        pass(&world, &mut watch, 16 * MINUTE).await;
        let open = notices(&world, &owner, place, "open").await;
        assert_eq!(open[0]["kind"], "mail_waiting");
        assert!(
            open[0]["text"]
                .as_str()
                .unwrap()
                .contains("no route to host")
        );
        let mut tx = world.core.store.write().await.unwrap();
        tx.execute(query("UPDATE letter SET state = 'sent'"))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        pass(&world, &mut watch, 10 * MINUTE).await;
        assert!(notices(&world, &owner, place, "open").await.is_empty());
    })
    .await;
}
