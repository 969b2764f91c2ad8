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
    let answered = async {
        let mut tx = core.store.read().await?;
        tx.one(query("SELECT 1 AS one")).await
    }
    .await;
    if let Err(error) = answered {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the store does not answer"
        );
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
