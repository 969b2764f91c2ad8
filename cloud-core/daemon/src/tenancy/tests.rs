//! Stories of companies, projects and sites, over the interface.

use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use crate::people::testing::{Browser, World};
use crate::store::testing::on_both;

fn with_version(browser: &Browser, etag: &str) -> Browser {
    let mut browser = browser.clone();
    browser.headers.push(("if-match", etag.to_owned()));
    browser
}

#[tokio::test]
async fn s1_an_owner_builds_her_company_from_project_to_site() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let owner = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await
            .1;
        let projects = format!("/api/v1/companies/{}/projects", place.company);
        let keys = format!("/api/v1/companies/{}/metadata-keys", place.company);

        let wish = json!({"keys": [{"key": "cost_centre", "title": "Cost centre"}]});
        world.put(&owner, &keys, &wish).await.is(200);
        let wish = json!({"name": "North", "metadata": {"cost_centre": "4711"}});
        let made = world.post(&owner, &projects, &wish).await;
        made.is(201);
        let project = made.json()["id"].as_str().unwrap().to_owned();

        let folders = format!("/api/v1/projects/{project}/folders");
        let folder = world
            .post(&owner, &folders, &json!({"name": "Vienna"}))
            .await;
        folder.is(201);
        let wish = json!({
            "name": "House 7", "time_zone": "Europe/Vienna", "folder": folder.json()["id"],
        });
        let site = world
            .post(&owner, &format!("/api/v1/projects/{project}/sites"), &wish)
            .await;
        site.is(201);

        let found = format!("/api/v1/companies/{}/sites?name=house", place.company);
        let found = world.get(&owner, &found).await.json();
        assert_eq!(found["items"][0]["name"], "House 7");
        assert_eq!(found["items"][0]["folder"], folder.json()["id"]);
        let mut tx = world.core.store.read().await.unwrap();
        assert!(tx.audit_holds(Some(place.company)).await.unwrap().unwrap() >= 4);
    })
    .await;
}

#[tokio::test]
async fn s1_the_second_of_two_editors_is_told() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let owner = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await
            .1;
        let site = format!("/api/v1/sites/{}", place.site);
        let seen = world.get(&owner, &site).await;
        let wish = json!({"name": "Gate", "time_zone": "Europe/Paris"});
        world.put(&owner, &site, &wish).await.is(428);
        let first = with_version(&owner, &seen.etag());
        world.put(&first, &site, &wish).await.is(200);
        world.put(&first, &site, &wish).await.is(412);
        assert_eq!(world.get(&owner, &site).await.json()["name"], "Gate");
    })
    .await;
}

#[tokio::test]
async fn u1_who_sees_one_site_sees_nothing_beside_it() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let scope = Scope::Site(place.company, place.project, place.site);
        let viewer = world.somebody(Role::Viewer, scope, "v@a.test").await.1;
        let sites = format!("/api/v1/companies/{}/sites", place.company);
        let seen = world.get(&viewer, &sites).await.json();
        assert_eq!(seen["items"].as_array().unwrap().len(), 1);
        let other = format!("/api/v1/sites/{}", place.other_site);
        let never = "/api/v1/sites/si-00000000000000000000000000";
        let (hidden, absent) = (
            world.get(&viewer, &other).await,
            world.get(&viewer, never).await,
        );
        assert_eq!(
            (hidden.is(404).text.as_str(), 404),
            (absent.text.as_str(), 404)
        );
        let site = format!("/api/v1/sites/{}", place.site);
        let etag = world.get(&viewer, &site).await.is(200).etag();
        let wish = json!({"name": "Mine", "time_zone": "Europe/Paris"});
        world
            .put(&with_version(&viewer, &etag), &site, &wish)
            .await
            .is(403);
    })
    .await;
}

#[tokio::test]
async fn s1_what_is_wrong_is_told_field_by_field_and_changes_nothing() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let owner = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await
            .1;
        let sites = format!("/api/v1/projects/{}/sites", place.project);
        let wish = json!({
            "name": "", "time_zone": "Wien", "metadata": {"unknown": "x"},
            "folder": "fo-00000000000000000000000000",
        });
        let answer = world.post(&owner, &sites, &wish).await;
        let told = answer.is(422).json();
        let pointers: Vec<_> = told["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["pointer"].clone())
            .collect();
        assert_eq!(
            pointers,
            ["/name", "/time_zone", "/metadata/unknown", "/folder"]
        );
        let twice = json!({"name": "Twice", "time_zone": "UTC"});
        world.post(&owner, &sites, &twice).await.is(201);
        world.post(&owner, &sites, &twice).await.is(409);
    })
    .await;
}

#[tokio::test]
async fn s1_a_list_goes_on_where_its_page_ended() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let owner = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await
            .1;
        let sites = format!("/api/v1/projects/{}/sites", place.project);
        for name in ["d", "B", "a", "C"] {
            let wish = json!({"name": name, "time_zone": "UTC"});
            world.post(&owner, &sites, &wish).await.is(201);
        }
        let all = format!("/api/v1/companies/{}/sites?limit=2", place.company);
        let mut names = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let path = match cursor.as_str() {
                Some(cursor) => format!("{all}&cursor={cursor}"),
                None => all.clone(),
            };
            let page = world.get(&owner, &path).await.is(200).json();
            let items = page["items"].as_array().unwrap();
            names.extend(
                items
                    .iter()
                    .map(|site| site["name"].as_str().unwrap().to_owned()),
            );
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        let written: Vec<_> = names.iter().filter(|name| name.len() == 1).collect();
        assert_eq!(written, ["a", "B", "C", "d"]);
        assert_eq!(names.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn s1_a_folder_cannot_stand_in_itself() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let owner = world
            .somebody(Role::Owner, Scope::Company(place.company), "o@a.test")
            .await
            .1;
        let folders = format!("/api/v1/projects/{}/folders", place.project);
        let outer = world
            .post(&owner, &folders, &json!({"name": "outer"}))
            .await
            .json();
        let wish = json!({"name": "inner", "parent": outer["id"]});
        let inner = world.post(&owner, &folders, &wish).await.json();
        let path = format!("/api/v1/folders/{}", outer["id"].as_str().unwrap());
        let first = with_version(&owner, "\"1\"");
        let wish = json!({"name": "outer", "parent": inner["id"]});
        world.put(&first, &path, &wish).await.is(422);
        world.delete(&first, &path).await.is(409);
    })
    .await;
}

#[tokio::test]
async fn s1_labels_are_their_users_own() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let scope = Scope::Company(place.company);
        let one = world.somebody(Role::Viewer, scope, "one@a.test").await.1;
        let two = world.somebody(Role::Owner, scope, "two@a.test").await.1;
        let wish = json!({"name": "urgent", "colour": "red"});
        let label = world
            .post(&one, "/api/v1/me/labels", &wish)
            .await
            .is(201)
            .json();
        let on = format!(
            "/api/v1/me/labels/{}/on/{}",
            label["id"].as_str().unwrap(),
            place.site
        );
        world.put(&two, &on, &json!({})).await.is(404);
        world.put(&one, &on, &json!({})).await.is(204);
        let mine = world.get(&one, "/api/v1/me/labels").await.json();
        assert_eq!(mine["items"][0]["on"], json!([place.site]));
        let hers = world.get(&two, "/api/v1/me/labels").await.json();
        assert_eq!(hers["items"], json!([]));
    })
    .await;
}
