//! The logo of a company: a small picture, shown on its pages (S1).
//!
//! Taken only if its octets are a PNG, a JPEG or a WebP, and given out so that a browser does nothing
//! with it but show it. Its version is that of the company.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cloud_logic::ids::{BlobId, CompanyId};
use cloud_logic::rights::{Permission, Scope};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::place::{Told, tell};
use crate::api::answers::{NotMade, Refused, Stale};
use crate::api::extract::Octets;
use crate::api::version::stale;
use crate::api::{Finding, IfMatch, Path, Problem};
use crate::blobs::rows::{self, Keep};
use crate::blobs::{Kind, SAFE_TO_SHOW, picture};
use crate::core::{Core, NewId};
use crate::people::Caller;
use crate::store::changes::What;
use crate::store::{Tx, query};

/// Octets of a logo.
const LARGEST: usize = 256 * 1024;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(read, put, delete))
        .layer(DefaultBodyLimit::max(LARGEST))
}

/// The version of a company, and its logo.
async fn find(tx: &mut Tx, company: CompanyId) -> Result<(i64, Option<BlobId>), Problem> {
    let asked = query("SELECT version, logo FROM company WHERE id = $1").bind(company);
    let row = tx.optional(asked).await?.ok_or_else(Problem::not_found)?;
    Ok((row.int("version")?, row.maybe_parsed("logo")?))
}

/// Another logo in place of the one before, which goes.
async fn replace(
    tx: &mut Tx,
    company: CompanyId,
    (version, before): (i64, Option<BlobId>),
    logo: Option<BlobId>,
) -> Result<(), Problem> {
    let update =
        query("UPDATE company SET logo = $3, version = version + 1 WHERE id = $1 AND version = $2");
    let update = update.bind(company).bind(version).bind(logo);
    if tx.execute(update).await? == 0 {
        return Err(stale());
    }
    if let Some(before) = before {
        rows::let_go(tx, before).await?;
    }
    Ok(())
}

fn told(company: CompanyId, logo: Option<BlobId>, before: Option<BlobId>) -> Told {
    Told {
        scope: Scope::Company(company),
        action: "company.logo",
        kind: "company",
        id: company.to_string(),
        what: What::Updated,
        before: Some(json!({ "logo": before })),
        after: Some(json!({ "logo": logo })),
    }
}

fn etag(version: i64) -> (HeaderName, String) {
    (header::ETAG, format!("\"{version}\""))
}

/// The logo of a company
#[utoipa::path(
    get,
    path = "/api/v1/companies/{company}/logo",
    tag = "tenancy",
    params(("company" = String, Path, description = "Which company.")),
    extensions(("x-permission" = json!("company.view"))),
    responses(
        (status = 200, description = "The picture.", content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp")
        )),
        (status = 204, description = "The company has none."),
        (status = 304, description = "The one you have."),
        Refused
    )
)]
async fn read(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Permission::CompanyView, &Scope::Company(company))?;
    let mut tx = core.store.read().await?;
    let (version, logo) = find(&mut tx, company).await?;
    let etag = etag(version);
    let known = headers.get(header::IF_NONE_MATCH);
    if logo.is_some() && known.is_some_and(|tag| tag.as_bytes() == etag.1.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [etag]).into_response());
    }
    let Some(logo) = logo else {
        return Ok((StatusCode::NO_CONTENT, [etag]).into_response());
    };
    let Some(blob) = rows::find(&mut tx, logo).await? else {
        return Err(Problem::not_found());
    };
    drop(tx);
    let octets = core.blobs.read(blob.id).await?;
    let headers = [
        (header::CONTENT_TYPE, blob.media_type),
        (header::CONTENT_LENGTH, blob.size.to_string()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        etag,
    ];
    Ok((headers, SAFE_TO_SHOW, Body::from_stream(octets)).into_response())
}

/// Give a company a logo
///
/// A PNG, JPEG or WebP of at most 256 KiB.
#[utoipa::path(
    put,
    path = "/api/v1/companies/{company}/logo",
    tag = "tenancy",
    params(
        ("company" = String, Path, description = "Which company."),
        ("if-match" = String, Header, description = "The ETag of the company that was read.")
    ),
    extensions(("x-permission" = json!("company.configure"))),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The picture; any content-type is taken."),
    responses((status = 204, description = "It has it.", headers(("etag" = String))), NotMade, Stale)
)]
async fn put(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    version: IfMatch,
    Octets(octets): Octets,
) -> Result<Response, Problem> {
    caller.require(Permission::CompanyConfigure, &Scope::Company(company))?;
    let Some(media_type) = picture::media_type(&octets) else {
        let detail = "Send a PNG, a JPEG or a WebP.";
        return Err(Problem::invalid(vec![Finding::new(
            "",
            "no_picture",
            detail,
        )]));
    };
    let id = BlobId::new_at(caller.now);
    let written = core.blobs.write(id, octets).await?;
    let mut tx = core.store.write().await?;
    let there = find(&mut tx, company).await?;
    version.check(there.0)?;
    let keep = Keep {
        company,
        project: None,
        kind: Kind::Logo,
        media_type,
        now: caller.now,
        expires: None,
    };
    rows::keep(&mut tx, written, keep).await?;
    replace(&mut tx, company, there, Some(id)).await?;
    tell(&mut tx, &caller, told(company, Some(id), there.1));
    tx.commit().await?;
    Ok((StatusCode::NO_CONTENT, [etag(there.0 + 1)]).into_response())
}

/// Take the logo of a company away
#[utoipa::path(
    delete,
    path = "/api/v1/companies/{company}/logo",
    tag = "tenancy",
    params(
        ("company" = String, Path, description = "Which company."),
        ("if-match" = String, Header, description = "The ETag of the company that was read.")
    ),
    extensions(("x-permission" = json!("company.configure"))),
    responses((status = 204, description = "It has none now.", headers(("etag" = String))), Refused, Stale)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Path(company): Path<CompanyId>,
    version: IfMatch,
) -> Result<Response, Problem> {
    caller.require(Permission::CompanyConfigure, &Scope::Company(company))?;
    let mut tx = core.store.write().await?;
    let there = find(&mut tx, company).await?;
    version.check(there.0)?;
    replace(&mut tx, company, there, None).await?;
    tell(&mut tx, &caller, told(company, None, there.1));
    tx.commit().await?;
    Ok((StatusCode::NO_CONTENT, [etag(there.0 + 1)]).into_response())
}
