//! Devices and gateways: which there are and how they are, and what is asked of them.
//!
//! `registry` is what people see of them, `twin` how they are set, `commands` what they are told
//! to do, `edits` one setting for many, `events` what they said that happened, `uploads` the
//! logs they send. Not here: the
//! link itself (`front_door`), how they become somebody's (`claims`). Invariant: a device that
//! nobody owns is in no list, and every route finds it missing.

pub(crate) mod commands;
pub(crate) mod edits;
mod events;
pub(crate) mod registry;
pub(crate) mod twin;
pub(crate) mod uploads;

use cloud_logic::ids::DeviceId;
use cloud_logic::rights::{Permission, Scope};
use utoipa_axum::router::OpenApiRouter;

use crate::api::Problem;
use crate::core::Core;
use crate::people::Caller;
use crate::store::changes::Whose;
use crate::store::{StoreError, Tx, query};

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(registry::routes())
        .merge(twin::routes())
        .merge(events::routes())
        .merge(edits::routes())
        .merge(commands::routes())
        .merge(uploads::routes())
}

/// Whose a device is; `None` while it is nobody's.
pub(crate) async fn whose(tx: &mut Tx, device: DeviceId) -> Result<Option<Whose>, StoreError> {
    let asked = query("SELECT company_id, project_id, site_id FROM device WHERE id = $1");
    let Some(row) = tx.optional(asked.bind(device)).await? else {
        return Ok(None);
    };
    let company = row.maybe_parsed("company_id")?;
    if company.is_none() {
        return Ok(None);
    }
    let project = row.maybe_parsed("project_id")?;
    Ok(Some(Whose {
        company,
        project,
        site: row.maybe_parsed("site_id")?,
    }))
}

/// Where a device is, if the caller has the permission there.
pub(crate) async fn permitted(
    tx: &mut Tx,
    caller: &Caller,
    permission: Permission,
    device: DeviceId,
) -> Result<Scope, Problem> {
    let whose = whose(tx, device).await?.ok_or_else(Problem::not_found)?;
    let scope = scope_of(whose).ok_or_else(Problem::not_found)?;
    caller.require(permission, &scope)?;
    Ok(scope)
}

/// Where that is; nothing for what is nobody's.
pub(crate) fn scope_of(whose: Whose) -> Option<Scope> {
    let company = whose.company?;
    Some(match (whose.project, whose.site) {
        (Some(project), Some(site)) => Scope::Site(company, project, site),
        (Some(project), None) => Scope::Project(company, project),
        (None, _) => Scope::Company(company),
    })
}
