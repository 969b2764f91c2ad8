//! What a person is given, and that she is forgotten wherever she was known (G1).

use cloud_logic::ids::UserId;
use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use super::make::make_waiting;
use crate::core::Core;
use crate::people::testing::{Browser, Place, World};
use crate::retention;
use crate::store::testing::on_both;

const MAIL: &str = "Anna.Unmistakable@example.com";

/// A company with an owner, and Anna who has worked there.
struct Story {
    world: World,
    place: Place,
    owner: Browser,
    anna: UserId,
    hers: Browser,
}

impl Story {
    async fn new(store: crate::store::Store) -> Self {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "owner@a.test").await;
        let (anna, hers) = world.somebody(Role::Admin, scope, MAIL).await;
        let label = json!({"name": "mine", "colour": "teal"});
        world.post(&hers, "/api/v1/me/labels", &label).await.is(201);
        let projects = format!("/api/v1/companies/{}/projects", place.company);
        world
            .post(&hers, &projects, &json!({"name": "new wing"}))
            .await
            .is(201);
        let forgotten = json!({"mail": MAIL});
        world
            .post(&World::ours(), "/api/v1/password/forgotten", &forgotten)
            .await
            .is(202);
        Self {
            world,
            place,
            owner,
            anna,
            hers,
        }
    }

    fn user(&self) -> String {
        format!(
            "/api/v1/companies/{}/users/{}",
            self.place.company, self.anna
        )
    }

    /// What was asked for, as it is fetched.
    async fn fetched(&self, who: &Browser, ask: &str) -> Value {
        let asked = self.world.post(who, ask, &json!({})).await.is(202).json();
        assert_eq!(asked["state"], "waiting");
        let one = format!("/api/v1/me/exports/{}", asked["id"].as_str().unwrap());
        let content = format!("{one}/content");
        self.world.get(who, &content).await.is(409);
        assert_eq!(
            self.world.post(who, ask, &json!({})).await.is(202).json(),
            asked,
            "once"
        );
        assert_eq!(make_waiting(&self.world.core).await.unwrap(), 1);
        assert_eq!(
            self.world.get(who, &one).await.is(200).json()["state"],
            "ready"
        );
        self.world.get(who, &content).await.is(200).json()
    }
}

#[tokio::test]
async fn g1_a_person_is_given_all_that_is_known_of_her_without_secrets() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let known = story.fetched(&story.hers, "/api/v1/me/export").await;
        assert_eq!(known["about"], story.anna.to_string());
        let data = &known["data"];
        assert_eq!(data["account"][0]["mail"], MAIL);
        assert_eq!(data["labels"][0]["name"], "mine");
        assert_eq!(data["grants"][0]["role"], "admin");
        assert_eq!(data["letters"][0]["kind"], "password_reset");
        assert_eq!(data["sessions"][0]["address"], "192.0.2.7");
        let done: Vec<_> = data["audit"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["action"].as_str().unwrap())
            .collect();
        assert!(
            done.contains(&"project.add") && done.contains(&"session.begin"),
            "{done:?}"
        );
        let text = known.to_string();
        for secret in ["argon2", "token_hash", "sealed", "password\":"] {
            assert!(!text.contains(secret), "{secret}");
        }
    })
    .await;
}

#[tokio::test]
async fn g1_a_company_exports_its_own_people_and_what_it_knows_of_them() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let other = story.world.company("Hotels").await;
        let scope = Scope::Company(other.company);
        story.world.grant(story.anna, Role::Viewer, scope).await;
        let export = format!("{}/export", story.user());
        let known = story.fetched(&story.owner, &export).await;
        assert_eq!(
            known["data"]["grants"].as_array().unwrap().len(),
            1,
            "not the other's"
        );
        assert!(!known.to_string().contains(&other.company.to_string()));
        // What she asked for is nobody else's, and the other company has no say.
        let list = story
            .world
            .get(&story.hers, "/api/v1/me/exports")
            .await
            .json();
        assert_eq!(list["items"], json!([]));
        let stranger = story.world.holder(Role::Owner, scope, "owner@b.test").await;
        let theirs = format!("/api/v1/companies/{}/users/{}", other.company, story.anna);
        story
            .world
            .post(&stranger, &format!("{theirs}/export"), &json!({}))
            .await
            .is(404);
        let mut last = stranger.clone();
        last.headers.push(("if-match", "\"1\"".to_owned()));
        story.world.delete(&last, &theirs).await.is(404);
        // After ten minutes at an unattended desk.
        story
            .world
            .core
            .clock
            .advance(std::time::Duration::from_secs(700));
        let stale = story.world.post(&story.owner, &export, &json!({})).await;
        assert_eq!(stale.is(403).code(), "proof_needed");
    })
    .await;
}

/// Every row of every table, as text.
async fn everything(core: &Core) -> Vec<(String, String)> {
    let mut tx = core.store.read().await.unwrap();
    let mut all = Vec::new();
    for table in tx.tables().await.unwrap() {
        let rows = tx.rows_of(&table, |row| {
            all.push((table.name.clone(), row.to_string()));
            Ok(())
        });
        rows.await.unwrap();
    }
    all
}

async fn forget(story: &Story) {
    let mut owner = story.owner.clone();
    owner.headers.push(("if-match", "\"1\"".to_owned()));
    story.world.delete(&owner, &story.user()).await.is(204);
}

#[tokio::test]
async fn g1_who_is_forgotten_stands_nowhere_and_the_log_holds() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let core = &story.world.core;
        story.fetched(&story.hers, "/api/v1/me/export").await;
        let export = format!("{}/export", story.user());
        story.fetched(&story.owner, &export).await;
        forget(&story).await;
        for (table, row) in everything(core).await {
            let row = row.to_lowercase();
            assert!(!row.contains("unmistakable"), "{table}: {row}");
            let id = story.anna.to_string().to_lowercase();
            let stays = ["audit", "change", "erased"].contains(&table.as_str());
            assert!(stays || !row.contains(&id), "{table}: {row}");
            let hers = table == "audit" && row.contains(&format!("\"actor\":\"{id}\""));
            assert!(!hers || row.contains("\"address\":null"), "{row}");
        }
        let mut tx = core.store.read().await.unwrap();
        let holds = tx.audit_holds(Some(story.place.company)).await.unwrap();
        assert!(holds.unwrap() > 3);
        drop(tx);
        retention::all(core).await;
        use tokio_stream::StreamExt;
        let left: Vec<_> = core.blobs.all().collect().await;
        assert!(left.is_empty(), "exports of her are gone too: {left:?}");
        story.world.get(&story.hers, "/api/v1/me").await.is(401);
        story.world.get(&story.owner, &story.user()).await.is(404);
    })
    .await;
}

#[tokio::test]
async fn g1_nobody_forgets_herself_or_the_last_owner() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let company = story.place.company;
        let of = |mine: &Value| {
            format!(
                "/api/v1/companies/{company}/users/{}",
                mine["id"].as_str().unwrap()
            )
        };
        let mut owner = story.owner.clone();
        owner.headers.push(("if-match", "\"1\"".to_owned()));
        let me = story.world.get(&owner, "/api/v1/me").await.json();
        story.world.delete(&owner, &of(&me)).await.is(409);
        // An owner elsewhere, and the only one there.
        let other = story.world.company("Hotels").await;
        let scope = Scope::Company(other.company);
        story.world.grant(story.anna, Role::Owner, scope).await;
        story.world.delete(&owner, &story.user()).await.is(409);
        let mut stale = story.owner.clone();
        stale.headers.push(("if-match", "\"7\"".to_owned()));
        story.world.delete(&stale, &story.user()).await.is(412);
        let admin = story
            .world
            .holder(Role::Viewer, Scope::Company(company), "v@a.test")
            .await;
        let mut admin = admin.clone();
        admin.headers.push(("if-match", "\"1\"".to_owned()));
        story.world.delete(&admin, &story.user()).await.is(403);
    })
    .await;
}
