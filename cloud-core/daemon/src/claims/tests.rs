//! Claims and enrolments from outside, over real TLS, on both engines.

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

#[tokio::test]
async fn d1_a_device_is_claimed_before_it_was_ever_online_and_enrols_when_it_comes() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code, key) = (
            world.site(1).await,
            world.unit("OD1", None).await,
            new_key(),
        );
        let early = world.enrol(&code, &key).await;
        assert_eq!(early.status, 202);
        assert!(early.head.contains("retry-after:"), "{}", early.head);
        let claimed = world.claim(1, &code, place).await.unwrap();
        let enrolment = world.enrol(&code, &key).await.enrolment();
        assert_eq!(enrolment.device, claimed.device.to_string());
        assert_eq!((enrolment.epoch, enrolment.trust.len()), (1, 1));
        let chain = chain(&enrolment);
        assert_eq!(world.judged(&chain[0]).await.unwrap(), claimed.device);
        assert!(enrolment.renew_after < enrolment.expires);
    })
    .await;
}

#[tokio::test]
async fn d1_a_code_is_burnt_by_the_first_certificate_but_a_lost_answer_is_given_again() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code, key) = (
            world.site(1).await,
            world.unit("OD1", None).await,
            new_key(),
        );
        world.claim(1, &code, place).await.unwrap();
        let first = world.enrol(&code, &key).await.enrolment();
        let again = world.enrol(&code, &key).await.enrolment();
        assert_eq!(first.chain, again.chain);
        let other = world.enrol(&code, &new_key()).await;
        assert_eq!(
            (other.status, other.findings()),
            (403, vec!["claim_code_used".to_owned()])
        );
        world.core.clock.advance(2 * DAY);
        forget_burnt(&world.core).await.unwrap();
        assert_eq!(world.enrol(&code, &key).await.status, 202, "as if unknown");
    })
    .await;
}

#[tokio::test]
async fn d1_a_proof_overheard_is_worth_nothing_on_another_connection() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code, key) = (
            world.site(1).await,
            world.unit("OD1", None).await,
            new_key(),
        );
        world.claim(1, &code, place).await.unwrap();
        // What the device sent, as somebody who saw it would send it again.
        let stream = connect(&world.core, world.web, None).await.unwrap();
        let signing_request = request(&key);
        let proof = ProofKey::of(&code).prove(&channel(stream.get_ref().1), &signing_request);
        let replayed = serde_json::json!({
            "signing_request": signing_request, "model": "OD1", "revision": "AZ",
            "firmware": "03.02.01.65",
            "possession": {"handle": Handle::of(&code).as_str(), "proof": proof.to_text()},
        });
        let mut ask = Ask::with(&key, None);
        ask.replayed = Some(replayed);
        assert_eq!(world.post("/v1/enroll", None, ask).await.status, 202);
        // A guess, with the handle but without the code.
        let wrong = world.unit("OD1", None).await;
        assert_eq!(world.enrol(&wrong, &key).await.status, 202);
        assert_eq!(
            world.enrol(&code, &key).await.status,
            200,
            "the device itself"
        );
    })
    .await;
}

#[tokio::test]
async fn d1_of_two_claims_at_the_same_instant_exactly_one_wins() {
    on_both(async |store| {
        let world = World::new(store).await;
        let places = [world.site(1).await, world.site(2).await];
        for _ in 0..10 {
            let code = world.unit("OD1", None).await;
            let (a, b) = tokio::join!(
                world.claim(1, &code, places[0]),
                world.claim(2, &code, places[1])
            );
            let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
            assert!(won.is_ok());
            assert!(matches!(
                lost,
                Err(BindError::NoSuchCode | BindError::TooMany { .. })
            ));
            world.core.clock.advance(DAY);
        }
    })
    .await;
}

#[tokio::test]
async fn d1_wrong_and_taken_codes_are_one_answer_and_five_an_hour_are_enough() {
    on_both(async |store| {
        let world = World::new(store).await;
        let places = [world.site(1).await, world.site(2).await];
        let taken = world.unit("OD1", None).await;
        world.claim(1, &taken, places[0]).await.unwrap();
        let unknown = ClaimCode::from_random([9; 20]);
        let mut said = Vec::new();
        for code in [&taken, &unknown, &taken, &unknown, &taken] {
            let refused = world.claim(2, code, places[1]).await.unwrap_err();
            said.push(refused.to_string());
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{said:?}");
        let good = world.unit("OD1", None).await;
        let sixth = world.claim(2, &good, places[1]).await;
        assert!(matches!(sixth, Err(BindError::TooMany { .. })));
        assert!(
            world.claim(3, &good, places[1]).await.is_ok(),
            "a colleague"
        );
        let next = world.unit("OD1", None).await;
        world.core.clock.advance(Duration::from_secs(3601));
        assert!(
            world.claim(2, &next, places[1]).await.is_ok(),
            "an hour later"
        );
    })
    .await;
}

#[tokio::test]
async fn d1_fifty_wrong_codes_a_day_are_enough_for_a_company() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.site(1).await;
        let unknown = ClaimCode::from_random([9; 20]);
        let tries = (0..60).map(|by| world.claim(by, &unknown, place));
        let mut refused = (0, 0);
        for tried in futures(tries).await {
            match tried.unwrap_err() {
                BindError::NoSuchCode => refused.0 += 1,
                BindError::TooMany { .. } => refused.1 += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!(refused, (50, 10));
    })
    .await;
}

/// All at the same time.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn d5_old_firmware_and_another_model_are_refused_in_words_when_the_device_enrols() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code, key) = (
            world.site(1).await,
            world.unit("OD1", None).await,
            new_key(),
        );
        world.claim(1, &code, place).await.unwrap();
        let mut old = Ask::with(&key, Some(&code));
        old.firmware = "03.02.01.64";
        let refused = world.post("/v1/enroll", None, old).await;
        assert_eq!(
            (refused.status, refused.findings()),
            (422, vec!["firmware_too_old".to_owned()])
        );
        let told = refused.json()["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(told.contains("03.02.01.65 or newer"), "{told}");
        let mut other = Ask::with(&key, Some(&code));
        other.model = "OD1 CM";
        let refused = world.post("/v1/enroll", None, other).await;
        assert_eq!(
            (refused.status, refused.findings()),
            (422, vec!["model_differs".to_owned()])
        );
        assert_eq!(world.enrol(&code, &key).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn d1_a_mode_that_the_model_does_not_have_is_refused_with_the_reason() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code) = (world.site(1).await, world.unit("AF 20H", None).await);
        let refused = world.claim(1, &code, place).await.unwrap_err();
        let BindError::Catalogue(reasons) = refused else {
            panic!("{refused}");
        };
        assert_eq!(reasons[0].code(), "mode_not_offered");
    })
    .await;
}

#[tokio::test]
async fn g2_a_device_renews_with_a_fresh_key_and_never_with_the_old_one() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code, key) = (
            world.site(1).await,
            world.unit("OD1", None).await,
            new_key(),
        );
        let claimed = world.claim(1, &code, place).await.unwrap();
        let first = world.enrol(&code, &key).await.enrolment();
        let shown = Shown {
            chain: chain(&first),
            key,
        };
        world.core.clock.advance(60 * DAY);
        let same = world
            .post("/v1/reenroll", Some(&shown), Ask::with(&shown.key, None))
            .await;
        assert_eq!(
            (same.status, same.findings()),
            (422, vec!["key_used".to_owned()])
        );
        let fresh = new_key();
        let second = world
            .post("/v1/reenroll", Some(&shown), Ask::with(&fresh, None))
            .await;
        let second = chain(&second.enrolment());
        assert_eq!(world.judged(&second[0]).await.unwrap(), claimed.device);
        assert!(world.judged(&shown.chain[0]).await.is_ok(), "until its end");
        // 29 days after its end the old one still opens the door to a new one, and no other.
        world.core.clock.advance(59 * DAY);
        world.core.keys.tend_once(&world.core).await.unwrap();
        assert!(matches!(
            world.judged(&shown.chain[0]).await,
            Err(Barred::Expired)
        ));
        let late = new_key();
        let third = world
            .post("/v1/reenroll", Some(&shown), Ask::with(&late, None))
            .await;
        assert_eq!(third.status, 200);
        let none = world
            .post("/v1/reenroll", None, Ask::with(&new_key(), None))
            .await;
        assert_eq!(none.status, 403);
    })
    .await;
}

#[tokio::test]
async fn d1_a_released_device_is_void_at_once_and_can_be_claimed_by_the_next_owner() {
    on_both(async |store| {
        let world = World::new(store).await;
        let places = [world.site(1).await, world.site(2).await];
        let (code, key) = (world.unit("OD1", None).await, new_key());
        let before = world.claim(1, &code, places[0]).await.unwrap();
        let enrolment = world.enrol(&code, &key).await.enrolment();
        let shown = Shown {
            chain: chain(&enrolment),
            key,
        };
        release(&world.core, &actor(), before.device).await.unwrap();
        let again = release(&world.core, &actor(), before.device).await;
        assert!(matches!(again, Err(BindError::NoSuchDevice)));
        let judged = world.judged(&shown.chain[0]).await;
        assert!(matches!(judged, Err(Barred::Void(Reason::Released))));
        let fresh = new_key();
        let renewal = world
            .post("/v1/reenroll", Some(&shown), Ask::with(&fresh, None))
            .await;
        assert_eq!(renewal.status, 403);
        assert_eq!(world.enrol(&code, &fresh).await.status, 202, "nobody's");
        let after = world.claim(2, &code, places[1]).await.unwrap();
        assert_ne!(after.device, before.device);
        assert_eq!((before.epoch.number(), after.epoch.number()), (1, 2));
        let renewal = world
            .post("/v1/reenroll", Some(&shown), Ask::with(&fresh, None))
            .await;
        assert_eq!(renewal.status, 403, "the first owner's certificate");
        let used = world.enrol(&code, &shown.key).await;
        assert_eq!(
            (used.status, used.findings()),
            (422, vec!["key_used".to_owned()])
        );
        let enrolment = world.enrol(&code, &fresh).await.enrolment();
        assert_eq!(enrolment.device, after.device.to_string());
    })
    .await;
}

#[tokio::test]
async fn d1_another_unit_takes_the_place_of_a_broken_one_under_the_same_device() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.site(1).await;
        let (broken, spare) = (world.unit("OD1", None).await, world.unit("OD1", None).await);
        let claimed = world.claim(1, &broken, place).await.unwrap();
        let key = new_key();
        let old = chain(&world.enrol(&broken, &key).await.enrolment());
        let other = world.unit("OD1 CM", None).await;
        let what = (claimed.device, place, other);
        let refused = replace(&world.core, user(1), &actor(), what).await;
        assert!(matches!(refused, Err(BindError::OtherModel { .. })));
        assert!(world.judged(&old[0]).await.is_ok(), "nothing was changed");
        let what = (claimed.device, place, spare.clone());
        let replaced = replace(&world.core, user(1), &actor(), what).await.unwrap();
        assert_eq!(
            (replaced.device, replaced.epoch.number()),
            (claimed.device, 2)
        );
        let void = world.judged(&old[0]).await;
        assert!(matches!(void, Err(Barred::Void(Reason::Superseded))));
        let fresh = new_key();
        let enrolment = world.enrol(&spare, &fresh).await.enrolment();
        assert_eq!(enrolment.device, claimed.device.to_string());
        assert!(
            world.claim(1, &broken, place).await.is_ok(),
            "repaired, it is free"
        );
    })
    .await;
}

#[tokio::test]
async fn d1_a_device_with_a_factory_key_enrols_by_it_and_comes_back_by_it() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.site(1).await;
        let maker_key = new_key();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        let maker = params.self_signed(&maker_key).unwrap();
        let born_with = new_key();
        let issuer = Issuer::new(params, maker_key);
        let params = CertificateParams::new(Vec::new()).unwrap();
        let birth = params.signed_by(&born_with, &issuer).unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(birth.der()).unwrap();
        let hash = hash_of_key(read.public_key().raw);
        let shown = Shown {
            chain: vec![birth.der().clone()],
            key: born_with,
        };
        let code = world.unit("OD1", Some(hash)).await;
        world.claim(1, &code, place).await.unwrap();
        let stranger = connect(&world.core, world.web, Some(&shown)).await;
        assert!(
            !crate::keys::testing::taken(stranger).await,
            "a maker nobody trusts"
        );
        let mut tx = world.core.store.write().await.unwrap();
        let now = world.core.now();
        trust_maker(&mut tx, now, &actor(), &maker.pem())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        world.core.keys.tend_once(&world.core).await.unwrap();
        for key in [new_key(), new_key()] {
            let answer = world
                .post("/v1/enroll", Some(&shown), Ask::with(&key, None))
                .await;
            answer.enrolment();
        }
        // The certificate it was born with is no operational one.
        assert!(matches!(
            world.judged(&shown.chain[0]).await,
            Err(Barred::Unknown)
        ));
        let key = new_key();
        let renewal = world
            .post("/v1/reenroll", Some(&shown), Ask::with(&key, None))
            .await;
        assert_eq!(renewal.status, 403);
    })
    .await;
}

#[tokio::test]
async fn g2_a_revoked_device_stands_on_the_list_that_its_certificate_names() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code, key) = (
            world.site(1).await,
            world.unit("OD1", None).await,
            new_key(),
        );
        let claimed = world.claim(1, &code, place).await.unwrap();
        let enrolment = world.enrol(&code, &key).await.enrolment();
        let count = revoke(&world.core, &actor(), claimed.device, Reason::KeyCompromise).await;
        assert_eq!(count.unwrap(), 1);
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, octets: &[u8]| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, octets).unwrap();
            path
        };
        let device = put("chain.pem", enrolment.chain.as_bytes());
        let root = put("root.pem", enrolment.trust[0].as_bytes());
        let said = std::process::Command::new("openssl")
            .args(["x509", "-noout", "-ext", "crlDistributionPoints", "-in"])
            .arg(&device)
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let path = said.split("URI:http://core.example").nth(1).unwrap().trim();
        let mut stream = tokio::net::TcpStream::connect(world.plain).await.unwrap();
        let text =
            format!("GET {path} HTTP/1.1\r\nhost: core.example\r\nconnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).await.unwrap();
        let answer = read_answer(&octets);
        assert_eq!(answer.status, 200);
        for header in [
            "application/pkix-crl",
            "cache-control: public, max-age=",
            "etag: \"2\"",
        ] {
            assert!(answer.head.contains(header), "{}", answer.head);
        }
        let list = put("list.crl", &answer.body);
        let judged = std::process::Command::new("openssl")
            .args(["verify", "-crl_check", "-extended_crl", "-CAfile"])
            .arg(&root)
            .arg("-untrusted")
            .arg(&device)
            .arg("-CRLfile")
            .arg(&list)
            .arg(&device)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&judged.stderr).into_owned();
        assert!(told.contains("certificate revoked"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn d1_hostile_enrolments_are_answered_with_a_problem() {
    on_both(async |store| {
        let world = World::new(store).await;
        let key = new_key();
        let send = async |body: String| {
            let mut stream = connect(&world.core, world.web, None).await.unwrap();
            exchange(&mut stream, "/v1/enroll", &body).await.status
        };
        let good = |request: &str, handle: &str| {
            serde_json::json!({
                "signing_request": request, "model": "OD1", "revision": "AZ", "firmware": "1.2.3.4",
                "possession": {"handle": handle, "proof": "00".repeat(32)},
            })
            .to_string()
        };
        let pem = request(&key);
        let handle = "0".repeat(32);
        assert_eq!(send(good(&pem, &handle)).await, 202);
        assert_eq!(send("{".to_owned()).await, 400);
        assert_eq!(send("{}".to_owned()).await, 422);
        assert_eq!(send(good(&pem, "' OR 1=1 --")).await, 422);
        assert_eq!(send(good("junk", &handle)).await, 422);
        assert_eq!(send(good(&pem.replace('M', "N"), &handle)).await, 422);
        assert_eq!(send(good(&"x".repeat(9_000), &handle)).await, 422);
        assert_eq!(send(good(&"x".repeat(20_000), &handle)).await, 413);
    })
    .await;
}
