//! Giving rights, taking them, and seeing why.

use std::time::Duration;

use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use super::super::testing::World;
use crate::store::testing::on_both;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn give(user: impl ToString, grant: Value) -> Value {
    json!({ "user": user.to_string(), "grant": grant })
}

#[tokio::test]
async fn u1_a_right_holds_from_the_moment_it_is_given_until_it_is_taken() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (_, owner) = world
            .somebody(Role::Owner, company, "owner@example.com")
            .await;
        let anna = world.person(place.company, "anna@example.com").await;
        let browser = world.sign_in("anna@example.com").await;
        let users = format!("/api/v1/companies/{}/users", place.company);
        let grants = format!("/api/v1/companies/{}/grants", place.company);
        world.get(&browser, &users).await.is(404);

        let viewer = give(anna, json!({ "role": "viewer" }));
        let given = world.post(&owner, &grants, &viewer).await;
        let id = given.is(201).json()["id"].as_str().unwrap().to_owned();
        let seen = world.get(&browser, &users).await;
        assert_eq!(seen.is(200).json()["items"].as_array().unwrap().len(), 2);
        world.post(&browser, &grants, &viewer).await.is(403);

        let grant = format!("{grants}/{id}");
        assert_eq!(
            world.get(&browser, &grant).await.is(200).json()["role"],
            "viewer"
        );
        world.delete(&owner, &grant).await.is(204);
        world.get(&browser, &users).await.is(404);
        world.delete(&owner, &grant).await.is(404);
    })
    .await;
}

#[tokio::test]
async fn u1_support_comes_with_an_end_and_a_reason_and_goes_by_itself() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (_, owner) = world
            .somebody(Role::Owner, company, "owner@example.com")
            .await;
        let helper = world.person(place.company, "helper@example.com").await;
        let grants = format!("/api/v1/companies/{}/grants", place.company);
        let until = world.core.now().saturating_add(DAY).to_string();
        let mut wish = json!({ "role": "support", "project": place.project, "site": place.site });
        let code = |answer: &super::super::testing::Answer| {
            answer.is(422).json()["errors"][0]["code"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let answer = world
            .post(&owner, &grants, &give(helper, wish.clone()))
            .await;
        assert_eq!(code(&answer), "support_needs_end");
        wish["until"] = json!(until);
        let answer = world
            .post(&owner, &grants, &give(helper, wish.clone()))
            .await;
        assert_eq!(code(&answer), "reason_missing");
        wish["reason"] = json!("door 3 does not open");
        world
            .post(&owner, &grants, &give(helper, wish))
            .await
            .is(201);

        let browser = world.sign_in("helper@example.com").await;
        let me = async || world.get(&browser, "/api/v1/me").await.is(200).json()["grants"].clone();
        assert_eq!(me().await[0]["reason"], "door 3 does not open");
        world.core.clock.advance(Duration::from_secs(11 * 3600));
        assert_eq!(me().await.as_array().unwrap().len(), 1);
        world.core.clock.advance(Duration::from_secs(8 * 3600 - 1));
        assert_eq!(me().await.as_array().unwrap().len(), 1);
        world.core.clock.advance(Duration::from_secs(5 * 3600 + 1));
        assert_eq!(me().await.as_array().unwrap().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn u1_nobody_gives_more_than_she_has_nor_where_she_has_nothing() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (ours, theirs) = (world.company("Acme").await, world.company("Other").await);
        let project = Scope::Project(ours.company, ours.project);
        let (admin, browser) = world
            .somebody(Role::Admin, project, "admin@example.com")
            .await;
        world
            .grant(admin, Role::Viewer, Scope::Company(ours.company))
            .await;
        let grants = format!("/api/v1/companies/{}/grants", ours.company);
        let tries = async |wish: Value| {
            let answer = world.post(&browser, &grants, &give(admin, wish)).await;
            answer.status.as_u16()
        };
        assert_eq!(tries(json!({ "role": "owner" })).await, 403);
        assert_eq!(
            tries(json!({ "role": "viewer" })).await,
            403,
            "not the company"
        );
        let beside = json!({ "role": "viewer", "project": ours.other_project });
        assert_eq!(tries(beside).await, 403, "she sees that project");
        let foreign = json!({ "role": "viewer", "project": theirs.project });
        assert_eq!(tries(foreign).await, 404);
        let mixed = json!({ "role": "viewer", "project": ours.project, "site": ours.other_site });
        assert_eq!(tries(mixed).await, 404, "a site of another project");
        let below = json!({ "role": "viewer", "project": ours.project, "site": ours.site });
        assert_eq!(tries(below).await, 201);
        let other = format!("/api/v1/companies/{}/grants", theirs.company);
        let wish = give(admin, json!({ "role": "viewer" }));
        world.post(&browser, &other, &wish).await.is(404);
    })
    .await;
}

#[tokio::test]
async fn the_last_owner_cannot_be_removed_or_blocked() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let owner = world.person(place.company, "owner@example.com").await;
        let grant = world.grant(owner, Role::Owner, company).await;
        let browser = world.sign_in("owner@example.com").await;
        let path = format!("/api/v1/companies/{}/grants/{grant}", place.company);
        assert_eq!(
            world.delete(&browser, &path).await.is(409).code(),
            "conflict"
        );

        let user = format!("/api/v1/companies/{}/users/{owner}", place.company);
        let mut with_version = browser.clone();
        let version = world.get(&browser, &user).await.etag();
        with_version.headers.push(("if-match", version));
        let blocked = json!({ "blocked": true });
        let block = format!("{user}/blocked");
        world.put(&with_version, &block, &blocked).await.is(409);

        let (_, second) = world
            .somebody(Role::Owner, company, "second@example.com")
            .await;
        world.delete(&browser, &path).await.is(204);
        let mut second_with_version = second.clone();
        second_with_version
            .headers
            .clone_from(&with_version.headers);
        world
            .put(&second_with_version, &block, &blocked)
            .await
            .is(200);
        world.get(&browser, "/api/v1/me").await.is(401);
        world
            .put(&second_with_version, &block, &json!({ "blocked": false }))
            .await
            .is(412);
    })
    .await;
}

#[tokio::test]
async fn u1_an_admin_does_not_take_an_owners_account() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (owner, browser) = world
            .somebody(Role::Owner, company, "owner@example.com")
            .await;
        let (_, admin) = world
            .somebody(Role::Admin, company, "admin@example.com")
            .await;
        let user = format!("/api/v1/companies/{}/users/{owner}", place.company);
        let mut admin = admin;
        admin
            .headers
            .push(("if-match", world.get(&admin, &user).await.etag()));
        let blocked = json!({ "blocked": true });
        world
            .put(&admin, &format!("{user}/blocked"), &blocked)
            .await
            .is(403);
        world.get(&browser, "/api/v1/me").await.is(200);
    })
    .await;
}

#[tokio::test]
async fn u1_why_she_can_see_this_names_each_grant_with_its_reason() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (_, owner) = world
            .somebody(Role::Owner, company, "owner@example.com")
            .await;
        let site = Scope::Site(place.company, place.project, place.site);
        let (anna, browser) = world.somebody(Role::Viewer, site, "anna@example.com").await;
        world.grant(anna, Role::Billing, company).await;
        let ask = |permission: &str| {
            format!(
                "/api/v1/companies/{}/users/{anna}/why?permission={permission}&project={}&site={}",
                place.company, place.project, place.site
            )
        };
        let why = world.get(&owner, &ask("device.view")).await;
        let why = why.is(200).json();
        assert_eq!(why["allowed"], true);
        assert_eq!(why["grants"][0]["says"], "allows");
        assert_eq!(why["grants"][0]["scope"], "site");
        assert_eq!(why["grants"][1]["says"], "not_in_role");
        let why = world.get(&owner, &ask("door.open")).await;
        assert_eq!(why.is(200).json()["allowed"], false);
        world.get(&owner, &ask("everything")).await.is(422);
        world.get(&browser, &ask("device.view")).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn a_company_sees_of_an_integrator_only_what_it_gave_her() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (home, guest) = (
            world.company("Integrator").await,
            world.company("Acme").await,
        );
        let scope = Scope::Company(home.company);
        let (installer, browser) = world.somebody(Role::Admin, scope, "i@example.com").await;
        let site = Scope::Site(guest.company, guest.project, guest.site);
        world.grant(installer, Role::Configurator, site).await;
        let scope = Scope::Company(guest.company);
        let (_, admin) = world
            .somebody(Role::Admin, scope, "admin@example.com")
            .await;
        let grants = format!(
            "/api/v1/companies/{}/grants?holder={installer}",
            guest.company
        );
        let seen = world.get(&admin, &grants).await;
        assert_eq!(seen.is(200).json()["items"].as_array().unwrap().len(), 1);
        let me = world.get(&browser, "/api/v1/me").await;
        assert_eq!(me.is(200).json()["companies"].as_array().unwrap().len(), 2);
        let account = format!("/api/v1/companies/{}/users/{installer}", guest.company);
        let mut admin = admin;
        let read = world.get(&admin, &account).await;
        assert_eq!(read.is(200).json()["own"], false);
        admin.headers.push(("if-match", read.etag()));
        let block = format!("{account}/blocked");
        world
            .put(&admin, &block, &json!({ "blocked": true }))
            .await
            .is(404);
    })
    .await;
}
