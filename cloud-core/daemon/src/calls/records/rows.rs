//! The table of records.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_logic::ids::{CallId, CompanyId, ProjectId, SiteId, UserId};
use serde_json::json;

use super::Record;
use crate::core::Core;
use crate::store::changes::{Change, What, Whose};
use crate::store::{StoreError, Tx, query};

/// Writes a portion; how many were new. Listeners hear of each call once.
pub(super) async fn insert(core: &Core, records: &[Record]) -> Result<u64, StoreError> {
    let mut tx = core.store.write().await?;
    let mut new = 0;
    let mut calls: BTreeMap<CallId, Whose> = BTreeMap::new();
    for record in records {
        let place = standing(&mut tx, record).await?;
        let insert = query(
            "INSERT INTO call_record (id, company_id, project_id, site_id, call_id, leg_id,
                                      talked_with, role, party, dialled, by_way_of, priority,
                                      started, answered, ended, rang_ms, talked_ms, status, cause,
                                      audio, user_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                     $18, $19, $20, $21)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(record.id)
        .bind(place.company)
        .bind(place.project)
        .bind(place.site)
        .bind(record.call)
        .bind(record.leg)
        .bind(record.talked_with)
        .bind(record.role)
        .bind(json!(record.party).to_string())
        .bind(record.dialled.as_ref().map(|end| json!(end).to_string()))
        .bind(record.by_way_of.as_ref().map(|end| json!(end).to_string()))
        .bind(i64::from(record.priority))
        .bind(record.started)
        .bind(record.answered)
        .bind(record.ended)
        .bind(ms(record.rang_for))
        .bind(ms(record.talked_for))
        .bind(record.status)
        .bind(record.cause)
        .bind(record.audio.as_ref().map(|audio| json!(audio).to_string()))
        .bind(record.party.user);
        if tx.execute(insert).await? == 1 {
            new += 1;
            calls.insert(record.call, place);
        }
    }
    let at = core.now();
    for (call, whose) in calls {
        tx.changed(Change {
            at,
            whose,
            kind: "call",
            id: call.to_string(),
            what: What::Created,
        });
    }
    tx.commit().await?;
    Ok(new)
}

/// Takes a person who is forgotten out of the records of every call.
pub(crate) async fn forget_person(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let word = user.to_string();
    let party = query("UPDATE call_record SET party = '{}', user_id = NULL WHERE user_id = ");
    let party = party.value(user);
    let dialled =
        query("UPDATE call_record SET dialled = NULL WHERE 1 = 1").contains("dialled", &word);
    let by_way_of =
        query("UPDATE call_record SET by_way_of = NULL WHERE 1 = 1").contains("by_way_of", &word);
    for forget in [party, dialled, by_way_of] {
        tx.execute(forget).await?;
    }
    Ok(())
}

/// Where the record belongs: a project may have gone to another company during the call. What was
/// said then is still of the company whose call it was.
async fn standing(tx: &mut Tx, record: &Record) -> Result<Whose, StoreError> {
    let mut whose = Whose {
        company: Some(record.company),
        ..Whose::default()
    };
    let Some(project) = record.project else {
        return Ok(whose);
    };
    let asked = query("SELECT company_id FROM project WHERE id = $1").bind(project);
    let company: Option<CompanyId> = match tx.optional(asked).await? {
        Some(row) => Some(row.parsed("company_id")?),
        None => None,
    };
    if company == Some(record.company) {
        let (project, site): (Option<ProjectId>, Option<SiteId>) = (record.project, record.site);
        (whose.project, whose.site) = (project, site);
    }
    Ok(whose)
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
