//! Table drivers: files that say how a server's protocol looks, and the presets by name.
//!
//! Reads a file into a `Manifest` and judges it, all mistakes at once, each with its line and a
//! remedy. It opens no line and runs no protocol. Invariant: a manifest that was handed out passed
//! `table::validate`, so a session can be made of it.

mod coverage;
mod fields;
mod read;
mod values;

use std::path::Path;
use std::sync::Arc;

use legacy_protocols::table::presets::{self, OpenWebNet};
use legacy_protocols::table::{self, Manifest, Outputs};

pub(crate) use self::coverage::{Covers, covers};
use self::fields::DriverFile;
use super::problems::{ConfigErrors, Place, Problems, SourceId};
use super::section::{locate, read_document};

/// Names of the presets, and what each is.
pub(crate) const PRESETS: &[(&str, &str)] = &[
    ("mcip-ascii", "MC-IP's host port, ASCII"),
    (
        "openwebnet-events",
        "OpenWebNet, video door entry: what happens",
    ),
    (
        "openwebnet-commands",
        "OpenWebNet, video door entry: opening locks",
    ),
    (
        "acdp-simple",
        "ACDP's simple link, the part that a table can tell",
    ),
];

/// The preset of this name. Whether outputs may be driven is for whoever uses it to say.
pub(crate) fn preset(name: &str, outputs: Outputs) -> Option<Manifest> {
    Some(match name {
        "mcip-ascii" => presets::mcip_ascii(),
        // Nothing is commanded there, so nothing needs to be allowed.
        "openwebnet-events" => presets::openwebnet(OpenWebNet::Events, Outputs::Refused),
        "openwebnet-commands" => presets::openwebnet(OpenWebNet::Commands, outputs),
        "acdp-simple" => presets::acdp_simple(),
        _ => return None,
    })
}

/// Reads the file of a driver; what is wrong with it goes into `problems`.
pub(crate) fn load(file: &Path, problems: &mut Problems) -> Option<Arc<Manifest>> {
    let text = super::read(file, problems)?;
    let before = problems.count();
    let manifest = read_text(file, &text, problems);
    (problems.count() == before).then(|| Arc::new(manifest))
}

/// Reads the text of a driver's file, for whoever has it at hand.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Manifest, ConfigErrors> {
    let mut problems = Problems::default();
    let manifest = read_text(file, text, &mut problems);
    problems.into_result(manifest)
}

#[cfg(test)]
pub(super) const FIELDS: &[super::section::Field] = <DriverFile as super::section::Section>::FIELDS;

fn read_text(file: &Path, text: &str, problems: &mut Problems) -> Manifest {
    let source = problems.add_source(file, text);
    let before = problems.count();
    let written: DriverFile = read_document(source, text, problems);
    let manifest = read::manifest(&written, problems);
    // What stands in the gaps is ours: complaints about it would mislead.
    if problems.count() == before {
        judge(&manifest, source, text, problems);
    }
    manifest
}

fn judge(manifest: &Manifest, source: SourceId, text: &str, problems: &mut Problems) {
    let Err(found) = table::validate(manifest) else {
        return;
    };
    for problem in found {
        let place = Place {
            source,
            offset: locate(text, &problem.place),
            path: problem.place,
        };
        problems.report(&place, problem.what, problem.remedy);
    }
}

#[cfg(test)]
mod tests;
