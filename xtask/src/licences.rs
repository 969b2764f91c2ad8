//! Which licences may be linked in.
//!
//! GPL and LGPL programs are fine beside us as separate processes, never as a
//! dependency. A package passes when its SPDX expression can be satisfied with
//! accepted licences alone. Does not read licence texts.

use crate::metadata::{Package, Workspace};

const ACCEPTED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// Packages whose manifest names a licence file instead of an expression, read by hand.
const READ_BY_HAND: [(&str, &str); 2] = [("rsip", "MIT"), ("rsip-derives", "MIT")];

pub(crate) fn check(workspace: &Workspace) -> Vec<String> {
    workspace.outside().filter_map(judge).collect()
}

fn judge(package: &Package) -> Option<String> {
    let by_hand = READ_BY_HAND.iter().find(|(name, _)| *name == package.name);
    let expression = match (&package.license, by_hand) {
        (Some(expression), _) => expression.as_str(),
        (None, Some((_, expression))) => expression,
        (None, None) => {
            let file = package
                .license_file
                .as_deref()
                .map(|file| file.display().to_string());
            return Some(format!(
                "{} {}: names no licence (file: {}); read it and list it in xtask/src/licences.rs",
                package.name,
                package.version,
                file.as_deref().unwrap_or("none")
            ));
        }
    };
    (!acceptable(expression)).then(|| {
        format!(
            "{} {}: licence {expression} may not be linked in",
            package.name, package.version
        )
    })
}

/// SPDX expressions with AND, OR, parentheses, and the old `A/B` for "or".
fn acceptable(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) == Some(true) && rest.is_empty()
}

/// `None`: not an expression.
fn any_of(words: &mut &[&str]) -> Option<bool> {
    let mut accepted = all_of(words)?;
    while take(words, "OR") {
        accepted |= all_of(words)?;
    }
    Some(accepted)
}

fn all_of(words: &mut &[&str]) -> Option<bool> {
    let mut accepted = one(words)?;
    while take(words, "AND") {
        accepted &= one(words)?;
    }
    Some(accepted)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    if take(words, "(") {
        let accepted = any_of(words)?;
        return take(words, ")").then_some(accepted);
    }
    let mut name = next(words)?.to_owned();
    if take(words, "WITH") {
        name = format!("{name} WITH {}", next(words)?);
    }
    Some(ACCEPTED.contains(&name.as_str()))
}

fn next<'a>(words: &mut &[&'a str]) -> Option<&'a str> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    Some(first)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::acceptable;

    #[test]
    fn a_choice_passes_when_one_side_does() {
        assert!(acceptable("MIT OR GPL-3.0-only"));
        assert!(acceptable("MIT/Apache-2.0"));
        assert!(acceptable(
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT"
        ));
    }

    #[test]
    fn a_conjunction_passes_only_when_both_do() {
        assert!(acceptable("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!acceptable("(MIT OR Apache-2.0) AND LGPL-2.1-only"));
    }

    #[test]
    fn copyleft_and_nonsense_are_refused() {
        for bad in [
            "GPL-3.0-only",
            "LGPL-2.1-or-later",
            "",
            "MIT OR",
            "(MIT",
            "MIT MIT",
        ] {
            assert!(!acceptable(bad), "{bad}");
        }
    }
}
