//! People of a company: list, one, blocking, and why somebody may do something.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use cloud_logic::ids::{CompanyId, GrantId, ProjectId, SiteId, UserId};
use cloud_logic::rights::{Decision, Permission, Rights, Role, Scope, ScopeKind, Standing};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::grants;
use super::super::{Caller, sessions};
use super::{Account, rows};
use crate::api::problem::ProblemBody;
use crate::api::version::stale;
use crate::api::{
    Cursor, Finding, IfMatch, Json, Page, PageOf, Path, Problem, Query, Time, Versioned,
};
use crate::core::Core;
use crate::store::audit::Audit;
use crate::store::changes::{Change, What, Whose};
use crate::store::{StoreError, Tx};

pub(in super::super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(block))
        .routes(routes!(why))
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
struct UserBody {
    #[schema(value_type = String, example = "us-01J9ZK3V7Q8W2M4N6P0R5T1X8Y")]
    id: UserId,
    mail: String,
    name: String,
    language: String,
    /// Cannot sign in.
    blocked: bool,
    /// Whether this company looks after the account.
    own: bool,
    created: Time,
}

impl UserBody {
    fn of(account: Account, company: CompanyId) -> Self {
        Self {
            id: account.id,
            own: account.company == company,
            mail: account.mail,
            name: account.name,
            language: account.language,
            blocked: account.blocked,
            created: Time(account.created),
        }
    }
}

/// People of a company
///
/// Those whom it looks after and those to whom it gave rights, as far as you see them.
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/users",
    tag = "people",
    params(("company" = String, Path, description = "Which company."), PageOf),
    extensions(("x-permission" = json!("user.view"))),
    responses(
        (status = 200, description = "A page of them, by mail address.", body = Page<UserBody>),
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
) -> Result<Json<Page<UserBody>>, Problem> {
    let visible = grants::visible_in(&caller, Permission::UserView, company)?;
    let (limit, after) = (page.limit()?, page.cursor()?);
    let mut tx = core.store.read().await?;
    let found = rows::of_company(&mut tx, company, &visible, after.as_ref(), limit).await?;
    let page = Page::of(found, limit, |account| Cursor {
        key: super::mail_key(&account.mail),
        id: account.id.to_string(),
    });
    Ok(Json(Page {
        items: page
            .items
            .into_iter()
            .map(|account| UserBody::of(account, company))
            .collect(),
        next_cursor: page.next_cursor,
    }))
}

/// One person of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/users/{user}",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("user" = String, Path, description = "Who.")
    ),
    extensions(("x-permission" = json!("user.view"))),
    responses(
        (status = 200, description = "She.", body = UserBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "Nobody of that name here.", body = ProblemBody),
    )
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path((company, user)): Path<(CompanyId, UserId)>,
) -> Result<Versioned<UserBody>, Problem> {
    let mut tx = core.store.read().await?;
    let account = seen(&mut tx, &caller, company, user).await?;
    Ok(Versioned(account.version, UserBody::of(account, company)))
}

/// Somebody of the company, if the caller sees her.
pub(in super::super) async fn seen(
    tx: &mut Tx,
    caller: &Caller,
    company: CompanyId,
    user: UserId,
) -> Result<Account, Problem> {
    let visible = grants::visible_in(caller, Permission::UserView, company)?;
    let found = rows::one_of_company(tx, company, &visible, user).await?;
    found.ok_or_else(Problem::not_found)
}

/// Somebody whom the company looks after, for who may change her account.
pub(in super::super) async fn looked_after(
    tx: &mut Tx,
    caller: &Caller,
    company: CompanyId,
    user: UserId,
) -> Result<Account, Problem> {
    caller.require(Permission::UserConfigure, &Scope::Company(company))?;
    let account = super::by_id(tx, user)
        .await?
        .filter(|account| account.company == company)
        .ok_or_else(Problem::not_found)?;
    // Nobody commands somebody who may do more here than she.
    let theirs = grants::rights_of(tx, &user.to_string()).await?;
    let here = theirs
        .grants()
        .iter()
        .filter(|grant| grant.scope.company() == company && !grant.period.is_over(caller.now));
    for grant in here {
        for permission in grant.permissions().iter() {
            caller.require(permission, &grant.scope)?;
        }
    }
    Ok(account)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Block {
    blocked: bool,
}

/// Block or unblock somebody
///
/// For people whom the company looks after. Who is blocked is signed out everywhere at once; her
/// rights stay for the day she is unblocked.
#[utoipa::path(
    put,
    path = "/api/v1/companies/{company}/users/{user}/blocked",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("user" = String, Path, description = "Who."),
        ("if-match" = String, Header, description = "The ETag that was read.")
    ),
    extensions(("x-permission" = json!("user.configure"))),
    request_body = Block,
    responses(
        (status = 200, description = "Done.", body = UserBody),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "The company looks after nobody of that name.", body = ProblemBody),
        (status = 409, description = "She is the last owner.", body = ProblemBody),
        (status = 412, description = "It was changed meanwhile.", body = ProblemBody),
        (status = 428, description = "Say which version you change.", body = ProblemBody),
    )
)]
async fn block(
    State(core): State<Core>,
    caller: Caller,
    Path((company, user)): Path<(CompanyId, UserId)>,
    IfMatch(version): IfMatch,
    Json(wish): Json<Block>,
) -> Result<Versioned<UserBody>, Problem> {
    let mut tx = core.store.write().await?;
    let account = looked_after(&mut tx, &caller, company, user).await?;
    if wish.blocked {
        grants::owners_stay_without(&mut tx, user, caller.now).await?;
    }
    if !rows::set_blocked(&mut tx, user, version, wish.blocked).await? {
        return Err(stale());
    }
    if wish.blocked {
        sessions::end_all_of(&mut tx, user, None).await?;
    }
    tx.audit(Audit {
        at: caller.now,
        company: Some(company),
        actor: caller.actor(),
        action: "user.block",
        object_kind: "user",
        object_id: user.to_string(),
        before: Some(serde_json::json!({ "blocked": account.blocked })),
        after: Some(serde_json::json!({ "blocked": wish.blocked })),
    });
    tx.changed(changed(&caller, company, user));
    tx.commit().await?;
    let account = Account {
        blocked: wish.blocked,
        version: version + 1,
        ..account
    };
    Ok(Versioned(account.version, UserBody::of(account, company)))
}

fn changed(caller: &Caller, company: CompanyId, user: UserId) -> Change {
    Change {
        at: caller.now,
        whose: Whose {
            company: Some(company),
            ..Whose::default()
        },
        kind: "user",
        id: user.to_string(),
        what: What::Updated,
    }
}

/// Which right, and where.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhyOf {
    /// Such as `device.view`.
    #[param(value_type = String, example = "device.view")]
    permission: String,
    /// In this project; left out, in the company as a whole.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// At this site of the project.
    #[param(value_type = Option<String>)]
    site: Option<SiteId>,
}

/// Why somebody may do something, or may not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why {
    pub(crate) allowed: bool,
    /// Each grant over this place, with what it says; those that allow it first.
    pub(crate) grants: Vec<WhyGrant>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhyGrant {
    #[schema(value_type = String)]
    pub(crate) id: GrantId,
    #[schema(value_type = String, example = "viewer")]
    pub(crate) role: Role,
    /// Of what it was given: `company`, `project` or `site`.
    #[schema(value_type = String)]
    pub(crate) scope: ScopeKind,
    /// `allows`, `withholds`, `not_yet`, `over` or `not_in_role`.
    #[schema(value_type = String)]
    pub(crate) says: Standing,
    pub(crate) until: Option<Time>,
    pub(crate) reason: String,
    pub(crate) granted_by: String,
}

/// Why she may do this
///
/// Every grant over the place with what it says to the question.
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/users/{user}/why",
    tag = "people",
    params(
        ("company" = String, Path, description = "Which company."),
        ("user" = String, Path, description = "Who."),
        WhyOf
    ),
    extensions(("x-permission" = json!("user.view"))),
    responses(
        (status = 200, description = "The answer, and what leads to it.", body = Why),
        (status = 401, description = "Not signed in.", body = ProblemBody),
        (status = 403, description = "Your role does not allow it.", body = ProblemBody),
        (status = 404, description = "Nobody of that name here, or no such place.", body = ProblemBody),
        (status = 422, description = "No such permission.", body = ProblemBody),
    )
)]
async fn why(
    State(core): State<Core>,
    caller: Caller,
    Path((company, user)): Path<(CompanyId, UserId)>,
    Query(of): Query<WhyOf>,
) -> Result<Json<Why>, Problem> {
    let mut tx = core.store.read().await?;
    seen(&mut tx, &caller, company, user).await?;
    let permission: Permission = of.permission.parse().map_err(|error| {
        let error: cloud_logic::rights::UnknownPermission = error;
        let finding = Finding::new("?permission", "unknown_permission", error.to_string());
        Problem::invalid(vec![finding])
    })?;
    let place = grants::place(&mut tx, company, of.project, of.site).await?;
    caller.require(Permission::GrantView, &place)?;
    let why = explained(&mut tx, user, permission, &place, caller.now).await?;
    Ok(Json(why))
}

/// What each of somebody's grants over a place says to this.
pub(in super::super) async fn explained(
    tx: &mut Tx,
    user: UserId,
    permission: Permission,
    place: &Scope,
    now: Timestamp,
) -> Result<Why, StoreError> {
    let held = grants::of_holder(tx, &user.to_string()).await?;
    let rights = Rights::new(held.iter().map(|held| held.grant.clone()).collect());
    let told = rights.explain(permission, place, now);
    let grants = told
        .grants
        .iter()
        .filter_map(|(grant, says)| {
            let held = held.iter().find(|held| held.grant.id == grant.id)?;
            Some(WhyGrant {
                id: grant.id,
                role: grant.role,
                scope: grant.scope.kind(),
                says: *says,
                until: grant.period.until().map(Time),
                reason: held.reason.clone(),
                granted_by: held.granted_by.clone(),
            })
        })
        .collect();
    Ok(Why {
        allowed: told.decision == Decision::Allowed,
        grants,
    })
}
