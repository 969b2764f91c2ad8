//! Every route of the interface against every role: what its description names as
//! `x-permission` is what it asks for.
//!
//! A route without the entry fails here. `public` routes are listed by name, so that none becomes
//! public by accident; `signed_in` ones are about the caller herself; `device` ones are for
//! devices with a certificate. All others name a permission.

use std::collections::BTreeMap;

use axum::http::Method;
use cloud_logic::ids::{CompanyId, UserId};
use cloud_logic::rights::{Permission, Role, Scope};
use serde_json::{Value, json};

use super::super::testing::{Answer, Browser, Place, World};
use super::example::example;
use crate::api;
use crate::store::testing::on_both;

/// What anybody may call.
const PUBLIC: &[(&str, &str)] = &[
    ("get", "/.well-known/jwks.json"),
    ("get", "/api/v1/health"),
    ("post", "/api/v1/invitations/join"),
    ("post", "/api/v1/invitations/look"),
    ("post", "/api/v1/login"),
    ("post", "/api/v1/login/passkey"),
    ("post", "/api/v1/login/passkey/begin"),
    ("post", "/api/v1/password/choose"),
    ("post", "/api/v1/password/forgotten"),
    ("post", "/api/v1/token/integration"),
    ("get", "/status.json"),
];

/// A route as it is described.
struct Route {
    method: Method,
    path: String,
    permission: String,
    body: Option<Value>,
    /// Parameters after the question mark without which it does not answer.
    parameters: String,
}

impl Route {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn is_public(&self) -> bool {
        let method = self.method.as_str().to_lowercase();
        PUBLIC.contains(&(method.as_str(), self.path.as_str()))
    }

    /// The permission, if it is one.
    fn asks_for(&self) -> Option<Permission> {
        self.permission.parse().ok()
    }
}

fn document() -> Value {
    serde_json::to_value(api::document()).expect("the description is JSON")
}

fn routes(document: &Value) -> Vec<Route> {
    let paths = document["paths"].as_object().expect("there are paths");
    let mut routes = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("with methods") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            routes.push(Route {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                permission: operation["x-permission"].as_str().unwrap_or("").to_owned(),
                body: (!schema.is_null()).then(|| schema.clone()),
                parameters: needed_parameters(operation),
            });
        }
    }
    routes
}

fn needed_parameters(operation: &Value) -> String {
    let none = Vec::new();
    let parameters = operation["parameters"].as_array().unwrap_or(&none);
    let needed: Vec<String> = parameters
        .iter()
        .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
        .map(|parameter| {
            let name = parameter["name"].as_str().unwrap_or_default();
            let given = [&parameter["example"], &parameter["schema"]["example"]];
            let value = given.iter().find_map(|value| value.as_str());
            let value = value.unwrap_or_else(|| panic!("?{name} needs an example"));
            format!("{name}={value}")
        })
        .collect();
    if needed.is_empty() {
        String::new()
    } else {
        format!("?{}", needed.join("&"))
    }
}

/// Things with which paths and bodies are filled.
struct Things {
    place: Place,
    ids: BTreeMap<&'static str, String>,
}

impl Things {
    /// Of a company, with a user and a grant that nobody needs.
    async fn of(world: &World, name: &str) -> Self {
        let place = world.company(name).await;
        let user = world
            .person(place.company, &format!("{name}-spare@example.com"))
            .await;
        let grant = world
            .grant(user, Role::Viewer, Scope::Company(place.company))
            .await;
        let ids = BTreeMap::from([
            ("company", place.company.to_string()),
            ("project", place.project.to_string()),
            ("site", place.site.to_string()),
            ("user", user.to_string()),
            ("device", world.device(place).await.to_string()),
            ("grant", grant.to_string()),
            (
                "integration",
                world.integration(place.company).await.to_string(),
            ),
        ]);
        Self { place, ids }
    }

    /// As if they were there: ids that were never given to anything.
    fn that_never_were() -> BTreeMap<&'static str, String> {
        let zeros = |prefix: &str| format!("{prefix}-{}", "0".repeat(26));
        BTreeMap::from([
            ("company", zeros("co")),
            ("project", zeros("pr")),
            ("site", zeros("si")),
            ("user", zeros("us")),
            ("device", zeros("de")),
            ("grant", zeros("gr")),
            ("integration", zeros("in")),
        ])
    }

    /// The path with these ids, and whether all of them were known.
    fn fill(path: &str, ids: &BTreeMap<&'static str, String>) -> (String, bool) {
        let mut known = true;
        let filled: Vec<&str> = path
            .split('/')
            .map(|part| {
                match part
                    .strip_prefix('{')
                    .and_then(|part| part.strip_suffix('}'))
                {
                    None => part,
                    Some(name) => ids.get(name).map_or_else(
                        || {
                            known = false;
                            "x-00000000000000000000000000"
                        },
                        String::as_str,
                    ),
                }
            })
            .collect();
        (filled.join("/"), known)
    }
}

/// The world with what each request needs.
struct Trial<'a> {
    world: &'a World,
    document: &'a Value,
}

impl Trial<'_> {
    async fn ask(
        &self,
        browser: &Browser,
        route: &Route,
        ids: &BTreeMap<&'static str, String>,
    ) -> (Answer, bool) {
        let (path, known) = Things::fill(&route.path, ids);
        let path = path + &route.parameters;
        let body = route
            .body
            .as_ref()
            .map(|schema| example(schema, self.document, ids));
        let mut browser = browser.clone();
        if route.method != Method::GET {
            // The version of a thing that was just made, and one key for each request.
            browser.headers.push(("if-match", "\"1\"".to_owned()));
            let key = UserId::from_bits(u128::from_be_bytes(crate::random::octets()) >> 8);
            browser.headers.push(("idempotency-key", key.to_string()));
        }
        let answer = self
            .world
            .send(&browser, route.method.clone(), &path, body.as_ref())
            .await;
        assert!(
            answer.status.as_u16() < 500 || answer.status.as_u16() == 503,
            "{}: {}",
            route.name(),
            answer.text
        );
        (answer, known)
    }
}

#[test]
fn u1_every_route_names_the_permission_it_asks_for() {
    for route in routes(&document()) {
        let name = route.name();
        match route.permission.as_str() {
            "public" => assert!(
                route.is_public(),
                "{name} is not in the list of public routes"
            ),
            "signed_in" | "device" => {}
            word => assert!(
                route.asks_for().is_some(),
                "{name}: x-permission is {word:?}, which is no permission"
            ),
        }
    }
}

#[tokio::test]
async fn s1_without_a_session_nothing_answers_but_what_is_public() {
    on_both(async |store| {
        let world = World::new(store).await;
        let document = document();
        let trial = Trial {
            world: &world,
            document: &document,
        };
        let things = Things::of(&world, "acme").await;
        let stale = Browser {
            cookie: Some(format!("__Host-sid={}", "A".repeat(43))),
            ..World::ours()
        };
        for route in routes(&document).iter().filter(|route| !route.is_public()) {
            for browser in [World::ours(), stale.clone()] {
                let (answer, _) = trial.ask(&browser, route, &things.ids).await;
                let status = answer.status.as_u16();
                // A device shows a certificate, and none is shown here.
                let refused = status == 401 || (route.permission == "device" && status >= 400);
                assert!(refused, "{}: {status} {}", route.name(), answer.text);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn u1_every_role_may_at_every_route_what_its_permissions_say() {
    on_both(async |store| {
        let world = World::new(store).await;
        let document = document();
        let trial = Trial {
            world: &world,
            document: &document,
        };
        let shared = Things::of(&world, "shared").await;
        let mut people = Vec::new();
        for &role in Role::ALL {
            let mail = format!("{role}@example.com");
            let scope = Scope::Company(shared.place.company);
            people.push((role, world.holder(role, scope, &mail).await));
        }
        for (number, route) in routes(&document).iter().enumerate() {
            let Some(permission) = route.asks_for() else {
                continue;
            };
            for (role, browser) in &people {
                let allowed = role.permissions().contains(permission);
                let name = format!("{} as {role}", route.name());
                if !allowed {
                    let (answer, known) = trial.ask(browser, route, &shared.ids).await;
                    let status = answer.status.as_u16();
                    // Its claim is asked about first, and the device of the test has none.
                    let unclaimed =
                        route.path.contains("{device}") && !route.path.contains("/commands");
                    let refused = status == 403 || ((unclaimed || !known) && status == 404);
                    assert!(refused, "{name}: {status} {}", answer.text);
                    continue;
                }
                // Where something is changed, a company of its own for each.
                let own;
                let (things, browser) = if route.method == Method::GET {
                    (&shared, browser.clone())
                } else {
                    let word = format!("own-{number}-{role}");
                    own = Things::of(&world, &word).await;
                    let scope = Scope::Company(own.place.company);
                    let browser = world
                        .holder(*role, scope, &format!("{word}@example.com"))
                        .await;
                    (&own, browser)
                };
                let (answer, known) = trial.ask(&browser, route, &things.ids).await;
                let status = answer.status.as_u16();
                // A device that is just there has no claim and no commands yet.
                let must_be_there = known && !route.path.contains("{device}");
                let refused = [401, 403].contains(&status) || (must_be_there && status == 404);
                assert!(!refused, "{name}: {status} {}", answer.text);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn u1_what_belongs_to_others_looks_like_what_never_was() {
    on_both(async |store| {
        let world = World::new(store).await;
        let document = document();
        let trial = Trial {
            world: &world,
            document: &document,
        };
        let theirs = Things::of(&world, "theirs").await;
        let ours = Things::of(&world, "ours").await;
        let scope = Scope::Company(ours.place.company);
        let owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        // She holds something beside: another project of the same company.
        let beside = Scope::Project(theirs.place.company, theirs.place.other_project);
        let neighbour = world
            .holder(Role::Admin, beside, "beside@example.com")
            .await;
        let never = Things::that_never_were();
        for route in routes(&document) {
            if route.asks_for().is_none() || !route.path.contains('{') {
                continue;
            }
            let name = route.name();
            let (foreign, _) = trial.ask(&owner, &route, &theirs.ids).await;
            let (nothing, _) = trial.ask(&owner, &route, &never).await;
            assert_eq!(foreign.status.as_u16(), 404, "{name}: {}", foreign.text);
            assert_eq!(foreign.text, nothing.text, "{name}");
            assert_eq!(foreign.status, nothing.status, "{name}");
            // In our company, things of another one.
            let mut mixed = theirs.ids.clone();
            mixed.insert("company", ours.place.company.to_string());
            if route.path.contains("{company}/") && route.path.ends_with('}') {
                let (answer, _) = trial.ask(&owner, &route, &mixed).await;
                assert_eq!(answer.status.as_u16(), 404, "{name}: {}", answer.text);
            }
            if route.path.contains("{project}") || route.path.contains("{site}") {
                let (answer, _) = trial.ask(&neighbour, &route, &theirs.ids).await;
                assert_eq!(answer.status.as_u16(), 404, "{name}: {}", answer.text);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn s1_no_route_changes_anything_for_another_page() {
    on_both(async |store| {
        let world = World::new(store).await;
        let document = document();
        let trial = Trial {
            world: &world,
            document: &document,
        };
        let things = Things::of(&world, "acme").await;
        let scope = Scope::Company(things.place.company);
        let mut owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        owner.headers = vec![
            ("sec-fetch-site", "cross-site".to_owned()),
            ("origin", "https://evil.example".to_owned()),
        ];
        for route in routes(&document) {
            let without_cookie = route.path == "/api/v1/token/integration";
            if route.method == Method::GET || route.permission == "device" || without_cookie {
                continue;
            }
            let (answer, _) = trial.ask(&owner, &route, &things.ids).await;
            let name = route.name();
            assert_eq!(answer.status.as_u16(), 403, "{name}: {}", answer.text);
            assert_eq!(answer.code(), "foreign_origin", "{name}");
        }
    })
    .await;
}

/// Text that would be SQL, a header, a path or a template, if anything were put together of it.
const HOSTILE: [&str; 6] = [
    "'; DROP TABLE user_account; --",
    "\" OR 1=1 --",
    "x\r\nSet-Cookie: __Host-sid=planted",
    "../../../../etc/passwd",
    "{{7*7}}${7*7}%00\u{0}\u{202e}",
    "$1 $2 %s \\",
];

/// Every text in every body, and every parameter.
#[tokio::test]
async fn s1_no_text_becomes_sql_or_a_header_at_any_route() {
    on_both(async |store| {
        let world = World::new(store).await;
        let document = document();
        let things = Things::of(&world, "acme").await;
        let scope = Scope::Company(things.place.company);
        let mut owner = world.holder(Role::Owner, scope, "owner@example.com").await;
        for route in routes(&document) {
            let (path, _) = Things::fill(&route.path, &things.ids);
            let signs_out = route.path.ends_with("logout") || route.path.ends_with("me/sessions");
            // Its answer does not end.
            let is_stream = route.path == "/api/v1/events";
            if signs_out || is_stream {
                continue;
            }
            for hostile in HOSTILE {
                let me = world.get(&owner, "/api/v1/me").await;
                assert_eq!(me.status.as_u16(), 200, "before {}", route.name());
                let mut browser = owner.clone();
                browser.headers.push(("if-match", "\"99\"".to_owned()));
                browser
                    .headers
                    .push(("idempotency-key", format!("{}", hostile.len())));
                let mut bodies = vec![None];
                if let Some(schema) = &route.body {
                    let body = example(schema, &document, &things.ids);
                    bodies = texts_replaced(&body, hostile)
                        .into_iter()
                        .map(Some)
                        .collect();
                }
                for body in bodies {
                    let escaped = percent(hostile);
                    let asked =
                        format!("{path}?cursor={escaped}&holder={escaped}&permission={escaped}");
                    let method = route.method.clone();
                    let answer = world.send(&browser, method, &asked, body.as_ref()).await;
                    let status = answer.status.as_u16();
                    assert_ne!(status, 500, "{} {body:?}: {}", route.name(), answer.text);
                    if let Some(cookie) = answer.cookie() {
                        assert!(!cookie.contains("planted"), "{}", route.name());
                        owner.cookie = Some(cookie);
                    }
                }
            }
        }
    })
    .await;
}

/// The body once for each text in it, with that one replaced.
fn texts_replaced(body: &Value, hostile: &str) -> Vec<Value> {
    match body {
        Value::String(_) => vec![json!(hostile)],
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                texts_replaced(value, hostile).into_iter().map(|replaced| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), replaced);
                    Value::Object(fields)
                })
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .flat_map(|item| texts_replaced(item, hostile))
            .map(|replaced| json!([replaced]))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

#[test]
fn an_id_of_the_matrix_is_one() {
    let never = Things::that_never_were();
    assert!(never["company"].parse::<CompanyId>().is_ok());
}
