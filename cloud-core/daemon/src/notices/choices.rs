//! What of the notices somebody has by mail: her own choice.

use axum::extract::State;
use cloud_logic::ids::{CompanyId, ProjectId, SiteId, UserId};
use cloud_logic::notices::Kind;
use cloud_logic::rights::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::{Finding, IfMatch, Json, Problem, Versioned};
use crate::core::Core;
use crate::people::Caller;
use crate::store::{StoreError, Tx, query};

/// So many places somebody may name.
const MOST_PLACES: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(read, change))
}

/// What comes by mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    by_mail: bool,
    kinds: Vec<Kind>,
    /// Companies, projects and sites.
    places: Vec<String>,
}

/// A choice that was made.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) choice: Choice,
    version: i64,
}

impl Choice {
    /// Of somebody who has made none.
    pub(super) fn of_role(looks_after: bool) -> Self {
        Self {
            by_mail: looks_after,
            kinds: Vec::new(),
            places: Vec::new(),
        }
    }

    pub(super) fn wants(&self, kind: Kind, scope: &Scope) -> bool {
        let of_kind = self.kinds.is_empty() || self.kinds.contains(&kind);
        let here = [
            Some(scope.company().to_string()),
            scope.project().map(|id| id.to_string()),
            scope.site().map(|id| id.to_string()),
        ];
        let mut here = here.into_iter().flatten();
        let in_place = self.places.is_empty() || here.any(|id| self.places.contains(&id));
        self.by_mail && of_kind && in_place
    }
}

pub(super) async fn of(tx: &mut Tx, user: UserId) -> Result<Option<Kept>, StoreError> {
    let asked = query("SELECT * FROM notice_choice WHERE user_id = $1").bind(user);
    let row = tx.optional(asked).await?;
    row.map(|row| {
        Ok(Kept {
            choice: Choice {
                by_mail: row.flag("by_mail")?,
                kinds: row.json("kinds")?,
                places: row.json("places")?,
            },
            version: row.int("version")?,
        })
    })
    .transpose()
}

/// What comes by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoticeChoice {
    /// Null until you choose: then it comes by mail where your role is to look after the place.
    #[serde(default)]
    by_mail: Option<bool>,
    /// Of these kinds only: `device_offline`, `site_outage` ... All, where there is none.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 20)]
    kinds: Vec<Kind>,
    /// Of these companies, projects and sites only. All, where there is none.
    #[serde(default)]
    #[schema(max_items = 100)]
    places: Vec<String>,
}

/// What of the notices you have by mail
#[utoipa::path(
    get,
    path = "/api/v1/me/notice-choice",
    tag = "notices",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "Your choice.", body = NoticeChoice), Refused)
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Versioned<NoticeChoice>, Problem> {
    let mut tx = core.store.read().await?;
    let kept = of(&mut tx, caller.user()?).await?;
    let (version, body) = match kept {
        None => (1, (None, Vec::new(), Vec::new())),
        Some(Kept { choice, version }) => {
            (version, (Some(choice.by_mail), choice.kinds, choice.places))
        }
    };
    let (by_mail, kinds, places) = body;
    let body = NoticeChoice {
        by_mail,
        kinds,
        places,
    };
    Ok(Versioned(version, body))
}

/// Choose what of the notices you have by mail
///
/// You never get more than you may see in the portal.
#[utoipa::path(
    put,
    path = "/api/v1/me/notice-choice",
    tag = "notices",
    params(("if-match" = String, Header, description = "Its version, in quotes.")),
    extensions(("x-permission" = json!("signed_in"))),
    request_body = NoticeChoice,
    responses((status = 200, description = "As it is now.", body = NoticeChoice), NotMade, Stale)
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    version: IfMatch,
    Json(wish): Json<NoticeChoice>,
) -> Result<Versioned<NoticeChoice>, Problem> {
    let user = caller.user()?;
    check(&wish)?;
    let mut tx = core.store.write().await?;
    let before = of(&mut tx, user).await?;
    let current = before.map_or(1, |kept| kept.version);
    version.check(current)?;
    match wish.by_mail {
        // As before she chose; a version that was seen once does not come again.
        None => {
            let role = query("DELETE FROM notice_choice WHERE user_id = $1 AND version = $2");
            tx.execute(role.bind(user).bind(current)).await?;
        }
        Some(by_mail) => {
            let written = query(
                "INSERT INTO notice_choice (user_id, by_mail, kinds, places, version)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (user_id) DO UPDATE SET by_mail = excluded.by_mail,
                     kinds = excluded.kinds, places = excluded.places,
                     version = excluded.version
                 WHERE notice_choice.version = $6",
            );
            let written = written
                .bind(user)
                .bind(by_mail)
                .bind(json!(wish.kinds).to_string())
                .bind(json!(wish.places).to_string())
                .bind(current + 1)
                .bind(current);
            version.changed(tx.execute(written).await?)?;
        }
    }
    tx.commit().await?;
    let now = if wish.by_mail.is_some() {
        current + 1
    } else {
        1
    };
    Ok(Versioned(now, wish))
}

fn check(wish: &NoticeChoice) -> Result<(), Problem> {
    let mut findings = Vec::new();
    let is_place = |text: &String| {
        text.parse::<CompanyId>().is_ok()
            || text.parse::<ProjectId>().is_ok()
            || text.parse::<SiteId>().is_ok()
    };
    for (index, place) in wish.places.iter().enumerate() {
        if !is_place(place) {
            let pointer = format!("/places/{index}");
            let detail = "Name the id of a company, a project or a site.";
            findings.push(Finding::new(&pointer, "no_place", detail));
        }
    }
    if wish.places.len() > MOST_PLACES {
        findings.push(Finding::new(
            "/places",
            "too_many",
            "Name 100 places at most.",
        ));
    }
    if wish.kinds.len() > 2 * Kind::ALL.len() {
        findings.push(Finding::new("/kinds", "too_many", "Name each kind once."));
    }
    if wish.by_mail.is_none() && !(wish.kinds.is_empty() && wish.places.is_empty()) {
        let detail = "Choose whether it comes by mail; without that, kinds and places say nothing.";
        findings.push(Finding::new("/by_mail", "missing", detail));
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(findings))
    }
}
