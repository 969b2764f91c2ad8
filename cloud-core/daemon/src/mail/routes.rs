//! What became of letters, for those who look after people.

#![expect(
    unused_qualifications,
    reason = "the macro that describes a route writes them for its parameters"
)]

use axum::extract::State;
use cloud_logic::ids::{CompanyId, LetterId};
use cloud_logic::rights::{Permission, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::letters::{self, Listed, State as Stage};
use crate::api::answers::Refused;
use crate::api::{Cursor, Finding, Json, Page, PageOf, Path, Problem, Query, Time};
use crate::core::Core;
use crate::people::Caller;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A letter, and what became of it. What it says is told to its reader only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Letter)]
struct LetterBody {
    #[schema(value_type = String)]
    id: LetterId,
    /// `invitation`, `password_reset` or `notice`.
    kind: &'static str,
    recipient: String,
    /// `waiting`, `sent`, or `failed`: it will not be tried again.
    state: &'static str,
    tries: i64,
    /// When it is tried next.
    next_try: Option<Time>,
    /// Why it has not left, in the words of the mail server.
    reason: Option<String>,
    created: Time,
    /// When it is worth nothing any more.
    expires: Time,
    ended: Option<Time>,
}

impl From<Listed> for LetterBody {
    fn from(letter: Listed) -> Self {
        let waits = letter.state == Stage::Waiting;
        Self {
            id: letter.id,
            kind: letter.kind.word(),
            recipient: letter.recipient,
            state: letter.state.word(),
            tries: letter.tries,
            next_try: waits.then_some(Time(letter.due)),
            reason: letter.reason,
            created: Time(letter.created),
            expires: Time(letter.expires),
            ended: letter.ended.map(Time),
        }
    }
}

/// Which letters are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that are `waiting`, `sent` or `failed`.
    #[param(pattern = "^(waiting|sent|failed)$")]
    state: Option<String>,
}

/// Letters of a company, the newest first
///
/// Invitations, links for new passwords and notices by mail, with what the mail server said. They
/// are kept for a month.
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/letters",
    tag = "notices",
    params(("company" = String, Path, description = "Which company."), Which, PageOf),
    extensions(("x-permission" = json!("user.configure"))),
    responses((status = 200, description = "A part of them.", body = Page<LetterBody>), Refused)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    Query(which): Query<Which>,
    Query(page): Query<PageOf>,
) -> Result<Json<Page<LetterBody>>, Problem> {
    caller.require(Permission::UserConfigure, &Scope::Company(company))?;
    let limit = page.limit()?;
    let before = page.id()?;
    let state = which.state.as_deref().map(read_state).transpose()?;
    let mut tx = core.store.read().await?;
    let found = letters::listed(&mut tx, Some(company), state, before, limit + 1).await?;
    let bodies = found.into_iter().map(LetterBody::from).collect();
    Ok(Json(Page::of(bodies, limit, |letter: &LetterBody| {
        Cursor {
            key: String::new(),
            id: letter.id.to_string(),
        }
    })))
}

fn read_state(word: &str) -> Result<Stage, Problem> {
    word.parse().map_err(|_| {
        let detail = "Ask for waiting, sent or failed.";
        Problem::invalid(vec![Finding::new("?state", "unknown", detail)])
    })
}
