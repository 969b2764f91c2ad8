//! Claims as people see them in the portal.

use std::time::Duration;

use cloud_logic::rights::{Role, Scope};
use contract::enrolment::ClaimCode;
use serde_json::json;

use crate::claims::{NewUnit, add};
use crate::people::testing::World;
use crate::store::audit::Actor;
use crate::store::testing::on_both;

async fn unit(world: &World) -> ClaimCode {
    let mut tx = world.core.store.write().await.unwrap();
    let unit = NewUnit {
        model: "OD1 CM-B".to_owned(),
        revision: None,
        serial_number: Some("4711".to_owned()),
        factory_key: None,
        code: None,
    };
    let added = add(&mut tx, &world.core, &Actor::named("cli"), unit).await;
    tx.commit().await.unwrap();
    added.unwrap().1
}

#[tokio::test]
async fn d1_an_administrator_claims_with_the_code_as_it_is_typed_and_releases_again() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (_, admin) = world.somebody(Role::Admin, company, "a@example.com").await;
        let code = unit(&world).await;
        let claims = format!("/api/v1/sites/{}/claims", place.site);
        let typed = code.printed().to_lowercase().replace('-', " ");
        let body = json!({"code": typed, "mode": "cloud"});
        let claimed = world.post(&admin, &claims, &body).await.is(201).json();
        assert_eq!(claimed["serial_number"], "4711");
        let claim = format!(
            "/api/v1/devices/{}/claim",
            claimed["device"].as_str().unwrap()
        );
        let read = world.get(&admin, &claim).await.is(200).json();
        assert_eq!(
            (&read["stage"], &read["epoch"]),
            (&json!("bound"), &json!(1))
        );
        let again = world.post(&admin, &claims, &body).await.is(422).json();
        assert_eq!(again["errors"][0]["code"], "claim_code_refused");
        world.delete(&admin, &claim).await.is(204);
        world.get(&admin, &claim).await.is(404);
        world.post(&admin, &claims, &body).await.is(201);
    })
    .await;
}

#[tokio::test]
async fn d1_a_mistyped_code_is_told_apart_and_not_counted() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (_, admin) = world.somebody(Role::Admin, company, "a@example.com").await;
        let code = unit(&world).await;
        let claims = format!("/api/v1/sites/{}/claims", place.site);
        let printed = code.printed();
        let end = if printed.ends_with('0') { '1' } else { '0' };
        let mistyped = format!("{}{end}", &printed[..printed.len() - 1]);
        for _ in 0..10 {
            let body = json!({"code": mistyped, "mode": "cloud"});
            let refused = world.post(&admin, &claims, &body).await.is(422).json();
            assert_eq!(refused["errors"][0]["code"], "claim_code_mistyped");
        }
        let unknown = ClaimCode::from_random([1; 20]);
        let wrong = json!({"code": unknown.printed().as_str(), "mode": "cloud"});
        for _ in 0..5 {
            world.post(&admin, &claims, &wrong).await.is(422);
        }
        let refused = world.post(&admin, &claims, &wrong).await;
        assert_eq!(refused.is(429).code(), "too_many");
        assert!(refused.headers.contains_key("retry-after"));
    })
    .await;
}

#[tokio::test]
async fn u1_only_who_may_claims_and_other_companies_learn_nothing() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (ours, theirs) = (world.company("Acme").await, world.company("Other").await);
        let scope = Scope::Company(ours.company);
        let (_, admin) = world.somebody(Role::Admin, scope, "a@example.com").await;
        let (_, viewer) = world.somebody(Role::Viewer, scope, "v@example.com").await;
        let foreign = Scope::Company(theirs.company);
        let (_, stranger) = world.somebody(Role::Owner, foreign, "s@example.com").await;
        let claims = format!("/api/v1/sites/{}/claims", ours.site);
        let code = unit(&world).await;
        let body = json!({"code": code.printed().as_str(), "mode": "cloud"});
        world.post(&viewer, &claims, &body).await.is(403);
        let hidden = world.post(&stranger, &claims, &body).await;
        let absent = "/api/v1/sites/si-00000000000000000000000009/claims";
        let absent = world.post(&stranger, absent, &body).await;
        assert_eq!(hidden.is(404).text, absent.is(404).text);
        let claimed = world.post(&admin, &claims, &body).await.is(201).json();
        let device = format!("/api/v1/devices/{}", claimed["device"].as_str().unwrap());
        world.get(&viewer, &format!("{device}/claim")).await.is(200);
        world
            .delete(&viewer, &format!("{device}/claim"))
            .await
            .is(403);
        world
            .get(&stranger, &format!("{device}/claim"))
            .await
            .is(404);
        world
            .delete(&stranger, &format!("{device}/claim"))
            .await
            .is(404);
        let revocation = format!("{device}/revocation");
        let why = json!({"reason": "withdrawn"});
        world.post(&stranger, &revocation, &why).await.is(404);
        let revoked = world.post(&admin, &revocation, &why).await;
        assert_eq!(revoked.is(200).json()["certificates"], 0);
    })
    .await;
}

#[tokio::test]
async fn d1_what_cannot_be_taken_back_asks_for_a_fresh_proof() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (_, admin) = world.somebody(Role::Admin, company, "a@example.com").await;
        let gateways = format!("/api/v1/sites/{}/gateways", place.site);
        let added = world
            .post(&admin, &gateways, &json!({}))
            .await
            .is(201)
            .json();
        world.core.clock.advance(Duration::from_secs(3600));
        let device = format!("/api/v1/devices/{}", added["device"].as_str().unwrap());
        let refused = world.delete(&admin, &format!("{device}/claim")).await;
        assert_eq!(refused.is(403).code(), "proof_needed");
    })
    .await;
}

#[tokio::test]
async fn d1_a_gateway_is_added_with_a_code_that_is_told_once() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (_, admin) = world.somebody(Role::Admin, company, "a@example.com").await;
        let gateways = format!("/api/v1/sites/{}/gateways", place.site);
        let added = world
            .post(&admin, &gateways, &json!({}))
            .await
            .is(201)
            .json();
        let code = added["code"].as_str().unwrap();
        assert!(code.parse::<ClaimCode>().is_ok());
        assert!(
            added["link"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/claim#{code}"))
        );
        assert!(added["qr"].as_str().unwrap().contains("<svg"));
        let claim = format!(
            "/api/v1/devices/{}/claim",
            added["device"].as_str().unwrap()
        );
        let read = world.get(&admin, &claim).await;
        assert!(!read.is(200).text.contains(code));
        let read = read.json();
        assert_eq!(
            (&read["mode"], &read["model"]),
            (&json!("bridge"), &json!("GATEWAY"))
        );
    })
    .await;
}

#[tokio::test]
async fn d5_the_catalogue_says_what_each_mode_needs() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let company = Scope::Company(place.company);
        let (_, viewer) = world.somebody(Role::Viewer, company, "v@example.com").await;
        let models = world.get(&viewer, "/api/v1/catalogue").await.is(200).json();
        let models = models.as_array().unwrap();
        assert_eq!(models.len(), 59);
        let station = models
            .iter()
            .find(|model| model["model"] == "ET 962H")
            .unwrap();
        let cloud = json!({"mode": "cloud", "min_firmware": "05.00.02.11"});
        assert_eq!(
            (&station["min_revision"], &station["modes"][0]),
            (&json!("AD"), &cloud)
        );
    })
    .await;
}
