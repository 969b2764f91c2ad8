//! Passkeys: signing in with them, and everything that must not.

use std::time::Duration;

use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use super::super::testing::{Answer, Browser, ORIGIN, PASSWORD, World};
use super::authenticator::Authenticator;
use crate::store::query;
use crate::store::testing::on_both;

const PASSKEYS: &str = "/api/v1/me/passkeys";

/// Makes one thing about an authenticator untrue.
type Falsify = fn(&mut Authenticator);

/// Somebody of a company, signed in.
async fn anna(world: &World) -> Browser {
    let place = world.company("Acme").await;
    let scope = Scope::Company(place.company);
    world.holder(Role::Viewer, scope, "anna@example.com").await
}

async fn begun(world: &World, browser: &Browser, path: &str) -> Value {
    let begun = world.post(browser, path, &json!({})).await;
    begun.is(200).json()
}

/// Adds a passkey; the answer.
async fn add(world: &World, browser: &Browser, key: &mut Authenticator) -> Answer {
    let begun = begun(world, browser, "/api/v1/me/passkeys/begin").await;
    let wish = json!({
        "ceremony": begun["ceremony"], "name": "Telephone",
        "credential": key.create(&begun["public_key"]),
    });
    world.post(browser, PASSKEYS, &wish).await
}

/// What a browser sends to sign in.
async fn sign_in_with(world: &World, key: &Authenticator) -> Value {
    let begun = begun(world, &World::ours(), "/api/v1/login/passkey/begin").await;
    json!({ "ceremony": begun["ceremony"], "credential": key.get(&begun["public_key"]) })
}

async fn login(world: &World, shown: &Value) -> Answer {
    world
        .post(&World::ours(), "/api/v1/login/passkey", shown)
        .await
}

#[tokio::test]
async fn s1_she_signs_in_with_a_passkey_and_says_no_name() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let mut key = Authenticator::new();
        key.synced = true;
        add(&world, &browser, &mut key).await.is(201);
        let shown = sign_in_with(&world, &key).await;
        let answer = login(&world, &shown).await;
        let me = answer.is(200).json();
        assert_eq!(me["mail"], "anna@example.com");
        let browser = Browser {
            cookie: answer.cookie(),
            ..World::ours()
        };
        let list = world.get(&browser, PASSKEYS).await.is(200).json();
        assert_eq!(list["items"][0]["name"], "Telephone");
        assert_eq!(list["items"][0]["synced"], true);
        assert!(list["items"][0]["last_used"].is_string());
    })
    .await;
}

#[tokio::test]
async fn s1_a_browser_is_asked_for_a_verified_user_and_a_passkey_that_knows_her() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let begun = begun(&world, &browser, "/api/v1/me/passkeys/begin").await;
        let wanted = &begun["public_key"];
        assert_eq!(wanted["rp"]["id"], "core.example.com");
        let selection = &wanted["authenticatorSelection"];
        assert_eq!(selection["userVerification"], "required");
        assert_eq!(selection["residentKey"], "required");
        let login = self::begun(&world, &World::ours(), "/api/v1/login/passkey/begin").await;
        assert_eq!(login["public_key"]["userVerification"], "required");
        assert_eq!(login["public_key"]["allowCredentials"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn s1_a_forged_origin_or_host_or_person_signs_nobody_in() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let mut key = Authenticator::new();
        add(&world, &browser, &mut key).await.is(201);
        let falsified: [(&str, Falsify); 9] = [
            ("another page", |key| key.at("https://evil.example")),
            ("a page below ours", |key| {
                key.at("https://evil.core.example.com");
            }),
            ("a name that begins so", |key| {
                key.at("https://core.example.com.evil.example");
            }),
            ("without TLS", |key| key.at("http://core.example.com")),
            ("another port", |key| {
                key.at("https://core.example.com:8443");
            }),
            ("another host's passkey", |key| key.of("evil.example")),
            ("nobody was verified", |key| key.verifies(false)),
            ("no handle", |key| key.knows(None)),
            ("somebody else's handle", |key| key.knows(Some(vec![7; 16]))),
        ];
        for (what, falsify) in falsified {
            let handle = key.handle.clone();
            falsify(&mut key);
            let shown = sign_in_with(&world, &key).await;
            let answer = login(&world, &shown).await;
            assert_eq!(answer.status.as_u16(), 401, "{what}: {}", answer.text);
            assert!(answer.cookie().is_none());
            key.handle = handle;
            key.of("core.example.com");
            key.at(ORIGIN);
            key.verifies(true);
        }
        // Somebody else's key under her key's name.
        let mut thief = Authenticator::new();
        (thief.id, thief.handle) = (key.id.clone(), key.handle.clone());
        let shown = sign_in_with(&world, &thief).await;
        login(&world, &shown).await.is(401);
        let shown = sign_in_with(&world, &key).await;
        login(&world, &shown).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn s1_a_replayed_challenge_signs_nobody_in() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let mut key = Authenticator::new();
        add(&world, &browser, &mut key).await.is(201);
        let first = sign_in_with(&world, &key).await;
        login(&world, &first).await.is(200);
        login(&world, &first).await.is(401);
        // An answer to one challenge brought for another.
        let mut mixed = sign_in_with(&world, &key).await;
        mixed["credential"] = first["credential"].clone();
        login(&world, &mixed).await.is(401);
        // One that waited too long.
        let late = sign_in_with(&world, &key).await;
        world.core.clock.advance(Duration::from_secs(300));
        login(&world, &late).await.is(401);
        // One that was changed on its way, or made up.
        let mut changed = sign_in_with(&world, &key).await;
        let text = changed["ceremony"].as_str().unwrap().to_owned();
        for other in [
            format!("{text}A"),
            text.replacen("ce-0", "ce-1", 1),
            "ce-00000000000000000000000000.AAAA".to_owned(),
            "x".repeat(50_000),
            String::new(),
        ] {
            changed["ceremony"] = json!(other);
            login(&world, &changed).await.is(401);
        }
    })
    .await;
}

#[tokio::test]
async fn s1_a_ceremony_counts_for_one_person_and_one_purpose() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let place = world.company("Other").await;
        let scope = Scope::Company(place.company);
        let eve = world.holder(Role::Viewer, scope, "eve@example.com").await;
        let (mut annas, mut eves) = (Authenticator::new(), Authenticator::new());
        add(&world, &browser, &mut annas).await.is(201);
        add(&world, &eve, &mut eves).await.is(201);

        // Eve's passkey does not prove that it is Anna, whatever it says of itself.
        let begun = begun(&world, &browser, "/api/v1/me/proof/passkey/begin").await;
        eves.handle.clone_from(&annas.handle);
        let shown = json!({
            "ceremony": begun["ceremony"], "credential": eves.get(&begun["public_key"]),
        });
        let proof = "/api/v1/me/proof/passkey";
        world.post(&browser, proof, &shown).await.is(401);
        let shown = sign_in_with(&world, &eves).await;
        login(&world, &shown).await.is(401);

        // Anna's proof is worth nothing in Eve's session, and signs nobody in.
        let shown = json!({
            "ceremony": begun["ceremony"], "credential": annas.get(&begun["public_key"]),
        });
        world.post(&eve, proof, &shown).await.is(401);
        login(&world, &shown).await.is(401);
        let showing = shown;
        // A registration that Anna began does not give Eve a passkey.
        let begun = self::begun(&world, &browser, "/api/v1/me/passkeys/begin").await;
        let wish = json!({
            "ceremony": begun["ceremony"], "name": "Mine",
            "credential": Authenticator::new().create(&begun["public_key"]),
        });
        world.post(&eve, PASSKEYS, &wish).await.is(401);
        world.post(&browser, PASSKEYS, &wish).await.is(201);
        world.post(&browser, PASSKEYS, &wish).await.is(401);
        world.post(&browser, proof, &showing).await.is(204);
    })
    .await;
}

#[tokio::test]
async fn s1_a_passkey_is_added_once_and_from_our_page_only() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let mut forged = Authenticator::new();
        forged.at("https://evil.example");
        let answer = add(&world, &browser, &mut forged).await;
        let told = answer.is(422).json();
        assert_eq!(told["errors"][0]["code"], "not_taken");
        let mut unverified = Authenticator::new();
        unverified.verifies(false);
        add(&world, &browser, &mut unverified).await.is(422);
        let mut key = Authenticator::new();
        add(&world, &browser, &mut key).await.is(201);
        add(&world, &browser, &mut key).await.is(422);
        world.core.clock.advance(Duration::from_secs(601));
        let path = "/api/v1/me/passkeys/begin";
        let answer = world.post(&browser, path, &json!({})).await;
        assert_eq!(answer.is(403).code(), "proof_needed");
    })
    .await;
}

#[tokio::test]
async fn s1_a_passkey_shown_once_more_counts_as_the_password_does() {
    on_both(async |store| {
        let world = World::new(store).await;
        let before = anna(&world).await;
        let path = "/api/v1/me/proof/passkey/begin";
        let answer = world.post(&before, path, &json!({})).await;
        assert_eq!(answer.is(409).code(), "conflict");
        let mut key = Authenticator::new();
        add(&world, &before, &mut key).await.is(201);
        world.core.clock.advance(Duration::from_secs(601));
        let begun = begun(&world, &before, path).await;
        let allowed = begun["public_key"]["allowCredentials"].as_array().unwrap();
        assert_eq!(allowed.len(), 1);
        let shown = json!({
            "ceremony": begun["ceremony"], "credential": key.get(&begun["public_key"]),
        });
        let answer = world
            .post(&before, "/api/v1/me/proof/passkey", &shown)
            .await;
        let after = Browser {
            cookie: answer.is(204).cookie(),
            ..before.clone()
        };
        world.get(&before, PASSKEYS).await.is(401);
        add(&world, &after, &mut Authenticator::new()).await.is(201);
    })
    .await;
}

#[tokio::test]
async fn s1_a_copied_passkey_is_noticed_by_its_counter() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let mut key = Authenticator::new();
        key.counter = 5;
        add(&world, &browser, &mut key).await.is(201);
        for (counter, status) in [(6, 200), (6, 401), (2, 401), (7, 200)] {
            key.counter = counter;
            let shown = sign_in_with(&world, &key).await;
            login(&world, &shown).await.is(status);
        }
        let mut tx = world.core.store.read().await.unwrap();
        let noted = query("SELECT COUNT(*) AS n FROM audit WHERE action = $1");
        let noted = tx.one(noted.bind("passkey.counter_went_back")).await;
        assert_eq!(noted.unwrap().int("n").unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn s1_the_last_way_to_sign_in_cannot_be_taken_away() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let password = "/api/v1/me/password";
        world.delete(&browser, password).await.is(409);
        let mut key = Authenticator::new();
        let made = add(&world, &browser, &mut key).await.is(201).json();
        let path = format!("{PASSKEYS}/{}", made["id"].as_str().unwrap());
        world.delete(&browser, password).await.is(204);
        let with_it = json!({ "mail": "anna@example.com", "password": PASSWORD });
        world
            .post(&World::ours(), "/api/v1/login", &with_it)
            .await
            .is(401);
        world.delete(&browser, &path).await.is(409);
        let shown = sign_in_with(&world, &key).await;
        login(&world, &shown).await.is(200);
        // Where there is no password, being just proved is enough to choose one.
        let chosen = json!({ "new": "four better words here" });
        let answer = world.put(&browser, password, &chosen).await;
        let browser = Browser {
            cookie: answer.is(204).cookie(),
            ..browser
        };
        world.delete(&browser, &path).await.is(204);
        let shown = sign_in_with(&world, &key).await;
        login(&world, &shown).await.is(401);
    })
    .await;
}

#[tokio::test]
async fn s1_a_passkey_is_renamed_by_its_owner_and_signs_no_blocked_person_in() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = anna(&world).await;
        let mut key = Authenticator::new();
        let made = add(&world, &browser, &mut key).await;
        let path = format!("{PASSKEYS}/{}", made.is(201).json()["id"].as_str().unwrap());
        let place = world.company("Other").await;
        let scope = Scope::Company(place.company);
        let mut eve = world.holder(Role::Owner, scope, "eve@example.com").await;
        let name = json!({ "name": "Old telephone" });
        let mut anna = browser.clone();
        for browser in [&mut anna, &mut eve] {
            browser.headers.push(("if-match", made.etag()));
        }
        world.put(&eve, &path, &name).await.is(404);
        world.delete(&eve, &path).await.is(404);
        world.put(&browser, &path, &name).await.is(428);
        let renamed = world.put(&anna, &path, &name).await;
        assert_eq!(renamed.is(200).json()["name"], "Old telephone");
        world.put(&anna, &path, &name).await.is(412);

        let mut tx = world.core.store.write().await.unwrap();
        let block = query("UPDATE user_account SET blocked = 1 WHERE mail_key = $1");
        tx.execute(block.bind("anna@example.com")).await.unwrap();
        tx.commit().await.unwrap();
        let shown = sign_in_with(&world, &key).await;
        login(&world, &shown).await.is(401);
    })
    .await;
}
