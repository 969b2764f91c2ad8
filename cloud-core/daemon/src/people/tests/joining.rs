//! Joining by invitation, and passwords that were forgotten.

use std::time::Duration;

use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use super::super::testing::{Answer, Browser, PASSWORD, World};
use crate::keys::Secret;
use crate::store::query;
use crate::store::testing::on_both;

const DAY: Duration = Duration::from_secs(24 * 3600);
const NEW: &str = "four quite other words";

fn secret(link: &Value) -> String {
    let link = link.as_str().unwrap();
    link.split_once("#s=").expect("behind the #").1.to_owned()
}

/// What the letters in the store hold, with their links opened.
async fn letters(world: &World) -> Vec<(String, String)> {
    let mut tx = world.core.store.read().await.unwrap();
    let rows = tx
        .all(query(
            "SELECT id, recipient, sealed_link FROM letter WHERE sealed_link IS NOT NULL
             ORDER BY created, id",
        ))
        .await
        .unwrap();
    rows.iter()
        .map(|row| {
            let (id, sealed) = (row.text("id").unwrap(), row.octets("sealed_link").unwrap());
            let place = Secret {
                column: "letter.sealed_link",
                row: &id,
            };
            let link = world.core.keys.sealer().unseal(place, &sealed).unwrap();
            let link = String::from_utf8(link.to_vec()).unwrap();
            assert!(!String::from_utf8_lossy(&sealed).contains("#s="));
            (row.text("recipient").unwrap(), link)
        })
        .collect()
}

async fn join(world: &World, secret: &str) -> Answer {
    let body = json!({ "secret": secret, "name": "Anna", "password": NEW });
    world
        .post(&World::ours(), "/api/v1/invitations/join", &body)
        .await
}

#[tokio::test]
async fn u1_who_is_invited_joins_once_with_the_right_that_was_promised() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let scope = Scope::Company(place.company);
        let admin = world.holder(Role::Admin, scope, "admin@example.com").await;
        let invitations = format!("/api/v1/companies/{}/invitations", place.company);
        let until = world.core.now().saturating_add(DAY * 30).to_string();
        let body = json!({ "mail": "Anna@example.com", "language": "de", "grant": {
            "role": "web_client", "project": place.project, "site": place.site,
            "until": until, "reason": "summer help", "withheld": ["call_content"],
        }});
        let invited = world.post(&admin, &invitations, &body).await.is(201).json();
        let told = secret(&invited["link"]);
        assert_eq!(letters(&world).await.len(), 1);
        assert_eq!(letters(&world).await[0].0, "Anna@example.com");
        let list = world.get(&admin, &invitations).await.is(200).json();
        assert_eq!(list["items"][0]["mail"], "Anna@example.com");
        assert!(!list.to_string().contains(&told));

        let look = json!({ "secret": told });
        let promise = world
            .post(&World::ours(), "/api/v1/invitations/look", &look)
            .await;
        let promise = promise.is(200).json();
        assert_eq!(promise["company"], "Acme");
        assert_eq!(promise["has_account"], false);

        let short = json!({ "secret": told, "name": "", "password": "short" });
        let refused = world
            .post(&World::ours(), "/api/v1/invitations/join", &short)
            .await;
        assert_eq!(
            refused.is(422).json()["errors"].as_array().unwrap().len(),
            2
        );
        let joined = join(&world, &told).await;
        let me = joined.is(200).json();
        assert_eq!(me["grants"][0]["role"], "web_client");
        assert_eq!(me["grants"][0]["withheld"], json!(["call_content"]));
        let browser = Browser {
            cookie: joined.cookie(),
            ..World::ours()
        };
        world.get(&browser, "/api/v1/me").await.is(200);
        join(&world, &told).await.is(401);
        let list = world.get(&admin, &invitations).await.is(200).json();
        assert_eq!(list["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn u1_a_link_is_worth_nothing_when_it_is_old_called_off_or_its_giver_has_lost_the_right() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        let admin = world.person(place.company, "admin@example.com").await;
        let grant = world.grant(admin, Role::Admin, scope).await;
        let browser = world.sign_in("admin@example.com").await;
        let invitations = format!("/api/v1/companies/{}/invitations", place.company);
        let invite = async |by: &Browser, mail: &str, role: &str| {
            let body = json!({ "mail": mail, "language": "en", "grant": { "role": role } });
            world.post(by, &invitations, &body).await
        };
        invite(&browser, "x@example.com", "owner").await.is(403);
        invite(&browser, "x@example.com\r\nBcc: y@example.com", "viewer")
            .await
            .is(422);
        let called_off = invite(&browser, "a@example.com", "viewer")
            .await
            .is(201)
            .json();
        let path = format!("{invitations}/{}", called_off["id"].as_str().unwrap());
        world.delete(&browser, &path).await.is(204);
        join(&world, &secret(&called_off["link"])).await.is(401);

        let orphan = invite(&browser, "b@example.com", "viewer")
            .await
            .is(201)
            .json();
        let grant = format!("/api/v1/companies/{}/grants/{grant}", place.company);
        world.delete(&owner, &grant).await.is(204);
        join(&world, &secret(&orphan["link"])).await.is(401);

        let old = invite(&owner, "c@example.com", "viewer")
            .await
            .is(201)
            .json();
        world.core.clock.advance(DAY * 7);
        join(&world, &secret(&old["link"])).await.is(401);
        super::super::tend_once(&world.core).await.unwrap();
        assert_eq!(letters(&world).await, []);
    })
    .await;
}

#[tokio::test]
async fn s1_somebody_with_an_account_accepts_for_a_second_company_and_nobody_else_does() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (home, other) = (world.company("Integrator").await, world.company("Acme").await);
        world.person(home.company, "anna@example.com").await;
        world.person(home.company, "eve@example.com").await;
        let scope = Scope::Company(other.company);
        let admin = world.holder(Role::Admin, scope, "admin@example.com").await;
        let invitations = format!("/api/v1/companies/{}/invitations", other.company);
        let body = json!({ "mail": "ANNA@example.com", "language": "en", "grant": { "role": "configurator" } });
        let invited = world.post(&admin, &invitations, &body).await.is(201).json();
        let told = secret(&invited["link"]);
        join(&world, &told).await.is(409);
        let shown = json!({ "secret": told });
        let eve = world.sign_in("eve@example.com").await;
        world.post(&eve, "/api/v1/me/invitations", &shown).await.is(401);
        let anna = world.sign_in("anna@example.com").await;
        world.post(&anna, "/api/v1/me/invitations", &shown).await.is(204);
        let me = world.get(&anna, "/api/v1/me").await.is(200).json();
        assert_eq!(me["companies"], json!([other.company.to_string()]));
        world.post(&anna, "/api/v1/me/invitations", &shown).await.is(401);
    })
    .await;
}

#[tokio::test]
async fn s1_a_forgotten_password_is_chosen_anew_and_nobody_learns_who_has_an_account() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let before = world.sign_in("anna@example.com").await;
        let ask = async |mail: &str| {
            let body = json!({ "mail": mail });
            world
                .post(&World::ours(), "/api/v1/password/forgotten", &body)
                .await
        };
        let (there, not) = (
            ask("anna@example.com").await,
            ask("nobody@example.com").await,
        );
        assert_eq!(
            (there.is(202).text.as_str(), not.is(202).text.as_str()),
            ("", "")
        );
        let first = letters(&world).await;
        ask("anna@example.com").await.is(202);
        let both = letters(&world).await;
        assert_eq!((first.len(), both.len()), (1, 2));

        let choose = async |link: &str, password: &str| {
            let body = json!({ "secret": secret(&json!(link)), "password": password });
            world
                .post(&World::ours(), "/api/v1/password/choose", &body)
                .await
        };
        let newest = &both
            .iter()
            .find(|letter| !first.contains(letter))
            .unwrap()
            .1;
        choose(&first[0].1, NEW).await.is(401);
        choose(newest, "short").await.is(422);
        choose(newest, NEW).await.is(204);
        choose(newest, NEW).await.is(401);
        world.get(&before, "/api/v1/me").await.is(401);
        let login = |password: &str| json!({ "mail": "anna@example.com", "password": password });
        world
            .post(&World::ours(), "/api/v1/login", &login(PASSWORD))
            .await
            .is(401);
        world
            .post(&World::ours(), "/api/v1/login", &login(NEW))
            .await
            .is(200);

        ask("anna@example.com").await.is(202);
        let link = letters(&world).await.pop().unwrap().1;
        world.core.clock.advance(Duration::from_secs(3600));
        choose(&link, NEW).await.is(401);
    })
    .await;
}

#[tokio::test]
async fn u1_an_administrator_resets_a_password_only_of_whom_she_could_be_anyway() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, other) = (world.company("Acme").await, world.company("Other").await);
        let scope = Scope::Company(place.company);
        let admin = world.holder(Role::Admin, scope, "admin@example.com").await;
        let path = |user| {
            format!(
                "/api/v1/companies/{}/users/{user}/password-reset",
                place.company
            )
        };
        let anna = world.person(place.company, "anna@example.com").await;
        world.grant(anna, Role::Viewer, scope).await;
        let reset = world
            .post(&admin, &path(anna), &json!({}))
            .await
            .is(201)
            .json();
        let body = json!({ "secret": secret(&reset["link"]), "password": NEW });
        world
            .post(&World::ours(), "/api/v1/password/choose", &body)
            .await
            .is(204);

        world
            .grant(anna, Role::Viewer, Scope::Company(other.company))
            .await;
        world.post(&admin, &path(anna), &json!({})).await.is(403);
        let owner = world.person(place.company, "owner@example.com").await;
        world.grant(owner, Role::Owner, scope).await;
        world.post(&admin, &path(owner), &json!({})).await.is(403);
        let guest = world.person(other.company, "guest@example.com").await;
        world.grant(guest, Role::Viewer, scope).await;
        world.post(&admin, &path(guest), &json!({})).await.is(404);

        // An unattended desk gives no password away.
        world.core.clock.advance(Duration::from_secs(601));
        let bob = world.person(place.company, "bob@example.com").await;
        let late = world.post(&admin, &path(bob), &json!({})).await;
        assert_eq!(late.is(403).code(), "proof_needed");
    })
    .await;
}
