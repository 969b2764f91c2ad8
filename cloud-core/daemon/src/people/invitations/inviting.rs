//! Inviting somebody, seeing who is invited, and calling it off.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, InvitationId, ProjectId, SiteId};
use cloud_logic::rights::{Permission, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Caller;
use super::super::grants::{Wish, visible_in};
use super::super::letters::{self, Kind, Letter, Page as Linked};
use super::super::secret::Secret;
use super::super::users::{judge_language, judge_mail};
use super::rows::{self, Invitation};
use crate::api::problem::ProblemBody;
use crate::api::{Cursor, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::core::{Core, NewId};
use crate::store::Tx;
use crate::store::audit::Audit;
use crate::store::changes::{Change, What, Whose};

/// So long a link counts.
const LASTS: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, invite))
        .routes(routes!(call_off))
}

/// Somebody who is invited.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
struct InvitationBody {
    #[schema(value_type = String)]
    id: InvitationId,
    mail: String,
    #[schema(value_type = String)]
    role: Role,
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
    #[schema(value_type = Option<String>)]
    site: Option<SiteId>,
    until: Option<Time>,
    reason: String,
    invited_by: String,
    created: Time,
    expires: Time,
}

impl From<Invitation> for InvitationBody {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            mail: invitation.mail,
            role: invitation.role,
            project: invitation.scope.project(),
            site: invitation.scope.site(),
            until: invitation.until.map(Time),
            reason: invitation.reason,
            invited_by: invitation.invited_by,
            created: Time(invitation.created),
            expires: Time(invitation.expires),
        }
    }
}

/// Who is invited
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/invitations",
    tag = "people",
    params(("company" = String, Path, description = "Which company."), PageOf),
    extensions(("x-permission" = json!("user.configure"))),
    responses(
        (status = 200, description = "A page of them, the oldest first.", body = Page<InvitationBody>),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "No such company.", body = ProblemBody),
        (status = 422, description = "No such page.", body = ProblemBody),
    )
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<InvitationBody>>, Problem> {
    let visible = visible_in(&caller, Permission::UserConfigure, company)?;
    let (limit, after) = (page.limit()?, page.cursor()?);
    let after = after.map_or(String::new(), |cursor| cursor.id);
    let mut tx = core.store.read().await?;
    let found = rows::of_company(&mut tx, company, &visible, caller.now, &after, limit).await?;
    let page = Page::of(found, limit, |invitation| Cursor {
        key: String::new(),
        id: invitation.id.to_string(),
    });
    Ok(Json(Page {
        items: page.items.into_iter().map(InvitationBody::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    #[schema(max_length = 254, example = "anna@example.com")]
    mail: String,
    /// Of the letter: `de`, `en` or `fr`.
    #[schema(example = "en")]
    language: String,
    /// What she may do once she has joined.
    grant: Wish,
}

/// A new invitation.
#[derive(Debug, Serialize, ToSchema)]
struct Invited {
    #[schema(value_type = String)]
    id: InvitationId,
    /// Shown this once, for a QR code or another way than mail. Who has it can join.
    link: String,
    expires: Time,
}

/// Invite somebody
///
/// She gets a letter with a link that counts once and for a week. Asks for a password or passkey
/// shown a short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/invitations",
    tag = "people",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("user.configure"))),
    request_body = Invite,
    responses(
        (status = 201, description = "Invited.", body = Invited),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "More than you may give, or a proof is needed.", body = ProblemBody),
        (status = 404, description = "No such company or place.", body = ProblemBody),
        (status = 422, description = "Something in it is not right.", body = ProblemBody),
    )
)]
async fn invite(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Json(wish): Json<Invite>,
) -> Result<(StatusCode, Json<Invited>), Problem> {
    visible_in(&caller, Permission::UserConfigure, company)?;
    let findings: Vec<_> = [
        judge_mail("/mail", wish.mail.trim()),
        judge_language("/language", &wish.language),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    if !findings.is_empty() {
        return Err(Problem::invalid(findings));
    }
    let mut tx = core.store.write().await?;
    let granted = wish.grant.judged(&mut tx, &caller, company).await?;
    caller.require(Permission::UserConfigure, &granted.scope)?;
    caller.require_fresh_proof(&core)?;
    let invitation = Invitation {
        id: InvitationId::new_at(caller.now),
        mail: wish.mail.trim().to_owned(),
        language: wish.language,
        role: granted.role,
        scope: granted.scope,
        until: granted.period.until(),
        withheld: granted.withheld,
        reason: granted.reason,
        invited_by: caller.actor().name,
        created: caller.now,
        expires: caller.now.saturating_add(LASTS),
    };
    let secret = Secret::new();
    rows::insert(&mut tx, &invitation, &secret).await?;
    let link = Linked::Join.link(&core, &secret);
    let letter = Letter {
        company,
        kind: Kind::Invitation,
        recipient: &invitation.mail,
        language: &invitation.language,
        words: serde_json::json!({ "role": invitation.role }),
        link: Some(&link),
        expires: invitation.expires,
    };
    letters::write(&mut tx, &core, letter).await?;
    note(
        &mut tx,
        &caller,
        &invitation,
        "invitation.create",
        What::Created,
    );
    tx.commit().await?;
    let invited = Invited {
        id: invitation.id,
        link,
        expires: Time(invitation.expires),
    };
    Ok((StatusCode::CREATED, Json(invited)))
}

/// Call an invitation off
///
/// Its link is worth nothing from then on.
#[utoipa::path(
    delete,
    path = "/api/v1/companies/{company}/invitations/{invitation}",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("invitation" = String, Path, description = "Which invitation.")
    ),
    extensions(("x-permission" = json!("user.configure"))),
    responses(
        (status = 204, description = "Called off."),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "No such invitation.", body = ProblemBody),
    )
)]
async fn call_off(
    State(core): State<Core>,
    caller: Caller,
    Path((company, id)): Path<(CompanyId, InvitationId)>,
) -> Result<StatusCode, Problem> {
    visible_in(&caller, Permission::UserConfigure, company)?;
    let mut tx = core.store.write().await?;
    let invitation = rows::by_id(&mut tx, company, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    caller.require(Permission::UserConfigure, &invitation.scope)?;
    rows::take(&mut tx, id).await?;
    note(
        &mut tx,
        &caller,
        &invitation,
        "invitation.delete",
        What::Deleted,
    );
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn note(tx: &mut Tx, caller: &Caller, invitation: &Invitation, action: &'static str, what: What) {
    let scope = invitation.scope;
    tx.audit(Audit {
        at: caller.now,
        company: Some(scope.company()),
        actor: caller.actor(),
        action,
        object_kind: "invitation",
        object_id: invitation.id.to_string(),
        before: None,
        after: Some(serde_json::json!({ "role": invitation.role })),
    });
    tx.changed(Change {
        at: caller.now,
        whose: Whose {
            company: Some(scope.company()),
            project: scope.project(),
            site: scope.site(),
        },
        kind: "invitation",
        id: invitation.id.to_string(),
        what,
    });
}
