//! Forgets a person.
//!
//! Her account goes, and with it everything that is hers alone. What others did with her, and she with
//! things of others, stays under her id. Each company in which she had rights finds it in its log.

use std::collections::BTreeSet;

use cloud_logic::ids::{CompanyId, UserId};
use model::Timestamp;

use super::super::grants;
use super::super::users::{self, Account, mail_key};
use super::rows;
use crate::api::Problem;
use crate::calls;
use crate::store::audit::{Actor, Audit};
use crate::store::changes::{Change, What, Whose};
use crate::store::{StoreError, Tx, query};

/// What is deleted by her id. What refers to `user_account` goes with it by itself.
const HERS: &[&str] = &[
    "DELETE FROM label WHERE user_id = $1",
    "DELETE FROM claim_attempt WHERE user_id = $1",
    "DELETE FROM claim_turn WHERE who = $1",
    "DELETE FROM idempotency WHERE caller = $1",
    "DELETE FROM grant_ WHERE holder = $1",
    "DELETE FROM user_account WHERE id = $1",
];

/// What is deleted by her mail address, as it is compared.
const TO_HER: &[&str] = &[
    "DELETE FROM letter WHERE lower(recipient) = $1",
    "DELETE FROM invitation WHERE mail_key = $1",
];

/// `actor` is who does it; the last owner of a company cannot go.
pub(super) async fn erase(
    tx: &mut Tx,
    account: &Account,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), Problem> {
    grants::owners_stay_without(tx, account.id, now).await?;
    let held = grants::of_holder(tx, &account.id.to_string()).await?;
    let mut companies: BTreeSet<CompanyId> =
        held.iter().map(|held| held.grant.scope.company()).collect();
    companies.insert(account.company);
    forget(tx, account, now).await?;
    for company in companies {
        tell(tx, (company, account.id), actor, now);
    }
    Ok(())
}

/// For a backup from before: whether there was anybody to forget again.
pub(crate) async fn forget_again(
    tx: &mut Tx,
    user: UserId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let Some(account) = users::by_id(tx, user).await? else {
        return Ok(false);
    };
    forget(tx, &account, at).await?;
    Ok(true)
}

async fn forget(tx: &mut Tx, account: &Account, now: Timestamp) -> Result<(), StoreError> {
    rows::let_go_of(tx, account.id).await?;
    calls::directory::forget_person(tx, account.id, now).await?;
    calls::records::forget_person(tx, account.id).await?;
    for statement in TO_HER {
        tx.execute(query(statement).bind(mail_key(&account.mail)))
            .await?;
    }
    for statement in HERS {
        tx.execute(query(statement).bind(account.id)).await?;
    }
    tx.forget_addresses_of(&account.id.to_string()).await?;
    let erased =
        query("INSERT INTO erased (user_id, at) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING");
    tx.execute(erased.bind(account.id).bind(now)).await?;
    Ok(())
}

fn tell(tx: &mut Tx, (company, user): (CompanyId, UserId), actor: &Actor, now: Timestamp) {
    tx.audit(Audit {
        at: now,
        company: Some(company),
        actor: actor.clone(),
        action: "user.erase",
        object_kind: "user",
        object_id: user.to_string(),
        before: None,
        after: None,
    });
    tx.changed(Change {
        at: now,
        whose: Whose {
            company: Some(company),
            ..Whose::default()
        },
        kind: "user",
        id: user.to_string(),
        what: What::Deleted,
    });
}
