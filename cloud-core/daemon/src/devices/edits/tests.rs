//! One setting on many devices, on both engines.

use std::time::Duration;

use axum::http::Method;
use cloud_logic::ids::DeviceId;
use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use super::run::{forget, portion, tend_once};
use crate::people::testing::{Answer, Browser, Place, World};
use crate::store::query;
use crate::store::testing::on_both;

/// A company with three stations and a gateway, and its owner.
struct Fleet {
    world: World,
    place: Place,
    who: Browser,
    /// In the order of their ids.
    stations: Vec<DeviceId>,
    gateway: DeviceId,
}

impl Fleet {
    async fn new(store: crate::store::Store) -> Self {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let scope = Scope::Company(place.company);
        let who = world.holder(Role::Owner, scope, "o@a.example").await;
        let mut stations = Vec::new();
        for _ in 0..3 {
            stations.push(device(&world, place, "OD1 CM-B").await);
        }
        stations.sort();
        let gateway = device(&world, place, "GATEWAY").await;
        Self {
            world,
            place,
            who,
            stations,
            gateway,
        }
    }

    async fn preview(&self, who: &Browser, body: Value) -> Answer {
        let path = format!("/api/v1/companies/{}/edits", self.place.company);
        self.world.post(who, &path, &body).await
    }

    async fn post(&self, edit: &Value, what: &str, body: Value) -> Answer {
        let path = format!("/api/v1/edits/{}/{what}", edit["id"].as_str().unwrap());
        self.world.post(&self.who, &path, &body).await
    }

    async fn apply(&self, edit: &Value) -> Answer {
        self.post(edit, "apply", json!({"hash": edit["hash"]}))
            .await
    }

    async fn read(&self, edit: &Value) -> Value {
        let path = format!("/api/v1/edits/{}", edit["id"].as_str().unwrap());
        self.world.get(&self.who, &path).await.is(200).json()
    }

    async fn outcomes(&self, edit: &Value) -> Vec<(String, Value)> {
        let path = format!("/api/v1/edits/{}/devices", edit["id"].as_str().unwrap());
        let told = self.world.get(&self.who, &path).await.is(200).json();
        let told = told["items"].as_array().unwrap().clone();
        let one = |one: &Value| {
            (
                one["outcome"].as_str().unwrap().to_owned(),
                one["code"].clone(),
            )
        };
        told.iter().map(one).collect()
    }

    async fn set(&self, device: DeviceId, revision: i64, wish: Value) {
        let mut who = self.who.clone();
        who.headers.push(("if-match", format!("\"{revision}\"")));
        let path = format!("/api/v1/devices/{device}/twin");
        let set = self
            .world
            .send(&who, Method::PATCH, &path, Some(&wish))
            .await;
        set.is(200);
    }

    async fn desired(&self, device: DeviceId) -> Value {
        let path = format!("/api/v1/devices/{device}/twin");
        self.world.get(&self.who, &path).await.is(200).json()["desired"].clone()
    }
}

async fn device(world: &World, place: Place, model: &str) -> DeviceId {
    let id = world.device(place).await;
    let mut tx = world.core.store.write().await.unwrap();
    let model = query("UPDATE device SET model = $2 WHERE id = $1")
        .bind(id)
        .bind(model);
    tx.execute(model).await.unwrap();
    tx.commit().await.unwrap();
    id
}

fn louder() -> Value {
    json!({"audio": {"volume": 80}})
}

#[tokio::test]
async fn an_edit_is_shown_done_and_taken_back_s2() {
    on_both(async |store| {
        let fleet = Fleet::new(store).await;
        let [quiet, set, other] = fleet.stations[..] else {
            panic!()
        };
        fleet
            .set(quiet, 0, json!({"audio": {"volume": 10}, "language": "de"}))
            .await;
        fleet.set(set, 0, louder()).await;
        let shown = fleet
            .preview(&fleet.who, json!({"filter": {}, "settings": louder()}))
            .await;
        let edit = shown.is(201).json();
        assert_eq!(
            edit["devices"],
            json!({"waiting": 2, "same": 1, "refused": 1, "changed": 0, "skipped": 0, "taken": 0})
        );
        let mut outcomes = fleet.outcomes(&edit).await;
        outcomes.sort_by_key(|(outcome, _)| outcome.clone());
        assert_eq!(
            outcomes[0],
            ("refused".to_owned(), json!("not_of_this_model"))
        );
        assert_eq!(fleet.desired(other).await, json!({}), "nothing is done yet");
        fleet
            .post(&edit, "apply", json!({"hash": "0"}))
            .await
            .is(409);
        fleet.post(&edit, "undo", json!({})).await.is(409);
        assert_eq!(fleet.apply(&edit).await.is(202).json()["state"], "running");
        // Sent again, it is the same edit.
        fleet.apply(&edit).await.is(202);
        tend_once(&fleet.world.core).await.unwrap();
        let done = fleet.read(&edit).await;
        assert_eq!(
            (&done["state"], &done["devices"]["changed"]),
            (&json!("done"), &json!(2))
        );
        assert_eq!(fleet.desired(other).await, louder());
        assert_eq!(
            fleet.desired(quiet).await,
            json!({"audio": {"volume": 80}, "language": "de"})
        );
        assert_eq!(fleet.desired(fleet.gateway).await, json!({}));
        // One of them is changed by hand: it stays as it is when the others go back.
        fleet.set(other, 1, json!({"audio": {"volume": 81}})).await;
        let back = fleet.post(&edit, "undo", json!({})).await.is(201).json();
        assert_eq!(back["undoes"], edit["id"]);
        assert_eq!(
            (&back["devices"]["waiting"], &back["devices"]["refused"]),
            (&json!(1), &json!(1))
        );
        fleet.apply(&back).await.is(202);
        tend_once(&fleet.world.core).await.unwrap();
        assert_eq!(
            fleet.desired(quiet).await,
            json!({"audio": {"volume": 10}, "language": "de"})
        );
        assert_eq!(fleet.desired(other).await, json!({"audio": {"volume": 81}}));
        // And forth again.
        let forth = fleet.post(&back, "undo", json!({})).await.is(201).json();
        fleet.apply(&forth).await.is(202);
        tend_once(&fleet.world.core).await.unwrap();
        assert_eq!(fleet.desired(quiet).await["audio"]["volume"], 80);
        let mut tx = fleet.world.core.store.read().await.unwrap();
        let audited = query("SELECT count(*) AS n FROM audit WHERE action = 'twin.change'");
        assert_eq!(tx.one(audited).await.unwrap().int("n").unwrap(), 7);
        let holds = tx.audit_holds(Some(fleet.place.company)).await.unwrap();
        assert!(holds.is_ok(), "{holds:?}");
    })
    .await;
}

#[tokio::test]
async fn an_edit_is_done_as_it_was_shown_or_not_at_all_s2() {
    on_both(async |store| {
        let fleet = Fleet::new(store).await;
        let wish = json!({"filter": {"model": "OD1 CM-B"}, "settings": louder()});
        let set_since = fleet.preview(&fleet.who, wish.clone()).await.is(201).json();
        fleet
            .set(fleet.stations[0], 0, json!({"language": "fr"}))
            .await;
        fleet.apply(&set_since).await.is(409);
        let joined_since = fleet.preview(&fleet.who, wish.clone()).await.is(201).json();
        device(&fleet.world, fleet.place, "OD1 CM-B").await;
        fleet.apply(&joined_since).await.is(409);
        let expired = fleet.preview(&fleet.who, wish).await.is(201).json();
        assert_eq!(expired["devices"]["waiting"], 4);
        fleet
            .world
            .core
            .clock
            .advance(Duration::from_secs(25 * 3600));
        let scope = Scope::Company(fleet.place.company);
        let later = fleet
            .world
            .holder(Role::Owner, scope, "later@a.example")
            .await;
        let path = format!("/api/v1/edits/{}/apply", expired["id"].as_str().unwrap());
        let hash = json!({"hash": expired["hash"]});
        fleet.world.post(&later, &path, &hash).await.is(409);
        assert_eq!(forget(&fleet.world.core).await.unwrap(), 3);
        fleet.world.post(&later, &path, &hash).await.is(404);
    })
    .await;
}

#[tokio::test]
async fn an_edit_goes_on_after_a_crash_and_skips_what_was_set_meanwhile_g6() {
    on_both(async |store| {
        let fleet = Fleet::new(store).await;
        let wish = json!({"devices": fleet.stations, "settings": louder()});
        let edit = fleet.preview(&fleet.who, wish).await.is(201).json();
        fleet.apply(&edit).await.is(202);
        let id = edit["id"].as_str().unwrap().parse().unwrap();
        // One portion, and the node is gone.
        assert!(portion(&fleet.world.core, id, 1).await.unwrap());
        assert_eq!(fleet.read(&edit).await["devices"]["waiting"], 2);
        fleet
            .set(fleet.stations[1], 0, json!({"language": "fr"}))
            .await;
        // Two nodes find it at the same time.
        let core = &fleet.world.core;
        let (one, other) = tokio::join!(tend_once(core), tend_once(core));
        one.unwrap();
        other.unwrap();
        let done = fleet.read(&edit).await;
        assert_eq!(done["state"], "done");
        assert_eq!(
            done["devices"],
            json!({"waiting": 0, "same": 0, "refused": 0, "changed": 2, "skipped": 1, "taken": 0})
        );
        let skipped = ("skipped".to_owned(), json!("changed_meanwhile"));
        assert_eq!(fleet.outcomes(&edit).await[1], skipped);
        let mut tx = core.store.read().await.unwrap();
        let revisions = query("SELECT max(desired_rev) AS n FROM twin");
        assert_eq!(
            tx.one(revisions).await.unwrap().int("n").unwrap(),
            1,
            "each once"
        );
    })
    .await;
}

#[tokio::test]
async fn an_edit_is_for_devices_that_one_may_configure_u1() {
    on_both(async |store| {
        let fleet = Fleet::new(store).await;
        let world = &fleet.world;
        let foreign = world.company("b").await;
        let theirs = device(world, foreign, "OD1 CM-B").await;
        let scope = Scope::Project(fleet.place.company, fleet.place.other_project);
        let some = world.holder(Role::Configurator, scope, "c@a.example").await;
        let all = json!({"filter": {}, "settings": louder()});
        let shown = fleet.preview(&some, all.clone()).await.is(201).json();
        assert_eq!(shown["devices"]["waiting"], 0, "none of that project");
        let named = json!({"devices": [fleet.stations[0], theirs], "settings": louder()});
        let refused = fleet
            .preview(&fleet.who, named.clone())
            .await
            .is(422)
            .json();
        assert_eq!(refused["errors"].as_array().unwrap().len(), 1);
        fleet.preview(&some, named).await.is(422);
        let scope = Scope::Company(fleet.place.company);
        let viewer = world.holder(Role::Viewer, scope, "v@a.example").await;
        fleet.preview(&viewer, all.clone()).await.is(403);
        let scope = Scope::Company(foreign.company);
        let stranger = world.holder(Role::Owner, scope, "o@b.example").await;
        fleet.preview(&stranger, all.clone()).await.is(404);
        let edit = fleet.preview(&fleet.who, all).await.is(201).json();
        let path = format!("/api/v1/edits/{}", edit["id"].as_str().unwrap());
        for nobody in [&some, &viewer, &stranger] {
            world.get(nobody, &path).await.is(404);
            let body = json!({"hash": edit["hash"]});
            world
                .post(nobody, &format!("{path}/apply"), &body)
                .await
                .is(404);
        }
        let list = format!("/api/v1/companies/{}/edits", fleet.place.company);
        let own = world.get(&some, &list).await.is(200).json();
        assert_eq!(own["items"].as_array().unwrap().len(), 1);
        let every = world.get(&fleet.who, &list).await.is(200).json();
        assert_eq!(every["items"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_wish_that_could_be_read_wider_is_refused_s2() {
    on_both(async |store| {
        let fleet = Fleet::new(store).await;
        for (wish, pointer) in [
            (json!({"settings": louder()}), "/devices"),
            (
                json!({"devices": [], "filter": {}, "settings": {}}),
                "/devices",
            ),
            (
                json!({"filter": {"modell": "OD1"}, "settings": {}}),
                "/filter/modell",
            ),
            (
                json!({"filter": {"presence": "away"}, "settings": {}}),
                "/filter",
            ),
            (
                json!({"filter": {}, "settings": {"colour": 1}}),
                "/settings/colour",
            ),
        ] {
            let refused = fleet.preview(&fleet.who, wish).await.is(422).json();
            assert_eq!(refused["errors"][0]["pointer"], pointer);
        }
    })
    .await;
}
