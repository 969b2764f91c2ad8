//! The command line as it is typed. Declares; does nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const ABOUT: &str = "The core behind Antiphon gateways: companies, devices, keys, calls.";

const EXAMPLES: &str = "\
Examples:
  antiphon-cloud config-reference > core.toml    start from the documented sample
  antiphon-cloud check-config core.toml          see all mistakes at once
  antiphon-cloud init --config core.toml         make folder, keys and tables
  antiphon-cloud serve --config core.toml        run

Exit codes:
";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "antiphon-cloud", version, about = ABOUT, after_help = after_help())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

fn after_help() -> String {
    let mut text = EXAMPLES.to_owned();
    for (exit, meaning) in super::Exit::ALL {
        text += &format!("  {:>2}  {meaning}\n", exit.code());
    }
    text
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make what a new core needs: its folder, its keys, its tables
    ///
    /// Run again, it makes what is missing and leaves alone what is there.
    Init(Configured),
    /// Run the core until it is told to stop
    ///
    /// Reads and checks the whole configuration first: nothing is bound before it is valid.
    /// SIGTERM stops gracefully, a second one at once.
    Serve(Configured),
    /// Check a configuration and say everything that is wrong with it
    CheckConfig {
        /// The configuration.
        file: PathBuf,
    },
    /// Print every setting with its documentation and its default
    ConfigReference,
    /// Print the description of the interface (OpenAPI 3.1, JSON)
    Openapi,
}

/// Which core.
#[derive(Args, Debug)]
pub(crate) struct Configured {
    /// Its configuration.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/antiphon-cloud/core.toml"
    )]
    pub(crate) config: PathBuf,
}
