//! The table of accounts.

use cloud_logic::ids::{CompanyId, UserId};
use cloud_logic::language::Language;
use cloud_logic::rights::Visible;

use super::super::{Columns, VisibleRows};
use super::{Account, mail_key};
use crate::api::Cursor;
use crate::store::{Query, Row, StoreError, Tx, query};

const FIND: &str = "SELECT u.id, u.company_id, u.mail, u.name, u.language, u.password, u.blocked,
    u.version, u.created FROM user_account u WHERE ";

fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.parsed("id")?,
        company: row.parsed("company_id")?,
        mail: row.text("mail")?,
        name: row.text("name")?,
        language: row.text("language")?,
        password: row.maybe_text("password")?,
        blocked: row.flag("blocked")?,
        version: row.int("version")?,
        created: row.time("created")?,
    })
}

async fn one(tx: &mut Tx, query: Query) -> Result<Option<Account>, StoreError> {
    tx.optional(query).await?.as_ref().map(account).transpose()
}

pub(in super::super) async fn by_id(
    tx: &mut Tx,
    id: UserId,
) -> Result<Option<Account>, StoreError> {
    one(tx, query(FIND).text("u.id = ").value(id)).await
}

/// The company that looks after somebody, and her name.
pub(crate) async fn account_of(
    tx: &mut Tx,
    id: UserId,
) -> Result<Option<(CompanyId, String)>, StoreError> {
    let found = by_id(tx, id).await?;
    Ok(found.map(|account| (account.company, account.name)))
}

/// In what language somebody is written to.
pub(crate) async fn language_of(tx: &mut Tx, id: UserId) -> Result<Language, StoreError> {
    let asked = query("SELECT language FROM user_account WHERE id = $1").bind(id);
    let row = tx.optional(asked).await?;
    let language = row.map(|row| row.text("language")).transpose()?;
    Ok(language
        .and_then(|word| word.parse().ok())
        .unwrap_or_default())
}

/// By the compared form of the mail address.
pub(in super::super) async fn by_mail(
    tx: &mut Tx,
    mail_key: &str,
) -> Result<Option<Account>, StoreError> {
    one(tx, query(FIND).text("u.mail_key = ").value(mail_key)).await
}

/// The people of a company whom somebody with these rights sees: those whom it looks after, and
/// those who hold rights in it.
pub(super) async fn of_company(
    tx: &mut Tx,
    company: CompanyId,
    visible: &Visible,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Vec<Account>, StoreError> {
    let found = one_company(query(FIND), company, visible);
    let (key, id) = match after {
        Some(cursor) => (cursor.key.as_str(), cursor.id.as_str()),
        None => ("", ""),
    };
    let found = found
        .text(" AND (u.mail_key > ")
        .value(key)
        .text(" OR (u.mail_key = ")
        .value(key)
        .text(" AND u.id > ")
        .value(id)
        .text(")) ORDER BY u.mail_key, u.id LIMIT ")
        .value(i64::from(limit) + 1);
    tx.all(found).await?.iter().map(account).collect()
}

/// One of them, if she is seen.
pub(super) async fn one_of_company(
    tx: &mut Tx,
    company: CompanyId,
    visible: &Visible,
    id: UserId,
) -> Result<Option<Account>, StoreError> {
    let found = one_company(query(FIND), company, visible)
        .text(" AND u.id = ")
        .value(id);
    one(tx, found).await
}

fn one_company(found: Query, company: CompanyId, visible: &Visible) -> Query {
    let accounts = Columns {
        company: "u.company_id",
        project: None,
        site: None,
    };
    let grants = Columns {
        company: "g.company_id",
        project: Some("g.project_id"),
        site: Some("g.site_id"),
    };
    found
        .text("((u.company_id = ")
        .value(company)
        .text(" AND ")
        .visible(visible, accounts)
        .text(") OR EXISTS (SELECT 1 FROM grant_ g WHERE g.holder = u.id AND g.company_id = ")
        .value(company)
        .text(" AND ")
        .visible(visible, grants)
        .text("))")
}

/// A new account. The mail address must not have one yet.
pub(crate) async fn insert(tx: &mut Tx, account: &Account) -> Result<(), StoreError> {
    tx.execute(
        query(
            "INSERT INTO user_account (id, company_id, mail, mail_key, name, language, password,
                                       blocked, version, created)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(account.id)
        .bind(account.company)
        .bind(account.mail.trim())
        .bind(mail_key(&account.mail))
        .bind(account.name.trim())
        .bind(&account.language)
        .bind(account.password.clone())
        .bind(account.blocked)
        .bind(account.version)
        .bind(account.created),
    )
    .await?;
    Ok(())
}

pub(in super::super) async fn set_password(
    tx: &mut Tx,
    id: UserId,
    hash: &str,
) -> Result<(), StoreError> {
    tx.execute(
        query("UPDATE user_account SET password = $2 WHERE id = $1")
            .bind(id)
            .bind(hash),
    )
    .await?;
    Ok(())
}

pub(in super::super) async fn drop_password(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    tx.execute(query("UPDATE user_account SET password = NULL WHERE id = $1").bind(id))
        .await?;
    Ok(())
}

/// Blocks or unblocks; false if the version is not this one any more.
pub(in super::super) async fn set_blocked(
    tx: &mut Tx,
    id: UserId,
    version: i64,
    blocked: bool,
) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE user_account SET blocked = $3, version = version + 1 WHERE id = $1 AND version = $2",
    )
    .bind(id)
    .bind(version)
    .bind(blocked);
    Ok(tx.execute(changed).await? == 1)
}
