//! What a device fetches over HTTPS: its settings in whole, when a message could not carry them.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::canonical;
use contract::document::Counter;
use contract::down::Desired;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rows;
use crate::api::problem::ProblemBody;
use crate::api::{Code, Problem, Versioned};
use crate::core::Core;
use crate::keys::{Barred, TlsPeer, identify};

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(desired))
}

/// The settings a device shall have
///
/// For the device itself, over TLS with its certificate. 304 where `if-none-match` names the
/// revision that is the newest.
#[utoipa::path(
    get,
    path = "/v1/devices/self/desired",
    tag = "enrolment",
    params(("if-none-match" = Option<String>, Header, description = "The revision it has, in quotes.")),
    extensions(("x-permission" = json!("device"))),
    responses(
        (status = 200, description = "All of them: a `Desired` of the link's contract.", body = serde_json::Value),
        (status = 304, description = "It has the newest."),
        (status = 403, description = "No certificate, or one that is void.", body = ProblemBody),
    )
)]
async fn desired(
    State(core): State<Core>,
    peer: Option<Extension<TlsPeer>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let shown = peer.and_then(|Extension(peer)| peer.certificate);
    let Some(shown) = shown else {
        let detail = "Show the device's certificate in the handshake; no proxy may end it.";
        return Err(Problem::new(Code::NotAllowed, detail));
    };
    let mut tx = core.store.read().await?;
    let known = identify(&mut tx, &shown, core.now()).await;
    let known = known.map_err(|barred| match barred {
        Barred::Store(error) => error.into(),
        barred @ (Barred::Unknown | Barred::Void(_) | Barred::Expired) => {
            Problem::new(Code::NotAllowed, barred.to_string())
        }
    })?;
    let (twin, _) = rows::find(&mut tx, known.holder.device).await?;
    let has = headers.get(header::IF_NONE_MATCH);
    if has.is_some_and(|tag| tag.as_bytes() == format!("\"{}\"", twin.revision).as_bytes()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let rev = Counter::new(twin.revision)
        .map_err(|_| Problem::new(Code::Conflict, "The counter of this device is at its end."))?;
    let document = Desired {
        rev,
        base: None,
        patch: None,
        hash: Some(canonical::hash(&twin.desired)),
        full: Some(twin.desired),
    };
    Ok(Versioned(twin.revision, document).into_response())
}
