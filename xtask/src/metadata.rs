//! What Cargo says about the workspace, cut down to what the checks need.
//!
//! Does not interpret anything: who may import whom is `deps`, which licences
//! are acceptable is `licences`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// All packages of the build, our own and outside ones.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) license_file: Option<PathBuf>,
    pub(crate) dependencies: Vec<Declared>,
}

/// A line under `[dependencies]`, `[dev-dependencies]` or `[build-dependencies]`.
#[derive(Debug, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: String,
    /// `None` for normal, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// What is linked into a crate: name of the package -> the way that leads there.
pub(crate) type Links = BTreeMap<String, Vec<String>>;

impl Workspace {
    /// Reads the workspace below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let json = cargo(root, &["metadata", "--format-version", "1", "--locked"])?;
        serde_json::from_slice(&json).context("cargo metadata is not as expected")
    }

    /// The crates of this repository, by name.
    pub(crate) fn members(&self) -> Vec<&Package> {
        let mut members: Vec<&Package> = self
            .packages
            .iter()
            .filter(|package| self.is_ours(package))
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// Everything that is not ours.
    pub(crate) fn outside(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| !self.is_ours(package))
    }

    pub(crate) fn is_member(&self, name: &str) -> bool {
        self.packages
            .iter()
            .any(|package| package.name == name && self.is_ours(package))
    }

    fn is_ours(&self, package: &Package) -> bool {
        self.workspace_members.contains(&package.id)
    }
}

/// Every package linked into `name` through normal dependencies. Procedural
/// macros run in the compiler, not in the product, and do not count.
///
/// Asks `cargo tree`, not `cargo metadata`: the latter unites the features of
/// the whole workspace and so reports packages that this crate never links.
pub(crate) fn linked_into(root: &Path, name: &str) -> Result<Links> {
    let edges = "normal,no-proc-macro";
    let arguments = [
        "tree", "--locked", "-p", name, "-e", edges, "--prefix", "depth", "--target", TARGET,
    ];
    Ok(parse_tree(&String::from_utf8_lossy(&cargo(
        root, &arguments,
    )?)))
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Lines such as `2tokio v1.54.1 (*)`: the depth, then the package.
fn parse_tree(text: &str) -> Links {
    let mut links = Links::new();
    let mut way: Vec<String> = Vec::new();
    for line in text.lines() {
        let digits = line
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(line.len());
        let (depth, package) = line.split_at(digits);
        let (Ok(depth), Some(name)) = (depth.parse::<usize>(), package.split(' ').next()) else {
            continue;
        };
        if depth > 0 {
            way.truncate(depth - 1);
            way.push(name.to_owned());
            links.entry(name.to_owned()).or_insert_with(|| way.clone());
        }
    }
    links
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(crate::cargo())
        .current_dir(root)
        .args(arguments)
        .output()
        .context("could not run cargo")?;
    ensure!(
        output.status.success(),
        "cargo {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::parse_tree;

    #[test]
    fn the_tree_is_read_with_the_ways() {
        let links = parse_tree(
            "0engine v0.1.0 (/x)\n1wire v1.0.0\n2tokio v1.54.1\n1bytes v1.0.0\n2tokio v1.54.1 (*)\n",
        );
        assert_eq!(links.len(), 3);
        assert_eq!(links["tokio"], ["wire", "tokio"]);
        assert_eq!(links["bytes"], ["bytes"]);
    }
}
