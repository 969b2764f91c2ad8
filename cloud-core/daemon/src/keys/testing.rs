//! Keys for tests: of their own, in a folder of their own.

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authority;
use super::{Addresses, Keys, Sealer, create_key_file};
use crate::clock::Clock;
use crate::core::Core;
use crate::store::Store;

pub(crate) struct TestKeys {
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    _folder: TempDir,
}

impl TestKeys {
    pub(crate) fn core(&self, store: &Store) -> Core {
        Core {
            store: store.clone(),
            clock: self.clock.clone(),
            keys: self.keys.clone(),
            people: crate::people::testing::people(),
            blobs: crate::blobs::Blobs::in_memory(),
            mail: crate::mail::Mail::default(),
            orders: Default::default(),
            tally: crate::people::testing::tally(),
            forgotten: Default::default(),
            subscriptions: cloud_logic::subscriptions::Checking::Off,
            streams: crate::core::streams(),
            web_calls: None,
        }
    }
}

pub(crate) async fn keys(store: &Store) -> TestKeys {
    let clock = Clock::default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    create_key_file(&file).unwrap();
    let sealer = Sealer::open(&file).unwrap();
    let mut tx = store.write().await.unwrap();
    authority::found(&mut tx, &sealer, clock.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let addresses = Addresses {
        lists: "http://core.example".to_owned(),
        mqtt: "core.example:8883".to_owned(),
        calls: None,
        https: "https://core.example".to_owned(),
        names: vec!["core.example".to_owned(), "localhost".to_owned()],
    };
    let keys = Keys::open(store, &clock, sealer, addresses).await.unwrap();
    TestKeys {
        keys,
        clock,
        _folder: folder,
    }
}

/// What a client shows: its chain and its key.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

/// A PKCS #10 request in PEM.
pub(crate) fn request(key: &KeyPair) -> String {
    let params = CertificateParams::new(Vec::new()).unwrap();
    params.serialize_request(key).unwrap().pem().unwrap()
}

/// A connection to `core.example` that trusts `roots`, with the core's clock.
pub(crate) async fn connect(
    core: &Core,
    address: std::net::SocketAddr,
    shown: Option<&Shown>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut tx = core.store.read().await.unwrap();
    let mut roots = RootCertStore::empty();
    for root in authority::roots(&mut tx).await.unwrap() {
        roots.add(root).unwrap();
    }
    drop(tx);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let time = Arc::new(super::tls::ClockOfTls(core.clock.clone()));
    let builder = ClientConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            // Not checked against its certificate here: that is what the other end is for.
            let key = PrivatePkcs8KeyDer::from(shown.key.serialized_der().to_vec());
            let key = any_supported_type(&PrivateKeyDer::from(key)).unwrap();
            let certified = CertifiedKey::new(shown.chain.clone(), key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("core.example").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Whether the server took the handshake: in TLS 1.3 a client hears of a refusal only when it reads.
pub(crate) async fn taken(stream: io::Result<TlsStream<TcpStream>>) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = stream else {
        return false;
    };
    if stream.write_all(b"x").await.is_err() {
        return false;
    }
    let mut octet = [0];
    matches!(stream.read(&mut octet).await, Ok(1))
}

/// What both ends of this connection know.
pub(crate) fn channel(connection: &ClientConnection) -> contract::enrolment::ChannelBinding {
    use contract::enrolment::{CHANNEL_BINDING_LABEL, CHANNEL_BINDING_OCTETS, ChannelBinding};
    let exported = [0; CHANNEL_BINDING_OCTETS];
    let exported = connection
        .export_keying_material(exported, CHANNEL_BINDING_LABEL, None)
        .unwrap();
    ChannelBinding::new(exported)
}
