//! The status for everybody, on both engines.

use std::time::Duration;

use axum::http::header;
use serde_json::{Value, json};

use super::incidents::{self, NewIncident};
use super::page::{self, Freshness};
use super::*;
use crate::people::testing::{Browser, World};
use crate::store::query;
use crate::store::testing::on_both;
use cloud_logic::language::Language;

fn state_of(status: &Value, part: &str) -> String {
    let parts = status["parts"].as_array().unwrap();
    let found = parts.iter().find(|one| one["part"] == part).unwrap();
    found["state"].as_str().unwrap().to_owned()
}

async fn status(world: &World) -> Value {
    world
        .get(&Browser::default(), "/status.json")
        .await
        .is(200)
        .json()
}

#[tokio::test]
async fn g5_parts_are_as_the_store_tells_and_nobody_has_to_sign_in() {
    on_both(async |store| {
        let world = World::new(store).await;
        let before = status(&world).await;
        assert_eq!(state_of(&before, "devices"), "down", "no node serves");
        for well in ["api", "store", "revocation_lists"] {
            assert_eq!(state_of(&before, well), "up", "{well}");
        }
        let mut tx = world.core.store.write().await.unwrap();
        let soon = world.core.now().saturating_add(Duration::from_secs(60));
        let node = query("INSERT INTO node (id, started, lease_until) VALUES ('no-1', 0, $1)");
        tx.execute(node.bind(soon)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(state_of(&status(&world).await, "devices"), "up");
        world.core.store.close().await;
        let dead = status(&world).await;
        assert_eq!(state_of(&dead, "store"), "down");
        assert_eq!(state_of(&dead, "mail"), "unknown");
    })
    .await;
}

#[tokio::test]
async fn g5_what_operators_tell_is_shown_until_two_weeks_after_its_end() {
    on_both(async |store| {
        let world = World::new(store).await;
        let new = NewIncident {
            title: "Answers are <late>",
            state: State::Degraded,
            parts: &[Part::Api],
        };
        let mut tx = world.core.store.write().await.unwrap();
        let now = world.core.now();
        let id = incidents::open(&mut tx, &new, now).await.unwrap();
        for text in ["We look at it.", "The provider mends it & tells us."] {
            assert!(incidents::note(&mut tx, id, text, now).await.unwrap());
        }
        tx.commit().await.unwrap();
        let told = status(&world).await;
        assert_eq!(state_of(&told, "api"), "degraded");
        assert_eq!(told["incidents"][0]["parts"], json!(["api"]));
        assert_eq!(
            told["incidents"][0]["notes"][1]["text"],
            "The provider mends it & tells us."
        );

        let page = world.get(&Browser::default(), "/status").await;
        let policy = page.is(200).headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            page.text.contains("Answers are &lt;late&gt;"),
            "{}",
            page.text
        );
        assert!(page.text.contains("mends it &amp; tells"), "{}", page.text);
        assert!(!page.text.contains("<script"), "{}", page.text);

        let mut tx = world.core.store.write().await.unwrap();
        assert!(incidents::close(&mut tx, id, now).await.unwrap());
        assert!(!incidents::close(&mut tx, id, now).await.unwrap(), "once");
        assert!(!incidents::note(&mut tx, id, "late", now).await.unwrap());
        tx.commit().await.unwrap();
        let over = status(&world).await;
        assert_eq!(state_of(&over, "api"), "up");
        assert!(over["incidents"][0]["closed"].is_string());
        world
            .core
            .clock
            .advance(Duration::from_secs(15 * 24 * 3600));
        assert_eq!(status(&world).await["incidents"], json!([]));
    })
    .await;
}

#[test]
fn n1_the_page_speaks_the_readers_language() {
    let language = |wish: &str| {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, wish.parse().unwrap());
        page::language(&headers)
    };
    for (wish, expected) in [
        ("de", Language::De),
        ("de-AT,de;q=0.9,en;q=0.8", Language::De),
        ("en;q=0.5, fr-CH;q=0.9", Language::Fr),
        ("it, fr;q=0.3", Language::Fr),
        ("it", Language::En),
        ("de;q=0", Language::En),
        ("", Language::En),
        (";;q=,,", Language::En),
    ] {
        assert_eq!(language(wish), expected, "{wish}");
    }
    let at = Timestamp::from_unix_ms(0);
    let status = Status::new("A & B".to_owned(), at, &[], Vec::new());
    for (language, word) in [
        (Language::En, "not answered since"),
        (Language::De, "antwortet nicht seit"),
        (Language::Fr, "ne répond plus depuis"),
    ] {
        let text = page::render(&status, Freshness::Silent { since: at }, language);
        assert!(
            text.contains(&format!("<html lang=\"{language}\">")),
            "{text}"
        );
        assert!(text.contains(word) && text.contains("A &amp; B"), "{text}");
        assert!(text.contains("1970-01-01 00:00 UTC"), "{text}");
    }
}
