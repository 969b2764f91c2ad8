//! Who may import whom: compares the manifests with the allow-list `deps.toml`.
//!
//! An arrow between our crates, an outside crate in a pure crate, or anything
//! forbidden that is linked into a pure crate by a detour is an error. So is a
//! line of the allow-list that nothing uses: the list tells what is, not what
//! once was. Does not look at source text; Cargo refuses undeclared imports.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::metadata::{Links, Package, Workspace, linked_into};

/// Checks the workspace below `root`; returns the findings, one line each.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let path = root.join("xtask/deps.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let rules: Rules = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let workspace = Workspace::read(root)?;
    let mut findings = rules.judge(&workspace);
    for package in workspace.members() {
        if rules.is_pure(&package.name) {
            rules.judge_links(
                &package.name,
                &linked_into(root, &package.name)?,
                &mut findings,
            );
        }
    }
    Ok(findings)
}

/// The allow-list. In each table the value is the reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// Outside crates that no pure crate may link, not even by a detour.
    forbidden_in_pure: BTreeMap<String, String>,
    /// Our crates.
    crates: BTreeMap<String, Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    kind: Kind,
    /// Arrows to crates of ours.
    #[serde(default)]
    imports: BTreeMap<String, String>,
    /// Outside crates; listed for pure crates only.
    #[serde(default)]
    outside: BTreeMap<String, String>,
    /// Arrows to crates of ours that only its tests have.
    #[serde(default)]
    tests_import: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// No sockets, clock, randomness, files, serde, logging.
    Pure,
    /// As pure, but it is where documents become JSON: serde is its work.
    Wire,
    /// Owns a part of the world.
    Shell,
    /// Tests, benches and this program.
    Tool,
}

impl Rules {
    fn judge(&self, workspace: &Workspace) -> Vec<String> {
        let mut findings = Vec::new();
        for package in workspace.members() {
            match self.crates.get(&package.name) {
                Some(rule) => judge_crate(rule, package, workspace, &mut findings),
                None => findings.push(format!(
                    "{}: not in xtask/deps.toml; add it with its kind and its arrows",
                    package.name
                )),
            }
        }
        for name in self.crates.keys().filter(|name| !workspace.is_member(name)) {
            findings.push(format!(
                "{name}: in xtask/deps.toml, but there is no such crate"
            ));
        }
        findings
    }

    fn is_pure(&self, name: &str) -> bool {
        self.crates
            .get(name)
            .is_some_and(|rule| rule.kind != Kind::Shell && rule.kind != Kind::Tool)
    }

    /// Whether `linked` may not be in the crate, and why.
    fn forbidden(&self, name: &str, linked: &str) -> Option<&String> {
        let wire = self
            .crates
            .get(name)
            .is_some_and(|rule| rule.kind == Kind::Wire);
        let reason = self.forbidden_in_pure.get(linked)?;
        (!wire || !DOCUMENTS.contains(&linked)).then_some(reason)
    }

    /// Outside crates are followed to the end; our own shells are caught as
    /// "not pure", because a pure crate must not link one either.
    fn judge_links(&self, name: &str, links: &Links, findings: &mut Vec<String>) {
        for (linked, way) in links {
            let way = way.join(" -> ");
            if let Some(reason) = self.forbidden(name, linked) {
                findings.push(format!(
                    "{name}: is pure but links {linked} ({reason}); the way: {way}"
                ));
            }
            if self.crates.contains_key(linked) && !self.is_pure(linked) {
                findings.push(format!(
                    "{name}: is pure but links {linked}, which is not; the way: {way}"
                ));
            }
        }
    }
}

/// What a crate of kind "wire" may use and a pure one may not.
const DOCUMENTS: [&str; 2] = ["serde", "serde_json"];

/// The declared dependencies of one crate against its rule.
fn judge_crate(rule: &Rule, package: &Package, workspace: &Workspace, findings: &mut Vec<String>) {
    let name = &package.name;
    let declared = |kind: Option<&str>, ours: bool| -> Vec<&str> {
        let of_kind = package
            .dependencies
            .iter()
            .filter(|d| d.kind.as_deref() == kind);
        let names = of_kind.map(|declared| declared.name.as_str());
        names
            .filter(|name| workspace.is_member(name) == ours)
            .collect()
    };
    let ours = "may not import our crate";
    compare(name, &declared(None, true), &rule.imports, ours, findings);
    compare(
        name,
        &declared(Some("dev"), true),
        &rule.tests_import,
        ours,
        findings,
    );
    compare(
        name,
        &declared(Some("build"), true),
        &BTreeMap::new(),
        ours,
        findings,
    );
    if matches!(rule.kind, Kind::Pure | Kind::Wire) {
        let outside = declared(None, false);
        compare(
            name,
            &outside,
            &rule.outside,
            "is pure and may not use",
            findings,
        );
    }
}

/// Both directions: what is declared must be allowed, what is allowed must be used.
fn compare(
    name: &str,
    declared: &[&str],
    allowed: &BTreeMap<String, String>,
    complaint: &str,
    findings: &mut Vec<String>,
) {
    for other in declared
        .iter()
        .filter(|other| !allowed.contains_key(**other))
    {
        findings.push(format!(
            "{name}: {complaint} {other}; a new arrow is a decision: reason in xtask/deps.toml"
        ));
    }
    for (other, reason) in allowed {
        if !declared.contains(&other.as_str()) {
            findings.push(format!(
                "{name}: xtask/deps.toml allows {other}, nothing uses it"
            ));
        }
        if reason.trim().is_empty() {
            findings.push(format!(
                "{name}: xtask/deps.toml gives no reason for {other}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of our crates `engine` and `shell` and the outside crate
    /// `wire`, with the given normal dependencies.
    fn workspace(arrows: &[(&str, &str)]) -> Workspace {
        let package = |name: &&str| {
            let of_this = arrows.iter().filter(|arrow| arrow.0 == *name);
            let declared: Vec<_> = of_this
                .map(|arrow| serde_json::json!({"name": arrow.1, "kind": null}))
                .collect();
            serde_json::json!({
                "id": name, "name": name, "version": "1.0.0", "license": "MIT",
                "license_file": null, "dependencies": declared,
            })
        };
        let packages: Vec<_> = ["engine", "shell", "wire"].iter().map(package).collect();
        let json =
            serde_json::json!({"packages": packages, "workspace_members": ["engine", "shell"]});
        serde_json::from_value(json).unwrap()
    }

    fn rules(text: &str) -> Rules {
        toml::from_str(&format!("[forbidden_in_pure]\ntokio = \"sockets\"\n{text}")).unwrap()
    }

    fn check(text: &str, arrows: &[(&str, &str)], expected: &[&str]) {
        compare_findings(&rules(text).judge(&workspace(arrows)), expected);
    }

    fn check_links(linked: &str, way: &[&str], expected: &[&str]) {
        let way = way.iter().map(|&step| step.to_owned()).collect();
        let mut findings = Vec::new();
        rules(BOTH).judge_links(
            "engine",
            &Links::from([(linked.to_owned(), way)]),
            &mut findings,
        );
        compare_findings(&findings, expected);
    }

    fn compare_findings(findings: &[String], expected: &[&str]) {
        assert_eq!(findings.len(), expected.len(), "{findings:#?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.contains(expected), "{finding} lacks {expected}");
        }
    }

    const BOTH: &str = "[crates.engine]\nkind = \"pure\"\n[crates.shell]\nkind = \"shell\"\n";

    #[test]
    fn what_is_listed_passes() {
        let rules = format!("{BOTH}imports = {{ engine = \"drives it\" }}\n");
        check(&rules, &[("shell", "engine")], &[]);
    }

    #[test]
    fn an_arrow_that_is_not_listed_is_refused() {
        check(
            BOTH,
            &[("shell", "engine")],
            &["shell: may not import our crate engine"],
        );
    }

    #[test]
    fn a_line_that_nothing_uses_is_refused() {
        let rules = format!("{BOTH}imports = {{ engine = \"drives it\" }}\n");
        check(&rules, &[], &["allows engine, nothing uses it"]);
    }

    #[test]
    fn an_outside_crate_in_a_pure_crate_needs_a_line() {
        check(
            BOTH,
            &[("engine", "wire")],
            &["engine: is pure and may not use wire"],
        );
        check(BOTH, &[("shell", "wire")], &[]);
    }

    #[test]
    fn a_pure_crate_is_caught_on_a_detour() {
        let way = ["wire", "tokio"];
        check_links(
            "tokio",
            &way,
            &["links tokio (sockets); the way: wire -> tokio"],
        );
    }

    #[test]
    fn a_pure_crate_may_not_link_a_shell() {
        check_links("shell", &["shell"], &["links shell, which is not"]);
    }

    #[test]
    fn a_crate_without_an_entry_is_refused() {
        check(
            "[crates.engine]\nkind = \"pure\"\n",
            &[],
            &["shell: not in xtask/deps.toml"],
        );
    }
}
