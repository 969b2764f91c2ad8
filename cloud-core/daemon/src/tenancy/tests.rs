//! Stories of companies, projects and sites, over the interface.

use axum::body::Body;
use axum::http::Method;
use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use crate::people::testing::{Browser, Place, World};
use crate::store::query;
use crate::store::testing::on_both;

fn with_version(browser: &Browser, etag: &str) -> Browser {
    let mut browser = browser.clone();
    browser.headers.push(("if-match", etag.to_owned()));
    browser
}

/// A company and its owner's browser.
async fn owner_of(world: &World) -> (Place, Browser) {
    let place = world.company("Clinics").await;
    let scope = Scope::Company(place.company);
    (place, world.holder(Role::Owner, scope, "o@a.test").await)
}

#[tokio::test]
async fn s1_an_owner_builds_her_company_from_project_to_site() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, owner) = owner_of(&world).await;
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
        let (place, owner) = owner_of(&world).await;
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
        let (place, owner) = owner_of(&world).await;
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
        let (place, owner) = owner_of(&world).await;
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
        let (place, owner) = owner_of(&world).await;
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

#[tokio::test]
async fn s1_an_integrator_sees_all_companies_of_her_account_with_what_she_may_see_of_each() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (north, south) = (world.company("North").await, world.company("South").await);
        world.company("Elsewhere").await;
        let scope = Scope::Company(north.company);
        let user = world.person(north.company, "anna@it.test").await;
        world.grant(user, Role::Admin, scope).await;
        let scope = Scope::Project(south.company, south.project);
        world.grant(user, Role::Viewer, scope).await;
        let browser = world.sign_in("anna@it.test").await;
        let device = world.device(north).await;
        let other = world.device(south).await;
        let mut tx = world.core.store.write().await.unwrap();
        let move_away = query("UPDATE device SET project_id = $2, site_id = $3 WHERE id = $1")
            .bind(other)
            .bind(south.other_project)
            .bind(south.other_site);
        tx.execute(move_away).await.unwrap();
        let online = query(
            "INSERT INTO connection (device_id, epoch, online, online_since, opened, protocol,
                                     subscribed, session_ms)
             VALUES ($1, 1, 1, 1, 1, 5, 1, 0)",
        );
        tx.execute(online.bind(device)).await.unwrap();
        // As the interface writes it: what is sorted by heeds no case.
        let sorted = query("UPDATE project SET name_key = lower(name_key)");
        tx.execute(sorted).await.unwrap();
        tx.commit().await.unwrap();

        let seen = world.get(&browser, "/api/v1/account").await.is(200).json();
        let row = |place: usize| {
            let row = &seen["items"][place];
            json!([
                row["name"],
                row["roles"],
                row["projects"],
                row["sites"],
                row["devices"],
                row["online"]
            ])
        };
        assert_eq!(row(0), json!(["North", ["admin"], 2, 2, 1, 1]));
        assert_eq!(row(1), json!(["South", ["viewer"], 1, 1, 0, 0]));
        assert_eq!(seen["items"].as_array().unwrap().len(), 2);

        let mut names = Vec::new();
        let mut path = "/api/v1/account/projects?limit=2".to_owned();
        loop {
            let page = world.get(&browser, &path).await.is(200).json();
            for project in page["items"].as_array().unwrap() {
                names.push((project["company_name"].clone(), project["devices"].clone()));
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/api/v1/account/projects?limit=2&cursor={cursor}");
        }
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(
            names
                .iter()
                .filter(|(company, _)| company == "South")
                .count(),
            1
        );
        assert_eq!(
            names
                .iter()
                .filter(|(_, devices)| *devices == json!(1))
                .count(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn s1_a_logo_is_a_picture_and_nothing_else() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "o@a.test").await;
        let path = format!("/api/v1/companies/{}/logo", place.company);
        world.get(&owner, &path).await.is(204);
        let put = async |version: &str, octets: &[u8]| {
            let request = owner
                .request(Method::PUT, &path)
                .header("if-match", version)
                .header("content-type", "image/png")
                .body(Body::from(octets.to_vec()));
            world.exchange(request.unwrap()).await
        };
        let picture = b"\xff\xd8\xff\xe0 a picture";
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
        let refused = put("\"1\"", svg).await;
        assert_eq!(refused.is(422).json()["errors"][0]["code"], "no_picture");
        let large = [picture.as_slice(), &vec![0; 256 * 1024]].concat();
        put("\"1\"", &large).await.is(413);
        put("\"9\"", picture).await.is(412);
        let etag = put("\"1\"", picture).await.is(204).etag();
        let shown = world.get(&owner, &path).await;
        assert_eq!(shown.is(200).headers["content-type"], "image/jpeg");
        assert_eq!(shown.headers["x-content-type-options"], "nosniff");
        assert_eq!(
            shown.headers["content-security-policy"],
            "default-src 'none'; sandbox"
        );
        assert_eq!(shown.etag(), etag);
        let mut again = owner.clone();
        again.headers.push(("if-none-match", etag.clone()));
        world.get(&again, &path).await.is(304);
        let viewer = world.holder(Role::Viewer, scope, "v@a.test").await;
        world.get(&viewer, &path).await.is(200);
        put(&etag, b"\x89PNG\r\n\x1a\n").await.is(204);
        let mut last = owner.clone();
        last.headers.push(("if-match", "\"3\"".to_owned()));
        world.delete(&last, &path).await.is(204);
        world.get(&owner, &path).await.is(204);
        assert_eq!(crate::blobs::leave(&world.core).await.unwrap(), 2);
    })
    .await;
}
