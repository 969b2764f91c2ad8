//! Who hears what, and that nothing is missed.

use cloud_logic::rights::{Role, Scope};
use http_body_util::BodyExt;
use serde_json::json;

use crate::people::testing::{Browser, World};
use crate::store::testing::on_both;

/// A stream as a page reads it.
struct Stream {
    body: axum::body::Body,
    read: String,
}

impl Stream {
    async fn open(world: &World, browser: &Browser, last: Option<&str>) -> Self {
        let mut browser = browser.clone();
        browser
            .headers
            .extend(last.map(|id| ("last-event-id", id.to_owned())));
        let response = world.open(&browser, "/api/v1/events").await;
        assert_eq!(response.status(), 200);
        Self {
            body: response.into_body(),
            read: String::new(),
        }
    }

    /// The next event: its id and its JSON.
    async fn next(&mut self) -> (String, serde_json::Value) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|text| text.trim().to_owned())
                };
                let found = field("id:").zip(field("data:"));
                self.read = rest.to_owned();
                if let Some((id, data)) = found {
                    return (id, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let frame = self
                .body
                .frame()
                .await
                .expect("the stream goes on")
                .unwrap();
            let data = frame.into_data().unwrap();
            self.read += std::str::from_utf8(&data).unwrap();
        }
    }
}

#[tokio::test]
async fn s5_a_page_hears_what_changes_and_goes_on_after_a_break() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let owner = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await
            .1;
        let projects = format!("/api/v1/companies/{}/projects", place.company);
        let mut stream = Stream::open(&world, &owner, None).await;
        let made = world
            .post(&owner, &projects, &json!({"name": "one"}))
            .await
            .json();
        let (id, event) = stream.next().await;
        assert_eq!(
            (&event["kind"], &event["id"]),
            (&json!("project"), &made["id"])
        );
        drop(stream);
        let missed = world
            .post(&owner, &projects, &json!({"name": "two"}))
            .await
            .json();
        let mut stream = Stream::open(&world, &owner, Some(&id)).await;
        assert_eq!(stream.next().await.1["id"], missed["id"]);
    })
    .await;
}

#[tokio::test]
async fn u1_nobody_hears_of_a_place_that_she_does_not_see() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let owner = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await
            .1;
        let other = world.company("Others").await;
        let scope = Scope::Project(place.company, place.project);
        let viewer = world.somebody(Role::Viewer, scope, "v@a.test").await.1;
        let stranger = world
            .somebody(Role::Owner, Scope::Company(other.company), "s@b.test")
            .await
            .1;
        let mut hers = Stream::open(&world, &viewer, None).await;
        let mut strangers = Stream::open(&world, &stranger, None).await;
        let site = |name: &str| json!({"name": name, "time_zone": "UTC"});
        let sites = |project| format!("/api/v1/projects/{project}/sites");
        world
            .post(&owner, &sites(place.other_project), &site("unseen"))
            .await
            .is(201);
        let seen = world
            .post(&owner, &sites(place.project), &site("seen"))
            .await
            .json();
        assert_eq!(hers.next().await.1["id"], seen["id"]);
        let theirs = world
            .post(&stranger, &sites(other.project), &site("theirs"))
            .await
            .json();
        assert_eq!(strangers.next().await.1["id"], theirs["id"]);
    })
    .await;
}

#[tokio::test]
async fn s5_a_page_that_was_away_too_long_begins_anew() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let owner = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await
            .1;
        let mut stream = Stream::open(&world, &owner, Some("999999")).await;
        assert_eq!(stream.next().await.1, json!({}));
    })
    .await;
}

#[tokio::test]
async fn u4_the_log_tells_who_did_what_newest_first() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let (user, owner) = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await;
        let projects = format!("/api/v1/companies/{}/projects", place.company);
        world
            .post(&owner, &projects, &json!({"name": "one"}))
            .await
            .is(201);
        let log = format!("/api/v1/companies/{}/audit", place.company);
        let newest = &world.get(&owner, &log).await.is(200).json()["items"][0];
        assert_eq!(newest["action"], "project.add");
        assert_eq!(newest["actor"], json!(user));
        assert_eq!(newest["after"]["name"], "one");
        let state = world.get(&owner, &format!("{log}/state")).await.json();
        assert_eq!(
            (&state["holds"], &state["seq"]),
            (&json!(true), &newest["seq"])
        );
    })
    .await;
}
