//! An authenticator of our own making, and the browser's part around it, so that each field can be
//! made wrong by itself. The real ones are tried by a browser, in the tests of the program.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::super::testing::ORIGIN;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const NEW_CREDENTIAL: u8 = 0x40;

/// One passkey in somebody's hands. What it says of itself and of where it is can be falsified.
pub(super) struct Authenticator {
    key: EcdsaKeyPair,
    pub(super) id: Vec<u8>,
    /// The person that it was made for.
    pub(super) handle: Option<Vec<u8>>,
    /// Uses so far; some count, most synced ones do not.
    pub(super) counter: u32,
    verifies_user: bool,
    pub(super) synced: bool,
    /// The page that asks, as the browser sees it.
    origin: String,
    /// The host that the passkey is for.
    host: String,
}

impl Authenticator {
    pub(super) fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let id: [u8; 32] = crate::random::octets();
        Self {
            key: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(),
            id: id.to_vec(),
            handle: None,
            counter: 0,
            verifies_user: true,
            synced: false,
            origin: ORIGIN.to_owned(),
            host: ORIGIN.trim_start_matches("https://").to_owned(),
        }
    }

    /// The page that asks from now on.
    pub(super) fn at(&mut self, origin: &str) {
        origin.clone_into(&mut self.origin);
    }

    /// The host whose passkey it is from now on.
    pub(super) fn of(&mut self, host: &str) {
        host.clone_into(&mut self.host);
    }

    /// Whether it says that it verified its user.
    pub(super) fn verifies(&mut self, verifies: bool) {
        self.verifies_user = verifies;
    }

    /// Whom it says it was made for.
    pub(super) fn knows(&mut self, handle: Option<Vec<u8>>) {
        self.handle = handle;
    }

    /// `navigator.credentials.create`, with what the core sent.
    pub(super) fn create(&mut self, options: &Value) -> Value {
        let handle = options["user"]["id"].as_str().unwrap();
        self.handle = Some(URL_SAFE_NO_PAD.decode(handle).unwrap());
        let client = self.client_data("webauthn.create", options);
        let mut data = self.authenticator_data(NEW_CREDENTIAL);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose_key());
        // CBOR: {"fmt": "none", "attStmt": {}, "authData": data} (RFC 8949; Web Authentication 8.7).
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt");
        object.extend([0x64]);
        object.extend(b"none");
        object.extend([0x67]);
        object.extend(b"attStmt");
        object.extend([0xa0, 0x68]);
        object.extend(b"authData");
        object.extend([0x59]);
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(data);
        self.public_key_credential(&json!({
            "clientDataJSON": encode(&client),
            "attestationObject": encode(&object),
        }))
    }

    /// `navigator.credentials.get`, with what the core sent.
    pub(super) fn get(&self, options: &Value) -> Value {
        let client = self.client_data("webauthn.get", options);
        let data = self.authenticator_data(0);
        let signed = [data.clone(), digest(&SHA256, &client).as_ref().to_vec()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        self.public_key_credential(&json!({
            "clientDataJSON": encode(&client),
            "authenticatorData": encode(&data),
            "signature": encode(signature.as_ref()),
            "userHandle": self.handle.as_deref().map(encode),
        }))
    }

    fn public_key_credential(&self, response: &Value) -> Value {
        json!({
            "id": encode(&self.id),
            "rawId": encode(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": response,
        })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }

    /// Web Authentication 6.1.
    fn authenticator_data(&self, more: u8) -> Vec<u8> {
        let mut flags = USER_PRESENT | more;
        if self.verifies_user {
            flags |= USER_VERIFIED;
        }
        if self.synced {
            flags |= BACKUP_ELIGIBLE | BACKED_UP;
        }
        let mut data = digest(&SHA256, self.host.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// EC2, ES256, P-256 (RFC 9053 7.1.1).
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(&point[1..33]);
        key.extend([0x22, 0x58, 0x20]);
        key.extend(&point[33..]);
        key
    }
}

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}
