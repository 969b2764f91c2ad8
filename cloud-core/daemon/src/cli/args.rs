//! The command line as it is typed. Declares; does nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use cloud_logic::ids::IncidentId;

use crate::service::status::{Part, State};

use super::people_args::{GrantsWork, Reset, UsersWork};

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
    #[command(
        after_help = "Example: antiphon-cloud init --config core.toml --company \"Clinics Ltd\" \\
         --owner anna@example.com"
    )]
    Init(Init),
    /// Run the core until it is told to stop
    ///
    /// Reads and checks the whole configuration first: nothing is bound before it is valid.
    /// SIGTERM stops gracefully, a second one at once.
    Serve(Configured),
    /// People and rights, keys, authority, makers and claim codes
    #[command(subcommand)]
    Admin(Admin),
    /// Try the way mails leave
    #[command(subcommand)]
    Mail(Mail),
    /// Serve a status page that goes on when the core is dead
    ///
    /// Asks a core every 15 seconds how it is, and shows it at `/status`. Runs on another host than
    /// the core, and needs no configuration.
    StatusPage(StatusPage),
    /// Write the whole of a core into one file, while it runs
    ///
    /// An archive of tar with SHA256SUMS in it: rows as lines of JSON, blobs, and nothing of the keys
    /// unless they are asked for.
    #[command(after_help = "Example: antiphon-cloud backup --config core.toml --to core.tar")]
    Backup(Backup),
    /// Put a backup in the place of everything that is there
    ///
    /// Reads the whole archive first and changes nothing if anything is wrong with it. The core must
    /// not run. SQLite and PostgreSQL read each other's backups.
    #[command(after_help = "Example: antiphon-cloud restore --config core.toml --from core.tar")]
    Restore(Restore),
    /// Say how a core is, from its store: it may run or not
    ///
    /// Ends with exit code 20 when something needs attention.
    Status(Status),
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

/// What the operator of a core does by hand. Works beside a running core.
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// People: who is there, a new one, blocking
    #[command(subcommand)]
    Users(UsersWork),
    /// Rights: who holds what, giving, taking, and why somebody may do something
    #[command(subcommand)]
    Grants(GrantsWork),
    /// Make a link with which somebody chooses her password anew
    Reset(Reset),
    /// Seal all secrets with a new key
    ///
    /// Adds a key to the key file and seals everything with it. With several nodes: copy the key
    /// file to all of them. Running cores seal with it from the next minute on; then drop the old.
    RotateKey {
        #[command(flatten)]
        core: Configured,
        /// Instead: forget the older keys, once every node has the newest key file
        #[arg(long)]
        drop_old: bool,
    },
    /// Print the certificates of the root authorities (PEM)
    ///
    /// For `cloud.authorities` of a gateway that is to be claimed, where the core has no certificate
    /// of a public authority.
    #[command(after_help = "Example: antiphon-cloud admin root --config core.toml > core-ca.crt")]
    Root {
        #[command(flatten)]
        core: Configured,
    },
    /// Take the key of the root authority out of the store, into a file to be kept apart
    ///
    /// It is needed again every four years, for `renew-authority`.
    TakeRootKey {
        #[command(flatten)]
        core: Configured,
        /// A file that is not there yet, on a stick for instance.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Sign new issuing authorities with the key of a root that was taken away
    RenewAuthority {
        #[command(flatten)]
        core: Configured,
        /// What `take-root-key` wrote.
        #[arg(long, value_name = "FILE")]
        root_key: PathBuf,
    },
    /// Trust the authority of a maker: its devices may enrol by the key they were born with
    TrustMaker {
        #[command(flatten)]
        core: Configured,
        /// The certificate of the maker's authority, in PEM.
        certificate: PathBuf,
    },
    /// Tell everybody about a trouble, on the status page
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Take in a maker's list of units, so that they can be claimed
    ///
    /// CSV with the header `model,revision,serial_number,factory_key,code`: revision, factory_key
    /// (SHA-256 of the public key, hexadecimal) and code may be empty. Codes that are missing are
    /// made. All lines are taken in, or none.
    ImportUnits {
        #[command(flatten)]
        core: Configured,
        /// The list.
        list: PathBuf,
        /// A file that is not there yet: a page with a label for each unit. Codes can be read
        /// nowhere else afterwards.
        #[arg(long, value_name = "FILE")]
        labels: PathBuf,
    },
    /// Subscriptions of companies: list them, write them down, change them
    #[command(subcommand)]
    Subscriptions(Subscriptions),
    /// List letters that went out by mail or did not, and why
    Letters {
        #[command(flatten)]
        core: Configured,
        /// Only those that are waiting, sent or failed
        #[arg(long, value_name = "STATE", value_parser = ["waiting", "sent", "failed"])]
        state: Option<String>,
    },
}

/// What companies have ordered.
#[derive(Debug, Subcommand)]
pub(crate) enum Subscriptions {
    /// List them, with the companies and their ids
    List {
        #[command(flatten)]
        core: Configured,
    },
    /// Write one down
    Add {
        #[command(flatten)]
        core: Configured,
        /// Whose it is: co-...
        #[arg(long, value_name = "ID")]
        company: String,
        /// Its order number, E-CC-CTF for instance.
        #[arg(long, value_name = "NUMBER")]
        sku: String,
        /// How much of it.
        #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        amount: u32,
        /// Its first day; today when left out.
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// The day on which it ends, 2027-12-31 for instance.
        #[arg(long, value_name = "DAY")]
        until: String,
        /// Of the order, for the books.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reference: String,
    },
    /// Change how much of it there is, or when it ends
    Change {
        #[command(flatten)]
        core: Configured,
        /// Which: sb-...
        id: String,
        /// How much of it.
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        amount: Option<u32>,
        /// The day on which it ends.
        #[arg(long, value_name = "DAY")]
        until: Option<String>,
    },
    /// Take one back that should not have been written down
    End {
        #[command(flatten)]
        core: Configured,
        /// Which: sb-...
        id: String,
    },
}

impl Subscriptions {
    pub(crate) fn core(&self) -> &Configured {
        match self {
            Self::List { core }
            | Self::Add { core, .. }
            | Self::Change { core, .. }
            | Self::End { core, .. } => core,
        }
    }
}

/// Trying the way mails leave.
#[derive(Debug, Subcommand)]
pub(crate) enum Mail {
    /// Send a letter to this address, at once, and say what the mail server answered
    #[command(after_help = "Example: antiphon-cloud mail test anna@example.com --config core.toml")]
    Test {
        #[command(flatten)]
        core: Configured,
        /// Who gets it.
        address: String,
    },
}

/// What operators tell on the status page. Written for everybody: name no customer.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Begin: says what the matter is, and prints the id
    Open {
        #[command(flatten)]
        core: Configured,
        /// In one line.
        #[arg(long)]
        title: String,
        /// How it is: maintenance, degraded or down.
        #[arg(long, default_value = "degraded")]
        state: State,
        /// What is touched: api, devices, mail, store, revocation_lists.
        #[arg(long, value_delimiter = ',', required = true)]
        parts: Vec<Part>,
    },
    /// Add what is known now
    Note {
        #[command(flatten)]
        core: Configured,
        /// Which incident.
        id: IncidentId,
        /// What to tell.
        text: String,
    },
    /// It is over
    Close {
        #[command(flatten)]
        core: Configured,
        /// Which incident.
        id: IncidentId,
    },
}

impl IncidentCommand {
    pub(super) fn core(&self) -> &Configured {
        match self {
            Self::Open { core, .. } | Self::Note { core, .. } | Self::Close { core, .. } => core,
        }
    }
}

/// A status page on another host.
#[derive(Args, Debug)]
pub(crate) struct StatusPage {
    /// The core that is asked, such as https://core.example.com
    #[arg(long, value_name = "URL")]
    pub(crate) of: String,
    /// Where the page is served, without TLS: put it behind whatever serves your other pages.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
    /// Certificate of the authority that signed the core's, in PEM. Left out: those of the system.
    #[arg(long, value_name = "FILE")]
    pub(crate) authority: Option<PathBuf>,
}

/// What a new core needs.
#[derive(Args, Debug)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) which: Configured,
    /// Make the first company, with this name.
    #[arg(long, value_name = "NAME", requires = "owner")]
    pub(crate) company: Option<String>,
    /// Mail address of its owner, who gets a password that is printed once.
    #[arg(long, value_name = "MAIL", requires = "company")]
    pub(crate) owner: Option<String>,
    /// Language of the company and its owner: en, de or fr.
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    pub(crate) language: String,
    /// Time zone of the company.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) time_zone: String,
}

/// What goes into a backup, and where to.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) core: Configured,
    /// A file that is not there yet.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// Put the keys of all secrets into it too: whoever has the file then has everything
    #[arg(long)]
    pub(crate) with_keys: bool,
    /// Leave uploads and pictures out, where their folder or bucket is copied by itself
    #[arg(long)]
    pub(crate) without_blobs: bool,
}

/// What is put back.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) core: Configured,
    /// What `backup` wrote.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// Replace a store that is in use
    #[arg(long)]
    pub(crate) replace: bool,
}

/// How it is told.
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) core: Configured,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
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
