//! What passes with a project: every row that names it and its company.

use cloud_logic::ids::{CompanyId, ProjectId};
use model::Timestamp;

use crate::api::{Code, Problem};
use crate::calls;
use crate::devices::commands;
use crate::people;
use crate::store::audit::Actor;
use crate::store::{StoreError, Tx, query};

/// The tables whose rows belong to a project and so to its company. A table with both columns that
/// stands neither here nor in `STAYS` fails a test.
pub(super) const PASSES: &[&str] = &[
    "blob",
    "call_record",
    "claim",
    "command",
    "device",
    "device_event",
    "folder",
    "notice",
    "site",
    "upload",
];

/// Those that stay, and why.
#[cfg(test)]
pub(super) const STAYS: &[(&str, &str)] = &[
    ("change", "tells what was, and to whom"),
    ("grant_", "rights that the giver gave end"),
    ("hand_over", "is the giver's record"),
    ("invitation", "what the giver promised ends"),
    (
        "ring_group",
        "names people and numbers of the giver, and ends",
    ),
];

/// Gives the project to another company, with all that belongs to it.
pub(super) async fn give(
    tx: &mut Tx,
    actor: &Actor,
    (project, from, into): (ProjectId, CompanyId, CompanyId),
    name: Option<&str>,
    now: Timestamp,
) -> Result<(), Problem> {
    // First: whoever binds a device to a site of it at this moment waits, or was before.
    let mut given = query("UPDATE project SET version = version + 1, company_id = ").value(into);
    if let Some(name) = name {
        given = given
            .text(", name = ")
            .value(name)
            .text(", name_key = ")
            .value(crate::api::check::key_of(name));
    }
    let given = given
        .text(" WHERE id = ")
        .value(project)
        .text(" AND company_id = ")
        .value(from);
    match tx.execute(given).await {
        Ok(1) => {}
        Ok(_) => return Err(Problem::not_found()),
        Err(StoreError::Duplicate(_)) => {
            return Err(Problem::new(
                Code::Conflict,
                "The company has a project of this name already. Accept it under another `name`.",
            ));
        }
        Err(error) => return Err(error.into()),
    }
    people::end_in_project(tx, actor, (from, project), now).await?;
    calls::directory::end_in_project(tx, (from, project), now).await?;
    // What the giver's people ordered and still meant to change is not done to the taker's devices.
    commands::rows::cancel_in(tx, project, now).await?;
    let meant = query(
        "DELETE FROM edit_device WHERE device_id IN (SELECT id FROM device WHERE project_id = $1)",
    );
    tx.execute(meant.bind(project)).await?;
    move_rows(tx, project, from, into).await?;
    Ok(())
}

/// Every row of the project that still names the giver.
pub(super) async fn move_rows(
    tx: &mut Tx,
    project: ProjectId,
    from: CompanyId,
    into: CompanyId,
) -> Result<(), StoreError> {
    for table in PASSES {
        let moved = query("UPDATE ")
            .text(table)
            .text(" SET company_id = ")
            .value(into)
            .text(" WHERE company_id = ")
            .value(from)
            .text(" AND project_id = ")
            .value(project);
        tx.execute(moved).await?;
    }
    Ok(())
}
