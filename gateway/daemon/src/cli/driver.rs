//! `driver`: what a table driver covers, or everything that is wrong with it.

use std::fmt::Write as _;
use std::path::Path;

use legacy_protocols::table::{Manifest, Outputs};
use serde::Serialize;

use super::args::Driver;
use super::ask::print;
use super::check_config::problems_json;
use super::{Exit, Failure};
use crate::config::driver::{self, Covers, PRESETS, covers};

/// A driver as JSON shows it.
#[derive(Debug, Serialize)]
struct DriverView<'a> {
    name: &'a str,
    outputs_enabled: bool,
    #[serde(flatten)]
    covers: Covers,
}

pub(super) fn run(options: &Driver) -> Result<Exit, Failure> {
    let source = &options.source;
    if source.presets {
        print(&presets())?;
        return Ok(Exit::Done);
    }
    if let Some(name) = &source.preset {
        let manifest = driver::preset(name, Outputs::Enabled).ok_or_else(|| Failure {
            exit: Exit::Usage,
            error: anyhow::anyhow!("there is no preset \"{name}\"; --presets lists them"),
        })?;
        return shown(&manifest, options.json);
    }
    let file = source.file.as_deref().unwrap_or(Path::new("-"));
    let text = std::fs::read_to_string(file).map_err(Failure::input)?;
    match driver::parse(file, &text) {
        Ok(manifest) => shown(&manifest, options.json),
        Err(errors) => {
            let text = match options.json {
                true => problems_json(&errors)?,
                false => format!("{errors}\n"),
            };
            print(&text)?;
            Ok(Exit::Usage)
        }
    }
}

fn presets() -> String {
    let mut text = String::new();
    for (name, about) in PRESETS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<20} {about}");
    }
    text
}

fn shown(manifest: &Manifest, json: bool) -> Result<Exit, Failure> {
    let outputs_enabled = manifest.limits.outputs == Outputs::Enabled;
    let covers = covers(manifest.coverage());
    let text = if json {
        let view = DriverView {
            name: &manifest.name,
            outputs_enabled,
            covers,
        };
        let text = serde_json::to_string(&view).map_err(|error| Failure::fault(error.into()))?;
        text + "\n"
    } else {
        let outputs = match outputs_enabled {
            true => "may drive outputs",
            false => "drives no outputs",
        };
        format!("{}: good; {outputs}\n{}", manifest.name, covers.text("  "))
    };
    print(&text)?;
    Ok(Exit::Done)
}
