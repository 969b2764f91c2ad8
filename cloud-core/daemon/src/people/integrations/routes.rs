//! Integrations of a company: list, make, new secret, remove.

use axum::extract::State;
use axum::http::StatusCode;
use cloud_logic::ids::{CompanyId, GrantId, IntegrationId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::grants::{self, Wish};
use super::super::secret::Secret;
use super::super::users::judge_name;
use super::super::{Caller, grants::GrantBody};
use super::rows::{self, Integration};
use crate::api::problem::ProblemBody;
use crate::api::{Cursor, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::core::{Core, NewId};
use crate::store::Tx;
use crate::store::audit::Audit;
use crate::store::changes::{Change, What, Whose};

pub(in super::super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list, make))
        .routes(routes!(remove))
        .routes(routes!(new_secret))
}

/// A program that uses the interface.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Integration)]
struct IntegrationBody {
    #[schema(value_type = String)]
    id: IntegrationId,
    name: String,
    created: Time,
}

impl From<Integration> for IntegrationBody {
    fn from(integration: Integration) -> Self {
        Self {
            id: integration.id,
            name: integration.name,
            created: Time(integration.created),
        }
    }
}

/// Integrations of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/integrations",
    tag = "people",
    params(("company" = String, Path, description = "Which company."), PageOf),
    extensions(("x-permission" = json!("integration.configure"))),
    responses(
        (status = 200, description = "A page of them, the oldest first.", body = Page<IntegrationBody>),
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
) -> Result<Json<Page<IntegrationBody>>, Problem> {
    caller.require(Permission::IntegrationConfigure, &Scope::Company(company))?;
    let (limit, after) = (page.limit()?, page.cursor()?);
    let after = after.map_or(String::new(), |cursor| cursor.id);
    let mut tx = core.store.read().await?;
    let found = rows::of_company(&mut tx, company, &after, limit).await?;
    let page = Page::of(found, limit, |integration| Cursor {
        key: String::new(),
        id: integration.id.to_string(),
    });
    Ok(Json(Page {
        items: page.items.into_iter().map(IntegrationBody::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Make {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it may do.
    grant: Wish,
}

/// A new integration with its secret.
#[derive(Debug, Serialize, ToSchema)]
struct Made {
    #[schema(value_type = String)]
    id: IntegrationId,
    /// Shown this once.
    secret: String,
    grant: GrantBody,
}

/// Make an integration
///
/// Its secret is shown this once. Asks for a password or passkey shown a short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/integrations",
    tag = "people",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("integration.configure"))),
    request_body = Make,
    responses(
        (status = 201, description = "Made.", body = Made),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "More than you may give, or a proof is needed.", body = ProblemBody),
        (status = 404, description = "No such company or place.", body = ProblemBody),
        (status = 409, description = "There is one with this name.", body = ProblemBody),
        (status = 422, description = "Something in it is not right.", body = ProblemBody),
    )
)]
async fn make(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Json(wish): Json<Make>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    caller.require(Permission::IntegrationConfigure, &Scope::Company(company))?;
    judge_name("/name", &wish.name).map_err(|finding| Problem::invalid(vec![finding]))?;
    let mut tx = core.store.write().await?;
    let granted = wish.grant.judged(&mut tx, &caller, company).await?;
    caller.require_fresh_proof(&core)?;
    let integration = Integration {
        id: IntegrationId::new_at(caller.now),
        company,
        name: wish.name.trim().to_owned(),
        created: caller.now,
        version: 1,
    };
    let secret = Secret::new();
    rows::insert(&mut tx, &integration, &secret).await?;
    note(
        &mut tx,
        &caller,
        &integration,
        "integration.create",
        What::Created,
    );
    let held = granted.with(
        GrantId::new_at(caller.now),
        integration.id.to_string(),
        caller.actor().name,
        caller.now,
    );
    grants::keep(&mut tx, caller.actor(), &held, caller.now).await?;
    tx.commit().await?;
    let made = Made {
        id: integration.id,
        secret: secret.text().to_owned(),
        grant: held.into(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
struct NewSecret {
    /// Shown this once.
    secret: String,
}

/// A new secret for an integration
///
/// The old one and its tokens are worth nothing from then on. Asks for a password or passkey shown
/// a short while ago.
#[utoipa::path(
    post,
    path = "/api/v1/companies/{company}/integrations/{integration}/secret",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("integration" = String, Path, description = "Which integration.")
    ),
    extensions(("x-permission" = json!("integration.configure"))),
    responses(
        (status = 200, description = "The new one.", body = NewSecret),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it, or a proof is needed.", body = ProblemBody),
        (status = 404, description = "No such integration.", body = ProblemBody),
    )
)]
async fn new_secret(
    State(core): State<Core>,
    caller: Caller,
    Path((company, id)): Path<(CompanyId, IntegrationId)>,
) -> Result<Json<NewSecret>, Problem> {
    let mut tx = core.store.write().await?;
    let integration = commanded(&mut tx, &caller, company, id).await?;
    caller.require_fresh_proof(&core)?;
    let secret = Secret::new();
    rows::new_secret(&mut tx, id, &secret).await?;
    note(
        &mut tx,
        &caller,
        &integration,
        "integration.secret",
        What::Updated,
    );
    tx.commit().await?;
    Ok(Json(NewSecret {
        secret: secret.text().to_owned(),
    }))
}

/// Remove an integration
///
/// With its grants; its tokens are worth nothing from then on.
#[utoipa::path(
    delete,
    path = "/api/v1/companies/{company}/integrations/{integration}",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("integration" = String, Path, description = "Which integration.")
    ),
    extensions(("x-permission" = json!("integration.configure"))),
    responses(
        (status = 204, description = "Removed."),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "No such integration.", body = ProblemBody),
    )
)]
async fn remove(
    State(core): State<Core>,
    caller: Caller,
    Path((company, id)): Path<(CompanyId, IntegrationId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = core.store.write().await?;
    let integration = commanded(&mut tx, &caller, company, id).await?;
    rows::delete(&mut tx, id).await?;
    note(
        &mut tx,
        &caller,
        &integration,
        "integration.delete",
        What::Deleted,
    );
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An integration that the caller may command: one that may do no more than she.
async fn commanded(
    tx: &mut Tx,
    caller: &Caller,
    company: CompanyId,
    id: IntegrationId,
) -> Result<Integration, Problem> {
    caller.require(Permission::IntegrationConfigure, &Scope::Company(company))?;
    let integration = rows::by_id(tx, company, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    let theirs = grants::rights_of(tx, &id.to_string()).await?;
    for grant in theirs.grants() {
        if !grant.period.is_over(caller.now) {
            for permission in grant.permissions().iter() {
                caller.require(permission, &grant.scope)?;
            }
        }
    }
    Ok(integration)
}

fn note(tx: &mut Tx, caller: &Caller, integration: &Integration, action: &'static str, what: What) {
    tx.audit(Audit {
        at: caller.now,
        company: Some(integration.company),
        actor: caller.actor(),
        action,
        object_kind: "integration",
        object_id: integration.id.to_string(),
        before: None,
        after: Some(serde_json::json!({ "name": integration.name })),
    });
    tx.changed(Change {
        at: caller.now,
        whose: Whose {
            company: Some(integration.company),
            ..Whose::default()
        },
        kind: "integration",
        id: integration.id.to_string(),
        what,
    });
}
