//! TLS: who is let in, who is not, and what a stalled handshake costs the others (nothing).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::flows::{
    CloseReason, Destination, FlowEvent, Flows, FlowsConfig, ListenerId, ListenerKind, Refusal,
    StreamSettings, Transport,
};
use net::tls::{
    ClientCertificates, ClientTls, ClientTlsFiles, Fingerprint, ServerTls, ServerTlsFiles,
    TlsVersion, TrustFiles, install_provider,
};
use rcgen::KeyPair;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore};

use crate::authority::{Authority, Issued, uri};
use crate::support::{PATIENCE, bind_with, listener, next, opened, received};

pub(crate) fn server_files(
    certificates: &[&Issued],
    clients: ClientCertificates,
) -> ServerTlsFiles {
    ServerTlsFiles {
        certificates: certificates.iter().map(|at| at.files.clone()).collect(),
        clients,
        oldest: TlsVersion::Tls12,
    }
}

fn server_tls(certificate: &Issued, clients: ClientCertificates) -> ServerTls {
    ServerTls::load(&server_files(&[certificate], clients)).unwrap()
}

fn serve(tls: ServerTls) -> (Flows, SocketAddr) {
    serve_with(tls, StreamSettings::default())
}

fn serve_with(tls: ServerTls, settings: StreamSettings) -> (Flows, SocketAddr) {
    bind_with(ListenerKind::Tls(tls), settings)
}

/// A station of the other side: trusts one authority, shows a certificate or none.
#[derive(Clone)]
struct Station(TlsConnector);

impl Station {
    fn new(trusted: &Authority, shows: Option<&Issued>) -> Self {
        install_provider();
        let mut roots = RootCertStore::empty();
        roots.add(trusted.certificate().der().clone()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let config = match shows {
            Some(issued) => {
                let key = PrivateKeyDer::try_from(issued.key.serialize_der()).unwrap();
                let chain = vec![issued.certificate.der().clone()];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        Self(TlsConnector::from(Arc::new(config)))
    }

    async fn call(&self, address: SocketAddr, name: &str) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        self.0
            .connect(name, TcpStream::connect(address).await?)
            .await
    }

    /// Says a word and keeps the line.
    fn say(
        &self,
        address: SocketAddr,
        word: &'static [u8],
    ) -> JoinHandle<io::Result<TlsStream<TcpStream>>> {
        let station = self.clone();
        tokio::spawn(async move {
            let mut stream = station.call(address, "gateway.test").await?;
            stream.write_all(word).await?;
            Ok(stream)
        })
    }
}

async fn refusal(flows: &mut Flows) -> Refusal {
    match next(flows).await {
        FlowEvent::Refused { why, .. } => why,
        event => panic!("expected a refusal, got {event:?}"),
    }
}

#[tokio::test]
async fn both_versions_carry_bytes_both_ways() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    for (oldest, expected) in [
        (TlsVersion::Tls12, ProtocolVersion::TLSv1_2),
        (TlsVersion::Tls13, ProtocolVersion::TLSv1_3),
    ] {
        let mut files = server_files(&[&gateway], ClientCertificates::Ignored);
        files.oldest = oldest;
        let (mut flows, address) = serve(ServerTls::load(&files).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().der().clone()).unwrap();
        install_provider();
        let versions = match oldest {
            TlsVersion::Tls12 => [&tokio_rustls::rustls::version::TLS12],
            TlsVersion::Tls13 => [&tokio_rustls::rustls::version::TLS13],
        };
        let config = ClientConfig::builder_with_protocol_versions(&versions)
            .with_root_certificates(roots)
            .with_no_client_auth();
        let station = Station(TlsConnector::from(Arc::new(config)));
        let call = tokio::spawn(async move {
            let mut stream = station.call(address, "gateway.test").await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            (all, stream.get_ref().1.protocol_version())
        });
        let flow = opened(&mut flows).await;
        assert_eq!(flow.transport, Transport::Tls);
        assert_eq!(received(&mut flows).await.1, b"hello");
        assert_eq!(flows.outlet().peer_certificate(flow.connection), None);
        flows.outlet().send(&flow, b"good bye").unwrap();
        flows.outlet().close(flow.connection);
        let why = CloseReason::Local;
        assert_eq!(next(&mut flows).await, FlowEvent::Closed { flow, why });
        assert_eq!(call.await.unwrap(), (b"good bye".to_vec(), Some(expected)));
    }
}

#[tokio::test]
async fn an_old_version_is_refused_when_it_is_not_wanted() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let mut files = server_files(&[&gateway], ClientCertificates::Ignored);
    files.oldest = TlsVersion::Tls13;
    let (mut flows, address) = serve(ServerTls::load(&files).unwrap());
    install_provider();
    let config =
        ClientConfig::builder_with_protocol_versions(&[&tokio_rustls::rustls::version::TLS12])
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
    let old = Station(TlsConnector::from(Arc::new(config)));
    let call = old.say(address, b"hello");
    let Refusal::Handshake(CloseReason::Handshake(why)) = refusal(&mut flows).await else {
        panic!("expected a failed handshake");
    };
    assert!(why.contains("Tls12NotOffered"), "{why}");
    assert!(call.await.unwrap().is_err());
}

/// Fifty connections that say nothing: others are served, and none of the fifty stays.
#[tokio::test]
async fn silent_handshakes_end_and_harm_no_other() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let settings = StreamSettings {
        handshake_timeout: Duration::from_secs(1),
        ..StreamSettings::default()
    };
    let tls = server_tls(&gateway, ClientCertificates::Ignored);
    let (mut flows, address) = serve_with(tls, settings);
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let honest = Station::new(&authority, None).say(address, b"emergency");
    let mut heard = false;
    let mut turned_away = 0;
    while turned_away < 50 || !heard {
        match next(&mut flows).await {
            FlowEvent::Opened { .. } => {}
            FlowEvent::Received { bytes, .. } => {
                assert_eq!(&bytes[..], b"emergency");
                heard = true;
            }
            FlowEvent::Refused { why, .. } => {
                assert_eq!(why, Refusal::Handshake(CloseReason::HandshakeTimeout));
                turned_away += 1;
            }
            event => panic!("expected nothing else, got {event:?}"),
        }
    }
    for mut stream in silent {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
    }
    assert_eq!(flows.counters().closed.handshake_timeout, 50);
    assert_eq!(flows.outlet().handshakes(), 0);
    assert_eq!(flows.outlet().incoming(), 1);
    drop(honest.await.unwrap().unwrap());
}

#[tokio::test]
async fn when_all_handshakes_hang_the_oldest_makes_room() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let settings = StreamSettings {
        handshakes: 4,
        handshake_patience: Duration::from_millis(50),
        handshake_timeout: PATIENCE * 10,
        ..StreamSettings::default()
    };
    let tls = server_tls(&gateway, ClientCertificates::Ignored);
    let (mut flows, address) = serve_with(tls, settings);
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let oldest = silent[0].local_addr().unwrap();
    let honest = Station::new(&authority, None).say(address, b"hello");
    let mut displaced = Vec::new();
    loop {
        match next(&mut flows).await {
            FlowEvent::Refused { remote, why, .. } => {
                assert_eq!(why, Refusal::Handshake(CloseReason::Displaced));
                displaced.push(remote);
            }
            FlowEvent::Opened { .. } => break,
            event => panic!("expected nothing else, got {event:?}"),
        }
        assert!(flows.outlet().handshakes() <= 4);
    }
    // Seven had to share four places.
    assert_eq!(displaced.len(), 3);
    assert_eq!(displaced[0], oldest);
    assert_eq!(flows.counters().closed.displaced, 3);
    drop(honest.await.unwrap().unwrap());
}

/// After a power cut all stations come at once; none may lose its handshake to another.
#[tokio::test]
async fn a_storm_of_honest_handshakes_displaces_nobody() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let settings = StreamSettings {
        handshakes: 4,
        handshake_patience: PATIENCE,
        handshake_timeout: PATIENCE * 10,
        ..StreamSettings::default()
    };
    let tls = server_tls(&gateway, ClientCertificates::Ignored);
    let (mut flows, address) = serve_with(tls, settings);
    let station = Station::new(&authority, None);
    let calls: Vec<_> = (0..40).map(|_| station.say(address, b"register")).collect();
    let mut heard = 0;
    while heard < 40 {
        match next(&mut flows).await {
            FlowEvent::Opened { .. } => {}
            FlowEvent::Received { .. } => heard += 1,
            event => panic!("expected nothing else, got {event:?}"),
        }
    }
    assert_eq!(flows.outlet().incoming(), 40);
    for call in calls {
        drop(call.await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn bytes_that_are_no_tls_are_refused() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let (mut flows, address) = serve(server_tls(&gateway, ClientCertificates::Ignored));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"REGISTER sip:gateway.test SIP/2.0\r\n\r\n")
        .await
        .unwrap();
    let why = refusal(&mut flows).await;
    assert!(
        matches!(why, Refusal::Handshake(CloseReason::Handshake(_))),
        "{why}"
    );
    assert_eq!(flows.counters().closed.handshake, 1);
}

#[tokio::test]
async fn only_clients_of_the_authority_come_in_and_are_known_by_name() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let key = KeyPair::generate().unwrap();
    let known = authority.issue_with("station-7.test", &key, |params| {
        params.subject_alt_names.push(uri("sip:site.test"));
        let address = rcgen::SanType::IpAddress("192.0.2.7".parse().unwrap());
        params.subject_alt_names.push(address);
    });
    let revoked = authority.issue("station-8.test");
    let mut strangers = Authority::new("strangers");
    let stranger = strangers.issue("station-7.test");

    let trust = authority.trust_but(&[&revoked]);
    let tls = server_tls(&gateway, ClientCertificates::Required(trust));
    let (mut flows, address) = serve(tls);

    let call = Station::new(&authority, Some(&known)).say(address, b"it is me");
    let flow = opened(&mut flows).await;
    let identity = flows.outlet().peer_certificate(flow.connection).unwrap();
    assert_eq!(identity.uris, ["sip:site.test"]);
    assert_eq!(identity.dns_names, ["station-7.test"]);
    assert_eq!(
        identity.addresses,
        ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(identity.common_name.as_deref(), Some("station-7.test"));
    let fingerprint = Sha256::digest(known.certificate.der());
    assert_eq!(identity.fingerprint, Fingerprint(fingerprint.into()));
    assert_eq!(received(&mut flows).await.1, b"it is me");
    drop(call.await.unwrap().unwrap());
    assert!(matches!(next(&mut flows).await, FlowEvent::Closed { .. }));
    assert_eq!(flows.outlet().peer_certificate(flow.connection), None);

    for (shown, expected) in [
        (None, "no certificates"),
        (Some(&revoked), "Revoked"),
        (Some(&stranger), "UnknownIssuer"),
    ] {
        let call = Station::new(&authority, shown).say(address, b"let me in");
        let why = refusal(&mut flows).await.to_string();
        assert!(why.contains(expected), "{why}");
        drop(call.await);
    }
    assert_eq!(flows.counters().closed.handshake, 3);
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let mut strangers = Authority::new("strangers");
    let stranger = strangers.issue("station.test");
    let clients = ClientCertificates::Optional(authority.trust());
    let (mut flows, address) = serve(server_tls(&gateway, clients));

    let call = Station::new(&authority, None).say(address, b"hello");
    let flow = opened(&mut flows).await;
    assert_eq!(flows.outlet().peer_certificate(flow.connection), None);
    received(&mut flows).await;
    drop(call.await.unwrap().unwrap());
    assert!(matches!(next(&mut flows).await, FlowEvent::Closed { .. }));

    let call = Station::new(&authority, Some(&stranger)).say(address, b"hello");
    let why = refusal(&mut flows).await.to_string();
    assert!(why.contains("UnknownIssuer"), "{why}");
    drop(call.await);
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let mut authority = Authority::new("authority");
    let before = authority.issue("gateway.test");
    let after = authority.issue("gateway.test");
    let (mut flows, address) = serve(server_tls(&before, ClientCertificates::Ignored));
    let station = Station::new(&authority, None);
    let shown = |stream: &TlsStream<TcpStream>| {
        let certificates = stream.get_ref().1.peer_certificates();
        certificates.unwrap()[0].clone()
    };

    let call = station.say(address, b"first");
    let old_flow = opened(&mut flows).await;
    received(&mut flows).await;
    let mut old = call.await.unwrap().unwrap();
    assert_eq!(&shown(&old), before.certificate.der());

    let tls = server_tls(&after, ClientCertificates::Ignored);
    assert!(flows.replace_tls(ListenerId(1), tls.clone()));
    assert!(!flows.replace_tls(ListenerId(2), tls));

    let call = station.say(address, b"second");
    opened(&mut flows).await;
    received(&mut flows).await;
    let new = call.await.unwrap().unwrap();
    assert_eq!(&shown(&new), after.certificate.der());

    old.write_all(b"still here").await.unwrap();
    assert_eq!(
        received(&mut flows).await,
        (old_flow, b"still here".to_vec())
    );
}

/// A resumed session skips the certificates, so it must not survive a new revocation list.
#[tokio::test]
async fn a_revoked_client_cannot_resume_its_session() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let client = authority.issue("station.test");
    let clients = ClientCertificates::Required(authority.trust());
    let (mut flows, address) = serve(server_tls(&gateway, clients));
    let station = Station::new(&authority, Some(&client));

    // The ticket arrives with the first bytes of the server.
    let call = station.clone();
    let call = tokio::spawn(async move {
        let mut stream = call.call(address, "gateway.test").await.unwrap();
        stream.read_exact(&mut [0; 7]).await.unwrap();
    });
    let flow = opened(&mut flows).await;
    flows.outlet().send(&flow, b"welcome").unwrap();
    assert!(matches!(next(&mut flows).await, FlowEvent::Closed { .. }));
    call.await.unwrap();

    // With the ticket it comes in again, and is still known.
    let call = station.say(address, b"again");
    let flow = opened(&mut flows).await;
    assert!(flows.outlet().peer_certificate(flow.connection).is_some());
    received(&mut flows).await;
    drop(call.await.unwrap().unwrap());
    assert!(matches!(next(&mut flows).await, FlowEvent::Closed { .. }));

    let clients = ClientCertificates::Required(authority.trust_but(&[&client]));
    assert!(flows.replace_tls(ListenerId(1), server_tls(&gateway, clients)));
    let call = station.say(address, b"and again");
    let why = refusal(&mut flows).await.to_string();
    assert!(why.contains("Revoked"), "{why}");
    drop(call.await);
}

#[tokio::test]
async fn the_certificate_fits_the_name_the_client_asks_for() {
    let mut authority = Authority::new("authority");
    let first = authority.issue("gateway.test");
    let second = authority.issue("*.site.test");
    let files = server_files(&[&first, &second], ClientCertificates::Ignored);
    let (mut flows, address) = serve(ServerTls::load(&files).unwrap());
    for (asked, expected) in [
        ("gateway.test", Ok(&first)),
        ("door.site.test", Ok(&second)),
        // Unknown names get the first; the client judges.
        ("elsewhere.test", Err(())),
    ] {
        let station = Station::new(&authority, None);
        let call = tokio::spawn(async move { station.call(address, asked).await });
        let event = next(&mut flows).await;
        match (call.await.unwrap(), expected) {
            (Ok(stream), Ok(expected)) => {
                let shown = stream.get_ref().1.peer_certificates().unwrap();
                assert_eq!(&shown[0], expected.certificate.der());
                drop(stream);
                next(&mut flows).await;
            }
            (Err(_), Err(())) => assert!(matches!(event, FlowEvent::Refused { .. })),
            (outcome, _) => panic!("{asked}: {outcome:?}"),
        }
    }
}

fn calling(client: ClientTls) -> Flows {
    Flows::bind(FlowsConfig {
        client_tls: Some(client),
        ..FlowsConfig::default()
    })
    .unwrap()
}

fn client_tls(trust: TrustFiles, certificate: Option<&Issued>) -> ClientTls {
    ClientTls::load(&ClientTlsFiles {
        trust,
        certificate: certificate.map(|issued| issued.files.clone()),
        oldest: TlsVersion::Tls12,
    })
    .unwrap()
}

#[tokio::test]
async fn two_gateways_know_each_other() {
    let mut authority = Authority::new("authority");
    let house = authority.issue("house.test");
    let site = authority.issue("site.test");
    let clients = ClientCertificates::Required(authority.trust());
    let (mut house, address) = serve(server_tls(&house, clients));
    let mut site = calling(client_tls(authority.trust(), Some(&site)));
    let to = Destination {
        transport: Transport::Tls,
        remote: address,
        from: None,
        server_name: Some("house.test".into()),
    };
    let flow = site.outlet().connect(&to).unwrap();
    site.outlet().send(&flow, b"early").unwrap();
    let (at_house, at_site) = tokio::join!(opened(&mut house), opened(&mut site));
    let name_of = |flows: &mut Flows, flow: net::flows::Flow| {
        let identity = flows.outlet().peer_certificate(flow.connection);
        identity.unwrap().dns_names.clone()
    };
    assert_eq!(name_of(&mut house, at_house), ["site.test"]);
    assert_eq!(name_of(&mut site, at_site), ["house.test"]);
    assert_eq!(received(&mut house).await.1, b"early");
    house.outlet().close(at_house.connection);
    let (closed_here, closed_there) = tokio::join!(next(&mut house), next(&mut site));
    let why = CloseReason::Local;
    assert_eq!(
        closed_here,
        FlowEvent::Closed {
            flow: at_house,
            why
        }
    );
    let why = CloseReason::Peer;
    assert_eq!(closed_there, FlowEvent::Closed { flow: at_site, why });
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_is_not_talked_to() {
    let mut authority = Authority::new("authority");
    let house = authority.issue("house.test");
    let strangers = Authority::new("strangers");
    let tls = server_tls(&house, ClientCertificates::Ignored);
    let (mut server, address) = serve(tls);
    for (trust, name, expected) in [
        (authority.trust(), Some("other.test"), "not valid for name"),
        (authority.trust(), None, "not valid for name"),
        (strangers.trust(), Some("house.test"), "UnknownIssuer"),
        (
            authority.trust_but(&[&house]),
            Some("house.test"),
            "Revoked",
        ),
    ] {
        let mut flows = calling(client_tls(trust, None));
        let to = Destination {
            transport: Transport::Tls,
            remote: address,
            from: None,
            server_name: name.map(str::to_owned),
        };
        let flow = flows.outlet().connect(&to).unwrap();
        let (closed, _refused) = tokio::join!(next(&mut flows), next(&mut server));
        let FlowEvent::Closed { flow: closed, why } = closed else {
            panic!("expected an end, got {closed:?}");
        };
        assert_eq!(closed.connection, flow.connection);
        assert!(why.to_string().contains(expected), "{why}");
    }
    let mut flows = calling(client_tls(authority.trust(), None));
    let bad_name = Destination {
        transport: Transport::Tls,
        remote: address,
        from: None,
        server_name: Some("not a name".into()),
    };
    let refused = flows.outlet().connect(&bad_name);
    assert!(refused.unwrap_err().to_string().contains("not a name"));
}

#[tokio::test]
async fn a_listener_speaks_one_thing() {
    let mut authority = Authority::new("authority");
    let gateway = authority.issue("gateway.test");
    let tls = server_tls(&gateway, ClientCertificates::Ignored);
    let flows = Flows::bind(FlowsConfig {
        listeners: vec![
            listener(1, ListenerKind::Tls(tls), "127.0.0.1:0"),
            listener(2, ListenerKind::Tcp, "127.0.0.1:0"),
            listener(3, ListenerKind::Udp, "127.0.0.1:0"),
        ],
        ..FlowsConfig::default()
    })
    .unwrap();
    let mut listeners: Vec<_> = flows
        .listeners()
        .map(|at| (at.id.0, at.transport))
        .collect();
    listeners.sort();
    let expected = [
        (1, Transport::Tls),
        (2, Transport::Tcp),
        (3, Transport::Udp),
    ];
    assert_eq!(listeners, expected);
}
