//! What becomes of rights when a project or a company passes into other hands.

use cloud_logic::ids::{CompanyId, GrantId, ProjectId, UserId};
use cloud_logic::rights::{Period, Permission, Role, Scope, Withheld};
use model::Timestamp;

use super::grants::{self, Granted};
use super::users::{self, judge_mail, mail_key};
use crate::api::Problem;
use crate::core::NewId;
use crate::store::audit::Actor;
use crate::store::{StoreError, Tx, query};

/// A mail address as it is compared, if a letter could go there.
pub(crate) fn sound_mail(pointer: &str, mail: &str) -> Result<String, Problem> {
    judge_mail(pointer, mail.trim()).map_err(|finding| Problem::invalid(vec![finding]))?;
    Ok(mail_key(mail))
}

/// The mail address of somebody, as it is compared.
pub(crate) async fn mail_key_of(tx: &mut Tx, user: UserId) -> Result<String, Problem> {
    let account = users::by_id(tx, user).await?;
    let account = account.ok_or_else(Problem::not_found)?;
    Ok(mail_key(&account.mail))
}

/// Whether somebody who promised something could do it now.
pub(crate) async fn still_may(
    tx: &mut Tx,
    user: UserId,
    permission: Permission,
    scope: &Scope,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let account = users::by_id(tx, user).await?;
    if account.is_none_or(|account| account.blocked) {
        return Ok(false);
    }
    let rights = grants::rights_of(tx, &user.to_string()).await?;
    Ok(rights.may(permission, scope, now))
}

/// Ends what was given and promised in a project that leaves its company.
pub(crate) async fn end_in_project(
    tx: &mut Tx,
    actor: &Actor,
    (company, project): (CompanyId, ProjectId),
    now: Timestamp,
) -> Result<(), Problem> {
    let held = grants::everywhere(tx, None, Some(company)).await?;
    for (held, _) in &held {
        if held.grant.scope.project() == Some(project) {
            grants::remove(tx, actor.clone(), held, now).await?;
        }
    }
    let promised = query("DELETE FROM invitation WHERE project_id = $1").bind(project);
    tx.execute(promised).await?;
    Ok(())
}

/// Makes somebody the only owner of a company.
pub(crate) async fn change_owner(
    tx: &mut Tx,
    actor: &Actor,
    company: CompanyId,
    user: UserId,
    now: Timestamp,
) -> Result<(), Problem> {
    let next = Granted {
        role: Role::Owner,
        scope: Scope::Company(company),
        period: Period::without_end(now),
        withheld: Withheld::NOTHING,
        reason: "hand-over".to_owned(),
    };
    let next = next.with(
        GrantId::new_at(now),
        user.to_string(),
        actor.name.clone(),
        now,
    );
    grants::keep(tx, actor.clone(), &next, now).await?;
    let held = grants::everywhere(tx, None, Some(company)).await?;
    for (held, _) in &held {
        let is_owner = held.grant.role == Role::Owner;
        if is_owner && held.grant.id != next.grant.id {
            grants::remove(tx, actor.clone(), held, now).await?;
        }
    }
    let promised = query("DELETE FROM invitation WHERE company_id = $1 AND role = $2");
    tx.execute(promised.bind(company).bind(Role::Owner.word()))
        .await?;
    Ok(())
}
