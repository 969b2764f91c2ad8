//! What a driver can carry and what it cannot, for people.

use legacy_protocols::coverage::{CommandKind, Coverage, EventKind};

/// Names of events and commands, each list in the order of the protocol's own.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Covers {
    /// What the other end may tell, and what it has no word for.
    pub(crate) hears: Vec<String>,
    pub(crate) never_hears: Vec<String>,
    /// What may be asked of it, and what may not.
    pub(crate) commands: Vec<String>,
    pub(crate) cannot_command: Vec<String>,
    /// What it may ask of the gateway.
    pub(crate) asked: Vec<String>,
}

pub(crate) fn covers(coverage: Coverage) -> Covers {
    let names = |kinds: Vec<EventKind>| kinds.iter().map(|kind| kind.name().to_owned()).collect();
    let words = |kinds: Vec<CommandKind>| kinds.iter().map(|kind| kind.name().to_owned()).collect();
    let (hears, never_hears) = coverage.events();
    let (commands, cannot_command) = coverage.commands();
    let asked = CommandKind::ALL.iter().copied();
    Covers {
        hears: names(hears),
        never_hears: names(never_hears),
        commands: words(commands),
        cannot_command: words(cannot_command),
        asked: words(
            asked
                .filter(|kind| coverage.can_be_commanded(*kind))
                .collect(),
        ),
    }
}

impl Covers {
    /// Lines of text, each indented by `indent`.
    pub(crate) fn text(&self, indent: &str) -> String {
        let list = |names: &[String]| match names {
            [] => "nothing".to_owned(),
            names => names.join(" "),
        };
        let rows = [
            ("hears", &self.hears),
            ("never hears", &self.never_hears),
            ("commands", &self.commands),
            ("cannot command", &self.cannot_command),
            ("is asked", &self.asked),
        ];
        rows.iter()
            .map(|(head, names)| format!("{indent}{head:<15} {}\n", list(names)))
            .collect()
    }
}
