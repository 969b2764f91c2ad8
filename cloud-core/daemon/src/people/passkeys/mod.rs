//! Passkeys: signing in without a password and without a name, and showing once more who one is.
//!
//! The library judges what an authenticator says (Web Authentication 7.1 and 7.2); here it is
//! decided what is asked of it: that the authenticator verifies its user (finger, face, PIN) and
//! knows whom it signs in. Attestation is not asked for: any maker's will do. Invariant: a
//! challenge counts once, for the purpose and the person it was made for, and for five minutes; an
//! account keeps a way to sign in.

mod ceremony;
mod mine;
mod proving;
mod rows;

use std::time::Duration;

use cloud_logic::ids::UserId;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use webauthn_rs::Webauthn;
use webauthn_rs::WebauthnBuilder;
use webauthn_rs::prelude::{Url, Uuid, WebauthnError};

use super::Site;
use crate::api::{Code, Finding, Problem};
use crate::core::Core;

pub(super) use ceremony::forget;

/// So long a browser may take.
const LASTS: Duration = Duration::from_secs(300);

/// So many passkeys a person may have.
const MOST: usize = 20;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(mine::routes())
        .merge(proving::routes())
}

/// Whom passkeys are made for: the host in the portal's address. An address without a host name
/// has none (Web Authentication 5.1.2).
pub(super) fn party(site: &Site) -> Option<Webauthn> {
    let origin = Url::parse(&site.origin).ok()?;
    let host = origin.domain()?;
    let party = WebauthnBuilder::new(host, &origin).ok()?;
    party.rp_name(&site.name).timeout(LASTS).build().ok()
}

fn the_party(core: &Core) -> Result<&Webauthn, Problem> {
    core.people.party().ok_or_else(|| {
        Problem::new(
            Code::Unavailable,
            "Passkeys belong to a host name, and the core's `url` has none. Use the password.",
        )
    })
}

/// How authenticators know a person: nothing in it tells who she is.
fn handle(user: UserId) -> Uuid {
    Uuid::from_u128(user.bits())
}

/// What a browser made of an answer of its authenticator.
fn read<T: DeserializeOwned>(credential: Value) -> Result<T, Problem> {
    serde_json::from_value(credential).map_err(|error| {
        let told = format!("Send what PublicKeyCredential.toJSON() gives: {error}.");
        Problem::invalid(vec![Finding::new("/credential", "wrong_shape", told)])
    })
}

/// The library could not begin.
fn not_begun(error: &WebauthnError) -> Problem {
    tracing::error!(%error, "a ceremony with a passkey could not begin");
    Problem::new(
        Code::Fault,
        "The core could not begin this. Its log says why.",
    )
}
