//! Who may do what, where, and until when.
//!
//! A [`Grant`] gives a person (or an integration) a [`Role`] over a [`Scope`]; a role is a
//! fixed set of [`Permission`]s. [`Rights`] are all grants of one caller, over all companies,
//! and answer every question the core asks: may she ([`Rights::decide`]), what does she see in
//! a list ([`Rights::visible`]), why ([`Rights::explain`]), what may she hand on
//! ([`Rights::may_grant`]).
//!
//! Not here: who the caller is, where the rows come from, SQL.
//!
//! Invariants: a right comes from a grant and from nothing else; a grant outside its period
//! gives nothing, by comparison and not by a job; nobody hands on what she does not hold, where
//! she does not hold it, or for longer; a company keeps an owner without an end.

mod explain;
mod grant;
mod handing_on;
mod permission;
mod role;
mod scope;
mod visible;

pub use explain::{Explanation, Standing};
pub use grant::{Grant, Period, PeriodError, Sensitive, Withheld};
pub use handing_on::{Draft, GrantRefused, LONGEST_SUPPORT, RemovalRefused, may_remove_owner};
pub use permission::{Permission, PermissionSet, UnknownPermission};
pub use role::{Role, UnknownRole};
pub use scope::{Scope, ScopeKind};
pub use visible::Visible;

use model::Timestamp;

/// All grants of one caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    grants: Vec<Grant>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    /// The caller knows that the thing is there, and may not do this with it.
    Forbidden,
    /// To this caller the thing does not exist.
    Hidden,
}

impl Rights {
    #[must_use]
    pub fn new(grants: Vec<Grant>) -> Self {
        Self { grants }
    }

    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Whether the caller holds this permission over the whole of this scope.
    #[must_use]
    pub fn may(&self, permission: Permission, scope: &Scope, now: Timestamp) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.gives(permission, scope, now))
    }

    /// As [`Self::may`], and what is said to the one who may not: a thing of which she knows is
    /// forbidden, any other does not exist.
    #[must_use]
    pub fn decide(&self, permission: Permission, scope: &Scope, now: Timestamp) -> Decision {
        if self.may(permission, scope, now) {
            Decision::Allowed
        } else if self.knows(scope, now) {
            Decision::Forbidden
        } else {
            Decision::Hidden
        }
    }

    /// Whether the caller may know that this scope exists, and its name: it is inside one of her
    /// grants, or on the way down to one.
    #[must_use]
    pub fn knows(&self, scope: &Scope, now: Timestamp) -> bool {
        self.in_force(now)
            .any(|grant| grant.scope.covers(scope) || scope.covers(&grant.scope))
    }

    /// When the rights of this moment change by time alone: long-lived connections look again
    /// then.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.grants
            .iter()
            .flat_map(|grant| [Some(grant.period.from()), grant.period.until()])
            .flatten()
            .filter(|&edge| edge > now)
            .min()
    }

    fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &Grant> {
        self.grants
            .iter()
            .filter(move |grant| grant.period.holds(now))
    }
}

#[cfg(test)]
mod tests;
