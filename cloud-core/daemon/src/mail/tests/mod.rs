//! Letters on their way to a mail server that others have written.

mod server;

use std::time::Duration;

use cloud_logic::ids::CompanyId;
use cloud_logic::rights::{Role, Scope};
use serde_json::json;

use self::server::{Mood, Server};
use super::sender::{Post, Round, round};
use super::*;
use crate::config::MailEncryption;
use crate::core::Core;
use crate::people::testing::World;
use crate::store::query;
use crate::store::testing::on_both;

const HOUR: Duration = Duration::from_secs(3600);

/// A core whose letters go to this server.
async fn world(store: crate::store::Store, server: &Server) -> World {
    World::with_mail(store, Mail::new(Some(server.settings()))).await
}

async fn write_to(core: &Core, company: CompanyId, recipient: &str, lasts: Duration) {
    let mut tx = core.store.write().await.unwrap();
    let letter = Letter {
        company,
        kind: Kind::PasswordReset,
        recipient,
        language: "de",
        words: json!({ "name": "Anna <b>&" }),
        link: Some("https://core.example.com/password#s=secret"),
        expires: core.now().saturating_add(lasts),
    };
    write(&mut tx, core, letter).await.unwrap();
    tx.commit().await.unwrap();
}

async fn send_what_is_due(core: &Core) -> Round {
    // As another process would, on another node: it knows nothing but the table.
    let post = Post::of(core).unwrap().unwrap();
    let round = round(core, &post).await.unwrap();
    let mut tx = core.store.write().await.unwrap();
    tx.execute(query("DELETE FROM lease")).await.unwrap();
    tx.commit().await.unwrap();
    round
}

/// State, tries and reason of the newest letter.
async fn newest(core: &Core) -> (State, i64, String) {
    let mut tx = core.store.read().await.unwrap();
    let mut all = listed(&mut tx, None, None, None, 1).await.unwrap();
    let letter = all.remove(0);
    (
        letter.state,
        letter.tries,
        letter.reason.unwrap_or_default(),
    )
}

async fn sealed_links(core: &Core) -> i64 {
    let mut tx = core.store.read().await.unwrap();
    let asked = query("SELECT count(*) AS n FROM letter WHERE sealed_link IS NOT NULL");
    tx.one(asked).await.unwrap().int("n").unwrap()
}

#[tokio::test]
async fn d2_a_letter_arrives_once_in_the_language_of_its_reader() {
    on_both(async |store| {
        let mut server = Server::start(Mood::default()).await;
        let world = world(store, &server).await;
        let core = &world.core;
        let place = world.company("acme").await;
        write_to(core, place.company, "anna@example.com", HOUR).await;
        assert_eq!(sealed_links(core).await, 1);
        assert_eq!(send_what_is_due(core).await, Round::Idle);
        assert_eq!(send_what_is_due(core).await, Round::Idle);
        let letter = server.letter().await;
        assert_eq!(letter["to"], json!(["anna@example.com"]));
        assert_eq!(letter["from"], "no-reply@example.com");
        let message = server::parsed(letter["text"].as_str().unwrap()).await;
        assert_eq!(message["subject"], "Ein neues Passwort");
        assert_eq!(message["types"], json!(["text/plain", "text/html"]));
        let plain = message["bodies"][0].as_str().unwrap();
        assert!(
            plain.contains("https://core.example.com/password#s=secret"),
            "{plain}"
        );
        assert!(
            plain.contains("Anna <b>&, jemand hat für Ihr Konto"),
            "{plain}"
        );
        assert!(
            message["bodies"][1]
                .as_str()
                .unwrap()
                .contains("Anna &lt;b&gt;&amp;")
        );
        assert_eq!(newest(core).await.0, State::Sent);
        assert_eq!(
            sealed_links(core).await,
            0,
            "the link is gone with the letter"
        );
        server.has_no_more().await;
    })
    .await;
}

#[tokio::test]
async fn d2_a_server_that_puts_letters_off_gets_them_later() {
    on_both(async |store| {
        let mut server = Server::start(Mood {
            grey: 2,
            ..Mood::default()
        })
        .await;
        let world = world(store, &server).await;
        let core = &world.core;
        let place = world.company("acme").await;
        write_to(core, place.company, "anna@example.com", 10 * HOUR).await;
        for tries in 1..=2 {
            send_what_is_due(core).await;
            // Not before its time.
            send_what_is_due(core).await;
            let (state, tried, reason) = newest(core).await;
            assert_eq!((state, tried), (State::Waiting, tries));
            assert!(
                reason.contains("451") && reason.contains("greylisted"),
                "{reason}"
            );
            core.clock.advance(Duration::from_secs(5 * 60));
        }
        send_what_is_due(core).await;
        assert_eq!(newest(core).await.0, State::Sent);
        assert_eq!(server.letter().await["to"], json!(["anna@example.com"]));
    })
    .await;
}

#[tokio::test]
async fn d2_a_refused_letter_says_why_and_keeps_nobody_else_waiting() {
    on_both(async |store| {
        let mut server = Server::start(Mood {
            refuse: Some("gone@example.com"),
            ..Mood::default()
        })
        .await;
        let world = world(store, &server).await;
        let core = &world.core;
        let place = world.company("acme").await;
        write_to(core, place.company, "anna@example.com", HOUR).await;
        write_to(core, place.company, "gone@example.com", HOUR).await;
        send_what_is_due(core).await;
        assert_eq!(server.letter().await["to"], json!(["anna@example.com"]));
        let (state, tries, reason) = newest(core).await;
        assert_eq!((state, tries), (State::Failed, 1));
        assert!(reason.contains("no such user here"), "{reason}");
        assert_eq!(sealed_links(core).await, 0);
        let scope = Scope::Company(place.company);
        let admin = world.holder(Role::Admin, scope, "admin@example.com").await;
        let path = format!("/api/v1/companies/{}/letters", place.company);
        let shown = world.get(&admin, &format!("{path}?state=failed")).await;
        let shown = shown.is(200).json();
        assert_eq!(shown["items"][0]["recipient"], "gone@example.com");
        assert_eq!(shown["items"][0]["reason"], reason);
        assert!(!shown.to_string().contains("secret"));
        let first = world
            .get(&admin, &format!("{path}?limit=1"))
            .await
            .is(200)
            .json();
        let next = first["next_cursor"].as_str().unwrap();
        let rest = world.get(&admin, &format!("{path}?cursor={next}")).await;
        assert_eq!(rest.is(200).json()["items"][0]["state"], "sent");
    })
    .await;
}

#[tokio::test]
async fn d2_letters_outlast_a_mail_server_that_dies_and_comes_back() {
    on_both(async |store| {
        let mut server = Server::start(Mood::default()).await;
        let world = world(store, &server).await;
        let core = &world.core;
        let place = world.company("acme").await;
        let port = server.port;
        server.end();
        for name in ["a", "b", "c"] {
            write_to(
                core,
                place.company,
                &format!("{name}@example.com"),
                10 * HOUR,
            )
            .await;
        }
        assert_eq!(send_what_is_due(core).await, Round::ServerTrouble);
        let trouble = core.mail.trouble().expect("it is known why");
        assert!(!trouble.is_empty());
        let mut tx = core.store.read().await.unwrap();
        let tried = query("SELECT count(*) AS n FROM letter WHERE tries > 0");
        assert_eq!(
            tx.one(tried).await.unwrap().int("n").unwrap(),
            1,
            "one try, not three"
        );
        drop(tx);
        let mut server = Server::start(Mood {
            port,
            ..Mood::default()
        })
        .await;
        core.clock.advance(Duration::from_secs(10 * 60));
        assert_eq!(send_what_is_due(core).await, Round::Idle);
        let mut to = Vec::new();
        for _ in 0..3 {
            to.push(server.letter().await["to"][0].as_str().unwrap().to_owned());
        }
        to.sort();
        assert_eq!(to, ["a@example.com", "b@example.com", "c@example.com"]);
        assert_eq!(core.mail.trouble(), None);
        server.has_no_more().await;
    })
    .await;
}

#[tokio::test]
async fn d2_a_letter_at_which_the_server_breaks_off_lets_the_others_pass() {
    on_both(async |store| {
        let mut server = Server::start(Mood {
            drop: 1,
            ..Mood::default()
        })
        .await;
        let world = world(store, &server).await;
        let core = &world.core;
        let place = world.company("acme").await;
        write_to(core, place.company, "first@example.com", 10 * HOUR).await;
        write_to(core, place.company, "second@example.com", 10 * HOUR).await;
        assert_eq!(send_what_is_due(core).await, Round::ServerTrouble);
        assert_eq!(send_what_is_due(core).await, Round::Idle);
        assert_eq!(server.letter().await["to"], json!(["second@example.com"]));
        core.clock.advance(Duration::from_secs(10 * 60));
        send_what_is_due(core).await;
        assert_eq!(server.letter().await["to"], json!(["first@example.com"]));
    })
    .await;
}

#[tokio::test]
async fn g2_letters_with_links_leave_over_tls_with_a_known_certificate_or_not_at_all() {
    on_both(async |store| {
        let core = World::new(store).await.core;
        let with = |settings| Core {
            mail: Mail::new(Some(settings)),
            ..core.clone()
        };
        for tls in ["starttls", "tls"] {
            let mut server = Server::start(Mood {
                tls,
                user: Some(("antiphon", "of mails")),
                ..Mood::default()
            })
            .await;
            send_test(&with(server.settings()), "anna@example.com")
                .await
                .unwrap();
            let letter = server.letter().await;
            assert_eq!(
                (&letter["tls"], &letter["user"]),
                (&json!(true), &json!("antiphon"))
            );
            let mut unknown = server.settings();
            unknown.authority = None;
            let mut wrong = server.settings();
            wrong.password = Some(settings::values::Secret::new("guessed"));
            for settings in [unknown, wrong] {
                let refused = send_test(&with(settings), "anna@example.com").await;
                let refused = refused.unwrap_err();
                assert!(
                    refused.to_string().contains("mail server cannot be used"),
                    "{refused}"
                );
            }
            server.has_no_more().await;
        }
        // A server that offers no TLS is not spoken to in plain words.
        let server = Server::start(Mood::default()).await;
        let mut insisting = server.settings();
        insisting.encryption = MailEncryption::Starttls;
        let refused = send_test(&with(insisting), "anna@example.com").await;
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains("STARTTLS"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_letter_that_is_worth_nothing_any_more_is_not_sent_and_forgotten_in_time() {
    on_both(async |store| {
        let mut server = Server::start(Mood::default()).await;
        let world = world(store, &server).await;
        let core = &world.core;
        let place = world.company("acme").await;
        write_to(core, place.company, "anna@example.com", HOUR).await;
        core.clock.advance(HOUR);
        send_what_is_due(core).await;
        let (state, tries, reason) = newest(core).await;
        assert_eq!((state, tries), (State::Failed, 0));
        assert!(reason.contains("in time"), "{reason}");
        assert_eq!(sealed_links(core).await, 0);
        server.has_no_more().await;
        core.clock.advance(31 * 24 * HOUR);
        let mut tx = core.store.write().await.unwrap();
        forget(&mut tx, core.now()).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = core.store.read().await.unwrap();
        assert!(
            listed(&mut tx, None, None, None, 9)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn g6_two_nodes_send_each_letter_once() {
    on_both(async |store| {
        let mut server = Server::start(Mood::default()).await;
        let world = world(store, &server).await;
        let core = &world.core;
        let place = world.company("acme").await;
        for number in 0..12 {
            write_to(core, place.company, &format!("u{number}@example.com"), HOUR).await;
        }
        let (one, other) = (
            Post::of(core).unwrap().unwrap(),
            Post::of(core).unwrap().unwrap(),
        );
        let (first, second) = tokio::join!(round(core, &one), round(core, &other));
        assert_eq!(
            (first.unwrap(), second.unwrap()),
            (Round::Idle, Round::Idle)
        );
        let mut to = Vec::new();
        for _ in 0..12 {
            to.push(server.letter().await["to"][0].as_str().unwrap().to_owned());
        }
        to.sort();
        to.dedup();
        assert_eq!(to.len(), 12);
        server.has_no_more().await;
    })
    .await;
}
