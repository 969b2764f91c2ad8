//! What a token says, signing it, and verifying one that is shown.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use cloud_logic::ids::{SessionId, TokenKeyId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{keys, rows};
use crate::api::{Code, Problem};
use crate::core::Core;
use crate::store::{StoreError, Tx};

/// Our tokens are far shorter.
const LONGEST: usize = 4096;

/// Clocks of other machines may be so wrong.
const LEEWAY_SECONDS: i64 = 30;

/// For which service a token is. A service takes no other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Audience {
    /// This interface.
    Api,
    Signalling,
    Media,
    Devices,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The core's address.
    pub(crate) iss: String,
    /// The user or integration.
    pub(crate) sub: String,
    pub(crate) aud: Audience,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    /// The session with which it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<SessionId>,
    /// The integration's version: a new secret ends the tokens of the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ver: Option<i64>,
}

/// Why a token is not taken. For the log; whoever shows it learns only that.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the token has no form that is ours")]
    Form,
    #[error("the token is signed by no key that is shown")]
    Key,
    #[error("the token's signature or issuer is not ours")]
    Signature(#[source] jsonwebtoken::errors::Error),
    #[error("the token is for another service")]
    Audience,
    #[error("the token is over, or from the future")]
    Time,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs a token.
pub(crate) async fn issue(core: &Core, claims: &Claims) -> Result<String, Problem> {
    let key = keys::signing(core).await?;
    let private = key.open(core.keys.sealer()).map_err(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the key that signs tokens does not open"
        );
        fault()
    })?;
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.id.to_string());
    let private = EncodingKey::from_ec_der(&private);
    jsonwebtoken::encode(&header, claims, &private).map_err(|error| {
        tracing::error!(%error, "a token could not be signed");
        fault()
    })
}

impl Claims {
    pub(crate) fn new(
        core: &Core,
        sub: String,
        aud: Audience,
        now: Timestamp,
        lasts: Duration,
    ) -> Self {
        let iat = now.unix_ms() / 1000;
        let lasts = i64::try_from(lasts.as_secs()).unwrap_or(0);
        Self {
            iss: core.people.site().origin.clone(),
            sub,
            aud,
            iat,
            exp: iat.saturating_add(lasts),
            sid: None,
            ver: None,
        }
    }

    /// Whose it is, as a typed id.
    pub(crate) fn subject<T: FromStr>(&self) -> Option<T> {
        self.sub.parse().ok()
    }
}

/// What a token says, if it is ours, for this service and not over.
pub(crate) async fn verify(
    tx: &mut Tx,
    issuer: &str,
    token: &str,
    audience: Audience,
    now: Timestamp,
) -> Result<Claims, Refused> {
    if token.len() > LONGEST {
        return Err(Refused::Form);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Form)?;
    // RFC 8725 3.1: one algorithm, and nothing else in the header that says how to verify.
    if header.alg != Algorithm::ES256 || header.jwk.is_some() || header.jku.is_some() {
        return Err(Refused::Form);
    }
    let kid: TokenKeyId = header
        .kid
        .and_then(|kid| kid.parse().ok())
        .ok_or(Refused::Key)?;
    let key = rows::shown(tx, kid, now).await?.ok_or(Refused::Key)?;
    let public = DecodingKey::from_ec_components(&key.x, &key.y).map_err(Refused::Signature)?;
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    // The core's own clock judges times, below; so does the core the audience.
    rules.validate_exp = false;
    rules.validate_aud = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &public, &rules)
        .map_err(Refused::Signature)?
        .claims;
    if claims.aud != audience {
        return Err(Refused::Audience);
    }
    let seconds = now.unix_ms() / 1000;
    if seconds >= claims.exp || claims.iat > seconds + LEEWAY_SECONDS {
        return Err(Refused::Time);
    }
    Ok(claims)
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Signalling => "signalling",
            Self::Media => "media",
            Self::Devices => "devices",
        })
    }
}

fn fault() -> Problem {
    Problem::new(
        Code::Fault,
        "The core could not finish this. Its log says why.",
    )
}
