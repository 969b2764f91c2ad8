//! The first owner of a company, made by the operator of the core on its command line.
//!
//! Nobody is there yet who could invite her. She gets a password that is shown once.

use cloud_logic::ids::{CompanyId, GrantId, UserId};
use cloud_logic::rights::{Grant, Period, Role, Scope, Withheld};
use model::Timestamp;

use super::grants::{self, Held};
use super::passwords::Passwords;
use super::secret::Secret;
use super::users::{self, Account};
use crate::api::{Code, Problem};
use crate::core::NewId;
use crate::store::Tx;
use crate::store::audit::{Actor, Audit};

/// An owner to be.
#[derive(Clone, Debug)]
pub(crate) struct NewOwner {
    pub(crate) mail: String,
    pub(crate) language: String,
}

/// Makes the account and its right; the password, to be shown once.
pub(crate) async fn add_owner(
    tx: &mut Tx,
    actor: &Actor,
    company: CompanyId,
    owner: NewOwner,
    now: Timestamp,
) -> Result<String, Problem> {
    let mail = owner.mail.trim();
    users::judge_mail("/mail", mail).map_err(|finding| Problem::invalid(vec![finding]))?;
    if users::by_mail(tx, mail).await?.is_some() {
        return Err(Problem::new(
            Code::Conflict,
            format!("{mail} has an account already: give it the role from there."),
        ));
    }
    let password = Secret::new();
    let account = Account {
        id: UserId::new_at(now),
        company,
        mail: mail.to_owned(),
        name: mail.split('@').next().unwrap_or(mail).to_owned(),
        language: owner.language,
        password: Some(Passwords::new().hash(password.text()).await?),
        blocked: false,
        version: 1,
        created: now,
    };
    users::insert(tx, &account).await?;
    let held = Held {
        grant: Grant {
            id: GrantId::new_at(now),
            role: Role::Owner,
            scope: Scope::Company(company),
            period: Period::without_end(now),
            withheld: Withheld::NOTHING,
        },
        holder: account.id.to_string(),
        reason: String::new(),
        granted_by: actor.name.clone(),
        created: now,
    };
    grants::insert(tx, &held).await?;
    tx.audit(Audit {
        at: now,
        company: Some(company),
        actor: actor.clone(),
        action: "user.add_owner",
        object_kind: "user",
        object_id: account.id.to_string(),
        before: None,
        after: None,
    });
    Ok(password.text().to_owned())
}
