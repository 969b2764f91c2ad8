//! What of a list a caller sees: the smallest set of scopes that says it.

use std::collections::BTreeSet;

use model::Timestamp;

use super::Rights;
use super::permission::Permission;
use super::scope::Scope;
use crate::ids::{CompanyId, ProjectId, SiteId};

/// Rows of these companies, projects and sites are seen, no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visible {
    pub companies: BTreeSet<CompanyId>,
    pub projects: BTreeSet<ProjectId>,
    pub sites: BTreeSet<SiteId>,
}

impl Visible {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.companies.is_empty() && self.projects.is_empty() && self.sites.is_empty()
    }

    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.companies.contains(&scope.company())
            || scope
                .project()
                .is_some_and(|project| self.projects.contains(&project))
            || scope.site().is_some_and(|site| self.sites.contains(&site))
    }
}

impl Rights {
    /// The rows a list with this permission shows. A scope inside another one is left out.
    #[must_use]
    pub fn visible(&self, permission: Permission, now: Timestamp) -> Visible {
        let mut scopes: Vec<Scope> = self
            .grants
            .iter()
            .filter(|grant| grant.gives(permission, &grant.scope, now))
            .map(|grant| grant.scope)
            .collect();
        // The wider come first, by kind.
        scopes.sort_by_key(Scope::kind);
        let mut visible = Visible::default();
        for scope in scopes {
            if visible.contains(&scope) {
                continue;
            }
            match scope {
                Scope::Company(company) => visible.companies.insert(company),
                Scope::Project(_, project) => visible.projects.insert(project),
                Scope::Site(_, _, site) => visible.sites.insert(site),
            };
        }
        visible
    }

    /// The companies of which the caller may know: those in which she holds anything.
    #[must_use]
    pub fn companies(&self, now: Timestamp) -> BTreeSet<CompanyId> {
        self.in_force(now)
            .map(|grant| grant.scope.company())
            .collect()
    }
}
