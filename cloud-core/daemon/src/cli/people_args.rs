//! What is typed about people and rights. Declares; does nothing.

use clap::{Args, Subcommand};
use cloud_logic::ids::{CompanyId, GrantId, ProjectId, SiteId};
use cloud_logic::rights::{Permission, Role};

use super::args::Configured;

/// `admin users`.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersWork {
    /// Everybody, or the people of one company
    List {
        #[command(flatten)]
        core: Configured,
        /// Only of this company: those it looks after, and those who hold rights in it.
        #[arg(long, value_name = "COMPANY")]
        company: Option<CompanyId>,
        #[command(flatten)]
        form: Form,
    },
    /// Make an account; prints the link with which its person chooses a password
    #[command(
        after_help = "The account has no rights yet: antiphon-cloud admin grants give gives them."
    )]
    Add {
        #[command(flatten)]
        core: Configured,
        /// Mail address, with which she signs in.
        mail: String,
        /// The company that looks after the account.
        #[arg(long, value_name = "COMPANY")]
        company: CompanyId,
        /// As people call her; left out, what stands before the @.
        #[arg(long)]
        name: Option<String>,
        /// en, de or fr.
        #[arg(long, default_value = "en")]
        language: String,
        #[command(flatten)]
        form: Form,
    },
    /// Keep somebody out, and sign her out everywhere, at once
    Block {
        #[command(flatten)]
        core: Configured,
        /// Whom: mail address.
        mail: String,
    },
    /// Let somebody in again, with the rights she had
    Unblock {
        #[command(flatten)]
        core: Configured,
        /// Whom: mail address.
        mail: String,
    },
}

/// `admin grants`.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantsWork {
    /// All grants, those of one person, or those of one company
    List {
        #[command(flatten)]
        core: Configured,
        /// Only of this person: mail address.
        #[arg(long, value_name = "MAIL")]
        user: Option<String>,
        /// Only in this company.
        #[arg(long, value_name = "COMPANY")]
        company: Option<CompanyId>,
        #[command(flatten)]
        form: Form,
    },
    /// Give somebody a right
    #[command(
        after_help = "Example: antiphon-cloud admin grants give anna@example.com --role owner --company co-01J9..."
    )]
    Give {
        #[command(flatten)]
        core: Configured,
        /// Whom: mail address.
        mail: String,
        /// owner, admin, configurator, viewer, support, web_client, mobile_client, insights, billing.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        place: Place,
        /// For so many days; left out, without an end.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: Option<u32>,
        /// Why; needed where there is an end.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        form: Form,
    },
    /// Take a right away, at once
    Take {
        #[command(flatten)]
        core: Configured,
        /// Which: `gr-...`, as `list` shows it.
        grant: GrantId,
    },
    /// Say why somebody may do something, or may not
    #[command(
        after_help = "Example: antiphon-cloud admin grants why anna@example.com door.open --company co-01J9..."
    )]
    Why {
        #[command(flatten)]
        core: Configured,
        /// Who: mail address.
        mail: String,
        /// What, such as device.view.
        permission: Permission,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        form: Form,
    },
}

/// `admin reset`.
#[derive(Args, Debug)]
pub(crate) struct Reset {
    #[command(flatten)]
    pub(crate) core: Configured,
    /// Whose: mail address.
    pub(crate) mail: String,
    #[command(flatten)]
    pub(crate) form: Form,
}

/// Where.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The company.
    #[arg(long)]
    pub(crate) company: CompanyId,
    /// Only in this project of it.
    #[arg(long)]
    pub(crate) project: Option<ProjectId>,
    /// Only at this site of the project.
    #[arg(long, requires = "project")]
    pub(crate) site: Option<SiteId>,
}

/// How the answer looks.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Form {
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

impl UsersWork {
    pub(super) fn core(&self) -> &Configured {
        match self {
            Self::List { core, .. }
            | Self::Add { core, .. }
            | Self::Block { core, .. }
            | Self::Unblock { core, .. } => core,
        }
    }
}

impl GrantsWork {
    pub(super) fn core(&self) -> &Configured {
        match self {
            Self::List { core, .. }
            | Self::Give { core, .. }
            | Self::Take { core, .. }
            | Self::Why { core, .. } => core,
        }
    }
}
