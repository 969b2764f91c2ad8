//! `check-config`: everything that is wrong with a configuration, and nothing else happens.

use std::io::{self, Write};

use exchange::Driver;
use serde::Serialize;

use super::args::CheckConfig;
use super::{Exit, Failure};
use crate::config::driver::covers;
use crate::config::{self, ConfigErrors, LineSettings, Problem};

/// A problem as JSON shows it.
#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    file: String,
    line: usize,
    column: usize,
    path: &'a str,
    what: &'a str,
    remedy: &'a str,
}

impl<'a> From<&'a Problem> for ProblemView<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            file: problem.file.display().to_string(),
            line: problem.line,
            column: problem.column,
            path: &problem.path,
            what: &problem.what,
            remedy: &problem.remedy,
        }
    }
}

pub(super) fn run(options: &CheckConfig) -> Result<Exit, Failure> {
    let checked = config::load(&options.config);
    let text = match (&checked, options.json) {
        (Ok(_), true) => "[]\n".to_owned(),
        (Ok(settings), false) => {
            let file = options.config.display();
            let remarks = settings.remarks();
            let remarks = remarks
                .iter()
                .map(|remark| format!("{file}: remark: {remark}\n"));
            let good = format!(
                "{file}: good; {} stations, {} listeners, {} lines\n",
                settings.directory.stations(),
                settings.sip.listeners.len(),
                settings.lines.len()
            );
            let lines = settings.lines.iter().filter_map(table_driver);
            remarks.chain([good]).chain(lines).collect()
        }
        (Err(errors), true) => problems_json(errors)?,
        (Err(errors), false) => format!("{errors}\n"),
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::output)?;
    Ok(match checked {
        Ok(_) => Exit::Done,
        Err(_) => Exit::Usage,
    })
}

/// What a driver that is a table covers; others cover what their documentation says.
fn table_driver(line: &LineSettings) -> Option<String> {
    let Driver::Table(manifest) = &line.config.driver else {
        return None;
    };
    let covers = covers(manifest.coverage()).text("  ");
    Some(format!(
        "line \"{}\" by {}\n{covers}",
        line.config.name, manifest.name
    ))
}

pub(super) fn problems_json(errors: &ConfigErrors) -> Result<String, Failure> {
    let views: Vec<_> = errors.0.iter().map(ProblemView::from).collect();
    let json = serde_json::to_string_pretty(&views);
    Ok(json.map_err(|error| Failure::fault(error.into()))? + "\n")
}
