//! Grants: who holds what role where, kept and given.
//!
//! The rules stand in `cloud_logic::rights`; here are the rows and the routes. Rights are read
//! anew for each request, in one statement. Invariant: a company keeps an owner without an end
//! who can sign in.

mod routes;
mod rows;

use std::collections::BTreeMap;

use cloud_logic::ids::{CompanyId, GrantId, ProjectId, SiteId, UserId};
use cloud_logic::rights::{
    Draft, Grant, Period, Permission, Rights, Role, Scope, Sensitive, Visible, Withheld,
    may_remove_owner,
};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(super) use routes::{keep, remove, routes};
pub(crate) use rows::{Reader, insert, readers};
pub(super) use rows::{everywhere, of_holder};

use super::Caller;
use crate::api::{Code, Finding, Problem, Time};
use crate::store::{StoreError, Tx, query};

/// A grant with who holds it and how it came.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) grant: Grant,
    /// A user or an integration.
    pub(crate) holder: String,
    pub(crate) reason: String,
    pub(crate) granted_by: String,
    pub(crate) created: Timestamp,
}

/// A grant as it is told.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Grant)]
pub(super) struct GrantBody {
    #[schema(value_type = String)]
    id: GrantId,
    /// The user or integration that holds it.
    holder: String,
    #[schema(value_type = String, example = "viewer")]
    role: Role,
    #[schema(value_type = String)]
    company: CompanyId,
    /// Only in this project.
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// Only at this site.
    #[schema(value_type = Option<String>)]
    site: Option<SiteId>,
    from: Time,
    until: Option<Time>,
    /// Kinds of data that are kept back: `people`, `call_content`, `secrets`.
    #[schema(value_type = Vec<String>)]
    withheld: Vec<Sensitive>,
    reason: String,
    granted_by: String,
    created: Time,
}

impl From<Held> for GrantBody {
    fn from(held: Held) -> Self {
        let scope = held.grant.scope;
        Self {
            id: held.grant.id,
            holder: held.holder,
            role: held.grant.role,
            company: scope.company(),
            project: scope.project(),
            site: scope.site(),
            from: Time(held.grant.period.from()),
            until: held.grant.period.until().map(Time),
            withheld: held.grant.withheld.iter().collect(),
            reason: held.reason,
            granted_by: held.granted_by,
            created: Time(held.created),
        }
    }
}

/// A right that somebody wants to give: with an invitation, to a person or to an integration.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// `owner`, `admin`, `configurator`, `viewer`, `support`, `web_client`, `mobile_client`,
    /// `insights` or `billing`.
    #[schema(value_type = String, example = "viewer")]
    pub(super) role: Role,
    /// Only in this project; left out, in the whole company.
    #[schema(value_type = Option<String>)]
    pub(super) project: Option<ProjectId>,
    /// Only at this site of the project.
    #[schema(value_type = Option<String>)]
    pub(super) site: Option<SiteId>,
    /// From then on; left out, at once.
    pub(super) from: Option<Time>,
    /// Until then; left out, without an end.
    pub(super) until: Option<Time>,
    /// Kinds of data to keep back: `people`, `call_content`, `secrets`.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 3)]
    pub(super) withheld: Vec<Sensitive>,
    /// Why; needed where there is an end.
    #[serde(default)]
    #[schema(max_length = 300)]
    pub(super) reason: String,
}

/// A wish whose place was found and whose giver may give it.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) role: Role,
    pub(super) scope: Scope,
    pub(super) period: Period,
    pub(super) withheld: Withheld,
    pub(super) reason: String,
}

impl Wish {
    /// Whether this caller may give it.
    pub(super) async fn judged(
        self,
        tx: &mut Tx,
        caller: &Caller,
        company: CompanyId,
    ) -> Result<Granted, Problem> {
        let scope = place(tx, company, self.project, self.site).await?;
        caller.require(Permission::GrantConfigure, &scope)?;
        let from = self.from.map_or(caller.now, |Time(from)| from);
        let until = self.until.map(|Time(until)| until);
        let finding = |pointer, code, error: &dyn std::error::Error| {
            Problem::invalid(vec![Finding::new(pointer, code, error.to_string())])
        };
        let period = Period::new(from, until)
            .map_err(|error| finding("/until", "before_beginning", &error))?;
        if self.reason.chars().count() > 300 || self.reason.chars().any(char::is_control) {
            return Err(Problem::invalid(vec![Finding::new(
                "/reason",
                "not_a_reason",
                "Say it in one line of at most 300 characters.",
            )]));
        }
        let granted = Granted {
            role: self.role,
            scope,
            period,
            withheld: Withheld::of(&self.withheld),
            reason: self.reason.trim().to_owned(),
        };
        granted.allowed_to(&caller.rights, caller.now)?;
        Ok(granted)
    }
}

impl Granted {
    /// Whether somebody with these rights may give this.
    pub(super) fn allowed_to(&self, rights: &Rights, now: Timestamp) -> Result<(), Problem> {
        use cloud_logic::rights::GrantRefused as Refused;
        let draft = Draft {
            role: self.role,
            scope: self.scope,
            period: self.period,
            withheld: self.withheld,
            reason: &self.reason,
        };
        rights.may_grant(&draft, now).map_err(|refused| {
            let told = refused.to_string();
            let (pointer, code) = match refused {
                Refused::NotYours | Refused::MoreThanYouHave(_) => {
                    return Problem::new(Code::NotAllowed, told);
                }
                Refused::LongerThanYouHave(_) => ("/until", "longer_than_yours"),
                Refused::WrongScope { .. } => ("/role", "wrong_scope"),
                Refused::SupportWithoutEnd => ("/until", "support_needs_end"),
                Refused::ReasonMissing => ("/reason", "reason_missing"),
                Refused::Over => ("/until", "over"),
            };
            Problem::invalid(vec![Finding::new(pointer, code, told)])
        })
    }

    pub(super) fn with(
        self,
        id: GrantId,
        holder: String,
        granted_by: String,
        now: Timestamp,
    ) -> Held {
        Held {
            grant: Grant {
                id,
                role: self.role,
                scope: self.scope,
                period: self.period,
                withheld: self.withheld,
            },
            holder,
            reason: self.reason,
            granted_by,
            created: now,
        }
    }
}

/// All rights of a user or an integration, those of other times too.
pub(super) async fn rights_of(tx: &mut Tx, holder: &str) -> Result<Rights, StoreError> {
    let held = of_holder(tx, holder).await?;
    Ok(Rights::new(
        held.into_iter().map(|held| held.grant).collect(),
    ))
}

/// As [`rights_of`], of several at once; who has none is not there.
pub(super) async fn rights_of_all(
    tx: &mut Tx,
    holders: impl IntoIterator<Item = String>,
) -> Result<BTreeMap<String, Rights>, StoreError> {
    let mut grants = BTreeMap::<_, Vec<_>>::new();
    for held in rows::of_holders(tx, holders).await? {
        grants.entry(held.holder).or_default().push(held.grant);
    }
    let rights = |(holder, grants)| (holder, Rights::new(grants));
    Ok(grants.into_iter().map(rights).collect())
}

/// What the caller sees of a company's rows with this permission. Where that is nothing, the
/// problem says whether she may know that the company is there.
pub(crate) fn visible_in(
    caller: &Caller,
    permission: Permission,
    company: CompanyId,
) -> Result<Visible, Problem> {
    let here = caller.rights.grants().iter().any(|grant| {
        grant.scope.company() == company && grant.gives(permission, &grant.scope, caller.now)
    });
    if !here {
        caller.require(permission, &Scope::Company(company))?;
    }
    Ok(caller.visible(permission))
}

/// The place that a company, a project in it and a site of that make. One that is not there, or
/// not in the other, does not exist.
pub(crate) async fn place(
    tx: &mut Tx,
    company: CompanyId,
    project: Option<ProjectId>,
    site: Option<SiteId>,
) -> Result<Scope, Problem> {
    let (found, scope) = match (project, site) {
        (None, None) => (
            query("SELECT 1 AS one FROM company WHERE id = $1").bind(company),
            Scope::Company(company),
        ),
        (Some(project), None) => (
            query("SELECT 1 AS one FROM project WHERE company_id = $1 AND id = $2")
                .bind(company)
                .bind(project),
            Scope::Project(company, project),
        ),
        (Some(project), Some(site)) => (
            query(
                "SELECT 1 AS one FROM site WHERE company_id = $1 AND project_id = $2 AND id = $3",
            )
            .bind(company)
            .bind(project)
            .bind(site),
            Scope::Site(company, project, site),
        ),
        (None, Some(_)) => {
            return Err(Problem::invalid(vec![Finding::new(
                "/project",
                "missing",
                "Name the site's project too.",
            )]));
        }
    };
    match tx.optional(found).await? {
        Some(_) => Ok(scope),
        None => Err(Problem::not_found()),
    }
}

/// Whether every company keeps an owner when this user cannot sign in any more.
pub(super) async fn owners_stay_without(
    tx: &mut Tx,
    user: UserId,
    now: Timestamp,
) -> Result<(), Problem> {
    let theirs = of_holder(tx, &user.to_string()).await?;
    let owned = theirs
        .iter()
        .filter(|held| held.grant.role == Role::Owner && held.grant.period.holds(now));
    for held in owned {
        let company = held.grant.scope.company();
        let going: Vec<_> = theirs
            .iter()
            .filter(|other| other.grant.scope.company() == company)
            .map(|other| other.grant.id)
            .collect();
        owners_stay(tx, company, &going, now).await?;
    }
    Ok(())
}

/// Whether the company keeps an owner when these grants go.
async fn owners_stay(
    tx: &mut Tx,
    company: CompanyId,
    going: &[GrantId],
    now: Timestamp,
) -> Result<(), Problem> {
    let owners = rows::owners(tx, company).await?;
    may_remove_owner(&owners, going, now)
        .map_err(|refused| Problem::new(Code::Conflict, refused.to_string()))
}
