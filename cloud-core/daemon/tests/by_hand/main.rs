//! The operator's commands about people, with the real program: beside a core that runs and without
//! one, on both engines.

mod core;

use serde_json::{Value, json};

use crate::core::Core;

const OWNER: &str = "owner@example.com";
const BEN: &str = "ben@example.com";
const PASSWORD: &str = "seven words are enough here";

fn on_both(test: impl Fn(&mut Core)) {
    test(&mut Core::with_file());
    test(&mut Core::with_server());
}

/// The company that `init` made.
fn company(core: &Core) -> String {
    let people = core.json(&["admin", "users", "list"]);
    assert_eq!(people[0]["mail"], OWNER);
    people[0]["company"].as_str().expect("an id").to_owned()
}

fn person(core: &Core, mail: &str) -> Value {
    let people = core.json(&["admin", "users", "list"]);
    let mut people = people.as_array().expect("a list").iter();
    let found = people.find(|person| person["mail"] == mail);
    found.expect("she is there").clone()
}

#[test]
fn s1_people_and_rights_by_hand_while_the_core_is_down() {
    on_both(|core| {
        let company = company(core);
        let added = core.json(&["admin", "users", "add", BEN, "--company", &company]);
        assert!(added["link"].as_str().unwrap().contains("/password#s="));
        assert_eq!(person(core, BEN)["has_password"], false);
        let again = core.fails(&["admin", "users", "add", BEN, "--company", &company]);
        assert!(again.contains("has an account already"), "{again}");
        let nobody = core.fails(&["admin", "reset", "nobody@example.com"]);
        assert!(nobody.contains("users list"), "{nobody}");

        let why = [
            "admin",
            "grants",
            "why",
            BEN,
            "site.configure",
            "--company",
            &company,
        ];
        assert_eq!(core.json(&why)["allowed"], false);
        let give = [
            "admin",
            "grants",
            "give",
            BEN,
            "--company",
            &company,
            "--role",
        ];
        let endless = core.fails(&[&give[..], &["support"]].concat());
        assert!(endless.contains("needs an end"), "{endless}");
        let given = core.json(&[&give[..], &["admin"]].concat());
        let grant = given["grant"].as_str().unwrap().to_owned();
        assert_eq!(core.json(&why)["allowed"], true);
        let mine = core.json(&["admin", "grants", "list", "--user", BEN]);
        assert_eq!(mine[0]["id"], grant);
        assert_eq!(mine[0]["granted_by"], "cli");
        let text = core.does(&["admin", "grants", "list"]);
        assert!(
            text.contains("without an end") && text.contains(OWNER),
            "{text}"
        );
        core.does(&["admin", "grants", "take", &grant]);
        assert_eq!(core.json(&why)["allowed"], false);
    });
}

#[test]
fn s1_the_last_owner_can_neither_be_blocked_nor_lose_her_role_by_hand() {
    on_both(|core| {
        let company = company(core);
        let blocked = core.fails(&["admin", "users", "block", OWNER]);
        assert!(blocked.contains("last owner"), "{blocked}");
        let grants = core.json(&["admin", "grants", "list", "--user", OWNER]);
        let grant = grants[0]["id"].as_str().unwrap();
        let taken = core.fails(&["admin", "grants", "take", grant]);
        assert!(taken.contains("last owner"), "{taken}");
        core.does(&["admin", "users", "add", BEN, "--company", &company]);
        let owner = [
            "admin",
            "grants",
            "give",
            BEN,
            "--company",
            &company,
            "--role",
            "owner",
        ];
        core.does(&owner);
        core.does(&["admin", "users", "block", OWNER]);
        assert_eq!(person(core, OWNER)["blocked"], true);
        core.does(&["admin", "users", "unblock", OWNER]);
        assert_eq!(person(core, OWNER)["blocked"], false);
        core.does(&["admin", "grants", "take", grant]);
    });
}

#[test]
fn s1_what_is_done_by_hand_holds_at_once_in_a_core_that_runs() {
    on_both(|core| {
        let company = company(core);
        core.start();
        let added = core.json(&["admin", "users", "add", BEN, "--company", &company]);
        let choose = |link: &Value| {
            let secret = link["link"].as_str().unwrap().split_once("#s=").unwrap().1;
            json!({ "secret": secret, "password": PASSWORD })
        };
        let first = choose(&added);
        let second = choose(&core.json(&["admin", "reset", BEN]));
        let chosen = "/api/v1/password/choose";
        assert_eq!(core.post(chosen, &first).status, 401, "an older link");
        assert_eq!(core.post(chosen, &second).status, 204);
        let login = json!({ "mail": BEN, "password": PASSWORD });
        let session = core.post("/api/v1/login", &login);
        assert_eq!(session.status, 200);
        assert_eq!(core.get("/api/v1/me", &session.cookie).status, 200);
        let companies = format!("/api/v1/companies/{company}");
        assert_eq!(core.get(&companies, &session.cookie).status, 404);
        let viewer = [
            "admin",
            "grants",
            "give",
            BEN,
            "--company",
            &company,
            "--role",
            "viewer",
        ];
        core.does(&viewer);
        assert_eq!(core.get(&companies, &session.cookie).status, 200);
        core.does(&["admin", "users", "block", BEN]);
        assert_eq!(core.get("/api/v1/me", &session.cookie).status, 401);
        assert_eq!(core.post("/api/v1/login", &login).status, 401);
    });
}
