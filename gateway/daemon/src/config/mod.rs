//! The configuration: TOML files to checked settings, with every mistake told at once.
//!
//! `fields` declares what can be written and documents it, `check` and `directory` judge it,
//! `settings` is what comes out, `reference` prints the documentation. Nothing here binds an
//! address or changes a file.

mod announcements;
mod causes;
mod check;
mod cloud;
mod directory;
mod directory_fields;
pub(crate) mod driver;
mod fields;
mod lines;
mod local;
mod realm;
mod remote;
mod settings;
mod wav;

use std::path::{Path, PathBuf};

pub(crate) use ::settings::{ConfigErrors, Problem, problems, section, values};

pub(crate) use self::settings::*;
pub(crate) use self::wav::wav;

use self::directory::{Environment, Origin};
use self::directory_fields::DirectorySection;
use self::fields::GatewayFile;
use self::problems::Problems;
use self::section::{HereOrFile, read_document};

const HEAD: &str = "\
# Configuration of antiphon-gateway: every setting there is.
#
# Lines with a '#' right before a name or a bracket show the default, or an example where there is
# none; the others must be given. Durations are written as \"500ms\", \"30s\", \"10m\", \"2h\", \"180d\". File names count from the
# folder of this file. `antiphon-gateway check-config FILE` says what is wrong, all at once.
";

/// The annotated sample of everything that can be set.
pub(crate) fn reference() -> String {
    ::settings::reference::<GatewayFile>(HEAD)
}

/// Reads and checks the configuration in `file` and whatever it refers to.
pub(crate) fn load(file: &Path) -> Result<Settings, ConfigErrors> {
    load_with(file, &|name| std::env::var(name).ok())
}

fn load_with(file: &Path, environment: Environment<'_>) -> Result<Settings, ConfigErrors> {
    let mut problems = Problems::default();
    let Some(text) = read(file, &mut problems) else {
        return Err(problems.into_errors());
    };
    let folder = folder_of(file);
    let source = problems.add_source(file, &text);
    let gateway: GatewayFile = read_document(source, &text, &mut problems);
    let mut directory = match &gateway.directory {
        HereOrFile::Here(section) => {
            let origin = Origin {
                source,
                text: &text,
                prefix: "directory.",
                folder: &folder,
            };
            directory::settings(section, origin, environment, &mut problems)
        }
        HereOrFile::File(name) => {
            let path = folder.join(&name.value);
            directory_file(&path, environment, &mut problems)
        }
    };
    directory.files.insert(0, file.to_owned());
    let settings = check::settings(&gateway, directory, &folder, &mut problems);
    problems.into_result(settings)
}

fn directory_file(
    file: &Path,
    environment: Environment<'_>,
    problems: &mut Problems,
) -> DirectorySettings {
    let Some(text) = read(file, problems) else {
        return DirectorySettings::default();
    };
    let source = problems.add_source(file, &text);
    let section: DirectorySection = read_document(source, &text, problems);
    let origin = Origin {
        source,
        text: &text,
        prefix: "",
        folder: &folder_of(file),
    };
    let mut settings = directory::settings(&section, origin, environment, problems);
    settings.files.push(file.to_owned());
    settings
}

fn read(file: &Path, problems: &mut Problems) -> Option<String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Some(text),
        Err(error) => {
            problems.report_file(
                file,
                format!("this file cannot be read: {error}"),
                "correct the name or the rights; `antiphon-gateway config-reference` prints a \
                 sample to start from",
            );
            None
        }
    }
}

/// File names in a configuration count from the folder it is in.
fn folder_of(file: &Path) -> PathBuf {
    file.parent().map(Path::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests;
