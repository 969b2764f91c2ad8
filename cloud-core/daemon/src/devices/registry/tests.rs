//! Devices as people see them, on both engines.

use axum::http::Method;
use cloud_logic::ids::{CompanyId, DeviceId, FolderId, ProjectId, SiteId};
use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use crate::core::NewId;
use crate::people::testing::{Answer, Browser, Place, World};
use crate::store::query;
use crate::store::testing::on_both;

/// What is special about a device.
#[derive(Clone, Copy)]
struct Made {
    name: &'static str,
    model: &'static str,
    presence: &'static str,
    firmware: Option<&'static str>,
    attention: i64,
    since: i64,
}

const MADE: Made = Made {
    name: "Door",
    model: "OD1 CM-B",
    presence: "online",
    firmware: Some("04.06.01.21"),
    attention: 0,
    since: 1,
};

async fn add(world: &World, (company, project, site): Where, made: Made) -> DeviceId {
    let id = DeviceId::new_at(world.core.now());
    let serial = format!("SN{}", made.since);
    let mut tx = world.core.store.write().await.unwrap();
    let insert = query(
        "INSERT INTO device (id, company_id, project_id, site_id, version, created, name, name_key,
                             model, serial_number, mode, firmware, presence, since, attention, search)
         VALUES ($1, $2, $3, $4, 1, 1, $5, $6, $7, $8, 'cloud', $9, $10, $11, $12, $13)",
    )
    .bind(id)
    .bind(company)
    .bind(project)
    .bind(site)
    .bind(made.name)
    .bind(made.name.to_lowercase())
    .bind(made.model)
    .bind(&serial)
    .bind(made.firmware)
    .bind(made.presence)
    .bind(made.since)
    .bind(made.attention)
    .bind(format!("{} {serial} {id}", made.name).to_lowercase());
    tx.execute(insert).await.unwrap();
    tx.commit().await.unwrap();
    id
}

type Where = (CompanyId, ProjectId, SiteId);

fn here(place: &Place) -> Where {
    (place.company, place.project, place.site)
}

fn there(place: &Place) -> Where {
    (place.company, place.other_project, place.other_site)
}

async fn names(world: &World, who: &Browser, place: &Place, parameters: &str) -> Vec<String> {
    let path = format!("/api/v1/companies/{}/devices{parameters}", place.company);
    let answer = world.get(who, &path).await;
    let items = answer.is(200).json()["items"].clone();
    let items = items.as_array().unwrap().clone();
    let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
    items.iter().map(name).collect()
}

async fn owner(world: &World, place: &Place) -> Browser {
    let scope = Scope::Company(place.company);
    world.holder(Role::Owner, scope, "owner@a.example").await
}

/// Five devices that differ in everything.
async fn five(world: &World, place: &Place) {
    let made = [
        ("Alpha door", "OD1 CM-B", "online", Some("04.06.01.21"), 0),
        ("bravo 100%", "OD1 CM-B", "offline", Some("03.02.01.65"), 8),
        ("Charlie", "ID5 TD", "never_seen", None, 0),
        ("Delta door", "ID5 TD", "online", Some("04.06.01.21"), 0),
    ];
    for (since, (name, model, presence, firmware, attention)) in (1..).zip(made) {
        let made = Made {
            name,
            model,
            presence,
            firmware,
            attention,
            since,
        };
        add(world, here(place), made).await;
    }
    let elsewhere = Made {
        name: "Echo",
        since: 5,
        ..MADE
    };
    add(world, there(place), elsewhere).await;
}

#[tokio::test]
async fn devices_are_listed_filtered_and_searched_s5() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let who = owner(&world, &place).await;
        five(&world, &place).await;
        let label = json!({"name": "mine", "colour": "teal"});
        let label = world.post(&who, "/api/v1/me/labels", &label).await;
        let label = label.is(201).json()["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/companies/{}/devices?q=charlie", place.company);
        let charlie = world.get(&who, &path).await.is(200).json()["items"][0].clone();
        assert_eq!(charlie["site"], place.site.to_string());
        assert_eq!(charlie["settings"]["state"], "none");
        let path = format!(
            "/api/v1/me/labels/{label}/on/{}",
            charlie["id"].as_str().unwrap()
        );
        world.put(&who, &path, &json!({})).await.is(204);
        let all = ["Alpha door", "bravo 100%", "Charlie", "Delta door", "Echo"];
        let (site, project) = (place.other_site, place.other_project);
        for (parameters, expected) in [
            (String::new(), all.to_vec()),
            (
                "?sort=-since".to_owned(),
                all.iter().copied().rev().collect(),
            ),
            (
                "?sort=since&presence=online".to_owned(),
                vec!["Alpha door", "Delta door", "Echo"],
            ),
            ("?model=ID5%20TD".to_owned(), vec!["Charlie", "Delta door"]),
            ("?firmware=03.02.01.65".to_owned(), vec!["bravo 100%"]),
            ("?attention=true".to_owned(), vec!["bravo 100%"]),
            (
                "?attention=false&presence=never_seen".to_owned(),
                vec!["Charlie"],
            ),
            ("?mode=managed".to_owned(), vec![]),
            (format!("?site={site}"), vec!["Echo"]),
            (format!("?project={project}"), vec!["Echo"]),
            (format!("?label={label}"), vec!["Charlie"]),
            ("?q=DOOR%20al".to_owned(), vec!["Alpha door"]),
            ("?q=sn4".to_owned(), vec!["Delta door"]),
            ("?q=0%25".to_owned(), vec!["bravo 100%"]),
            ("?q=%25%25".to_owned(), vec![]),
            ("?q=_".to_owned(), vec![]),
        ] {
            let found = names(&world, &who, &place, &parameters).await;
            assert_eq!(found, expected, "{parameters}");
        }
        for wrong in [
            "?presence=away",
            "?sort=colour",
            "?attention=perhaps",
            "?q=a+b+c+d+e+f+g+h+i",
        ] {
            let path = format!("/api/v1/companies/{}/devices{wrong}", place.company);
            world.get(&who, &path).await.is(422);
        }
    })
    .await;
}

#[tokio::test]
async fn pages_lead_through_every_device_once_whatever_the_order() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let who = owner(&world, &place).await;
        for since in 0..7 {
            // Names and moments that are the same: the id decides.
            add(
                &world,
                here(&place),
                Made {
                    since: since / 3,
                    ..MADE
                },
            )
            .await;
        }
        for sort in ["name", "since", "-since"] {
            let mut seen = std::collections::BTreeSet::new();
            let mut cursor = String::new();
            let mut pages = 0;
            loop {
                let path = format!(
                    "/api/v1/companies/{}/devices?sort={sort}&limit=2&cursor={cursor}",
                    place.company
                );
                let page = world.get(&who, &path).await.is(200).json();
                for item in page["items"].as_array().unwrap() {
                    assert!(seen.insert(item["id"].to_string()), "twice");
                }
                pages += 1;
                match page["next_cursor"].as_str() {
                    Some(next) => next.clone_into(&mut cursor),
                    None => break,
                }
            }
            assert_eq!((seen.len(), pages), (7, 4), "{sort}");
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_sees_devices_of_others_and_nobodys_devices_are_seen_by_no_one_u1() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, foreign) = (world.company("a").await, world.company("b").await);
        five(&world, &place).await;
        let id = add(
            &world,
            here(&foreign),
            Made {
                name: "Foreign",
                ..MADE
            },
        )
        .await;
        let who = owner(&world, &place).await;
        let scope = Scope::Project(place.company, place.other_project);
        let some = world.holder(Role::Viewer, scope, "v@a.example").await;
        assert_eq!(names(&world, &who, &place, "").await.len(), 5);
        assert_eq!(names(&world, &some, &place, "").await, ["Echo"]);
        assert_eq!(names(&world, &some, &place, "?q=door").await.len(), 0);
        let path = format!("/api/v1/companies/{}/devices", foreign.company);
        world.get(&who, &path).await.is(404);
        world
            .get(&who, &format!("/api/v1/devices/{id}"))
            .await
            .is(404);
        let scope = Scope::Company(foreign.company);
        let (_, theirs) = world.somebody(Role::Owner, scope, "o@b.example").await;
        world
            .get(&theirs, &format!("/api/v1/devices/{id}"))
            .await
            .is(200);
        let mut tx = world.core.store.write().await.unwrap();
        let released = query(
            "UPDATE device SET company_id = NULL, project_id = NULL, site_id = NULL WHERE id = $1",
        );
        tx.execute(released.bind(id)).await.unwrap();
        tx.commit().await.unwrap();
        world
            .get(&theirs, &format!("/api/v1/devices/{id}"))
            .await
            .is(404);
        assert_eq!(names(&world, &theirs, &foreign, "").await.len(), 0);
    })
    .await;
}

async fn patch(world: &World, who: &Browser, path: &str, (tag, body): (&str, Value)) -> Answer {
    let mut who = who.clone();
    who.headers.push(("if-match", tag.to_owned()));
    world.send(&who, Method::PATCH, path, Some(&body)).await
}

async fn folder(
    world: &World,
    company: CompanyId,
    project: ProjectId,
    parent: Option<FolderId>,
) -> FolderId {
    let id = FolderId::new_at(world.core.now());
    let mut tx = world.core.store.write().await.unwrap();
    let insert = query(
        "INSERT INTO folder (id, company_id, project_id, parent_id, name, name_key, version)
         VALUES ($1, $2, $3, $4, $1, $1, 1)",
    );
    let insert = insert.bind(id).bind(company).bind(project).bind(parent);
    tx.execute(insert).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn a_device_is_renamed_and_put_elsewhere_by_those_who_may_s3() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, foreign) = (world.company("a").await, world.company("b").await);
        let id = add(&world, here(&place), MADE).await;
        let who = owner(&world, &place).await;
        let path = format!("/api/v1/devices/{id}");
        let above = folder(&world, place.company, place.project, None).await;
        let inner = folder(&world, place.company, place.project, Some(above)).await;
        let other = folder(&world, place.company, place.other_project, None).await;
        let tag = world.get(&who, &path).await.is(200).etag();
        let wish =
            json!({"name": " Main gate ", "notes": "left\nof the bus stop", "folder": inner});
        let changed = patch(&world, &who, &path, (&tag, wish)).await;
        let told = changed.is(200).json();
        assert_eq!(told["name"], "Main gate");
        assert_eq!(told["notes"], "left\nof the bus stop");
        patch(&world, &who, &path, (&tag, json!({"name": "late"})))
            .await
            .is(412);
        let tag = changed.etag();
        assert_eq!(names(&world, &who, &place, "?q=gate").await, ["Main gate"]);
        let by_folder = format!("?folder={above}");
        assert_eq!(names(&world, &who, &place, &by_folder).await, ["Main gate"]);
        for (wish, pointer) in [
            (json!({"name": ""}), "/name"),
            (json!({"notes": "a\u{7}"}), "/notes"),
            (json!({"folder": other}), "/folder"),
            (json!({"site": foreign.site}), "/site"),
        ] {
            let refused = patch(&world, &who, &path, (&tag, wish)).await;
            assert_eq!(refused.is(422).json()["errors"][0]["pointer"], pointer);
        }
        // The folder stays with its project.
        let moved = patch(
            &world,
            &who,
            &path,
            (&tag, json!({"site": place.other_site})),
        )
        .await;
        let told = moved.is(200).json();
        assert_eq!(
            (&told["project"], &told["folder"]),
            (&json!(place.other_project), &Value::Null)
        );
        let scope = Scope::Project(place.company, place.other_project);
        let some = world.holder(Role::Configurator, scope, "c@a.example").await;
        let back = json!({"site": place.site});
        patch(&world, &some, &path, (&moved.etag(), back))
            .await
            .is(404);
        let viewer = world.holder(Role::Viewer, scope, "v@a.example").await;
        patch(
            &world,
            &viewer,
            &path,
            (&moved.etag(), json!({"name": "x"})),
        )
        .await
        .is(403);
        let mut tx = world.core.store.read().await.unwrap();
        let audited = query("SELECT count(*) AS n FROM audit WHERE action = 'device.change'");
        assert_eq!(tx.one(audited).await.unwrap().int("n").unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_overview_counts_what_is_there_s5() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        let who = owner(&world, &place).await;
        five(&world, &place).await;
        let path = format!("/api/v1/companies/{}/overview", place.company);
        let told = world.get(&who, &path).await.is(200).json();
        assert_eq!(
            told["devices"],
            json!({"total": 5, "online": 3, "offline": 1, "never_seen": 1, "attention": 1,
                   "firmware": {"fits": 3, "old": 1, "unknown": 1}})
        );
        assert_eq!(
            told["models"],
            json!([
                {"model": "ID5 TD", "devices": 2, "online": 1, "firmwares": [
                    {"firmware": null, "devices": 1}, {"firmware": "04.06.01.21", "devices": 1}]},
                {"model": "OD1 CM-B", "devices": 3, "online": 2, "firmwares": [
                    {"firmware": "04.06.01.21", "devices": 2}, {"firmware": "03.02.01.65", "devices": 1}]},
            ])
        );
        assert_eq!((&told["projects"], &told["sites"]), (&json!(2), &json!(2)));
        assert_eq!(told["users"], json!({"total": 1, "here": 1}));
        let path = format!("/api/v1/projects/{}/overview", place.other_project);
        let told = world.get(&who, &path).await.is(200).json();
        assert_eq!((&told["devices"]["total"], &told["sites"]), (&json!(1), &json!(1)));
        let path = format!("/api/v1/sites/{}/overview", place.site);
        let told = world.get(&who, &path).await.is(200).json();
        assert_eq!((&told["devices"]["total"], &told["sites"]), (&json!(4), &Value::Null));
        let scope = Scope::Project(place.company, place.project);
        let some = world.holder(Role::Viewer, scope, "v@a.example").await;
        let path = format!("/api/v1/companies/{}/overview", place.company);
        world.get(&some, &path).await.is(403);
    })
    .await;
}
