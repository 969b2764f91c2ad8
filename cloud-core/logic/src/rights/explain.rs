//! "Why can she see this?": what each grant says to a question.

use model::Timestamp;

use super::grant::Grant;
use super::permission::Permission;
use super::scope::Scope;
use super::{Decision, Rights};

/// The answer and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'a> {
    pub decision: Decision,
    /// Every grant over this place, with what it says.
    pub grants: Vec<(&'a Grant, Standing)>,
}

/// What one grant says to the question.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Allows,
    /// The role would allow it; the grant keeps that kind of data back.
    Withholds,
    /// The role does not include it.
    NotInRole,
    /// It would allow it, and has not begun.
    NotYet,
    /// It allowed it, and is over.
    Over,
}

impl Rights {
    #[must_use]
    pub fn explain(
        &self,
        permission: Permission,
        scope: &Scope,
        now: Timestamp,
    ) -> Explanation<'_> {
        let mut grants: Vec<_> = self
            .grants
            .iter()
            .filter(|grant| grant.scope.covers(scope))
            .map(|grant| (grant, grant.standing(permission, now)))
            .collect();
        grants.sort_by_key(|(grant, standing)| (*standing, grant.id));
        Explanation {
            decision: self.decide(permission, scope, now),
            grants,
        }
    }
}

impl Grant {
    fn standing(&self, permission: Permission, now: Timestamp) -> Standing {
        if !self.role.permissions().contains(permission) {
            Standing::NotInRole
        } else if !self.permissions().contains(permission) {
            Standing::Withholds
        } else if self.period.is_over(now) {
            Standing::Over
        } else if !self.period.holds(now) {
            Standing::NotYet
        } else {
            Standing::Allows
        }
    }
}
