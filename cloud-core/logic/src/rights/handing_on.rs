//! Who may give rights to whom, and take them away.

use std::time::Duration;

use model::Timestamp;

use super::Rights;
use super::grant::{Grant, Period, Withheld};
use super::permission::Permission;
use super::role::Role;
use super::scope::{Scope, ScopeKind};
use crate::ids::GrantId;

/// Access for support ends after this time at the latest: 90 days.
pub const LONGEST_SUPPORT: Duration = Duration::from_secs(90 * 24 * 3600);

/// A grant that somebody wants to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft<'a> {
    pub role: Role,
    pub scope: Scope,
    pub period: Period,
    pub withheld: Withheld,
    /// Why it is given; asked of every grant with an end.
    pub reason: &'a str,
}

/// Why a grant cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefused {
    #[error("you may not give rights here; ask an administrator of this place")]
    NotYours,
    #[error("you do not hold {0} here yourself; choose a smaller role or ask somebody who does")]
    MoreThanYouHave(Permission),
    #[error("your own right to {0} ends earlier; choose an earlier end")]
    LongerThanYouHave(Permission),
    #[error("the role {role} cannot be given for a {kind:?} alone; give it for the company")]
    WrongScope { role: Role, kind: ScopeKind },
    #[error("access for support needs an end at most 90 days away; set one")]
    SupportWithoutEnd,
    #[error("access with an end needs a reason; say what it is for")]
    ReasonMissing,
    #[error("the period is over already; choose a later end")]
    Over,
}

/// Why a grant cannot be taken away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemovalRefused {
    #[error("you may not take rights away here; ask an administrator of this place")]
    NotYours,
    #[error("this grant allows {0}, which you do not hold; ask somebody who does")]
    MoreThanYouHave(Permission),
    #[error("this is the last owner of the company; name another owner first")]
    LastOwner,
}

impl Rights {
    /// Whether the caller may give this: she may give rights there, holds all of it there
    /// herself, and at least as long.
    pub fn may_grant(&self, draft: &Draft<'_>, now: Timestamp) -> Result<(), GrantRefused> {
        draft.is_sound(now)?;
        if !self.may(Permission::GrantConfigure, &draft.scope, now) {
            return Err(GrantRefused::NotYours);
        }
        let given = draft.withheld.leaves(draft.role.permissions());
        // The right to hand on counts too: it must last as long as what is handed on.
        for permission in given.and(&[Permission::GrantConfigure]).iter() {
            let mut holding = self
                .grants
                .iter()
                .filter(|own| own.gives(permission, &draft.scope, now))
                .peekable();
            if holding.peek().is_none() {
                return Err(GrantRefused::MoreThanYouHave(permission));
            }
            if !holding.any(|own| own.period.outlasts(&draft.period)) {
                return Err(GrantRefused::LongerThanYouHave(permission));
            }
        }
        Ok(())
    }

    /// Whether the caller may take this grant from somebody else: only what she could have
    /// given. Her own grants anybody may lay down.
    pub fn may_remove(&self, grant: &Grant, now: Timestamp) -> Result<(), RemovalRefused> {
        if self.grants.iter().any(|own| own.id == grant.id) {
            return Ok(());
        }
        if !self.may(Permission::GrantConfigure, &grant.scope, now) {
            return Err(RemovalRefused::NotYours);
        }
        match grant
            .permissions()
            .iter()
            .find(|&permission| !self.may(permission, &grant.scope, now))
        {
            Some(beyond) => Err(RemovalRefused::MoreThanYouHave(beyond)),
            None => Ok(()),
        }
    }
}

impl Draft<'_> {
    /// The rules that hold whoever gives.
    fn is_sound(&self, now: Timestamp) -> Result<(), GrantRefused> {
        let kind = self.scope.kind();
        if !self.role.fits(kind) {
            return Err(GrantRefused::WrongScope {
                role: self.role,
                kind,
            });
        }
        if self.period.is_over(now) {
            return Err(GrantRefused::Over);
        }
        let support_ends_in_time = self
            .period
            .until()
            .is_some_and(|until| until <= now.saturating_add(LONGEST_SUPPORT));
        if self.role.is_temporary() && !support_ends_in_time {
            return Err(GrantRefused::SupportWithoutEnd);
        }
        if self.period.until().is_some() && self.reason.trim().is_empty() {
            return Err(GrantRefused::ReasonMissing);
        }
        Ok(())
    }
}

/// Whether these grants can go from a company: an owner without an end has to stay.
///
/// `owners` are the company's grants of that role, of people who can log in.
pub fn may_remove_owner(
    owners: &[Grant],
    going: &[GrantId],
    now: Timestamp,
) -> Result<(), RemovalRefused> {
    let stays = |grant: &&Grant| {
        grant.role == Role::Owner
            && grant.period.holds(now)
            && grant.period.until().is_none()
            && !going.contains(&grant.id)
    };
    if owners.iter().any(|grant| stays(&grant)) {
        Ok(())
    } else {
        Err(RemovalRefused::LastOwner)
    }
}
