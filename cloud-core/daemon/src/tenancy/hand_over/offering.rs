//! The giver's side: what would pass, offering it, and taking the offer back.

use axum::extract::State as FromCore;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, HandOverId, ProjectId};
use cloud_logic::rights::Permission;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::place::permitted_project;
use super::{Given, HandOver, HandOverBody, Preview, STANDS, State, rows};
use crate::api::answers::{NotMade, Refused};
use crate::api::{Code, Cursor, Json, Page, PageOf, Path, Problem, Query};
use crate::core::{Core, NewId};
use crate::people::{self, Caller, visible_in};
use crate::store::{StoreError, Tx};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(preview_project))
        .routes(routes!(offer_project))
        .routes(routes!(preview_company))
        .routes(routes!(list, offer_company))
        .routes(routes!(cancel))
}

/// The project, if the caller may give it away.
async fn project(tx: &mut Tx, caller: &Caller, project: ProjectId) -> Result<Given, Problem> {
    let scope = permitted_project(tx, caller, Permission::ProjectHandOver, project).await?;
    Ok(Given::Project(scope.company(), project))
}

/// The company, if the caller may give it away.
fn company(caller: &Caller, company: CompanyId) -> Result<Given, Problem> {
    let given = Given::Company(company);
    caller.require(given.permission(), &given.scope())?;
    Ok(given)
}

/// What would pass with a project
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/hand-over",
    tag = "tenancy",
    params(("project" = String, Path, description = "Which project.")),
    extensions(("x-permission" = json!("project.hand_over"))),
    responses((status = 200, description = "Counted as it is now.", body = Preview), Refused)
)]
async fn preview_project(
    FromCore(core): FromCore<Core>,
    caller: Caller,
    Path(id): Path<ProjectId>,
) -> Result<Json<Preview>, Problem> {
    let mut tx = core.store.read().await?;
    let given = project(&mut tx, &caller, id).await?;
    Ok(Json(rows::preview(&mut tx, given).await?))
}

/// What would pass with a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/hand-over",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("company.hand_over"))),
    responses((status = 200, description = "Counted as it is now.", body = Preview), Refused)
)]
async fn preview_company(
    FromCore(core): FromCore<Core>,
    caller: Caller,
    Path(id): Path<CompanyId>,
) -> Result<Json<Preview>, Problem> {
    let given = company(&caller, id)?;
    let mut tx = core.store.read().await?;
    Ok(Json(rows::preview(&mut tx, given).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Offer {
    /// Who may accept. Nobody is told here whether there is an account with this mail address.
    #[schema(max_length = 254, example = "anna@example.com")]
    mail: String,
}

/// Offer a project to another company
///
/// Whoever has the account with the mail address accepts it into a company of hers, within fourteen
/// days. Asks for a password or passkey shown a short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/hand-over",
    tag = "tenancy",
    params(("project" = String, Path, description = "Which project.")),
    extensions(("x-permission" = json!("project.hand_over"))),
    request_body = Offer,
    responses((status = 201, description = "Offered.", body = HandOverBody), NotMade)
)]
async fn offer_project(
    FromCore(core): FromCore<Core>,
    caller: Caller,
    Path(id): Path<ProjectId>,
    Json(wish): Json<Offer>,
) -> Result<(StatusCode, Json<HandOverBody>), Problem> {
    let mut tx = core.store.write().await?;
    let given = project(&mut tx, &caller, id).await?;
    offer(tx, &core, &caller, given, &wish.mail).await
}

/// Offer a company to another owner
///
/// Whoever has the account with the mail address becomes its only owner when she accepts, within
/// fourteen days. Asks for a password or passkey shown a short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/hand-overs",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("company.hand_over"))),
    request_body = Offer,
    responses((status = 201, description = "Offered.", body = HandOverBody), NotMade)
)]
async fn offer_company(
    FromCore(core): FromCore<Core>,
    caller: Caller,
    Path(id): Path<CompanyId>,
    Json(wish): Json<Offer>,
) -> Result<(StatusCode, Json<HandOverBody>), Problem> {
    let given = company(&caller, id)?;
    let tx = core.store.write().await?;
    offer(tx, &core, &caller, given, &wish.mail).await
}

async fn offer(
    mut tx: Tx,
    core: &Core,
    caller: &Caller,
    given: Given,
    mail: &str,
) -> Result<(StatusCode, Json<HandOverBody>), Problem> {
    caller.require_fresh_proof(core)?;
    let mail_key = people::sound_mail("/mail", mail)?;
    rows::expire(&mut tx, caller.now).await?;
    let offer = HandOver {
        id: HandOverId::new_at(caller.now),
        given,
        mail: mail.trim().to_owned(),
        offered_by: caller.user()?,
        state: State::Offered,
        into: None,
        created: caller.now,
        expires: caller.now.saturating_add(STANDS),
        ended: None,
    };
    rows::insert(&mut tx, &offer, &mail_key)
        .await
        .map_err(|error| match error {
            StoreError::Duplicate(_) => Problem::new(
                Code::Conflict,
                "It is offered to somebody already. Take that offer back first.",
            ),
            error => error.into(),
        })?;
    offer.tell(&mut tx, caller, "hand_over.offer");
    let names = rows::by_id(&mut tx, offer.id)
        .await?
        .ok_or_else(Problem::not_found)?
        .1;
    tx.commit().await?;
    let body = HandOverBody::of(offer, names, caller.now);
    Ok((StatusCode::CREATED, Json(body)))
}

/// Hand-overs that a company offers or has offered
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/hand-overs",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company."), PageOf),
    extensions(("x-permission" = json!("project.hand_over"))),
    responses((status = 200, description = "A page of them, the latest first.", body = Page<HandOverBody>), Refused)
)]
async fn list(
    FromCore(core): FromCore<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<HandOverBody>>, Problem> {
    let visible = visible_in(&caller, Permission::ProjectHandOver, company)?;
    let (limit, before) = (page.limit()?, page.cursor()?);
    let before = before.as_ref().map(|cursor| cursor.id.as_str());
    let mut tx = core.store.read().await?;
    let offers = rows::of_company(&mut tx, company, &visible, before, limit).await?;
    let offers = offers
        .into_iter()
        .map(|(offer, names)| HandOverBody::of(offer, names, caller.now))
        .collect();
    Ok(Json(Page::of(offers, limit, |offer| Cursor {
        key: String::new(),
        id: offer.id.to_string(),
    })))
}

/// Take an offer back
#[utoipa::path(
    delete,
    path = "/api/v1/hand-overs/{hand_over}",
    tag = "tenancy",
    params(("hand_over" = String, Path, description = "Which offer.")),
    extensions(("x-permission" = json!("project.hand_over"))),
    responses((status = 204, description = "Nobody can accept it any more."), NotMade)
)]
async fn cancel(
    FromCore(core): FromCore<Core>,
    caller: Caller,
    Path(id): Path<HandOverId>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let found = rows::by_id(&mut tx, id).await?;
    let (mut offer, _) = found.ok_or_else(Problem::not_found)?;
    caller.require(offer.given.permission(), &offer.given.scope())?;
    if !rows::end(&mut tx, id, State::Cancelled, None, caller.now).await? {
        return Err(no_longer(&offer, caller.now));
    }
    offer.state = State::Cancelled;
    offer.tell(&mut tx, &caller, "hand_over.cancel");
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// It was ended before.
pub(super) fn no_longer(offer: &HandOver, now: model::Timestamp) -> Problem {
    let state = offer.state_at(now);
    let told = format!("The offer is {state}: nothing can be done about it any more.");
    Problem::new(Code::Conflict, told)
}
