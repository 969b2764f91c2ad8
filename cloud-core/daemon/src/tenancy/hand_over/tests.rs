//! Hand-overs, over the interface and against the tables.

use std::collections::BTreeSet;
use std::time::Duration;

use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use super::moving::{PASSES, STAYS};
use crate::people::testing::{Browser, Place, World};
use crate::store::testing::on_both;
use crate::store::{Engine, Tx, query};
use crate::tenancy::of_site;

const MINE: &str = "/api/v1/me/hand-overs";

/// Two companies with an owner each.
struct Two {
    world: World,
    giver: (Place, Browser),
    taker: (Place, Browser),
}

impl Two {
    async fn new(store: crate::store::Store) -> Self {
        let world = World::new(store).await;
        let (clinics, houses) = (
            world.company("Clinics").await,
            world.company("Houses").await,
        );
        let owner = async |place: Place, mail| {
            let scope = Scope::Company(place.company);
            (place, world.holder(Role::Owner, scope, mail).await)
        };
        let giver = owner(clinics, "giver@a.test").await;
        let taker = owner(houses, "taker@b.test").await;
        Self {
            world,
            giver,
            taker,
        }
    }

    fn project(&self) -> String {
        format!("/api/v1/projects/{}/hand-over", self.giver.0.project)
    }

    fn company(&self) -> String {
        format!("/api/v1/companies/{}/hand-overs", self.giver.0.company)
    }

    /// The path of a new offer of the giver's first project to the taker.
    async fn offered(&self) -> String {
        self.offer(&self.project()).await
    }

    async fn offer(&self, path: &str) -> String {
        let wish = json!({ "mail": "Taker@B.test" });
        let made = self.world.post(&self.giver.1, path, &wish).await;
        made.is(201).json()["id"].as_str().unwrap().to_owned()
    }

    async fn accept(&self, id: &str) -> crate::people::testing::Answer {
        let wish = json!({ "company": self.taker.0.company });
        let path = format!("{MINE}/{id}/accept");
        self.world.post(&self.taker.1, &path, &wish).await
    }
}

/// Rows of a table that name this company, and those of the project among them.
async fn count(tx: &mut Tx, table: &'static str, of: Place) -> i64 {
    let counted = query("SELECT COUNT(*) AS n FROM ")
        .text(table)
        .text(" WHERE company_id = ")
        .value(of.company)
        .text(" AND project_id = ")
        .value(of.project);
    tx.one(counted).await.unwrap().int("n").unwrap()
}

#[tokio::test]
async fn s1_a_project_passes_with_all_that_belongs_to_it_when_both_consent() {
    on_both(async |store| {
        let two = Two::new(store).await;
        let (world, place) = (&two.world, two.giver.0);
        let device = world.device(place).await;
        let scope = Scope::Project(place.company, place.project);
        let helper = world.holder(Role::Admin, scope, "helper@a.test").await;
        let site = format!("/api/v1/sites/{}", place.site);
        world.get(&helper, &site).await.is(200);

        let preview = world.get(&two.giver.1, &two.project()).await;
        let preview = preview.is(200).json();
        assert_eq!(preview["goes"]["sites"], 1);
        assert_eq!(preview["goes"]["devices"], 1);
        assert_eq!(preview["ends"]["grants"], 1);
        let id = two.offered().await;
        let offers = world.get(&two.taker.1, MINE).await.is(200).json();
        assert_eq!(offers["items"][0]["id"], id);
        assert_eq!(offers["items"][0]["company_name"], "Clinics");
        assert_eq!(offers["items"][0]["preview"], preview);
        two.accept(&id).await.is(204);

        world.get(&two.giver.1, &site).await.is(404);
        world.get(&helper, &site).await.is(404);
        let seen = world.get(&two.taker.1, &site).await.is(200).json();
        assert_eq!(seen["company"], two.taker.0.company.to_string());
        // What stays is untouched.
        let other = format!("/api/v1/sites/{}", place.other_site);
        world.get(&two.giver.1, &other).await.is(200);
        world.get(&two.taker.1, &other).await.is(404);

        let mut tx = world.core.store.read().await.unwrap();
        let found = query("SELECT company_id FROM device WHERE id = $1").bind(device);
        let company = tx.one(found).await.unwrap().text("company_id").unwrap();
        assert_eq!(company, two.taker.0.company.to_string());
        for table in PASSES {
            assert_eq!(count(&mut tx, table, place).await, 0, "{table}");
        }
        for (company, action) in [
            (place.company, "project.give"),
            (two.taker.0.company, "project.take"),
        ] {
            let held = tx.audit_holds(Some(company)).await.unwrap();
            assert!(held.unwrap() > 0);
            let told = query("SELECT seq FROM audit WHERE company_id = $1 AND action = $2");
            let told = tx.optional(told.bind(company).bind(action)).await;
            assert!(told.unwrap().is_some(), "{action}");
        }
    })
    .await;
}

/// A new table with both columns has to stand in one of the lists.
#[tokio::test]
async fn s1_no_table_of_a_project_is_left_behind_by_accident() {
    on_both(async |store| {
        let mut tx = store.read().await.unwrap();
        let columns = match tx.engine() {
            Engine::Sqlite => {
                "SELECT m.name AS t, c.name AS c FROM sqlite_master m, pragma_table_info(m.name) c
                 WHERE m.type = 'table'"
            }
            Engine::Postgres => {
                "SELECT table_name::text AS t, column_name::text AS c
                 FROM information_schema.columns WHERE table_schema = 'public'"
            }
        };
        let mut found: BTreeSet<String> = BTreeSet::new();
        let rows = tx.all(query(columns)).await.unwrap();
        let with = |column: &str| -> BTreeSet<String> {
            rows.iter()
                .filter(|row| row.text("c").unwrap() == column)
                .map(|row| row.text("t").unwrap())
                .collect()
        };
        found.extend(
            with("company_id")
                .intersection(&with("project_id"))
                .cloned(),
        );
        let stays = STAYS.iter().map(|(table, _)| *table);
        let known: BTreeSet<String> = PASSES
            .iter()
            .copied()
            .chain(stays)
            .map(str::to_owned)
            .collect();
        assert_eq!(
            found, known,
            "a table with company_id and project_id stands in PASSES or in STAYS of hand_over/moving.rs"
        );
    })
    .await;
}

#[tokio::test]
async fn s1_a_company_passes_to_another_owner() {
    on_both(async |store| {
        let two = Two::new(store).await;
        let (world, place) = (&two.world, two.giver.0);
        let scope = Scope::Company(place.company);
        let viewer = world.holder(Role::Viewer, scope, "viewer@a.test").await;
        let company = format!("/api/v1/companies/{}", place.company);
        world.get(&two.taker.1, &company).await.is(404);
        let id = two.offer(&two.company()).await;
        two.accept(&id).await.is(204);
        world.get(&two.taker.1, &company).await.is(200);
        world.get(&two.giver.1, &company).await.is(404);
        world.get(&viewer, &company).await.is(200);
        let grants = format!("{company}/grants");
        let grants = world.get(&two.taker.1, &grants).await.is(200).json();
        let owners: Vec<_> = grants["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|grant| grant["role"] == "owner")
            .collect();
        assert_eq!(owners.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn s1_nobody_takes_what_was_not_offered_to_her_or_is_offered_no_more() {
    on_both(async |store| {
        let two = Two::new(store).await;
        let world = &two.world;
        let third = world.company("Third").await;
        let scope = Scope::Company(third.company);
        let eve = world.holder(Role::Owner, scope, "eve@c.test").await;
        let accept = |id: &str| format!("{MINE}/{id}/accept");
        let into = |place: Place| json!({ "company": place.company });

        let id = two.offered().await;
        world.post(&eve, &accept(&id), &into(third)).await.is(404);
        let refuse = format!("{MINE}/{id}/refuse");
        world.post(&eve, &refuse, &json!({})).await.is(404);
        assert_eq!(world.get(&eve, MINE).await.json()["items"], json!([]));
        // Into a company that is not hers, or none, or the giver's own.
        let taker = &two.taker.1;
        world.post(taker, &accept(&id), &into(third)).await.is(404);
        world.post(taker, &accept(&id), &json!({})).await.is(422);
        // Twice at once.
        let twice = json!({ "mail": "eve@c.test" });
        world
            .post(&two.giver.1, &two.project(), &twice)
            .await
            .is(409);
        // Cancelled.
        let offer = format!("/api/v1/hand-overs/{id}");
        world.delete(taker, &offer).await.is(404);
        world.delete(&two.giver.1, &offer).await.is(204);
        world.delete(&two.giver.1, &offer).await.is(409);
        two.accept(&id).await.is(404);
        // Refused.
        let id = two.offered().await;
        let refuse = format!("{MINE}/{id}/refuse");
        world.post(taker, &refuse, &json!({})).await.is(204);
        two.accept(&id).await.is(404);
        // Expired.
        let id = two.offered().await;
        let site = format!("/api/v1/sites/{}", two.giver.0.site);
        world
            .core
            .clock
            .advance(Duration::from_secs(14 * 24 * 3600));
        let taker = world.sign_in("taker@b.test").await;
        let answer = world.post(&taker, &accept(&id), &into(two.taker.0)).await;
        answer.is(404);
        let giver = world.sign_in("giver@a.test").await;
        world.get(&giver, &site).await.is(200);
        let all = world.get(&giver, &two.company()).await.is(200).json();
        let states: Vec<_> = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|offer| offer["state"].clone())
            .collect();
        assert_eq!(states, ["expired", "refused", "cancelled"]);
        // A new one may be made then.
        let again = json!({ "mail": "taker@b.test" });
        world.post(&giver, &two.project(), &again).await.is(201);
    })
    .await;
}

#[tokio::test]
async fn s1_a_giver_needs_a_fresh_proof_and_still_her_right_when_it_is_accepted() {
    on_both(async |store| {
        let two = Two::new(store).await;
        let (world, place) = (&two.world, two.giver.0);
        let scope = Scope::Company(place.company);
        let admin = world.holder(Role::Admin, scope, "admin@a.test").await;
        let wish = json!({ "mail": "taker@b.test" });
        world.post(&admin, &two.company(), &wish).await.is(403);
        let made = world.post(&admin, &two.project(), &wish).await;
        let id = made.is(201).json()["id"].as_str().unwrap().to_owned();
        let mut tx = world.core.store.write().await.unwrap();
        let taken = query("DELETE FROM grant_ WHERE role = 'admin'");
        tx.execute(taken).await.unwrap();
        tx.commit().await.unwrap();
        let answer = two.accept(&id).await;
        assert_eq!(answer.is(409).code(), "conflict");
        world.core.clock.advance(Duration::from_secs(601));
        let answer = world.post(&two.giver.1, &two.project(), &wish).await;
        assert_eq!(answer.is(403).code(), "proof_needed");
    })
    .await;
}

#[tokio::test]
async fn s1_a_project_whose_name_is_taken_passes_under_another() {
    on_both(async |store| {
        let two = Two::new(store).await;
        let world = &two.world;
        let mut tx = world.core.store.write().await.unwrap();
        for project in [two.giver.0.project, two.taker.0.project] {
            let name = query("UPDATE project SET name = 'North', name_key = 'north' WHERE id = $1");
            tx.execute(name.bind(project)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let id = two.offered().await;
        let told = two.accept(&id).await.is(409).json();
        assert!(told["detail"].as_str().unwrap().contains("`name`"));
        let wish = json!({ "company": two.taker.0.company, "name": "North, formerly Clinics" });
        let path = format!("{MINE}/{id}/accept");
        world.post(&two.taker.1, &path, &wish).await.is(204);
        let path = format!("/api/v1/projects/{}", two.giver.0.project);
        let project: Value = world.get(&two.taker.1, &path).await.is(200).json();
        assert_eq!(project["name"], "North, formerly Clinics");
    })
    .await;
}

/// Who binds something to a site at that moment is before the hand-over, or sees the new company.
#[tokio::test]
async fn s1_a_device_that_is_bound_at_the_moment_of_a_hand_over_goes_along() {
    on_both(async |store| {
        let two = Two::new(store).await;
        let (world, place) = (&two.world, two.giver.0);
        let id = two.offered().await;
        let mut binding = world.core.store.write().await.unwrap();
        let scope = of_site(&mut binding, place.site).await.unwrap();
        assert_eq!(scope.unwrap().company(), place.company);
        let insert = query(
            "INSERT INTO device (id, company_id, project_id, site_id, version, created)
             VALUES ('de-00000000000000000000000001', $1, $2, $3, 1, 1)",
        );
        let accepted = two.accept(&id);
        let bound = async {
            let insert = insert
                .bind(place.company)
                .bind(place.project)
                .bind(place.site);
            binding.execute(insert).await.unwrap();
            binding.commit().await.unwrap();
        };
        let (accepted, ()) = tokio::join!(accepted, bound);
        accepted.is(204);
        let mut tx = world.core.store.write().await.unwrap();
        let found = query("SELECT company_id FROM device WHERE project_id = $1");
        let row = tx.one(found.bind(place.project)).await.unwrap();
        let (company, taker) = (row.text("company_id").unwrap(), two.taker.0.company);
        assert_eq!(company, taker.to_string());
        let scope = of_site(&mut tx, place.site).await.unwrap();
        assert_eq!(scope.unwrap().company(), taker);
    })
    .await;
}

#[tokio::test]
async fn s1_what_was_written_for_the_giver_at_that_moment_is_brought_along() {
    on_both(async |store| {
        let two = Two::new(store).await;
        let (world, place) = (&two.world, two.giver.0);
        let id = two.offered().await;
        two.accept(&id).await.is(204);
        // As a message of a device, stored by a transaction that began before.
        let mut tx = world.core.store.write().await.unwrap();
        let late = query(
            "INSERT INTO device (id, company_id, project_id, site_id, version, created)
             VALUES ('de-00000000000000000000000002', $1, $2, $3, 1, 1)",
        );
        let late = late
            .bind(place.company)
            .bind(place.project)
            .bind(place.site);
        tx.execute(late).await.unwrap();
        tx.commit().await.unwrap();
        super::tend(&world.core).await.unwrap();
        let mut tx = world.core.store.read().await.unwrap();
        assert_eq!(count(&mut tx, "device", place).await, 0);
        let there = Place {
            company: two.taker.0.company,
            ..place
        };
        assert_eq!(count(&mut tx, "device", there).await, 1);
    })
    .await;
}
