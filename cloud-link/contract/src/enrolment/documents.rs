//! The documents of an enrolment. JSON, unknown keys ignored, sizes limited before anything is
//! looked into.
//!
//! `POST /v1/enroll` answers 202 with `Retry-After` for as long as nobody has claimed the device
//! (and just so for a code that does not exist), afterwards 200 with an `Enrolment`. `POST
//! /v1/reenroll` asks for the next certificate over a connection that the current one opened.

use serde::{Deserialize, Serialize};

use super::{Handle, HandleError, Proof, ProofError};

pub const MAX_REQUEST_OCTETS: usize = 16 * 1024;
pub const MAX_SIGNING_REQUEST_OCTETS: usize = 8 * 1024;
const MAX_WORD_OCTETS: usize = 64;

/// What a device sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// PKCS #10 in PEM, for a fresh key. Nothing but its public key is used.
    pub signing_request: String,
    /// As on the type plate.
    pub model: String,
    pub revision: String,
    pub firmware: String,
    /// Of a device without a factory key. Not sent for a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possession: Option<Possession>,
}

/// That the device knows its claim code, without the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Possession {
    pub handle: String,
    pub proof: String,
}

/// What a claimed device is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// What the core calls the device: the common name of its certificate, the middle of its topics.
    pub device: String,
    /// Counts the claims of this device; whatever it kept of another epoch is void.
    pub epoch: u64,
    /// PEM: the device's certificate, then the authority that signed it.
    pub chain: String,
    /// PEM: the only roots the device trusts from now on.
    pub trust: Vec<String>,
    /// `host:port` of the MQTT front door.
    pub mqtt: String,
    /// Base address of the core for devices.
    pub https: String,
    /// `host:port` where calls come in by SIP over TLS; without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<String>,
    /// Epoch milliseconds by the core's clock.
    pub now: i64,
    /// When the device asks for its next certificate.
    pub renew_after: i64,
    pub expires: i64,
}

/// A request that no device makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    #[error("`{field}` has more than {limit} octets")]
    TooLong { field: &'static str, limit: usize },
    #[error("`{field}` is empty")]
    Empty { field: &'static str },
    #[error("`possession/handle`: {0}")]
    Handle(#[from] HandleError),
    #[error("`possession/proof`: {0}")]
    Proof(#[from] ProofError),
}

impl EnrolRequest {
    /// The lengths of all fields.
    pub fn check(&self) -> Result<(), BadRequest> {
        let limits = [
            (
                "signing_request",
                &self.signing_request,
                MAX_SIGNING_REQUEST_OCTETS,
            ),
            ("model", &self.model, MAX_WORD_OCTETS),
            ("revision", &self.revision, MAX_WORD_OCTETS),
            ("firmware", &self.firmware, MAX_WORD_OCTETS),
        ];
        for (field, text, limit) in limits {
            if text.is_empty() {
                return Err(BadRequest::Empty { field });
            }
            if text.len() > limit {
                return Err(BadRequest::TooLong { field, limit });
            }
        }
        Ok(())
    }
}

impl Possession {
    pub fn read(&self) -> Result<(Handle, Proof), BadRequest> {
        Ok((self.handle.parse()?, self.proof.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> EnrolRequest {
        EnrolRequest {
            signing_request: "-----BEGIN CERTIFICATE REQUEST-----".to_owned(),
            model: "OD1 CM-B".to_owned(),
            revision: "AB".to_owned(),
            firmware: "03.02.01.65".to_owned(),
            possession: None,
        }
    }

    #[test]
    fn unknown_keys_are_ignored_and_absent_ones_stay_absent() {
        let mut json = serde_json::to_value(request()).unwrap();
        assert!(json.get("possession").is_none());
        json["tomorrow"] = serde_json::json!({"a": 1});
        assert_eq!(
            serde_json::from_value::<EnrolRequest>(json).unwrap(),
            request()
        );
    }

    #[test]
    fn d1_sizes_are_limited() {
        assert_eq!(request().check(), Ok(()));
        let mut long = request();
        long.model = "x".repeat(65);
        let limit = 64;
        let field = "model";
        assert_eq!(long.check(), Err(BadRequest::TooLong { field, limit }));
        let mut empty = request();
        empty.signing_request.clear();
        let field = "signing_request";
        assert_eq!(empty.check(), Err(BadRequest::Empty { field }));
    }
}
