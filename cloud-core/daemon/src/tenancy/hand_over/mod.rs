//! Giving a project to another company, or a company to another owner.
//!
//! Both sides consent: the giver offers, after showing once more who she is, and sees what goes
//! along; the taker accepts within fourteen days. Then everything passes in one transaction.
//! Devices notice nothing: neither their names nor their certificates say whose they are. Rights
//! that the giver's company gave in the project end; nobody keeps a door to what is no longer hers.
//! Invariant: a row below a project names the company that the project has.

mod moving;
mod offering;
mod rows;
mod taking;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use cloud_logic::ids::{CompanyId, HandOverId, ProjectId, UserId};
use cloud_logic::rights::{Permission, Scope};
use model::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::place::{Told, tell};
use crate::api::Time;
use crate::core::Core;
use crate::people::Caller;
use crate::store::changes::What;
use crate::store::{StoreError, Tx};

/// So long an offer stands.
const STANDS: Duration = Duration::from_secs(14 * 24 * 3600);

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(offering::routes())
        .merge(taking::routes())
}

/// Ends what time has ended, and brings along what was written for the giver at the very moment of
/// a hand-over.
pub(crate) async fn tend(core: &Core) -> Result<(), StoreError> {
    let now = core.now();
    let mut tx = core.store.write().await?;
    rows::expire(&mut tx, now).await?;
    for (project, from, into) in rows::just_passed(&mut tx, now).await? {
        moving::move_rows(&mut tx, project, from, into).await?;
    }
    tx.commit().await
}

/// How far an offer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Offered,
    Accepted,
    Refused,
    Cancelled,
    Expired,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Offered,
        Self::Accepted,
        Self::Refused,
        Self::Cancelled,
        Self::Expired,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for State {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.word() == word);
        found.ok_or("no such state")
    }
}

/// What is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Project(CompanyId, ProjectId),
    Company(CompanyId),
}

impl Given {
    /// Whose it is while it is offered.
    fn company(self) -> CompanyId {
        match self {
            Self::Project(company, _) | Self::Company(company) => company,
        }
    }

    fn scope(self) -> Scope {
        match self {
            Self::Project(company, project) => Scope::Project(company, project),
            Self::Company(company) => Scope::Company(company),
        }
    }

    /// What the giver has to hold, at the offer and still when it is accepted.
    fn permission(self) -> Permission {
        match self {
            Self::Project(..) => Permission::ProjectHandOver,
            Self::Company(_) => Permission::CompanyHandOver,
        }
    }
}

/// An offer.
#[derive(Clone, Debug)]
struct HandOver {
    id: HandOverId,
    given: Given,
    /// Who may accept: whoever has the account with this mail address.
    mail: String,
    offered_by: UserId,
    state: State,
    into: Option<CompanyId>,
    created: Timestamp,
    expires: Timestamp,
    ended: Option<Timestamp>,
}

impl HandOver {
    /// As it stands: an offer whose time is over is none.
    fn state_at(&self, now: Timestamp) -> State {
        match self.state {
            State::Offered if self.expires <= now => State::Expired,
            state => state,
        }
    }

    /// Writes down what became of it.
    fn tell(&self, tx: &mut Tx, caller: &Caller, action: &'static str) {
        let told = Told {
            scope: self.given.scope(),
            action,
            kind: "hand_over",
            id: self.id.to_string(),
            what: match self.state {
                State::Offered => What::Created,
                _ => What::Updated,
            },
            before: None,
            after: Some(serde_json::json!({
                "state": self.state,
                "project": self.given.scope().project(),
                "into": self.into,
            })),
        };
        tell(tx, caller, told);
    }
}

/// An offer as it is told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HandOver)]
struct HandOverBody {
    #[schema(value_type = String, example = "ho-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: HandOverId,
    /// Who gives.
    #[schema(value_type = String)]
    company: CompanyId,
    company_name: String,
    /// What is given; null where it is the company itself.
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
    project_name: Option<String>,
    /// Who may accept.
    mail: String,
    #[schema(value_type = String)]
    offered_by: UserId,
    /// `offered`, `accepted`, `refused`, `cancelled` or `expired`.
    #[schema(value_type = String, example = "offered")]
    state: State,
    /// The company that has the project now.
    #[schema(value_type = Option<String>)]
    into: Option<CompanyId>,
    created: Time,
    expires: Time,
    ended: Option<Time>,
}

impl HandOverBody {
    fn of(offer: HandOver, names: rows::Names, now: Timestamp) -> Self {
        Self {
            id: offer.id,
            company: offer.given.company(),
            company_name: names.company,
            project: offer.given.scope().project(),
            project_name: names.project,
            state: offer.state_at(now),
            mail: offer.mail,
            offered_by: offer.offered_by,
            into: offer.into,
            created: Time(offer.created),
            expires: Time(offer.expires),
            ended: offer.ended.map(Time),
        }
    }
}

/// What would pass, counted as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HandOverPreview)]
struct Preview {
    /// What goes along.
    goes: Goes,
    /// What ends with it.
    ends: Ends,
    /// What stays with the giver, in words.
    stays: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Goes {
    projects: i64,
    sites: i64,
    folders: i64,
    devices: i64,
    /// Accounts that the company looks after, and its programs; with a company only.
    users: i64,
    integrations: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Ends {
    /// Rights in the project, or those of the company's owners.
    grants: i64,
    invitations: i64,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
