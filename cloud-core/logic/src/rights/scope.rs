//! Where a right holds: a company, one of its projects, or one of a project's sites.
//!
//! A scope carries the whole way down to it, so that containment is a comparison and needs no
//! look-up.

use crate::ids::{CompanyId, ProjectId, SiteId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Company(CompanyId),
    Project(CompanyId, ProjectId),
    Site(CompanyId, ProjectId, SiteId),
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    Company,
    Project,
    Site,
}

impl Scope {
    #[must_use]
    pub fn company(&self) -> CompanyId {
        match self {
            Self::Company(company) | Self::Project(company, _) | Self::Site(company, _, _) => {
                *company
            }
        }
    }

    #[must_use]
    pub fn project(&self) -> Option<ProjectId> {
        match self {
            Self::Company(_) => None,
            Self::Project(_, project) | Self::Site(_, project, _) => Some(*project),
        }
    }

    #[must_use]
    pub fn site(&self) -> Option<SiteId> {
        match self {
            Self::Company(_) | Self::Project(..) => None,
            Self::Site(_, _, site) => Some(*site),
        }
    }

    #[must_use]
    pub fn kind(&self) -> ScopeKind {
        match self {
            Self::Company(_) => ScopeKind::Company,
            Self::Project(..) => ScopeKind::Project,
            Self::Site(..) => ScopeKind::Site,
        }
    }

    /// Whether `inner` is this scope or lies below it.
    #[must_use]
    pub fn covers(&self, inner: &Self) -> bool {
        match self {
            Self::Company(company) => *company == inner.company(),
            Self::Project(company, project) => {
                *company == inner.company() && Some(*project) == inner.project()
            }
            Self::Site(..) => self == inner,
        }
    }
}
