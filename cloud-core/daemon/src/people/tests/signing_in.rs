//! Signing in, staying signed in, and everything that must not sign anybody in.

use std::time::Duration;

use cloud_logic::rights::{Role, Scope};
use serde_json::json;

use super::super::testing::{Browser, ORIGIN, PASSWORD, World};
use crate::store::query;
use crate::store::testing::on_both;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn s1_she_signs_in_and_out_and_the_cookie_is_worth_nothing_afterwards() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let scope = Scope::Company(place.company);
        let (user, browser) = world
            .somebody(Role::Viewer, scope, "Anna@Example.com")
            .await;
        let me = world.get(&browser, "/api/v1/me").await;
        let me = me.is(200).json();
        assert_eq!(me["id"], user.to_string());
        assert_eq!(me["grants"][0]["role"], "viewer");
        assert_eq!(me["companies"], json!([place.company.to_string()]));

        world
            .post(&browser, "/api/v1/logout", &json!({}))
            .await
            .is(204);
        world.get(&browser, "/api/v1/me").await.is(401);
    })
    .await;
}

#[tokio::test]
async fn s1_whatever_is_wrong_the_answer_is_the_same() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let blocked = world.person(place.company, "blocked@example.com").await;
        let mut tx = world.core.store.write().await.unwrap();
        tx.execute(query("UPDATE user_account SET blocked = 1 WHERE id = $1").bind(blocked))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let mut answers = Vec::new();
        for (mail, password) in [
            ("anna@example.com", "not her password at all"),
            ("nobody@example.com", PASSWORD),
            ("blocked@example.com", PASSWORD),
            ("anna@example.com' OR '1'='1", PASSWORD),
            ("anna@example.com", &"x".repeat(100_000)[..40_000]),
            ("", ""),
        ] {
            let body = json!({ "mail": mail, "password": password });
            let answer = world.post(&World::ours(), "/api/v1/login", &body).await;
            assert!(answer.cookie().is_none());
            answers.push((answer.status, answer.text));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(answers[0].0, 401);
    })
    .await;
}

#[tokio::test]
async fn s1_a_guesser_has_to_wait_and_so_does_whom_she_guesses() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let try_it = async |password: &str| {
            let body = json!({ "mail": "anna@example.com", "password": password });
            world.post(&World::ours(), "/api/v1/login", &body).await
        };
        for _ in 0..5 {
            try_it("a wrong password").await.is(401);
        }
        let waits = try_it(PASSWORD).await;
        assert_eq!(waits.is(429).code(), "too_many");
        assert_eq!(waits.headers["retry-after"], "1");
        world.core.clock.advance(Duration::from_secs(2));
        try_it(PASSWORD).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn s1_a_session_ends_after_a_night_without_use_and_after_a_week_in_any_case() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let browser = world.sign_in("anna@example.com").await;
        let shifts = async |hours: u32| {
            world.core.clock.advance(HOUR * hours);
            world.get(&browser, "/api/v1/me").await.status.as_u16()
        };
        for _ in 0..15 {
            assert_eq!(shifts(11).await, 200);
        }
        assert_eq!(shifts(3).await, 401, "168 hours are a week");

        let browser = world.sign_in("anna@example.com").await;
        world.core.clock.advance(HOUR * 12);
        world.get(&browser, "/api/v1/me").await.is(401);
    })
    .await;
}

#[tokio::test]
async fn s1_a_cookie_planted_before_signing_in_is_never_taken_over() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let planted = format!("__Host-sid={}", "A".repeat(43));
        let mut browser = World::ours();
        browser.cookie = Some(planted.clone());
        let body = json!({ "mail": "anna@example.com", "password": PASSWORD });
        let answer = world.post(&browser, "/api/v1/login", &body).await;
        assert_ne!(answer.is(200).cookie(), Some(planted));
        world.get(&browser, "/api/v1/me").await.is(401);
    })
    .await;
}

#[tokio::test]
async fn s1_a_proof_gives_the_session_a_new_secret_and_ends_the_old_one() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let before = world.sign_in("anna@example.com").await;
        let wrong = json!({ "password": "something else entirely" });
        world
            .post(&before, "/api/v1/me/proof", &wrong)
            .await
            .is(401);
        let right = json!({ "password": PASSWORD });
        let proved = world.post(&before, "/api/v1/me/proof", &right).await;
        let after = Browser {
            cookie: proved.is(204).cookie(),
            ..before.clone()
        };
        world.get(&after, "/api/v1/me").await.is(200);
        world.get(&before, "/api/v1/me").await.is(401);
    })
    .await;
}

#[tokio::test]
async fn s1_another_page_signs_nobody_in_and_changes_nothing() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let body = json!({ "mail": "anna@example.com", "password": PASSWORD });
        let mut browser = world.sign_in("anna@example.com").await;
        for headers in [
            vec![],
            vec![("origin", "https://evil.example".to_owned())],
            vec![("sec-fetch-site", "cross-site".to_owned())],
            vec![
                ("sec-fetch-site", "same-site".to_owned()),
                ("origin", ORIGIN.to_owned()),
            ],
        ] {
            browser.headers = headers;
            let mut stranger = browser.clone();
            stranger.cookie = None;
            let answer = world.post(&stranger, "/api/v1/login", &body).await;
            assert_eq!(answer.is(403).code(), "foreign_origin");
            let answer = world.delete(&browser, "/api/v1/me/sessions").await;
            assert_eq!(answer.is(403).code(), "foreign_origin");
            world.get(&browser, "/api/v1/me").await.is(200);
        }
    })
    .await;
}

#[tokio::test]
async fn s1_she_sees_where_she_is_signed_in_and_ends_it() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        world.person(place.company, "eve@example.com").await;
        let desk = world.sign_in("anna@example.com").await;
        let phone = world.sign_in("anna@example.com").await;
        let eve = world.sign_in("eve@example.com").await;
        let list = world.get(&desk, "/api/v1/me/sessions").await;
        let list = list.is(200).json();
        let items = list["items"].as_array().unwrap();
        assert_eq!(items.len(), 2);
        let other = items.iter().find(|item| item["current"] == false).unwrap();
        assert_eq!(other["address"], "192.0.2.7");
        let path = format!("/api/v1/me/sessions/{}", other["id"].as_str().unwrap());
        world.delete(&eve, &path).await.is(404);
        world.get(&phone, "/api/v1/me").await.is(200);
        world.delete(&desk, &path).await.is(204);
        world.get(&phone, "/api/v1/me").await.is(401);

        let phone = world.sign_in("anna@example.com").await;
        world.delete(&desk, "/api/v1/me/sessions").await.is(204);
        world.get(&phone, "/api/v1/me").await.is(401);
        world.get(&desk, "/api/v1/me").await.is(200);
        world.get(&eve, "/api/v1/me").await.is(200);
    })
    .await;
}

#[tokio::test]
async fn s1_a_new_password_ends_all_other_sessions() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let desk = world.sign_in("anna@example.com").await;
        let thief = world.sign_in("anna@example.com").await;
        let change = |new: &str| json!({ "current": PASSWORD, "new": new });
        let path = "/api/v1/me/password";
        let short = world.put(&desk, path, &change("short")).await;
        assert_eq!(short.is(422).json()["errors"][0]["code"], "too_short");
        let wrong = json!({ "current": "guessed it maybe", "new": "four better words here" });
        world.put(&desk, path, &wrong).await.is(401);
        let changed = world
            .put(&desk, path, &change("four better words here"))
            .await;
        let desk = Browser {
            cookie: changed.is(204).cookie(),
            ..desk
        };
        world.get(&desk, "/api/v1/me").await.is(200);
        world.get(&thief, "/api/v1/me").await.is(401);
        let old = json!({ "mail": "anna@example.com", "password": PASSWORD });
        world
            .post(&World::ours(), "/api/v1/login", &old)
            .await
            .is(401);
    })
    .await;
}

#[tokio::test]
async fn s1_a_stolen_store_opens_no_session() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let browser = world.sign_in("anna@example.com").await;
        let cookie = browser.cookie.unwrap();
        let secret = cookie.split_once('=').unwrap().1;
        let mut tx = world.core.store.read().await.unwrap();
        let row = tx
            .one(query("SELECT token_hash FROM session"))
            .await
            .unwrap();
        let stored = row.octets("token_hash").unwrap();
        assert_eq!(stored.len(), 32);
        assert!(!String::from_utf8_lossy(&stored).contains(&secret[..8]));
    })
    .await;
}
