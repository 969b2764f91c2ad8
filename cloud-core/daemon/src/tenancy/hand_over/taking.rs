//! The taker's side: what is offered to her, accepting and refusing it.

use axum::extract::State as FromCore;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, HandOverId, ProjectId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::place::{Told, tell};
use super::offering::no_longer;
use super::{Given, HandOver, HandOverBody, Preview, State, moving, rows};
use crate::api::answers::{NotMade, Refused};
use crate::api::check::Findings;
use crate::api::{Code, Finding, Json, Path, Problem};
use crate::core::Core;
use crate::people::{self, Caller};
use crate::store::Tx;
use crate::store::changes::What;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(accept))
        .routes(routes!(refuse))
}

/// An offer with what would pass.
#[derive(Debug, Serialize, ToSchema)]
struct OfferedToMe {
    #[serde(flatten)]
    offer: HandOverBody,
    preview: Preview,
}

#[derive(Debug, Serialize, ToSchema)]
struct OfferedToMeList {
    items: Vec<OfferedToMe>,
}

/// What is offered to you
#[utoipa::path(
    get,
    path = "/api/v1/me/hand-overs",
    tag = "tenancy",
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 200, description = "Offers that stand, with what would pass.", body = OfferedToMeList), Refused)
)]
async fn list(
    FromCore(core): FromCore<Core>,
    caller: Caller,
) -> Result<Json<OfferedToMeList>, Problem> {
    let mut tx = core.store.read().await?;
    let mail = people::mail_key_of(&mut tx, caller.user()?).await?;
    let mut items = Vec::new();
    for (offer, names) in rows::offered_to(&mut tx, &mail, caller.now).await? {
        let preview = rows::preview(&mut tx, offer.given).await?;
        items.push(OfferedToMe {
            offer: HandOverBody::of(offer, names, caller.now),
            preview,
        });
    }
    Ok(Json(OfferedToMeList { items }))
}

/// The offer, if it stands and is for the caller.
async fn offered(tx: &mut Tx, caller: &Caller, id: HandOverId) -> Result<HandOver, Problem> {
    let mail = people::mail_key_of(tx, caller.user()?).await?;
    let offers = rows::offered_to(tx, &mail, caller.now).await?;
    let mut offers = offers.into_iter().map(|(offer, _)| offer);
    let found = offers.find(|offer| offer.id == id);
    found.ok_or_else(Problem::not_found)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    /// The company of yours that takes a project; left out where a company is offered.
    #[schema(value_type = Option<String>)]
    company: Option<CompanyId>,
    /// Another name for the project, where the company has one of the same name.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
}

/// Accept an offer
///
/// A project passes to the company that you name, in which you need the right to configure the
/// company; the rights that were given in it end. A company passes with all that it has: you become
/// its only owner.
#[utoipa::path(
    post,
    path = "/api/v1/me/hand-overs/{hand_over}/accept",
    tag = "tenancy",
    params(("hand_over" = String, Path, description = "Which offer.")),
    extensions(("x-permission" = json!("signed_in"))),
    request_body = Accept,
    responses((status = 204, description = "It is yours."), NotMade)
)]
async fn accept(
    FromCore(core): FromCore<Core>,
    caller: Caller,
    Path(id): Path<HandOverId>,
    Json(wish): Json<Accept>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let mut offer = offered(&mut tx, &caller, id).await?;
    let (permission, scope) = (offer.given.permission(), offer.given.scope());
    if !people::still_may(&mut tx, offer.offered_by, permission, &scope, caller.now).await? {
        return Err(Problem::new(
            Code::Conflict,
            "Who offered it may not give it any more. Ask for a new offer.",
        ));
    }
    let into = taker(&caller, offer.given, wish.company)?;
    if !rows::end(&mut tx, id, State::Accepted, into, caller.now).await? {
        return Err(no_longer(&offer, caller.now));
    }
    (offer.state, offer.into) = (State::Accepted, into);
    match (offer.given, into) {
        (Given::Project(from, project), Some(into)) => {
            take_project(&mut tx, &caller, (project, from, into), wish.name).await?;
        }
        (Given::Company(company), _) => {
            let (actor, user) = (caller.actor(), caller.user()?);
            people::change_owner(&mut tx, &actor, company, user, caller.now).await?;
        }
        (Given::Project(..), None) => return Err(Problem::not_found()),
    }
    offer.tell(&mut tx, &caller, "hand_over.accept");
    tx.commit().await?;
    // What was written for the giver while this was under way. It is hers already: no reason to
    // fail.
    if let Err(error) = super::tend(&core).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "what was written during a hand-over is brought along within the hour"
        );
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The company that takes a project, if the caller may begin projects there.
fn taker(
    caller: &Caller,
    given: Given,
    company: Option<CompanyId>,
) -> Result<Option<CompanyId>, Problem> {
    let Given::Project(from, _) = given else {
        return Ok(None);
    };
    let company = company.ok_or_else(|| {
        let told = "Name the company of yours that takes the project.";
        Problem::invalid(vec![Finding::new("/company", "missing", told)])
    })?;
    caller.require(Permission::CompanyConfigure, &Scope::Company(company))?;
    if company == from {
        let told = "The project is of this company already.";
        return Err(Problem::new(Code::Conflict, told));
    }
    Ok(Some(company))
}

async fn take_project(
    tx: &mut Tx,
    caller: &Caller,
    (project, from, into): (ProjectId, CompanyId, CompanyId),
    name: Option<String>,
) -> Result<(), Problem> {
    let mut findings = Findings::default();
    let name = name.map(|name| findings.name("/name", &name));
    findings.done()?;
    let actor = caller.actor();
    let passing = (project, from, into);
    moving::give(tx, &actor, passing, name.as_deref(), caller.now).await?;
    // In both chains, and to the pages of both.
    for (company, action, what) in [
        (from, "project.give", What::Deleted),
        (into, "project.take", What::Created),
    ] {
        let told = Told {
            scope: Scope::Project(company, project),
            action,
            kind: "project",
            id: project.to_string(),
            what,
            before: Some(json!({ "company": from })),
            after: Some(json!({ "company": into })),
        };
        tell(tx, caller, told);
    }
    Ok(())
}

/// Refuse an offer
#[utoipa::path(
    post,
    path = "/api/v1/me/hand-overs/{hand_over}/refuse",
    tag = "tenancy",
    params(("hand_over" = String, Path, description = "Which offer.")),
    extensions(("x-permission" = json!("signed_in"))),
    responses((status = 204, description = "Refused."), NotMade)
)]
async fn refuse(
    FromCore(core): FromCore<Core>,
    caller: Caller,
    Path(id): Path<HandOverId>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let mut offer = offered(&mut tx, &caller, id).await?;
    if !rows::end(&mut tx, id, State::Refused, None, caller.now).await? {
        return Err(no_longer(&offer, caller.now));
    }
    offer.state = State::Refused;
    offer.tell(&mut tx, &caller, "hand_over.refuse");
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
