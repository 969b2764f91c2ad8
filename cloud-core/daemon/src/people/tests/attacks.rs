//! The page of attacks names tests that are there.

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../../../../docs/security-tests.md");

/// All source below a folder, as one text.
fn source(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source(&path, text);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_attack_of_the_page_is_tried_by_a_test_of_that_name() {
    let mut text = String::new();
    source(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut text,
    );
    let rows = PAGE.lines().filter(|line| line.starts_with("| "));
    // The heading, its line, and those of the parts name no tests.
    let rows = rows.filter(|line| !line.contains("| |") && !line.contains("---"));
    let mut attacks = 0;
    for row in rows.skip(1) {
        let tests: Vec<_> = row
            .rsplit('|')
            .nth(1)
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(
                text.contains(&format!("fn {test}(")),
                "there is no test {test}: {row}"
            );
        }
        attacks += 1;
    }
    assert!(attacks > 30, "{attacks}");
}
