//! The table of integrations.

use cloud_logic::ids::{CompanyId, IntegrationId};
use model::Timestamp;

use super::super::secret::Secret;
use crate::store::{Row, StoreError, Tx, query};

#[derive(Clone, Debug)]
pub(super) struct Integration {
    pub(super) id: IntegrationId,
    pub(super) company: CompanyId,
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) version: i64,
}

fn integration(row: &Row) -> Result<Integration, StoreError> {
    Ok(Integration {
        id: row.parsed("id")?,
        company: row.parsed("company_id")?,
        name: row.text("name")?,
        created: row.time("created")?,
        version: row.int("version")?,
    })
}

/// The version of an integration that is there, and knows this secret if one is given.
pub(in super::super) async fn version_of(
    tx: &mut Tx,
    id: IntegrationId,
    secret: Option<&Secret>,
) -> Result<Option<i64>, StoreError> {
    let mut found = query("SELECT version FROM integration WHERE id = ")
        .text("")
        .value(id);
    if let Some(secret) = secret {
        found = found.text(" AND secret_hash = ").value(secret.hash());
    }
    let row = tx.optional(found).await?;
    row.map(|row| row.int("version")).transpose()
}

pub(super) async fn of_company(
    tx: &mut Tx,
    company: CompanyId,
    after: &str,
    limit: u32,
) -> Result<Vec<Integration>, StoreError> {
    let found = query(
        "SELECT id, company_id, name, created, version FROM integration
         WHERE company_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind(company)
    .bind(after)
    .bind(i64::from(limit) + 1);
    tx.all(found).await?.iter().map(integration).collect()
}

pub(super) async fn by_id(
    tx: &mut Tx,
    company: CompanyId,
    id: IntegrationId,
) -> Result<Option<Integration>, StoreError> {
    let found = query(
        "SELECT id, company_id, name, created, version FROM integration
         WHERE company_id = $1 AND id = $2",
    )
    .bind(company)
    .bind(id);
    tx.optional(found)
        .await?
        .as_ref()
        .map(integration)
        .transpose()
}

pub(super) async fn insert(
    tx: &mut Tx,
    integration: &Integration,
    secret: &Secret,
) -> Result<(), StoreError> {
    tx.execute(
        query(
            "INSERT INTO integration (id, company_id, name, name_key, secret_hash, created, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(integration.id)
        .bind(integration.company)
        .bind(&integration.name)
        .bind(integration.name.to_lowercase())
        .bind(secret.hash())
        .bind(integration.created)
        .bind(integration.version),
    )
    .await?;
    Ok(())
}

pub(super) async fn new_secret(
    tx: &mut Tx,
    id: IntegrationId,
    secret: &Secret,
) -> Result<(), StoreError> {
    tx.execute(
        query("UPDATE integration SET secret_hash = $2, version = version + 1 WHERE id = $1")
            .bind(id)
            .bind(secret.hash()),
    )
    .await?;
    Ok(())
}

/// With all it holds.
pub(super) async fn delete(tx: &mut Tx, id: IntegrationId) -> Result<(), StoreError> {
    tx.execute(query("DELETE FROM grant_ WHERE holder = $1").bind(id))
        .await?;
    tx.execute(query("DELETE FROM integration WHERE id = $1").bind(id))
        .await?;
    Ok(())
}
