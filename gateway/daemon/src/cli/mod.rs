//! The command line: runs one command and ends with an exit code that says how it went.
//!
//! Invariant: an error is printed once, on standard error, and says what to do next; standard
//! output holds nothing but the answer.

mod args;
mod ask;
mod check_config;
mod decode;
mod driver;
mod exit;
mod hash_password;
mod lines;
mod link;
mod media;
mod orders;
mod remote;
mod timeline;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

pub(crate) use self::decode::form_named;
pub use exit::Exit;

use self::args::{Cli, Command};
use crate::control::protocol::Request;

/// A command that did not do what it was told to.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    fn fault(error: anyhow::Error) -> Self {
        Self {
            exit: Exit::Fault,
            error,
        }
    }

    fn usage(text: &'static str) -> Self {
        Self {
            exit: Exit::Usage,
            error: anyhow::anyhow!(text),
        }
    }

    fn input(error: io::Error) -> Self {
        Self {
            exit: Exit::NoInput,
            error: anyhow::Error::new(error).context("the input cannot be read"),
        }
    }

    fn output(error: io::Error) -> Self {
        // Whoever reads us has had enough, such as `head`: that is no failure.
        let exit = match error.kind() {
            io::ErrorKind::BrokenPipe => Exit::Done,
            _ => Exit::Fault,
        };
        Self {
            exit,
            error: anyhow::Error::new(error).context("the output cannot be written"),
        }
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    match dispatch(&command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit != Exit::Done {
                // Nothing is left to do if even this cannot be written.
                let _ = writeln!(io::stderr(), "antiphon-gateway: {:#}", failure.error);
            }
            failure.exit.into()
        }
    }
}

fn dispatch(command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(serve) => crate::serve::run(&serve.config, serve.ready_file.as_deref())
            .map_err(|error| Failure {
                exit: error.exit(),
                error: error.into(),
            })
            .map(|()| Exit::Done),
        Command::CheckConfig(options) => check_config::run(options),
        Command::ConfigReference => {
            let text = crate::config::reference();
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).map_err(Failure::output)?;
            Ok(Exit::Done)
        }
        Command::Driver(options) => driver::run(options),
        Command::Status(ask) => ask::once(ask, &Request::Status),
        Command::Calls(calls) => ask::calls(calls),
        Command::Lines(options) => orders::run(options),
        Command::Stations(ask) => ask::once(ask, &Request::Stations),
        Command::End(end) => ask::once(&end.ask, &Request::End { call: end.call }),
        Command::Open(open) => {
            let door = open.door.clone();
            ask::once(&open.ask, &Request::Open { door })
        }
        Command::Remote(options) => remote::run(options),
        Command::Reload(ask) => ask::once(ask, &Request::Reload),
        Command::Timeline(options) => timeline::run(options),
        Command::Media(media) => media::run(&media.tool),
        Command::Decode(options) => decode::run(options),
        Command::Claim(options) => link::claim(options),
        Command::Link(ask) => ask::once(ask, &Request::Link),
        Command::Unclaim(options) => link::unclaim(options),
        Command::HashPassword(options) => hash_password::run(options),
    }
}
