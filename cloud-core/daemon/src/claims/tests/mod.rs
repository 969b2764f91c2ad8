//! Claims and enrolments from outside, over real TLS, on both engines.

mod claiming;
mod enrolling;
mod portal;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloud_logic::catalogue::Mode;
use cloud_logic::ids::{CompanyId, DeviceId, ProjectId, SiteId, UserId};
use contract::enrolment::{ClaimCode, EnrolRequest, Enrolment, Handle, Possession, ProofKey};
use rcgen::{CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::enrol::forget_burnt;
use super::rows::Place;
use super::*;
use crate::api;
use crate::core::Core;
use crate::keys::authority::{Reason, hash_of_key};
use crate::keys::testing::{Shown, TestKeys, channel, connect, keys, request};
use crate::keys::{Barred, identify, revocation_lists, trust_maker};
use crate::listener::{Figures, Speaks, serve};
use crate::store::audit::Actor;
use crate::store::testing::on_both;
use crate::store::{Store, query};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct World {
    core: Core,
    web: SocketAddr,
    plain: SocketAddr,
    _keys: TestKeys,
    _stop: DropGuard,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn enrolment(&self) -> Enrolment {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The codes of what is wrong.
    fn findings(&self) -> Vec<String> {
        let found = self.json()["errors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let code = |one: &Value| one["code"].as_str().unwrap().to_owned();
        found.iter().map(code).collect()
    }
}

fn user(number: u128) -> UserId {
    UserId::from_bits(number)
}

fn actor() -> Actor {
    Actor::named("us-tester")
}

impl World {
    async fn new(store: Store) -> Self {
        let test_keys = keys(&store).await;
        let core = test_keys.core(&store);
        let stop = CancellationToken::new();
        let listen = async |speaks: Speaks, app: axum::Router| {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let figures = Arc::new(Figures::default());
            tokio::spawn(serve(listener, speaks, app, figures, stop.clone()));
            address
        };
        let web = Speaks::Tls(core.keys.web_tls());
        let web = listen(web, api::api(core.clone())).await;
        let plain = listen(Speaks::Plain, revocation_lists(core.clone())).await;
        Self {
            core,
            web,
            plain,
            _keys: test_keys,
            _stop: stop.drop_guard(),
        }
    }

    /// Name and serial number as lists show them.
    async fn shown(&self, device: DeviceId) -> (String, String) {
        let asked = query("SELECT name, serial_number FROM device WHERE id = $1").bind(device);
        let row = self
            .core
            .store
            .read()
            .await
            .unwrap()
            .one(asked)
            .await
            .unwrap();
        (
            row.text("name").unwrap(),
            row.text("serial_number").unwrap(),
        )
    }

    /// A company with one site.
    async fn site(&self, number: u128) -> Place {
        let place = Place {
            company: CompanyId::from_bits(number),
            project: ProjectId::from_bits(number),
            site: SiteId::from_bits(number),
        };
        let mut tx = self.core.store.write().await.unwrap();
        let company = query(
            "INSERT INTO company (id, name, name_key, language, time_zone, call_data_days,
                                  version, created) VALUES ($1, $2, $2, 'en', 'UTC', 180, 1, 0)",
        );
        let name = format!("company {number}");
        tx.execute(company.bind(place.company).bind(&name))
            .await
            .unwrap();
        let project = query(
            "INSERT INTO project (id, company_id, name, name_key, metadata, version, created)
             VALUES ($1, $2, 'p', 'p', '{}', 1, 0)",
        );
        tx.execute(project.bind(place.project).bind(place.company))
            .await
            .unwrap();
        let site = query(
            "INSERT INTO site (id, company_id, project_id, name, name_key, time_zone, address,
                               metadata, version, created)
             VALUES ($1, $2, $3, 's', 's', 'UTC', '', '{}', 1, 0)",
        );
        let site = site
            .bind(place.site)
            .bind(place.company)
            .bind(place.project);
        tx.execute(site).await.unwrap();
        tx.commit().await.unwrap();
        place
    }

    async fn unit(&self, model: &str, factory_key: Option<[u8; 32]>) -> ClaimCode {
        let mut tx = self.core.store.write().await.unwrap();
        let unit = NewUnit {
            model: model.to_owned(),
            revision: Some("AZ".parse().unwrap()),
            serial_number: None,
            factory_key,
            code: None,
        };
        let (_, code) = add(&mut tx, &self.core, &actor(), unit).await.unwrap();
        tx.commit().await.unwrap();
        code
    }

    async fn claim(&self, by: u128, code: &ClaimCode, place: Place) -> Result<Claimed, BindError> {
        let wanted = Wanted {
            code: code.clone(),
            place,
            mode: Mode::Cloud,
        };
        claim(&self.core, user(by), &actor(), wanted).await
    }

    async fn post(&self, path: &str, shown: Option<&Shown>, ask: Ask<'_>) -> Answer {
        let mut stream = connect(&self.core, self.web, shown).await.unwrap();
        let channel = channel(stream.get_ref().1);
        let key = ask.key;
        let mut document = EnrolRequest {
            signing_request: request(key),
            model: ask.model.to_owned(),
            revision: "AZ".to_owned(),
            firmware: ask.firmware.to_owned(),
            possession: None,
        };
        if let Some(code) = ask.code {
            let proof = ProofKey::of(code).prove(&channel, &document.signing_request);
            document.possession = Some(Possession {
                handle: Handle::of(code).as_str().to_owned(),
                proof: proof.to_text(),
            });
        }
        let mut body = serde_json::to_value(&document).unwrap();
        if let Some(replayed) = ask.replayed {
            body = replayed;
        }
        exchange(&mut stream, path, &body.to_string()).await
    }

    async fn get(&self, path: &str, shown: Option<&Shown>, more: &str) -> Answer {
        let mut stream = connect(&self.core, self.web, shown).await.unwrap();
        let text = format!("GET {path} HTTP/1.1\r\nhost: core\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut octets = Vec::new();
        // As above.
        let _ = stream.read_to_end(&mut octets).await;
        read_answer(&octets)
    }

    async fn enrol(&self, code: &ClaimCode, key: &KeyPair) -> Answer {
        self.post("/v1/enroll", None, Ask::with(key, Some(code)))
            .await
    }

    async fn judged(&self, certificate: &CertificateDer<'_>) -> Result<DeviceId, Barred> {
        let mut tx = self.core.store.read().await.unwrap();
        let known = identify(&mut tx, certificate, self.core.now()).await?;
        Ok(known.holder.device)
    }
}

#[derive(Clone)]
struct Ask<'a> {
    key: &'a KeyPair,
    code: Option<&'a ClaimCode>,
    model: &'a str,
    firmware: &'a str,
    replayed: Option<Value>,
}

impl<'a> Ask<'a> {
    fn with(key: &'a KeyPair, code: Option<&'a ClaimCode>) -> Self {
        Self {
            key,
            code,
            model: "OD1",
            firmware: "03.02.01.65",
            replayed: None,
        }
    }
}

async fn exchange<S>(stream: &mut S, path: &str, body: &str) -> Answer
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let length = body.len();
    let text = format!(
        "POST {path} HTTP/1.1\r\nhost: core.example\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut octets = Vec::new();
    // A server that closes without TLS's farewell has said all the same.
    let _ = stream.read_to_end(&mut octets).await;
    read_answer(&octets)
}

fn read_answer(octets: &[u8]) -> Answer {
    let end = octets
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(octets[..end].to_vec())
        .unwrap()
        .to_lowercase();
    Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: octets[end + 4..].to_vec(),
    }
}

fn chain(enrolment: &Enrolment) -> Vec<CertificateDer<'static>> {
    let read = CertificateDer::pem_slice_iter(enrolment.chain.as_bytes());
    read.collect::<Result<_, _>>().unwrap()
}

fn new_key() -> KeyPair {
    KeyPair::generate().unwrap()
}
