//! Devices and gateways: what is asked of them.

pub(crate) mod commands;

use cloud_logic::ids::DeviceId;

use crate::store::changes::Whose;
use crate::store::{StoreError, Tx, query};

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
