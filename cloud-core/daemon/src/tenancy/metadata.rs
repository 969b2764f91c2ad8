//! The keys a company writes beside its projects and sites: cost centre, contract, contact (S1).

use std::collections::BTreeSet;

use axum::extract::State;
use cloud_logic::ids::CompanyId;
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::place::{Told, tell};
use crate::api::answers::{NotMade, Refused};
use crate::api::check::Findings;
use crate::api::{Json, Path, Problem};
use crate::core::Core;
use crate::people::Caller;
use crate::store::changes::What;
use crate::store::{StoreError, Tx, query};

/// So many keys a company may have.
const MOST: usize = 50;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(list, replace))
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MetadataKey {
    /// As programs write it: a-z, 0-9 and underscores, beginning with a letter.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,39}$", example = "cost_centre")]
    key: String,
    /// As people read it.
    #[schema(min_length = 1, max_length = 100, example = "Cost centre")]
    title: String,
}

/// The keys of a company, in the order in which they are shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MetadataKeys {
    #[schema(max_items = 50)]
    keys: Vec<MetadataKey>,
}

impl MetadataKeys {
    fn check(&self) -> Result<(), Problem> {
        let mut findings = Findings::default();
        if self.keys.len() > MOST {
            findings.add("/keys", "too_many", "A company has at most 50 keys.");
        }
        let mut seen = BTreeSet::new();
        for (place, key) in self.keys.iter().enumerate() {
            let pointer = format!("/keys/{place}/key");
            if !well_formed(&key.key) {
                let detail = "Write a-z, 0-9 and underscores, a letter first, at most 40.";
                findings.add(&pointer, "not_a_key", detail);
            } else if !seen.insert(&key.key) {
                findings.add(&pointer, "twice", "This key is there already.");
            }
            findings.name(&format!("/keys/{place}/title"), &key.title);
        }
        findings.done()
    }
}

fn well_formed(key: &str) -> bool {
    key.len() <= 40
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
}

/// Keys that may stand beside projects and sites of this company.
pub(super) async fn keys_of(tx: &mut Tx, company: CompanyId) -> Result<Vec<String>, StoreError> {
    let keys = all(tx, company).await?;
    Ok(keys.into_iter().map(|key| key.key).collect())
}

async fn all(tx: &mut Tx, company: CompanyId) -> Result<Vec<MetadataKey>, StoreError> {
    let asked = query("SELECT key, title FROM metadata_key WHERE company_id = $1 ORDER BY place");
    let rows = tx.all(asked.bind(company)).await?;
    rows.iter()
        .map(|row| {
            Ok(MetadataKey {
                key: row.text("key")?,
                title: row.text("title")?,
            })
        })
        .collect()
}

/// Metadata keys of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/metadata-keys",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("company.view"))),
    responses((status = 200, description = "They.", body = MetadataKeys), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
) -> Result<Json<MetadataKeys>, Problem> {
    caller.require(Permission::CompanyView, &Scope::Company(company))?;
    let keys = all(&mut core.store.read().await?, company).await?;
    Ok(Json(MetadataKeys { keys }))
}

/// Set the metadata keys of a company
///
/// What projects and sites have under a key that is no longer in the list stays until they are
/// changed.
#[utoipa::path(
    put,
    path = "/api/v1/companies/{company}/metadata-keys",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("company.configure"))),
    request_body = MetadataKeys,
    responses((status = 200, description = "As they are now.", body = MetadataKeys), NotMade)
)]
async fn replace(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Json(wish): Json<MetadataKeys>,
) -> Result<Json<MetadataKeys>, Problem> {
    let scope = Scope::Company(company);
    caller.require(Permission::CompanyConfigure, &scope)?;
    wish.check()?;
    let mut tx = core.store.write().await?;
    let before = all(&mut tx, company).await?;
    tx.execute(query("DELETE FROM metadata_key WHERE company_id = $1").bind(company))
        .await?;
    for (place, key) in (0i64..).zip(&wish.keys) {
        let insert = query(
            "INSERT INTO metadata_key (company_id, key, title, place) VALUES ($1, $2, $3, $4)",
        )
        .bind(company)
        .bind(&key.key)
        .bind(key.title.trim())
        .bind(place);
        tx.execute(insert).await?;
    }
    let told = Told {
        scope,
        action: "company.metadata_keys",
        kind: "company",
        id: company.to_string(),
        what: What::Updated,
        before: Some(json!(before)),
        after: Some(json!(wish.keys)),
    };
    tell(&mut tx, &caller, told);
    let keys = all(&mut tx, company).await?;
    tx.commit().await?;
    Ok(Json(MetadataKeys { keys }))
}
