//! How the gateway gets its certificate: the first with its claim code, each later one with the one
//! it has (docs/link.md, "Enrolment").
//!
//! Steps that follow each other, with what is told to the person who waits. Invariant: the code and
//! the keys leave this machine in no form that leads back to them.

use std::time::Duration;

use contract::enrolment::{ClaimCode, EnrolRequest, Enrolment, Handle, Possession, ProofKey};
use hyper::{StatusCode, header};
use serde::Deserialize;

use crate::https::{Answer, AskError, Connection};
use crate::identity::{Identity, Keep, KeepError};
use crate::tls::{self, TlsError};
use crate::way::Way;

/// As on the type plate.
pub const MODEL: &str = "GATEWAY";
/// Of a gateway that runs on anybody's hardware.
const REVISION: &str = "AA";

/// What a gateway says of itself.
#[derive(Clone, Debug)]
pub struct Plate {
    /// Four numeric fields.
    pub firmware: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error("no request for a certificate can be made: {0}")]
    Request(#[from] rcgen::Error),
    #[error(
        "the core knows no gateway that waits with this code; claim it in the portal first, and \
         compare the code with the label; if that was done, somebody between inspects TLS, and this \
         machine must be let through without that"
    )]
    Waits { again_after: Duration },
    #[error("the core gives this gateway no certificate ({code}): {said}")]
    Refused { code: String, said: String },
    #[error("the core does not take it ({code}): {said}")]
    Unfit { code: String, said: String },
    #[error("the core cannot do it now ({status}); try again in a few minutes")]
    NotNow { status: u16 },
    #[error("what answers at this address is no core of ours ({status}); check the address")]
    NoCore { status: u16 },
}

impl From<TlsError> for EnrolError {
    fn from(error: TlsError) -> Self {
        Self::Ask(error.into())
    }
}

impl EnrolError {
    /// Whether this certificate will never be renewed: the claim is over.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { code, .. } => matches!(
                code.as_str(),
                "claim_ended" | "claim_epoch_old" | "certificate_too_old"
            ),
            Self::Ask(_)
            | Self::Keep(_)
            | Self::Request(_)
            | Self::Waits { .. }
            | Self::Unfit { .. }
            | Self::NotNow { .. }
            | Self::NoCore { .. } => false,
        }
    }
}

/// The core that a code is shown to.
#[derive(Clone, Debug)]
pub struct Core {
    /// `https://` and a host.
    pub base: String,
    /// PEM, where its certificate is of no public authority.
    pub authorities: Option<String>,
    pub way: Way,
}

/// Whether anybody can be believed by these authorities.
pub fn check_authorities(pem: &str) -> Result<(), TlsError> {
    tls::first_contact(Some(pem)).map(drop)
}

/// The first certificate, for a code.
pub async fn enrol(
    core: &Core,
    code: &ClaimCode,
    plate: &Plate,
    keep: &Keep,
) -> Result<Identity, EnrolError> {
    let pair = keep.asking_key()?;
    let signing_request = signing_request(&pair)?;
    let config = tls::first_contact(core.authorities.as_deref())?;
    let connection = Connection::open(&core.way, &core.base, config).await?;
    let proof = ProofKey::of(code).prove(&connection.channel()?, &signing_request);
    let request = EnrolRequest {
        possession: Some(Possession {
            handle: Handle::of(code).as_str().to_owned(),
            proof: proof.to_text(),
        }),
        ..asked(signing_request, plate)
    };
    let answer = post(connection, "/v1/enroll", &request).await?;
    taken(answer, &pair, keep)
}

/// The next certificate, for the present one.
pub async fn renew(
    present: &Identity,
    way: &Way,
    plate: &Plate,
    keep: &Keep,
) -> Result<Identity, EnrolError> {
    let pair = keep.asking_key()?;
    let config = tls::as_ourselves(present)?;
    let connection = Connection::open(way, &present.https, config).await?;
    let request = asked(signing_request(&pair)?, plate);
    let answer = post(connection, "/v1/reenroll", &request).await?;
    taken(answer, &pair, keep)
}

fn signing_request(pair: &rcgen::KeyPair) -> Result<String, rcgen::Error> {
    rcgen::CertificateParams::default()
        .serialize_request(pair)?
        .pem()
}

fn asked(signing_request: String, plate: &Plate) -> EnrolRequest {
    EnrolRequest {
        signing_request,
        model: MODEL.to_owned(),
        revision: REVISION.to_owned(),
        firmware: plate.firmware.clone(),
        possession: None,
    }
}

async fn post(
    connection: Connection,
    path: &str,
    request: &EnrolRequest,
) -> Result<Answer, AskError> {
    let body = serde_json::to_vec(request).expect("texts are JSON");
    let json = [("content-type", "application/json".to_owned())];
    connection.ask("POST", path, &json, body).await
}

fn taken(answer: Answer, pair: &rcgen::KeyPair, keep: &Keep) -> Result<Identity, EnrolError> {
    let status = answer.status.as_u16();
    match answer.status {
        StatusCode::OK => {
            let enrolment: Enrolment =
                serde_json::from_slice(&answer.body).map_err(|_| EnrolError::NoCore { status })?;
            let identity = Identity::of(enrolment, pair.serialize_pem());
            identity.name().map_err(|_| EnrolError::NoCore { status })?;
            // Nothing is kept that cannot be used.
            tls::as_ourselves(&identity)?;
            keep.save(&identity)?;
            Ok(identity)
        }
        StatusCode::ACCEPTED => {
            let after = answer.headers.get(header::RETRY_AFTER);
            let seconds = after.and_then(|after| after.to_str().ok()?.parse().ok());
            Err(EnrolError::Waits {
                again_after: Duration::from_secs(seconds.unwrap_or(60).clamp(5, 600)),
            })
        }
        StatusCode::FORBIDDEN => {
            let (code, said) = problem(&answer).ok_or(EnrolError::NoCore { status })?;
            Err(EnrolError::Refused { code, said })
        }
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
            let (code, said) = problem(&answer).ok_or(EnrolError::NoCore { status })?;
            Err(EnrolError::Unfit { code, said })
        }
        other if other.is_server_error() || other == StatusCode::TOO_MANY_REQUESTS => {
            Err(EnrolError::NotNow { status })
        }
        _ => Err(EnrolError::NoCore { status }),
    }
}

/// Of a problem (RFC 9457), the first thing that is wrong.
fn problem(answer: &Answer) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        #[serde(default)]
        detail: String,
        #[serde(default)]
        errors: Vec<Wrong>,
    }
    #[derive(Deserialize)]
    struct Wrong {
        code: String,
        detail: String,
    }
    let problem: Problem = serde_json::from_slice(&answer.body).ok()?;
    Some(match problem.errors.into_iter().next() {
        Some(wrong) => (wrong.code, wrong.detail),
        None => (problem.code, problem.detail),
    })
}
