//! The configuration: one TOML file to checked settings, with every mistake told at once.
//!
//! `fields` declares what can be written, `check` judges it. Companies, users and devices are not
//! configuration: they live in the store. Nothing here binds an address or changes a file.

mod check;
mod fields;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cloud_logic::subscriptions::Checking;
use settings::section::read_document;
use settings::values::Secret;
use settings::{ConfigErrors, Problems};
use tracing_subscriber::filter::Targets;

use self::fields::CoreFile;
pub(crate) use self::fields::{LogFormat, MailEncryption};
use crate::api::PerSecond;
use crate::blobs::BlobPlace;
use crate::calls;
use crate::front_door::broker;
use crate::listener::Proxies;
use crate::store::Place;

const HEAD: &str = "\
# Configuration of antiphon-cloud: every setting there is.
#
# Lines with a '#' right before a name or a bracket show the default, or an example where there is
# none; the others must be given. `antiphon-cloud check-config FILE` says what is wrong, all at once.
";

/// What the core runs with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Without a slash at its end.
    pub(crate) url: String,
    /// The host of `url`.
    pub(crate) host: String,
    pub(crate) listen: Listen,
    pub(crate) store: Place,
    pub(crate) blobs: Blobs,
    pub(crate) broker: Option<broker::Settings>,
    pub(crate) mail: Option<Mail>,
    pub(crate) limits: PerSecond,
    pub(crate) subscriptions: Checking,
    pub(crate) calls: Option<calls::Settings>,
    pub(crate) log: Log,
}

/// Where the core listens.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub(crate) api: SocketAddr,
    pub(crate) api_speaks_tls: bool,
    pub(crate) devices: SocketAddr,
    pub(crate) revocation: SocketAddr,
    pub(crate) devices_plain: Option<SocketAddr>,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) proxies: Proxies,
    /// Calls in browsers.
    pub(crate) web_calls: Option<web_edge::Config>,
}

/// Uploads, pictures and exports.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    pub(crate) place: BlobPlace,
    /// What those of one company may take, in octets.
    pub(crate) room: i64,
}

/// The way mails leave.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) encryption: MailEncryption,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// A certificate in PEM that is trusted beside those of the machine.
    pub(crate) authority: Option<String>,
    pub(crate) from: String,
}

/// The log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) level: Targets,
    pub(crate) format: LogFormat,
}

impl Log {
    /// Of a command that has no configuration.
    pub(crate) fn of_a_tool() -> Self {
        Self {
            level: Targets::new().with_default(tracing::Level::INFO),
            format: LogFormat::Plain,
        }
    }
}

/// The annotated sample of everything that can be set.
pub(crate) fn reference() -> String {
    settings::reference::<CoreFile>(HEAD)
}

/// Reads and checks the configuration in `file`.
pub(crate) fn load(file: &Path) -> Result<Settings, ConfigErrors> {
    let mut problems = Problems::default();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            problems.report_file(
                file,
                format!("this file cannot be read: {error}"),
                "correct the name or the rights; `antiphon-cloud config-reference` prints a sample \
                 to start from",
            );
            return Err(problems.into_errors());
        }
    };
    let source = problems.add_source(file, &text);
    let section: CoreFile = read_document(source, &text, &mut problems);
    let beside = file.parent().unwrap_or(Path::new(""));
    let settings = check::settings(&section, beside, &mut problems);
    problems.into_result(settings)
}

#[cfg(test)]
mod tests;
