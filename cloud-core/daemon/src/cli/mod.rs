//! The command line: runs one command and ends with an exit code that says how it went.
//!
//! Invariant: an error is printed once, on standard error, and says what to do next; standard
//! output holds nothing but the answer.

mod admin;
mod args;
mod backup;
mod exit;
mod init;
mod mail;
mod people_args;
mod status;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

pub use exit::Exit;

use self::args::{Cli, Command};
use crate::api::Problem;
use crate::config;
use crate::service::status::mirror::{self, Mirror};

/// A command that did not do what it was told to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

impl From<settings::ConfigErrors> for Failure {
    fn from(errors: settings::ConfigErrors) -> Self {
        Self {
            exit: Exit::Usage,
            error: errors.into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let in_use = error.chain().any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
        });
        let exit = if in_use { Exit::InUse } else { Exit::Fault };
        Self { exit, error }
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match dispatch(&Cli::parse().command) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            // Nothing is left to do if even this cannot be written.
            let _ = writeln!(io::stderr(), "antiphon-cloud: {:#}", failure.error);
            failure.exit.into()
        }
    }
}

fn dispatch(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Init(asked) => {
            let settings = config::load(&asked.which.config)?;
            print(&in_runtime(init::run(&settings, asked))?)
        }
        Command::Serve(which) => {
            let settings = config::load(&which.config)?;
            crate::logging::install(&settings.log);
            Ok(in_runtime(crate::serve::run(settings))?)
        }
        Command::Admin(what) => {
            let settings = config::load(&what.core().config)?;
            print(&in_runtime(admin::run(&settings, what))?)
        }
        Command::Mail(what) => {
            let settings = config::load(&what.core().config)?;
            print(&in_runtime(mail::run(&settings, what))?)
        }
        Command::StatusPage(asked) => {
            crate::logging::install(&config::Log::of_a_tool());
            Ok(in_runtime(mirror::run(Mirror {
                of: asked.of.trim_end_matches('/').to_owned(),
                listen: asked.listen,
                authority: asked.authority.clone(),
            }))?)
        }
        Command::Backup(asked) => {
            let settings = config::load(&asked.core.config)?;
            print(&in_runtime(backup::back_up(&settings, asked))?)
        }
        Command::Restore(asked) => {
            let settings = config::load(&asked.core.config)?;
            print(&in_runtime(backup::restore(&settings, asked))?)
        }
        Command::Status(asked) => {
            let settings = config::load(&asked.core.config)?;
            let (told, attention) = in_runtime(status::run(&settings, asked))?;
            print(&told)?;
            match attention {
                true => Err(status::needs_attention()),
                false => Ok(()),
            }
        }
        Command::CheckConfig { file } => {
            let settings = config::load(file)?;
            print(&format!(
                "{}: valid, for {}\n",
                file.display(),
                settings.url
            ))
        }
        Command::ConfigReference => print(&config::reference()),
        Command::Openapi => print(&crate::api::description()),
    }
}

fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting threads")?;
    runtime.block_on(work)
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads us has had enough, such as `head`: that is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.context("the output cannot be written")?),
    }
}

/// A problem for somebody at a terminal.
fn in_words(problem: &Problem) -> String {
    let findings = problem.errors.iter();
    let mut words = problem.detail.clone();
    for finding in findings {
        words += &format!(
            "\n  {}: {}",
            finding.pointer.trim_start_matches('/'),
            finding.detail
        );
    }
    words
}
