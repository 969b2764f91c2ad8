//! Stories of groups and numbers, over the interface.

use cloud_logic::rights::{Role, Scope};
use serde_json::{Value, json};

use crate::people::testing::{Browser, Place, World};
use crate::store::testing::on_both;

struct Story {
    world: World,
    place: Place,
    owner: Browser,
}

impl Story {
    async fn new(store: crate::store::Store) -> Self {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "owner@a.test").await;
        Self {
            world,
            place,
            owner,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/companies/{}/{rest}", self.place.company)
    }

    /// Somebody with a number.
    async fn person(&self, name: &str, number: &str, forwarding: Value) -> (String, String) {
        let mail = format!("{name}@a.test");
        let user = self.world.person(self.place.company, &mail).await;
        let wish = json!({
            "number": number, "user": user, "site": self.place.site, "forwarding": forwarding,
        });
        let path = self.path("call-numbers");
        let made = self.world.post(&self.owner, &path, &wish).await;
        made.is(201);
        let entry = made.json()["id"].as_str().unwrap().to_owned();
        (user.to_string(), entry)
    }

    async fn group(&self, wish: Value) -> crate::people::testing::Answer {
        let path = self.path("ring-groups");
        self.world.post(&self.owner, &path, &wish).await
    }

    async fn explained(&self, number: &str, at: &str) -> Value {
        let path = self.path(&format!("calls/explained?number={number}&at={at}"));
        let answer = self.world.get(&self.owner, &path).await;
        answer.is(200);
        answer.json()
    }
}

fn with_version(browser: &Browser, etag: &str) -> Browser {
    let mut browser = browser.clone();
    browser.headers.push(("if-match", etag.to_owned()));
    browser
}

fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    let pointers = errors.iter().map(|error| error["pointer"].as_str());
    pointers.map(Option::unwrap).collect()
}

#[tokio::test]
async fn c5_a_group_rings_people_and_stations_of_gateways() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let (anna, _) = story.person("anna", "201", json!([])).await;
        let gateway = story.world.device(story.place).await;
        let wish = json!({
            "name": "Porters", "number": "500",
            "members": [
                {"kind": "user", "user": anna},
                {"kind": "station", "device": gateway, "number": "101"},
            ],
            "onward": {"kind": "number", "number": "201"},
        });
        let made = story.group(wish.clone()).await;
        made.is(201);
        let (group, etag) = (made.json(), made.etag());
        assert_eq!(group["ring_s"], 30);
        let path = story.path(&format!("ring-groups/{}", group["id"].as_str().unwrap()));

        let mut other = wish.clone();
        other["ring_s"] = json!(45);
        let browser = with_version(&story.owner, &etag);
        let changed = story.world.put(&browser, &path, &other).await;
        changed.is(200);
        story.world.put(&browser, &path, &other).await.is(412);
        let listed = story
            .world
            .get(&story.owner, &story.path("ring-groups"))
            .await;
        assert_eq!(listed.json()["items"][0]["ring_s"], 45);

        let browser = with_version(&story.owner, &changed.etag());
        story.world.delete(&browser, &path).await.is(204);
        story.world.get(&story.owner, &path).await.is(404);
    })
    .await;
}

#[tokio::test]
async fn c5_what_does_not_fit_is_refused_before_it_is_stored() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let (anna, _) = story.person("anna", "201", json!([])).await;
        let her = json!({"kind": "user", "user": anna});
        let stranger = {
            let elsewhere = story.world.company("Others").await;
            story.world.person(elsewhere.company, "x@b.test").await
        };
        let refused = story
            .group(json!({
                "name": "A", "number": "5x", "ring_s": 30,
                "members": [{"kind": "user", "user": stranger}],
                "onward": {"kind": "number", "number": "123456789"},
            }))
            .await;
        refused.is(422);
        let refused = refused.json();
        let expected = ["/members/0/user", "/number", "/onward/number"];
        assert_eq!(pointers(&refused), expected);

        let refused = story
            .group(json!({
                "name": "A", "number": "500", "ring_s": 0,
                "members": [her, her, {"kind": "number", "number": "999"}],
                "onward": {"kind": "number", "number": "500"},
            }))
            .await;
        refused.is(422);
        let refused = refused.json();
        let found = pointers(&refused);
        for pointer in ["/members/1", "/members/2", "/ring_s", "/onward"] {
            assert!(found.contains(&pointer), "{pointer}: {refused}");
        }
        let many = vec![her.clone(); 33];
        let many = json!({"name": "A", "number": "500", "members": many});
        story.group(many).await.is(422);
        let taken = json!({"name": "A", "number": "201", "members": [her]});
        story.group(taken).await.is(409);
        let listed = story
            .world
            .get(&story.owner, &story.path("ring-groups"))
            .await;
        assert_eq!(listed.json()["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn c6_rules_hold_in_the_zone_of_the_site_and_explain_themselves() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let (bert, _) = story.person("bert", "202", json!([])).await;
        let rules = json!([
            {"when": "always", "weekdays": "mon-fri", "from": "18:00", "until": "07:00",
             "to": {"kind": "number", "number": "202"}},
            {"when": "no_answer", "after_s": 20, "to": {"kind": "user", "user": bert}},
        ]);
        story.person("anna", "201", rules).await;
        // Noon and night in Vienna, in January.
        let day = story.explained("201", "2026-01-05T11:00:00Z").await;
        assert_eq!(day["steps"][0]["happens"], "rings");
        assert_eq!(day["steps"][1]["given"], "no_answer");
        assert_eq!(day["steps"][1]["to"]["user"], json!(bert));
        assert_eq!(day["holds_until"], "2026-01-05T17:00:00Z");
        let night = story.explained("201", "2026-01-05T17:30:00Z").await;
        assert_eq!(night["steps"][0]["happens"], "forwards");
        assert_eq!(night["steps"][1]["number"], "202");
        let nobody = story.explained("999", "2026-01-05T17:30:00Z").await;
        assert_eq!(nobody["steps"][0]["happens"], "ends_unknown");
    })
    .await;
}

#[tokio::test]
async fn c6_a_rule_that_cannot_hold_is_refused_with_its_place() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let user = story.world.person(story.place.company, "anna@a.test").await;
        let to = json!({"kind": "user", "user": user});
        let mut rules = vec![
            json!({"when": "no_answer", "to": to}),
            json!({"when": "busy", "after_s": 5, "to": to}),
            json!({"when": "always", "weekdays": "someday", "to": to}),
            json!({"when": "always", "from_date": "2026-02-30", "until_date": "2026-03-01", "to": to}),
            json!({"when": "always", "from": "18:00", "to": to}),
        ];
        let path = story.path("call-numbers");
        let wish = json!({"number": "201", "user": user, "forwarding": rules});
        let refused = story.world.post(&story.owner, &path, &wish).await;
        refused.is(422);
        let refused = refused.json();
        let expected = [
            "/forwarding/0/after_s",
            "/forwarding/1/after_s",
            "/forwarding/2/weekdays",
            "/forwarding/3/from_date",
            "/forwarding/4/from",
        ];
        assert_eq!(pointers(&refused), expected);
        rules = vec![json!({"when": "busy", "to": to}); 21];
        let wish = json!({"number": "201", "user": user, "forwarding": rules});
        let refused = story.world.post(&story.owner, &path, &wish).await;
        refused.is(422);
        assert_eq!(pointers(&refused.json()), ["/forwarding"]);
    })
    .await;
}

#[tokio::test]
async fn c6_a_number_that_others_lead_to_stays_until_they_do_not() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let (_, entry) = story.person("anna", "201", json!([])).await;
        let members = json!([{"kind": "number", "number": "201"}]);
        let group = story
            .group(json!({"name": "A", "number": "500", "members": members}))
            .await;
        group.is(201);
        let path = story.path(&format!("call-numbers/{entry}"));
        let browser = with_version(&story.owner, "\"1\"");
        story.world.delete(&browser, &path).await.is(409);
        let id = group.json()["id"].as_str().unwrap().to_owned();
        let group = story.path(&format!("ring-groups/{id}"));
        story.world.delete(&browser, &group).await.is(204);
        story.world.delete(&browser, &path).await.is(204);
    })
    .await;
}

#[tokio::test]
async fn s1_who_looks_after_a_project_sees_and_sets_its_groups_alone() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let (anna, _) = story.person("anna", "201", json!([])).await;
        let her = json!([{"kind": "user", "user": anna}]);
        story
            .group(json!({"name": "All", "number": "500", "members": her}))
            .await
            .is(201);
        let project = story.place.other_project;
        let scope = Scope::Project(story.place.company, project);
        let admin = story.world.holder(Role::Admin, scope, "p@a.test").await;
        let path = story.path("ring-groups");
        let ours = json!({"name": "Ours", "number": "501", "members": her, "project": project});
        story.world.post(&admin, &path, &ours).await.is(201);
        let theirs = json!({"name": "X", "number": "502", "members": her});
        let refused = story.world.post(&admin, &path, &theirs).await;
        assert!([403, 404].contains(&refused.status.as_u16()));
        // A gateway of the project beside.
        let gateway = story.world.device(story.place).await;
        let station = json!([{"kind": "station", "device": gateway, "number": "1"}]);
        let wish = json!({"name": "X", "number": "503", "members": station, "project": project});
        let refused = story.world.post(&admin, &path, &wish).await;
        assert_eq!(pointers(&refused.json()), ["/members/0/device"]);
        let seen = story.world.get(&admin, &path).await.json();
        assert_eq!(seen["items"].as_array().unwrap().len(), 1);
        assert_eq!(seen["items"][0]["name"], "Ours");
    })
    .await;
}

#[tokio::test]
async fn g1_who_is_forgotten_rings_no_more_and_the_others_do() {
    on_both(async |store| {
        let story = Story::new(store).await;
        let (anna, _) = story.person("anna", "201", json!([])).await;
        let rule = json!([{"when": "busy", "to": {"kind": "user", "user": anna}}]);
        let (bert, _) = story.person("bert", "202", rule).await;
        let members = json!([
            {"kind": "user", "user": anna},
            {"kind": "number", "number": "201"},
            {"kind": "user", "user": bert},
        ]);
        story
            .group(json!({"name": "A", "number": "500", "members": members}))
            .await
            .is(201);
        let path = story.path(&format!("users/{anna}"));
        let browser = with_version(&story.owner, "\"1\"");
        story.world.delete(&browser, &path).await.is(204);
        let way = story.explained("500", "2026-01-05T11:00:00Z").await;
        assert_eq!(way["steps"][0]["members"], 1);
        let numbers = story
            .world
            .get(&story.owner, &story.path("call-numbers"))
            .await;
        let numbers = numbers.json();
        assert_eq!(numbers["items"].as_array().unwrap().len(), 1);
        assert_eq!(numbers["items"][0]["forwarding"], json!([]));
    })
    .await;
}
