//! Health for load balancers and service managers. Tells nothing about anybody's data.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Code, Json, Problem};
use crate::core::Core;
use crate::store::query;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(health))
}

/// That the core can serve.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`: what is not well is a problem.
    status: &'static str,
    version: &'static str,
}

pub(super) async fn store_answers(core: &Core) -> bool {
    let answered = async {
        let mut tx = core.store.read().await?;
        tx.one(query("SELECT 1 AS one")).await
    };
    match answered.await {
        Ok(_) => true,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the store does not answer");
            false
        }
    }
}

/// Whether the core can serve
#[utoipa::path(
    get,
    path = "/api/v1/health",
    tag = "service",
    extensions(("x-permission" = json!("public"))),
    responses(
        (status = 200, description = "It can.", body = Health),
        (status = 503, description = "Its store does not answer.", body = crate::api::problem::ProblemBody),
    )
)]
async fn health(State(core): State<Core>) -> Result<Json<Health>, Problem> {
    if !store_answers(&core).await {
        return Err(Problem::new(
            Code::Unavailable,
            "The store does not answer.",
        ));
    }
    Ok(Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    }))
}
