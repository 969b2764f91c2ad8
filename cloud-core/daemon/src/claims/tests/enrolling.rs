//! How a claimed device gets its certificates.

use super::*;

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

#[tokio::test]
async fn s3_a_device_fetches_its_settings_with_its_certificate_and_nobody_elses() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code) = (world.site(1).await, world.unit("OD1", None).await);
        let claimed = world.claim(1, &code, place).await.unwrap();
        let key = new_key();
        let enrolment = world.enrol(&code, &key).await.enrolment();
        let shown = Shown {
            chain: chain(&enrolment),
            key,
        };
        let mut tx = world.core.store.write().await.unwrap();
        let set = query(
            "INSERT INTO twin (device_id, desired, desired_rev, reported, applied_rev,
                               applied_errors)
             VALUES ($1, '{\"language\":\"de\"}', 3, '{}', 0, '[]')",
        );
        tx.execute(set.bind(claimed.device)).await.unwrap();
        tx.commit().await.unwrap();
        let path = "/v1/devices/self/desired";
        let told = world.get(path, Some(&shown), "").await;
        let desired: contract::down::Desired = serde_json::from_slice(&told.body).unwrap();
        assert_eq!((told.status, desired.rev.get()), (200, 3));
        let full = desired.full.unwrap();
        assert_eq!(desired.hash, Some(contract::canonical::hash(&full)));
        assert!(told.head.contains("etag: \"3\""), "{}", told.head);
        let again = world
            .get(path, Some(&shown), "if-none-match: \"3\"\r\n")
            .await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(world.get(path, None, "").await.status, 403);
        release(&world.core, &actor(), claimed.device)
            .await
            .unwrap();
        assert_eq!(world.get(path, Some(&shown), "").await.status, 403);
    })
    .await;
}
