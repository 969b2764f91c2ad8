//! Logs on their way from a device to a person, on both engines (D4).

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloud_logic::ids::{CommandId, DeviceId};
use cloud_logic::rights::{Role, Scope};
use contract::enrolment::{CHANNEL_BINDING_OCTETS, ChannelBinding};
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_stream::StreamExt;

use super::receive::{Pace, receive};
use super::{LARGEST, PATIENCE, Tickets, rows};
use crate::api::Code;
use crate::blobs;
use crate::keys::TlsPeer;
use crate::keys::authority::{self, Holder, PublicKey};
use crate::keys::testing::request;
use crate::people::testing::{Answer, Browser, Place, World};
use crate::store::query;
use crate::store::testing::on_both;

/// A device that was asked for its logs.
struct Sending<'a> {
    world: &'a World,
    device: DeviceId,
    command: CommandId,
    ticket: String,
}

impl<'a> Sending<'a> {
    async fn of(world: &'a World, place: Place) -> Self {
        let device = world.device(place).await;
        let scope = Scope::Company(place.company);
        let owner = world
            .holder(Role::Owner, scope, &format!("{device}@example.com"))
            .await;
        let mut owner = owner.clone();
        owner.headers.push(("idempotency-key", "logs".to_owned()));
        let commands = format!("/api/v1/devices/{device}/commands");
        let order = json!({"op": "logs.upload"});
        let ordered = world.post(&owner, &commands, &order).await.is(202).json();
        let command: CommandId = ordered["id"].as_str().unwrap().parse().unwrap();
        let mut tx = world.core.store.write().await.unwrap();
        let sent = query("UPDATE command SET state = 'sent' WHERE id = $1").bind(command);
        tx.execute(sent).await.unwrap();
        let tickets = Tickets::of(&mut tx, &world.core).await.unwrap();
        tx.commit().await.unwrap();
        let args = tickets.with_way(&world.core, command, &json!({"hours": 2}));
        assert_eq!(args["hours"], 2, "what was ordered stays");
        let ticket = args["upload"]["ticket"].as_str().unwrap().to_owned();
        Self {
            world,
            device,
            command,
            ticket,
        }
    }

    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("tus-resumable", "1.0.0")
            .header("authorization", format!("Bearer {}", self.ticket))
    }

    async fn announce(&self, length: i64, metadata: &[(&str, &str)]) -> Answer {
        let pairs: Vec<_> = metadata
            .iter()
            .map(|(key, value)| format!("{key} {}", STANDARD.encode(value)))
            .collect();
        let request = self
            .request("POST", "/v1/uploads")
            .header("upload-length", length)
            .header("upload-metadata", pairs.join(","));
        self.world
            .exchange(request.body(Body::empty()).unwrap())
            .await
    }

    /// The address of an upload of these octets.
    async fn begin(&self, octets: &[u8]) -> String {
        let length = i64::try_from(octets.len()).unwrap();
        let answer = self
            .announce(length, &[("sha256", &hex(octets)), ("name", "boot.log")])
            .await;
        let told = answer.is(201).headers["location"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(told.starts_with("/v1/uploads/up-"));
        told
    }

    async fn send(&self, path: &str, offset: usize, body: Body) -> Answer {
        let request = self
            .request("PATCH", path)
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", offset);
        self.world.exchange(request.body(body).unwrap()).await
    }

    async fn how_far(&self, path: &str) -> Answer {
        let request = self.request("HEAD", path).body(Body::empty()).unwrap();
        self.world.exchange(request).await
    }
}

fn hex(octets: &[u8]) -> String {
    Sha256::digest(octets)
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

fn offset(answer: &Answer) -> usize {
    answer.headers["upload-offset"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Octets, and then the connection is gone.
fn torn(octets: &'static [u8]) -> Body {
    let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Body::from_stream(tokio_stream::iter([
        Ok(Bytes::from_static(octets)),
        Err(gone),
    ]))
}

const LOG: &[u8] = b"begin of a log, and the rest of it";

async fn logs(world: &World, who: &Browser, device: DeviceId) -> Vec<Value> {
    let path = format!("/api/v1/devices/{device}/logs");
    let items = world.get(who, &path).await.is(200).json();
    items["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn d4_a_log_goes_on_where_the_connection_broke_and_arrives_whole() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let sending = Sending::of(&world, place).await;
        let path = sending.begin(LOG).await;
        let broken = sending.send(&path, 0, torn(&LOG[..12])).await;
        assert_eq!(broken.is(400).code(), "malformed");
        assert_eq!(broken.headers["tus-resumable"], "1.0.0");
        let far = sending.how_far(&path).await;
        assert_eq!(
            (offset(far.is(200)), &far.headers["upload-length"]),
            (12, &"34".parse().unwrap())
        );
        let wrong = sending.send(&path, 0, Body::from(LOG)).await;
        wrong.is(409);
        let rest = sending.send(&path, 12, Body::from(&LOG[12..])).await;
        assert_eq!(offset(rest.is(204)), LOG.len());

        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "o@a.test").await;
        let [log] = logs(&world, &owner, sending.device)
            .await
            .try_into()
            .unwrap();
        assert_eq!(log["name"], "boot.log");
        assert_eq!(log["sha256"], hex(LOG));
        assert_eq!(log["command"], sending.command.to_string());
        let one = format!(
            "/api/v1/devices/{}/logs/{}",
            sending.device,
            log["id"].as_str().unwrap()
        );
        assert_eq!(world.get(&owner, &one).await.is(200).json(), log);
        let content = world.get(&owner, &format!("{one}/content")).await;
        assert_eq!(content.is(200).text.as_bytes(), LOG);
        assert_eq!(content.headers["x-content-type-options"], "nosniff");
        assert_eq!(
            content.headers["content-security-policy"],
            "default-src 'none'; sandbox"
        );
        let audit = format!("/api/v1/companies/{}/audit", place.company);
        let told = world.get(&owner, &audit).await.json();
        let actions: Vec<_> = told["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["action"].as_str().unwrap())
            .collect();
        assert_eq!(actions[..3], ["log.download", "log.arrive", "log.begin"]);

        world.delete(&owner, &one).await.is(204);
        world.get(&owner, &one).await.is(404);
        world.get(&owner, &format!("{one}/content")).await.is(404);
        while blobs::leave(&world.core).await.unwrap() > 0 {}
        let left: Vec<_> = world.core.blobs.all().collect().await;
        assert!(left.is_empty(), "{left:?}");
    })
    .await;
}

#[tokio::test]
async fn d4_what_is_not_what_was_announced_is_thrown_away() {
    on_both(async |store| {
        let world = World::new(store).await;
        let sending = Sending::of(&world, world.company("Clinics").await).await;
        let path = sending.begin(LOG).await;
        let forged = sending.send(&path, 0, Body::from(vec![7; LOG.len()])).await;
        assert_eq!(forged.is(422).json()["errors"][0]["code"], "sha256_differs");
        sending.how_far(&path).await.is(404);
        while blobs::leave(&world.core).await.unwrap() > 0 {}
        assert_eq!(world.core.blobs.all().count_all().await, 0);
        // The ticket is good for another try.
        sending.begin(LOG).await;
    })
    .await;
}

/// How many there are.
trait CountAll {
    async fn count_all(self) -> usize;
}

impl<S: tokio_stream::Stream + Unpin> CountAll for S {
    async fn count_all(mut self) -> usize {
        let mut count = 0;
        while self.next().await.is_some() {
            count += 1;
        }
        count
    }
}

#[tokio::test]
async fn d4_a_ticket_lets_one_device_send_one_log_for_a_while() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let sending = Sending::of(&world, place).await;
        let path = sending.begin(LOG).await;
        let second = sending.announce(5, &[("sha256", &hex(LOG))]).await;
        assert_eq!(second.is(409).code(), "conflict");
        let other = Sending::of(&world, place).await;
        other.how_far(&path).await.is(404);
        other.send(&path, 0, Body::from(LOG)).await.is(404);
        let forged = Sending {
            ticket: sending
                .ticket
                .replace(&sending.command.to_string(), &other.command.to_string()),
            ..other
        };
        forged.announce(5, &[("sha256", &hex(LOG))]).await.is(401);
        let nobody = Sending {
            ticket: String::new(),
            ..forged
        };
        nobody.how_far(&path).await.is(401);
        world
            .core
            .clock
            .advance(PATIENCE + Duration::from_secs(25 * 3600));
        sending.how_far(&path).await.is(401);
    })
    .await;
}

#[tokio::test]
async fn d4_a_device_shows_its_certificate_and_one_that_is_void_opens_nothing() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let device = world.device(place).await;
        let certificate = certified(&world, device).await;
        let announce = async || {
            let mut request = Request::post("/v1/uploads")
                .header("tus-resumable", "1.0.0")
                .header("upload-length", 34)
                .header(
                    "upload-metadata",
                    format!("sha256 {}", STANDARD.encode(hex(LOG))),
                )
                .body(Body::empty())
                .unwrap();
            request.extensions_mut().insert(TlsPeer {
                certificate: Some(certificate.clone()),
                channel: ChannelBinding::new([0; CHANNEL_BINDING_OCTETS]),
            });
            world.exchange(request).await
        };
        announce().await.is(201);
        let mut tx = world.core.store.write().await.unwrap();
        let void = query("UPDATE certificate SET revoked = 1, reason = 'released'");
        tx.execute(void).await.unwrap();
        tx.commit().await.unwrap();
        announce().await.is(401);
    })
    .await;
}

async fn certified(world: &World, device: DeviceId) -> CertificateDer<'static> {
    let core = &world.core;
    let key = request(&KeyPair::generate().unwrap());
    let key = PublicKey::of_signing_request(&key).unwrap();
    let holder = Holder {
        device,
        epoch: cloud_logic::claims::Epoch::new(1),
    };
    let lists = core.keys.addresses().lists.as_str();
    let mut tx = core.store.write().await.unwrap();
    let what = (holder, &key, lists);
    let issued = authority::issue(&mut tx, core.keys.sealer(), core.now(), what)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    issued.certificate
}

#[tokio::test]
async fn d4_what_a_device_calls_its_log_becomes_no_path_and_no_header() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let sending = Sending::of(&world, place).await;
        let digest = hex(LOG);
        for name in ["a\r\nset-cookie: x", "\0", "  "] {
            let answer = sending
                .announce(34, &[("sha256", &digest), ("name", name)])
                .await;
            assert_eq!(
                answer.is(422).json()["errors"][0]["pointer"],
                "upload-metadata/name"
            );
        }
        let name = "../../../etc/passwd\";x=\"";
        let answer = sending
            .announce(34, &[("sha256", &digest), ("name", name)])
            .await;
        let path = answer.is(201).headers["location"]
            .to_str()
            .unwrap()
            .to_owned();
        sending.send(&path, 0, Body::from(LOG)).await.is(204);
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "o@a.test").await;
        let [log] = logs(&world, &owner, sending.device)
            .await
            .try_into()
            .unwrap();
        assert_eq!(log["name"], name);
        let id = log["id"].as_str().unwrap();
        let content = format!("/api/v1/devices/{}/logs/{id}/content", sending.device);
        let content = world.get(&owner, &content).await;
        let disposition = content.is(200).headers["content-disposition"]
            .to_str()
            .unwrap();
        let ours = format!("attachment; filename=\"{}.{id}.log\"", sending.device);
        assert_eq!(disposition, ours);
        for path in [
            "/v1/uploads/../../etc/passwd",
            "/v1/uploads/up-%2e%2e%2f",
            "/v1/uploads/x",
        ] {
            sending.how_far(path).await.is(404);
        }
    })
    .await;
}

#[tokio::test]
async fn d4_nobody_sends_more_than_there_is_room_for() {
    on_both(async |store| {
        let world = World::new(store).await;
        let sending = Sending::of(&world, world.company("Clinics").await).await;
        let digest = hex(LOG);
        for length in [0, -1, LARGEST + 1, i64::MAX] {
            let answer = sending.announce(length, &[("sha256", &digest)]).await;
            assert_eq!(
                answer.is(422).json()["errors"][0]["pointer"],
                "upload-length"
            );
        }
        for metadata in [
            &[][..],
            &[("sha256", "abc")],
            &[("sha256", &"é".repeat(32))],
        ] {
            sending.announce(5, metadata).await.is(422);
        }
        let path = sending.begin(LOG).await;
        let much = [LOG, b"!"].concat();
        assert_eq!(
            sending
                .send(&path, 0, Body::from(much))
                .await
                .is(413)
                .code(),
            "too_large"
        );
        assert_eq!(
            offset(&sending.how_far(&path).await),
            0,
            "none of it was taken"
        );
        let mut tx = world.core.store.write().await.unwrap();
        let full = query("UPDATE upload SET length = $1").bind(1_i64 << 41);
        tx.execute(full).await.unwrap();
        tx.commit().await.unwrap();
        let again = sending.announce(5, &[("sha256", &digest)]).await;
        assert_eq!(again.is(429).code(), "too_many");
    })
    .await;
}

#[tokio::test]
async fn s1_the_next_owner_of_a_device_sees_none_of_its_logs_of_before() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let sending = Sending::of(&world, place).await;
        let path = sending.begin(LOG).await;
        sending.send(&path, 0, Body::from(LOG)).await.is(204);
        let next = world.company("Hotels").await;
        let mut tx = world.core.store.write().await.unwrap();
        let moved =
            query("UPDATE device SET company_id = $2, project_id = $3, site_id = $4 WHERE id = $1")
                .bind(sending.device)
                .bind(next.company)
                .bind(next.project)
                .bind(next.site);
        tx.execute(moved).await.unwrap();
        tx.commit().await.unwrap();
        let scope = Scope::Company(next.company);
        let owner = world.holder(Role::Owner, scope, "o@b.test").await;
        assert_eq!(
            logs(&world, &owner, sending.device).await,
            Vec::<Value>::new()
        );
        let id = path.rsplit('/').next().unwrap();
        let one = format!("/api/v1/devices/{}/logs/{id}", sending.device);
        world.get(&owner, &one).await.is(404);
        world.send(&owner, Method::DELETE, &one, None).await.is(404);
    })
    .await;
}

#[tokio::test]
async fn g6_a_sender_that_falls_silent_is_told_and_what_came_is_kept() {
    on_both(async |store| {
        let world = World::new(store).await;
        let sending = Sending::of(&world, world.company("Clinics").await).await;
        let path = sending.begin(LOG).await;
        let id = path.rsplit('/').next().unwrap().parse().unwrap();
        let mut tx = world.core.store.read().await.unwrap();
        let upload = rows::find(&mut tx, id).await.unwrap().unwrap();
        drop(tx);
        let begun = tokio_stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(&LOG[..7]))]);
        let silent = Body::from_stream(begun.chain(tokio_stream::pending()));
        let pace = Pace {
            silence: Duration::from_millis(20),
            whole: Duration::from_secs(60),
        };
        let told = receive(world.core.clone(), upload, silent, pace)
            .await
            .unwrap_err();
        assert_eq!(told.code, Code::TooSlow);
        assert_eq!(offset(&sending.how_far(&path).await), 7);
    })
    .await;
}

#[tokio::test]
async fn d4_pieces_that_a_dead_core_left_become_a_whole() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Clinics").await;
        let sending = Sending::of(&world, place).await;
        let path = sending.begin(LOG).await;
        sending.send(&path, 0, torn(&LOG[..30])).await.is(400);
        // As if it had died between the last piece and the whole.
        let mut tx = world.core.store.write().await.unwrap();
        let shorter = query("UPDATE upload SET length = 30, sha256 = $1")
            .bind(Sha256::digest(&LOG[..30]).to_vec());
        tx.execute(shorter).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            super::finish_whole(&world.core).await.unwrap(),
            0,
            "it may still be at it"
        );
        world.core.clock.advance(Duration::from_secs(180));
        assert_eq!(super::finish_whole(&world.core).await.unwrap(), 1);
        let scope = Scope::Company(place.company);
        let owner = world.holder(Role::Owner, scope, "o@a.test").await;
        assert_eq!(logs(&world, &owner, sending.device).await.len(), 1);
    })
    .await;
}
