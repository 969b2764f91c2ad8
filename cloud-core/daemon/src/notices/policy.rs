//! What a company finds worth telling.

use std::time::Duration;

use axum::extract::State;
use cloud_logic::ids::CompanyId;
use cloud_logic::notices::{BadRule, Rules};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::{Finding, IfMatch, Json, Path, Problem, Versioned};
use crate::core::Core;
use crate::people::Caller;
use crate::store::audit::Audit;
use crate::store::changes::{Change, What, Whose};
use crate::store::{StoreError, Tx, query};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(read, change))
}

/// The rules of a company, and how often they were changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) rules: Rules,
    version: i64,
}

pub(super) async fn rules_of(tx: &mut Tx, company: CompanyId) -> Result<Kept, StoreError> {
    let asked = query("SELECT * FROM notice_rule WHERE company_id = $1").bind(company);
    let Some(row) = tx.optional(asked).await? else {
        return Ok(Kept {
            rules: Rules::default(),
            version: 1,
        });
    };
    let seconds = u64::try_from(row.int("offline_after_s")?).unwrap_or(0);
    let share = u8::try_from(row.int("site_share")?).unwrap_or(0);
    let rules = Rules::new(Duration::from_secs(seconds), share);
    Ok(Kept {
        rules: rules.map_err(|error| StoreError::Content {
            column: "notice_rule".to_owned(),
            what: error.to_string(),
        })?,
        version: row.int("version")?,
    })
}

/// What of the coming and going of devices is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoticeRules {
    /// A device that is away for fewer seconds has not been away.
    #[schema(minimum = 30, maximum = 86400, example = 120)]
    offline_after: u64,
    /// When so many percent of a site's devices are away, it is one notice of the site.
    #[schema(minimum = 10, maximum = 100, example = 50)]
    site_share: u8,
}

impl From<Rules> for NoticeRules {
    fn from(rules: Rules) -> Self {
        Self {
            offline_after: rules.offline_after().as_secs(),
            site_share: rules.site_share(),
        }
    }
}

/// What a company finds worth telling
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/notice-rules",
    tag = "notices",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("notice.view"))),
    responses((status = 200, description = "Its rules.", body = NoticeRules), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
) -> Result<Versioned<NoticeRules>, Problem> {
    caller.require(Permission::NoticeView, &Scope::Company(company))?;
    let mut tx = core.store.read().await?;
    let kept = rules_of(&mut tx, company).await?;
    Ok(Versioned(kept.version, kept.rules.into()))
}

/// Change what a company finds worth telling
///
/// Holds for what happens from then on.
#[utoipa::path(
    put,
    path = "/api/v1/companies/{company}/notice-rules",
    tag = "notices",
    params(
        ("company" = String, Path, description = "Which company."),
        ("if-match" = String, Header, description = "Its version, in quotes.")
    ),
    extensions(("x-permission" = json!("notice.configure"))),
    request_body = NoticeRules,
    responses((status = 200, description = "As it is now.", body = NoticeRules), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    version: IfMatch,
    Json(wish): Json<NoticeRules>,
) -> Result<Versioned<NoticeRules>, Problem> {
    caller.require(Permission::NoticeConfigure, &Scope::Company(company))?;
    let rules = Rules::new(Duration::from_secs(wish.offline_after), wish.site_share);
    rules.map_err(|bad| {
        let pointer = match bad {
            BadRule::OfflineAfter => "/offline_after",
            BadRule::SiteShare => "/site_share",
        };
        Problem::invalid(vec![Finding::new(pointer, "out_of_range", bad.to_string())])
    })?;
    let mut tx = core.store.write().await?;
    let before = rules_of(&mut tx, company).await?;
    version.check(before.version)?;
    let written = query(
        "INSERT INTO notice_rule (company_id, offline_after_s, site_share, version)
         VALUES ($1, $2, $3, 2)
         ON CONFLICT (company_id) DO UPDATE SET offline_after_s = excluded.offline_after_s,
             site_share = excluded.site_share, version = notice_rule.version + 1
         WHERE notice_rule.version = $4",
    );
    let written = written
        .bind(company)
        .bind(i64::try_from(wish.offline_after).unwrap_or(i64::MAX))
        .bind(i64::from(wish.site_share))
        .bind(before.version);
    version.changed(tx.execute(written).await?)?;
    tx.audit(Audit {
        at: caller.now,
        company: Some(company),
        actor: caller.actor(),
        action: "notice_rules.change",
        object_kind: "company",
        object_id: company.to_string(),
        before: Some(json!(NoticeRules::from(before.rules))),
        after: Some(json!(wish)),
    });
    tx.changed(Change {
        at: caller.now,
        whose: Whose {
            company: Some(company),
            ..Whose::default()
        },
        kind: "notice_rules",
        id: company.to_string(),
        what: What::Updated,
    });
    tx.commit().await?;
    Ok(Versioned(before.version + 1, wish))
}
