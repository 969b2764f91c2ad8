//! What becomes of a directory when somebody leaves: a person, or a project with its gateways.

use cloud_logic::ids::{CompanyId, ProjectId, RingGroupId, UserId};
use cloud_logic::rights::Scope;
use model::Timestamp;
use serde_json::json;

use super::hold;
use super::target::Target;
use crate::store::changes::{Change, What, Whose};
use crate::store::{StoreError, Tx, query};

/// Ends the groups of a project that goes to another company: they name people and numbers of the
/// one that gives it.
pub(crate) async fn end_in_project(
    tx: &mut Tx,
    (company, project): (CompanyId, ProjectId),
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended = query("DELETE FROM ring_group WHERE project_id = $1 RETURNING id").bind(project);
    let ended = tx.all(ended).await?;
    for row in &ended {
        tx.changed(Change {
            at: now,
            whose: Whose::from(Scope::Project(company, project)),
            kind: "ring_group",
            id: row.text("id")?,
            what: What::Deleted,
        });
    }
    Ok(())
}

/// Takes a person who is forgotten out of every group and every rule; her number goes with her
/// account.
pub(crate) async fn forget_person(
    tx: &mut Tx,
    user: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let word = user.to_string();
    let groups = query("SELECT * FROM ring_group WHERE ")
        .text("(1 = 1")
        .contains("members", &word)
        .text(") OR (1 = 1")
        .contains("onward", &word)
        .text(")");
    for row in tx.all(groups).await? {
        let group: RingGroupId = row.parsed("id")?;
        let company: CompanyId = row.parsed("company_id")?;
        hold(tx, company).await?;
        let mut settings = super::groups::GroupSettings::read(&row)?;
        settings.members.retain(|member| !member.is_user(user));
        let onward = settings.onward.filter(|to: &Target| !to.is_user(user));
        let update = query(
            "UPDATE ring_group SET members = $2, onward = $3, version = version + 1 WHERE id = $1",
        )
        .bind(group)
        .bind(json!(settings.members).to_string())
        .bind(onward.map(|to| json!(to).to_string()));
        tx.execute(update).await?;
        told(tx, (company, "ring_group", group.to_string()), now);
    }
    let numbers = query("SELECT * FROM call_number WHERE 1 = 1").contains("forwarding", &word);
    for row in tx.all(numbers).await? {
        let company: CompanyId = row.parsed("company_id")?;
        hold(tx, company).await?;
        let mut settings = super::numbers::NumberSettings::read(&row)?;
        settings.forwarding.retain(|rule| !rule.to.is_user(user));
        let update =
            query("UPDATE call_number SET forwarding = $2, version = version + 1 WHERE id = $1")
                .bind(row.text("id")?)
                .bind(json!(settings.forwarding).to_string());
        tx.execute(update).await?;
        told(tx, (company, "call_number", row.text("id")?), now);
    }
    Ok(())
}

fn told(tx: &mut Tx, (company, kind, id): (CompanyId, &'static str, String), now: Timestamp) {
    tx.changed(Change {
        at: now,
        whose: Whose::from(Scope::Company(company)),
        kind,
        id,
        what: What::Updated,
    });
}
