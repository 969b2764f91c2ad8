//! One grant: a role over a scope for a period, less what it withholds.

use model::Timestamp;

use super::permission::{Permission, PermissionSet};
use super::role::Role;
use super::scope::Scope;
use crate::ids::GrantId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub role: Role,
    pub scope: Scope,
    pub period: Period,
    pub withheld: Withheld,
}

impl Grant {
    /// Whether this grant alone allows it.
    #[must_use]
    pub fn gives(&self, permission: Permission, scope: &Scope, now: Timestamp) -> bool {
        self.period.holds(now)
            && self.scope.covers(scope)
            && self.permissions().contains(permission)
    }

    /// What the role gives, less what is withheld.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.withheld.leaves(self.role.permissions())
    }
}

/// From `from` on, up to but not including `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    from: Timestamp,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the period ends before it begins; choose an end after the beginning")]
pub struct PeriodError;

impl Period {
    /// Refuses a period that never holds.
    pub fn new(from: Timestamp, until: Option<Timestamp>) -> Result<Self, PeriodError> {
        if until.is_some_and(|until| until <= from) {
            return Err(PeriodError);
        }
        Ok(Self { from, until })
    }

    #[must_use]
    pub const fn without_end(from: Timestamp) -> Self {
        Self { from, until: None }
    }

    #[must_use]
    pub const fn from(&self) -> Timestamp {
        self.from
    }

    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        self.until
    }

    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && !self.is_over(now)
    }

    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether this period lasts at least as long as the other.
    pub(super) fn outlasts(&self, other: &Self) -> bool {
        match (self.until, other.until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(others)) => mine >= others,
        }
    }
}

/// A kind of data that a grant can keep from its holder.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Sensitive {
    /// Names, numbers and doings of people.
    People,
    /// Pictures, recordings, transcripts.
    CallContent,
    /// Credentials of devices, and what may contain them.
    Secrets,
}

impl Sensitive {
    pub const ALL: &'static [Self] = &[Self::People, Self::CallContent, Self::Secrets];
}

/// The kinds of data that a grant withholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Withheld(u8);

impl Withheld {
    pub const NOTHING: Self = Self(0);

    #[must_use]
    pub fn of(kinds: &[Sensitive]) -> Self {
        Self(kinds.iter().fold(0, |bits, &kind| bits | 1 << kind as u8))
    }

    /// As it is stored.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From what is stored; bits that this version does not know are dropped.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::of(Sensitive::ALL).0)
    }

    #[must_use]
    pub const fn contains(self, kind: Sensitive) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Sensitive> {
        Sensitive::ALL
            .iter()
            .copied()
            .filter(move |&kind| self.contains(kind))
    }

    pub(super) fn leaves(self, permissions: PermissionSet) -> PermissionSet {
        permissions
            .iter()
            .filter(|permission| permission.opens().is_some_and(|kind| self.contains(kind)))
            .fold(permissions, |left, gone| left.without(&[gone]))
    }
}
