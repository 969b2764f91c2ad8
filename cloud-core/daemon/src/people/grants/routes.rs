//! Grants of a company: list, give, take.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, GrantId, UserId};
use cloud_logic::rights::{Permission, RemovalRefused, Role};
use model::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Caller, users};
use super::{GrantBody, Held, Wish, owners_stay, rows, visible_in};
use crate::api::problem::ProblemBody;
use crate::api::{Code, Cursor, Json, Page, PageOf, Path, Problem, Query};
use crate::core::{Core, NewId};
use crate::store::Tx;
use crate::store::audit::{Actor, Audit};
use crate::store::changes::{Change, What, Whose};

/// So many grants one user or integration may hold.
const MOST: i64 = 500;

pub(in super::super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, give))
        .routes(routes!(read, take))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfHolder {
    /// Only those of this user or integration.
    holder: Option<String>,
}

/// Grants of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/grants",
    tag = "people",
    params(("company" = String, Path, description = "Which company."), OfHolder, PageOf),
    extensions(("x-permission" = json!("grant.view"))),
    responses(
        (status = 200, description = "A page of them, in the order in which they were given.", body = Page<GrantBody>),
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
    Query(of): Query<OfHolder>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<GrantBody>>, Problem> {
    let visible = visible_in(&caller, Permission::GrantView, company)?;
    let (limit, after) = (page.limit()?, page.cursor()?);
    let after = after.map_or(String::new(), |cursor| cursor.id);
    let mut tx = core.store.read().await?;
    let holder = of.holder.as_deref();
    let found = rows::of_company(&mut tx, company, &visible, holder, &after, limit).await?;
    let page = Page::of(found, limit, |held| Cursor {
        key: String::new(),
        id: held.grant.id.to_string(),
    });
    Ok(Json(Page {
        items: page.items.into_iter().map(GrantBody::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// One grant
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/grants/{grant}",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("grant" = String, Path, description = "Which grant.")
    ),
    extensions(("x-permission" = json!("grant.view"))),
    responses(
        (status = 200, description = "It.", body = GrantBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "No such grant.", body = ProblemBody),
    )
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path((company, grant)): Path<(CompanyId, GrantId)>,
) -> Result<Json<GrantBody>, Problem> {
    visible_in(&caller, Permission::GrantView, company)?;
    let mut tx = core.store.read().await?;
    let held = rows::by_id(&mut tx, company, grant)
        .await?
        .ok_or_else(Problem::not_found)?;
    caller.require(Permission::GrantView, &held.grant.scope)?;
    Ok(Json(held.into()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Give {
    /// Who shall hold it: somebody of the company.
    #[schema(value_type = String)]
    user: UserId,
    /// What.
    grant: Wish,
}

/// Give somebody a right
///
/// Nobody gives more than she holds herself, nor for longer. Asks for a password or passkey shown
/// a short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/grants",
    tag = "people",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("grant.configure"))),
    request_body = Give,
    responses(
        (status = 201, description = "Given; it holds from its beginning on.", body = GrantBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "More than you may give, or a proof is needed.", body = ProblemBody),
        (status = 404, description = "No such company, place or user.", body = ProblemBody),
        (status = 409, description = "She holds too many grants already.", body = ProblemBody),
        (status = 422, description = "Something in it is not right.", body = ProblemBody),
    )
)]
async fn give(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Json(give): Json<Give>,
) -> Result<(StatusCode, Json<GrantBody>), Problem> {
    visible_in(&caller, Permission::GrantConfigure, company)?;
    let mut tx = core.store.write().await?;
    let granted = give.grant.judged(&mut tx, &caller, company).await?;
    caller.require_fresh_proof(&core)?;
    users::seen(&mut tx, &caller, company, give.user).await?;
    let held = granted.with(
        GrantId::new_at(caller.now),
        give.user.to_string(),
        caller.actor().name,
        caller.now,
    );
    keep(&mut tx, caller.actor(), &held, caller.now).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(held.into())))
}

/// Writes a new grant, the log and the change.
pub(in super::super) async fn keep(
    tx: &mut Tx,
    actor: Actor,
    held: &Held,
    now: Timestamp,
) -> Result<(), Problem> {
    if rows::count_of(tx, &held.holder).await? >= MOST {
        return Err(Problem::new(
            Code::Conflict,
            format!("Nobody holds more than {MOST} grants. Give one over a wider place instead."),
        ));
    }
    rows::insert(tx, held).await?;
    note(tx, actor, held, "grant.give", (What::Created, now));
    Ok(())
}

/// Take a right away
///
/// It is gone at once, in all open windows too. The last owner of a company stays.
#[utoipa::path(
    delete,
    path = "/api/v1/companies/{company}/grants/{grant}",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("grant" = String, Path, description = "Which grant.")
    ),
    extensions(("x-permission" = json!("grant.configure"))),
    responses(
        (status = 204, description = "Taken away."),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "More than you may take.", body = ProblemBody),
        (status = 404, description = "No such grant.", body = ProblemBody),
        (status = 409, description = "It is the last owner's.", body = ProblemBody),
    )
)]
async fn take(
    State(core): State<Core>,
    caller: Caller,
    Path((company, grant)): Path<(CompanyId, GrantId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let held = rows::by_id(&mut tx, company, grant).await?;
    let own = held
        .as_ref()
        .is_some_and(|held| held.holder == caller.actor().name);
    if !own {
        visible_in(&caller, Permission::GrantConfigure, company)?;
    }
    let held = held.ok_or_else(Problem::not_found)?;
    if !own {
        caller.require(Permission::GrantConfigure, &held.grant.scope)?;
    }
    caller
        .rights
        .may_remove(&held.grant, caller.now)
        .map_err(|refused| match refused {
            RemovalRefused::NotYours | RemovalRefused::MoreThanYouHave(_) => {
                Problem::new(Code::NotAllowed, refused.to_string())
            }
            RemovalRefused::LastOwner => Problem::new(Code::Conflict, refused.to_string()),
        })?;
    remove(&mut tx, caller.actor(), &held, caller.now).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a grant, unless it is the last owner's; the log and the change.
pub(in super::super) async fn remove(
    tx: &mut Tx,
    actor: Actor,
    held: &Held,
    now: Timestamp,
) -> Result<(), Problem> {
    let id = held.grant.id;
    if held.grant.role == Role::Owner {
        owners_stay(tx, held.grant.scope.company(), &[id], now).await?;
    }
    rows::delete(tx, id).await?;
    note(tx, actor, held, "grant.take", (What::Deleted, now));
    Ok(())
}

fn note(
    tx: &mut Tx,
    actor: Actor,
    held: &Held,
    action: &'static str,
    (what, at): (What, Timestamp),
) {
    let scope = held.grant.scope;
    let told = serde_json::json!({
        "holder": held.holder,
        "role": held.grant.role,
        "project": scope.project(),
        "site": scope.site(),
        "until": held.grant.period.until().map(|until| until.to_string()),
        "reason": held.reason,
    });
    let (before, after) = match what {
        What::Deleted => (Some(told), None),
        What::Created | What::Updated => (None, Some(told)),
    };
    tx.audit(Audit {
        at,
        company: Some(scope.company()),
        actor,
        action,
        object_kind: "grant",
        object_id: held.grant.id.to_string(),
        before,
        after,
    });
    tx.changed(Change {
        at,
        whose: Whose {
            company: Some(scope.company()),
            project: scope.project(),
            site: scope.site(),
        },
        kind: "grant",
        id: held.grant.id.to_string(),
        what,
    });
}
