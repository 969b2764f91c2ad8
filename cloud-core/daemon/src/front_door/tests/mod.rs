//! The front door with real sockets, on both engines: mosquitto's clients with certificates
//! from outside, and a client that can be told to misbehave.

mod broker;
mod client;
mod commands;
mod confinement;
mod messages;
mod nodes;
mod outside;
mod paho;

use std::path::PathBuf;

use cloud_logic::claims;
use cloud_logic::ids::{CompanyId, DeviceId};
use contract::DeviceName;
use contract::topic::{Down, Up};

use super::*;
use crate::keys::authority::{self, Holder, PublicKey};
use crate::keys::testing;
use crate::store::testing::on_both;
use crate::store::{Store, Tx, query};

/// A core with its front door open.
struct House {
    core: Core,
    door: FrontDoor,
    folder: tempfile::TempDir,
    company: CompanyId,
    /// Their folder lives as long.
    _keys: testing::TestKeys,
}

/// A device with its certificate in files, as programs want it.
struct Known {
    id: DeviceId,
    certificate: PathBuf,
    key: PathBuf,
}

impl Known {
    fn name(&self) -> DeviceName {
        self.id.to_string().parse().unwrap()
    }

    fn up(&self, channel: Up) -> String {
        channel.topic(&self.name())
    }

    fn down(&self, channel: Down) -> String {
        channel.topic(&self.name())
    }
}

fn settings() -> Settings {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings {
        listen: any,
        plain: Some(any),
        sockets: 1000,
        broker: None,
    }
}

impl House {
    async fn new(store: &Store) -> Self {
        let keys = testing::keys(store).await;
        let core = keys.core(store);
        let folder = tempfile::tempdir().unwrap();
        let now = core.now();
        let company = CompanyId::new_at(now);
        let mut tx = store.write().await.unwrap();
        tx.execute(
            query(
                "INSERT INTO company (id, name, name_key, language, time_zone, call_data_days,
                                      version, created)
                 VALUES ($1, 'c', 'c', 'en', 'UTC', 90, 1, $2)",
            )
            .bind(company)
            .bind(now),
        )
        .await
        .unwrap();
        let root = authority::roots(&mut tx).await.unwrap().remove(0);
        tx.commit().await.unwrap();
        write_pem(
            &folder.path().join("root.pem"),
            "CERTIFICATE",
            &[root.as_ref()],
        );
        let door = open(core.clone(), settings()).await.unwrap();
        Self {
            core,
            door,
            folder,
            company,
            _keys: keys,
        }
    }

    /// A claimed device.
    async fn device(&self) -> Known {
        let now = self.core.now();
        let id = DeviceId::new_at(now);
        let mut tx = self.write().await;
        tx.execute(
            query("INSERT INTO device (id, company_id, version, created) VALUES ($1, $2, 1, $3)")
                .bind(id)
                .bind(self.company)
                .bind(now),
        )
        .await
        .unwrap();
        let known = self.certified(&mut tx, id).await;
        tx.commit().await.unwrap();
        known
    }

    async fn certified(&self, tx: &mut Tx, id: DeviceId) -> Known {
        let pair = rcgen::KeyPair::generate().unwrap();
        let asked = rcgen::CertificateParams::default()
            .serialize_request(&pair)
            .unwrap();
        let key = PublicKey::of_signing_request(&asked.pem().unwrap()).unwrap();
        let holder = Holder {
            device: id,
            epoch: claims::Epoch::new(1),
        };
        let now = self.core.now();
        let issued = authority::issue(
            tx,
            self.core.keys.sealer(),
            now,
            (holder, &key, "http://lists"),
        )
        .await
        .unwrap();
        let certificate = self.folder.path().join(format!("{id}.pem"));
        let chain = [issued.certificate.as_ref(), issued.authority.as_ref()];
        write_pem(&certificate, "CERTIFICATE", &chain);
        let key = self.folder.path().join(format!("{id}.key"));
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        Known {
            id,
            certificate,
            key,
        }
    }

    async fn write(&self) -> Tx {
        self.core.store.write().await.unwrap()
    }

    async fn count(&self, text: &'static str, device: &Known) -> i64 {
        let mut tx = self.core.store.read().await.unwrap();
        tx.one(query(text).bind(device.id))
            .await
            .unwrap()
            .int("n")
            .unwrap()
    }

    async fn events_of(&self, device: &Known) -> i64 {
        self.count(
            "SELECT count(*) AS n FROM device_event WHERE device_id = $1",
            device,
        )
        .await
    }

    async fn is_online(&self, device: &Known) -> bool {
        let asked = "SELECT count(*) AS n FROM connection WHERE device_id = $1 AND online = 1";
        self.count(asked, device).await == 1
    }

    async fn close(self) {
        self.door.close().await;
    }
}

fn write_pem(path: &std::path::Path, label: &str, parts: &[&[u8]]) {
    use base64::Engine as _;
    let mut text = String::new();
    for part in parts {
        let encoded = base64::engine::general_purpose::STANDARD.encode(part);
        text.push_str(&format!("-----BEGIN {label}-----\n"));
        for line in encoded.as_bytes().chunks(64) {
            text.push_str(std::str::from_utf8(line).unwrap());
            text.push('\n');
        }
        text.push_str(&format!("-----END {label}-----\n"));
    }
    std::fs::write(path, text).unwrap();
}

/// Asks again until it is so; for what another task does.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(std::time::Instant::now() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn event(seq: i64) -> String {
    format!(
        r#"{{"seq":{seq},"boot":1,"ts":1,"type":"call.ended","id":"01JZ5W3N8Q4V7X2K9M6T1R0PAC","data":{{}}}}"#
    )
}

const HELLO: &str = r#"{"boot":1,"conn":1,"fw":"11.1.6.0","rev":"AB","mode":"bridge","have":{"desired":0},"outbox":{"from":1,"n":0}}"#;
