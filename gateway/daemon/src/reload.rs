//! Reads the configuration again while the gateway runs: on SIGHUP, on `reload`, when a file changes.
//!
//! Reads and checks beside the main loop and hands it a finished directory, so calls are not held
//! up. What cannot change without a restart is named, not ignored. Invariant: a configuration with
//! a mistake changes nothing.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use net::flows::ListenerId;
use net::tls::ServerTls;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::config::{self, ConfigErrors, DirectorySettings, Settings};
use crate::control::protocol::{Done, Refusal, RefusalCode, Reply};
use crate::listeners;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Somebody wants the configuration to be read again, and may want to know what came of it.
#[derive(Debug, Default)]
pub(crate) struct ReloadAsked {
    pub(crate) answer: Option<oneshot::Sender<Reply>>,
}

/// What the main loop takes over.
#[derive(Debug)]
pub(crate) struct Reloaded {
    pub(crate) directory: DirectorySettings,
    pub(crate) tls: Vec<(ListenerId, ServerTls)>,
    /// To be said to whoever asked, once it is taken over.
    pub(crate) reply: Reply,
    pub(crate) answer: Option<oneshot::Sender<Reply>>,
}

/// Reads again whenever asked, until cancelled.
pub(crate) async fn serve(
    mut reloader: Reloader,
    mut asked: mpsc::Receiver<ReloadAsked>,
    to_main: mpsc::Sender<Box<Reloaded>>,
    stop: CancellationToken,
) {
    loop {
        let request = tokio::select! {
            () = stop.cancelled() => return,
            request = asked.recv() => match request {
                Some(request) => request,
                None => return,
            },
            () = tokio::time::sleep(LOOK) => {
                if !reloader.files_changed() {
                    continue;
                }
                tracing::info!("a file of the configuration has changed");
                ReloadAsked::default()
            }
        };
        let read = tokio::task::spawn_blocking(move || {
            let result = reloader.read();
            (reloader, result)
        });
        let Ok((back, result)) = read.await else {
            tracing::error!("reading the configuration panicked; it is not read again");
            return;
        };
        reloader = back;
        match result {
            Ok(mut reloaded) => {
                reloaded.answer = request.answer;
                // The main loop takes it as long as it lives.
                let _ = to_main.send(reloaded).await;
            }
            Err(reply) => {
                if let Some(answer) = request.answer {
                    // Whoever asked may have left.
                    let _ = answer.send(reply);
                }
            }
        }
    }
}

/// The configuration in force, and the files it came from.
#[derive(Debug)]
pub(crate) struct Reloader {
    file: PathBuf,
    settings: Settings,
    seen: Vec<Option<Stamp>>,
}

/// Enough of a file's state to notice that it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Reloader {
    pub(crate) fn new(file: &Path, settings: Settings) -> Self {
        let seen = settings
            .directory
            .files
            .iter()
            .map(|file| stamp(file))
            .collect();
        Self {
            file: file.to_owned(),
            settings,
            seen,
        }
    }

    fn files_changed(&mut self) -> bool {
        let now: Vec<_> = self
            .settings
            .directory
            .files
            .iter()
            .map(|f| stamp(f))
            .collect();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    fn read(&mut self) -> Result<Box<Reloaded>, Reply> {
        let settings = config::load(&self.file).map_err(|errors| refused(&errors))?;
        let tls = listeners::tls_of(&self.settings.sip.listeners).map_err(|error| {
            tracing::error!(%error, "certificates cannot be read again; the old ones stay");
            refusal(error.to_string(), "correct the file and reload")
        })?;
        let waiting = self.settings.parts_that_differ(&settings);
        let stations = settings.directory.stations();
        let mut text = format!("read again: {stations} stations");
        if !waiting.is_empty() {
            text += &format!("; restart to use what is new in: {}", waiting.join(", "));
        }
        tracing::info!(stations, restart_for = ?waiting, "the configuration was read again");
        self.settings.directory = settings.directory.clone();
        self.seen = self
            .settings
            .directory
            .files
            .iter()
            .map(|f| stamp(f))
            .collect();
        Ok(Box::new(Reloaded {
            directory: settings.directory,
            tls,
            reply: Reply::Done(Done { text }),
            answer: None,
        }))
    }
}

fn refused(errors: &ConfigErrors) -> Reply {
    for problem in &errors.0 {
        tracing::error!(%problem, "the configuration has a mistake; the old one stays in force");
    }
    let problems: Vec<_> = errors.0.iter().map(ToString::to_string).collect();
    refusal(
        format!(
            "the old configuration stays in force\n{}",
            problems.join("\n")
        ),
        "correct the files and reload",
    )
}

fn refusal(text: String, remedy: &str) -> Reply {
    Reply::Error(Refusal {
        code: RefusalCode::BadConfiguration,
        text,
        remedy: remedy.to_owned(),
    })
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Stamp {
        inode: metadata.ino(),
        size: metadata.len(),
        changed: (metadata.mtime(), metadata.mtime_nsec()),
    })
}
