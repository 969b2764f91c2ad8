//! The authority under attack, with OpenSSL as the judge from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use cloud_logic::claims::Epoch;
use cloud_logic::ids::DeviceId;
use model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::*;
use crate::keys::{Sealer, create_key_file};
use crate::store::Store;
use crate::store::changes::Whose;
use crate::store::testing::on_both;

const LISTS: &str = "http://core.example";

fn now() -> Timestamp {
    crate::clock::Clock::default().now()
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

struct World {
    folder: TempDir,
    sealer: Sealer,
    store: Store,
}

impl World {
    async fn new(store: Store) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        create_key_file(&keys).unwrap();
        let sealer = Sealer::open(&keys).unwrap();
        let mut tx = store.write().await.unwrap();
        found(&mut tx, &sealer, now()).await.unwrap();
        tx.commit().await.unwrap();
        Self {
            folder,
            sealer,
            store,
        }
    }

    async fn issue(&self, device: u128, request: &str) -> Result<Issued, IssueError> {
        let key = PublicKey::of_signing_request(request).unwrap();
        let holder = Holder {
            device: DeviceId::from_bits(device),
            epoch: Epoch::new(1),
        };
        let mut tx = self.store.write().await.unwrap();
        let issued = issue(&mut tx, &self.sealer, now(), (holder, &key, LISTS)).await?;
        tx.commit().await.unwrap();
        Ok(issued)
    }

    fn pem(&self, name: &str, label: &str, parts: &[&[u8]]) -> PathBuf {
        use base64::Engine;
        let encode = |der: &&[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
        };
        let path = self.folder.path().join(name);
        let text: String = parts.iter().map(encode).collect();
        // OpenSSL wants lines.
        let lines = text.split('\n').flat_map(|line| {
            let octets = line.as_bytes().chunks(64);
            octets.map(|part| String::from_utf8(part.to_vec()).unwrap() + "\n")
        });
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        path
    }

    fn certificates(&self, name: &str, parts: &[&CertificateDer<'_>]) -> PathBuf {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_ref()).collect();
        self.pem(name, "CERTIFICATE", &parts)
    }

    /// `openssl verify` of a device's certificate for a purpose, with the list it points to.
    async fn verify(&self, issued: &Issued, purpose: &str) -> Output {
        let mut tx = self.store.read().await.unwrap();
        let roots = roots(&mut tx).await.unwrap();
        let serial = serial_of(&issued.certificate);
        let known = certificate(&mut tx, serial).await.unwrap().unwrap();
        let list = read_list(&mut tx, known.authority, known.shard)
            .await
            .unwrap()
            .unwrap();
        let root = self.certificates("root.pem", &[&roots[0]]);
        let chain = self.certificates("chain.pem", &[&issued.authority]);
        let device = self.certificates("device.pem", &[&issued.certificate]);
        let list = self.pem("list.pem", "X509 CRL", &[&list.der]);
        openssl(&[
            "verify".as_ref(),
            "-x509_strict".as_ref(),
            "-crl_check".as_ref(),
            "-extended_crl".as_ref(),
            "-purpose".as_ref(),
            purpose.as_ref(),
            "-CAfile".as_ref(),
            &root,
            "-untrusted".as_ref(),
            &chain,
            "-CRLfile".as_ref(),
            &list,
            &device,
        ])
    }

    fn text(&self, certificate: &CertificateDer<'_>) -> String {
        let path = self.certificates("text.pem", &[certificate]);
        let said = openssl(&[
            "x509".as_ref(),
            "-noout".as_ref(),
            "-text".as_ref(),
            "-in".as_ref(),
            &path,
        ]);
        String::from_utf8(said.stdout).unwrap()
    }
}

fn openssl(arguments: &[&Path]) -> Output {
    Command::new("openssl").args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn serial_of(certificate: &CertificateDer<'_>) -> Serial {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).unwrap();
    Serial::of_octets(&read.tbs_certificate.serial.to_bytes_be()).unwrap()
}

fn request(key: &KeyPair) -> String {
    let params = CertificateParams::new(Vec::new()).unwrap();
    params.serialize_request(key).unwrap().pem().unwrap()
}

/// Asks for everything that a device must never have.
fn hostile_request(key: &KeyPair) -> String {
    let mut params = CertificateParams::new(vec!["cloud.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "core");
    let uri = "urn:antiphon:device:de-0000000000000000000000000A";
    let uri = SanType::URI(uri.try_into().unwrap());
    params.subject_alt_names.push(uri);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.serialize_request(key).unwrap().pem().unwrap()
}

#[tokio::test]
async fn g2_a_device_certificate_satisfies_openssl_for_clients_and_for_nothing_else() {
    on_both(async |store| {
        let world = World::new(store).await;
        let issued = world
            .issue(7, &request(&KeyPair::generate().unwrap()))
            .await
            .unwrap();
        let client = world.verify(&issued, "sslclient").await;
        assert!(client.status.success(), "{}", told(&client));
        let server = world.verify(&issued, "sslserver").await;
        assert!(!server.status.success(), "{}", told(&server));
        assert!(told(&server).contains("purpose"), "{}", told(&server));
    })
    .await;
}

#[tokio::test]
async fn g2_a_hostile_request_gets_its_key_certified_and_nothing_else() {
    on_both(async |store| {
        let world = World::new(store).await;
        let key = KeyPair::generate().unwrap();
        let issued = world.issue(7, &hostile_request(&key)).await.unwrap();
        let text = world.text(&issued.certificate);
        let device = DeviceId::from_bits(7).to_string();
        // The spaces differ between versions of OpenSSL.
        let subject = format!("Subject:CN={device}\n");
        assert!(text.replace(' ', "").contains(&subject), "{text}");
        assert!(text.contains("CA:FALSE"), "{text}");
        assert!(text.contains("TLS Web Client Authentication"), "{text}");
        assert!(
            text.contains(&format!("URI:urn:antiphon:device:{device}")),
            "{text}"
        );
        assert!(text.contains("URI:http://core.example/crl/au-"), "{text}");
        for never in [
            "core\n",
            "cloud.example",
            "CA:TRUE",
            "TLS Web Server Authentication",
            "Certificate Sign",
            "4096",
            "de-0000000000000000000000000A",
        ] {
            assert!(!text.contains(never), "{never}: {text}");
        }
        let life = issued.not_after.unix_ms() - now().unix_ms();
        assert!(Duration::from_millis(life.unsigned_abs()) <= days(90));
    })
    .await;
}

#[tokio::test]
async fn g2_a_revoked_certificate_is_on_the_list_at_once_and_its_neighbour_is_not() {
    on_both(async |store| {
        let world = World::new(store).await;
        let mut issued = Vec::new();
        for device in [1, 2] {
            let request = request(&KeyPair::generate().unwrap());
            issued.push(world.issue(device, &request).await.unwrap());
        }
        let mut tx = world.store.write().await.unwrap();
        let serial = serial_of(&issued[0].certificate);
        let what = (serial, Reason::KeyCompromise, LISTS, Whose::default());
        revoke(&mut tx, &world.sealer, now(), what).await.unwrap();
        revoke(&mut tx, &world.sealer, now(), what).await.unwrap();
        tx.commit().await.unwrap();
        let void = world.verify(&issued[0], "sslclient").await;
        assert!(
            told(&void).contains("certificate revoked"),
            "{}",
            told(&void)
        );
        let other = world.verify(&issued[1], "sslclient").await;
        assert!(other.status.success(), "{}", told(&other));
        let mut tx = world.store.read().await.unwrap();
        let known = certificate(&mut tx, serial).await.unwrap().unwrap();
        assert_eq!(known.void, Some(Reason::KeyCompromise));
    })
    .await;
}

#[tokio::test]
async fn g2_no_key_is_certified_twice_and_every_serial_is_new() {
    on_both(async |store| {
        let world = World::new(store).await;
        let key = KeyPair::generate().unwrap();
        let first = world.issue(1, &request(&key)).await.unwrap();
        for device in [1, 2] {
            let again = world.issue(device, &request(&key)).await;
            assert!(matches!(again, Err(IssueError::KeyUsed)), "{device}");
        }
        let other = world
            .issue(1, &request(&KeyPair::generate().unwrap()))
            .await;
        let other = other.unwrap();
        assert_ne!(serial_of(&first.certificate), serial_of(&other.certificate));
    })
    .await;
}

#[test]
fn g2_weak_foreign_and_tampered_requests_are_refused() {
    let read = |pem: &str| PublicKey::of_signing_request(pem);
    let good = request(&KeyPair::generate().unwrap());
    assert!(read(&good).is_ok());
    assert!(read(&request(&KeyPair::generate_for(&PKCS_ED25519).unwrap())).is_ok());
    let large = request(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    assert_eq!(read(&large), Err(BadSigningRequest::Key));
    for bits in ["rsa:1024", "rsa:2048"] {
        let weak = [
            "req",
            "-new",
            "-nodes",
            "-newkey",
            bits,
            "-subj",
            "/CN=x",
            "-keyout",
            "/dev/null",
        ];
        let made = openssl(&weak.map(Path::new));
        let pem = String::from_utf8(made.stdout).unwrap();
        assert_eq!(read(&pem), Err(BadSigningRequest::Key), "{bits}");
    }
    for text in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
    ] {
        assert_eq!(read(text), Err(BadSigningRequest::Form), "{text}");
    }
}

#[test]
fn g2_no_changed_octet_of_a_request_goes_unnoticed() {
    use base64::Engine;
    use rustls::pki_types::pem::PemObject;
    let pem = request(&KeyPair::generate().unwrap());
    let whole = PublicKey::of_signing_request(&pem).unwrap();
    let der =
        rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap();
    for at in 0..der.len() {
        let mut changed = der.to_vec();
        changed[at] ^= 1;
        let text = base64::engine::general_purpose::STANDARD.encode(&changed);
        let pem = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n"
        );
        if let Ok(key) = PublicKey::of_signing_request(&pem) {
            assert_eq!(key, whole, "octet {at}: another key was taken");
        }
    }
}

#[tokio::test]
async fn g2_a_new_authority_signs_and_the_one_before_it_stays_trusted() {
    on_both(async |store| {
        let world = World::new(store).await;
        let old = world
            .issue(1, &request(&KeyPair::generate().unwrap()))
            .await
            .unwrap();
        let later = now().saturating_add(days(4 * 365 + 30));
        let mut tx = world.store.write().await.unwrap();
        renew(&mut tx, &world.sealer, now(), None).await.unwrap();
        assert_eq!(anchors(&mut tx, Kind::Devices).await.unwrap().len(), 1);
        renew(&mut tx, &world.sealer, later, None).await.unwrap();
        assert_eq!(anchors(&mut tx, Kind::Devices).await.unwrap().len(), 2);
        tx.commit().await.unwrap();
        let new = world
            .issue(2, &request(&KeyPair::generate().unwrap()))
            .await
            .unwrap();
        assert_ne!(old.authority, new.authority);
        // What the older one signed can still be made void.
        let mut tx = world.store.write().await.unwrap();
        let serial = serial_of(&old.certificate);
        let what = (serial, Reason::Withdrawn, LISTS, Whose::default());
        revoke(&mut tx, &world.sealer, now(), what).await.unwrap();
        let much_later = later.saturating_add(days(2 * 365));
        renew(&mut tx, &world.sealer, much_later, None)
            .await
            .unwrap();
        assert_eq!(anchors(&mut tx, Kind::Devices).await.unwrap().len(), 1);
        tx.commit().await.unwrap();
        let void = world.verify(&old, "sslclient").await;
        assert!(
            told(&void).contains("certificate revoked"),
            "{}",
            told(&void)
        );
    })
    .await;
}

#[tokio::test]
async fn g2_a_root_key_that_was_taken_away_is_needed_only_for_a_new_authority() {
    on_both(async |store| {
        let world = World::new(store).await;
        let mut tx = world.store.write().await.unwrap();
        let root = remove_root_key(&mut tx, &world.sealer).await.unwrap();
        assert!(matches!(
            remove_root_key(&mut tx, &world.sealer).await,
            Err(AuthorityError::RootAway)
        ));
        tx.commit().await.unwrap();
        let issued = world
            .issue(1, &request(&KeyPair::generate().unwrap()))
            .await
            .unwrap();
        assert!(world.verify(&issued, "sslclient").await.status.success());
        let later = now().saturating_add(days(4 * 365 + 30));
        let mut tx = world.store.write().await.unwrap();
        let away = renew(&mut tx, &world.sealer, later, None).await;
        assert!(matches!(away, Err(AuthorityError::RootAway)));
        let other = KeyPair::generate().unwrap();
        let wrong = renew(&mut tx, &world.sealer, later, Some(other.serialized_der())).await;
        assert!(matches!(wrong, Err(AuthorityError::WrongRootKey)));
        renew(&mut tx, &world.sealer, later, Some(&root.key))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn g2_lists_are_signed_anew_every_twelve_hours_and_forgotten_when_nobody_needs_them() {
    on_both(async |store| {
        let world = World::new(store).await;
        let issued = world
            .issue(1, &request(&KeyPair::generate().unwrap()))
            .await
            .unwrap();
        let mut tx = world.store.write().await.unwrap();
        let serial = serial_of(&issued.certificate);
        let known = certificate(&mut tx, serial).await.unwrap().unwrap();
        let number = async |tx: &mut crate::store::Tx| {
            let list = read_list(tx, known.authority, known.shard).await.unwrap();
            list.map(|list| list.number)
        };
        let at = |hours: u64| now().saturating_add(Duration::from_secs(hours * 3600));
        maintain_lists(&mut tx, &world.sealer, at(11), LISTS)
            .await
            .unwrap();
        assert_eq!(number(&mut tx).await, Some(1));
        maintain_lists(&mut tx, &world.sealer, at(13), LISTS)
            .await
            .unwrap();
        assert_eq!(number(&mut tx).await, Some(2));
        maintain_lists(&mut tx, &world.sealer, at(24 * 151), LISTS)
            .await
            .unwrap();
        assert_eq!(number(&mut tx).await, None);
        assert!(certificate(&mut tx, serial).await.unwrap().is_none());
    })
    .await;
}
