//! Lines over TCP, TLS and Unix sockets.

use std::net::SocketAddr;

use net::lines::{LineEnd, Medium};
use net::tls::{
    ClientCertificates, ClientTls, ClientTlsFiles, ServerTls, ServerTlsFiles, TlsVersion,
};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::authority::Authority;
use crate::support::Line;

const ANYWHERE: &str = "127.0.0.1:0";

fn server_tls(authority: &mut Authority) -> ServerTls {
    ServerTls::load(&ServerTlsFiles {
        certificates: vec![authority.issue("gateway.test").files],
        clients: ClientCertificates::Required(authority.trust()),
        oldest: TlsVersion::Tls13,
    })
    .unwrap()
}

fn client_tls(authority: &mut Authority, own: Option<&str>) -> ClientTls {
    let certificate = own.map(|name| authority.issue(name).files);
    ClientTls::load(&ClientTlsFiles {
        trust: authority.trust(),
        certificate,
        oldest: TlsVersion::Tls13,
    })
    .unwrap()
}

fn calling(to: SocketAddr, tls: Option<ClientTls>) -> Line {
    let name = ServerName::try_from("gateway.test").unwrap();
    let tls = tls.map(|tls| (tls, name));
    let line = Line::over(Medium::Connect { to, tls });
    line.handle.open();
    line
}

fn waiting(tls: Option<ServerTls>) -> (Line, SocketAddr) {
    let at = ANYWHERE.parse().unwrap();
    let line = Line::over(Medium::Listen { at, tls });
    let local = line.local.unwrap();
    (line, local)
}

async fn they_talk(one: &mut Line, other: &mut Line) {
    one.send(b"ping");
    assert_eq!(other.received(4).await, b"ping");
    other.send(b"pong");
    assert_eq!(one.received(4).await, b"pong");
}

#[tokio::test]
async fn two_ends_talk_over_tcp_and_one_hears_when_the_other_closes() {
    let (mut server, at) = waiting(None);
    let mut client = calling(at, None);
    client.opened().await;
    server.opened().await;
    they_talk(&mut client, &mut server).await;
    client.handle.close();
    assert!(matches!(server.closed().await, LineEnd::ByPeer));
    client.handle.open();
    client.opened().await;
    server.opened().await;
    they_talk(&mut server, &mut client).await;
    server.finish().await;
    client.finish().await;
}

#[tokio::test]
async fn nobody_at_the_other_end_is_an_attempt_that_failed() {
    let unused = std::net::TcpListener::bind(ANYWHERE).unwrap();
    let at = unused.local_addr().unwrap();
    drop(unused);
    let mut client = calling(at, None);
    assert!(matches!(client.closed().await, LineEnd::NotOpened(_)));
    assert_eq!(client.counters().failures, 1);
}

#[tokio::test]
async fn both_ends_prove_who_they_are() {
    let mut authority = Authority::new("of the site");
    let (mut server, at) = waiting(Some(server_tls(&mut authority)));
    let mut client = calling(at, Some(client_tls(&mut authority, Some("server.test"))));
    assert_eq!(client.opened().await, format!("{at} (gateway.test)"));
    let peer = server.opened().await;
    assert!(peer.ends_with("(server.test)"), "{peer}");
    they_talk(&mut client, &mut server).await;
}

#[tokio::test]
async fn who_has_no_certificate_or_one_of_a_stranger_is_not_let_in() {
    let mut authority = Authority::new("of the site");
    let mut stranger = Authority::new("of somebody else");
    let (mut server, at) = waiting(Some(server_tls(&mut authority)));
    for tls in [client_tls(&mut authority, None), {
        // It believes our authority, and shows a certificate of another one.
        let foreign = stranger.issue("server.test").files;
        ClientTls::load(&ClientTlsFiles {
            trust: authority.trust(),
            certificate: Some(foreign),
            oldest: TlsVersion::Tls13,
        })
        .unwrap()
    }] {
        // In TLS 1.3 a client takes itself for connected before the server has looked at it.
        let mut client = calling(at, Some(tls));
        client.closed_whatever_came_before().await;
    }
    let mut calling_in_clear = calling(at, None);
    calling_in_clear.opened().await;
    calling_in_clear.send(b"this is no handshake at all");
    calling_in_clear.closed_whatever_came_before().await;
    let mut client = calling(at, Some(client_tls(&mut authority, Some("server.test"))));
    client.opened().await;
    server.opened().await;
    assert_eq!(server.refused.len(), 3, "{:?}", server.refused);
    assert_eq!(server.counters().failures, 3);
    assert_eq!(server.counters().octets_in, 0);
}

#[tokio::test]
async fn who_is_slow_to_prove_who_it_is_keeps_nobody_waiting() {
    let mut authority = Authority::new("of the site");
    let (mut server, at) = waiting(Some(server_tls(&mut authority)));
    let mut silent = calling(at, None);
    silent.opened().await;
    let mut client = calling(at, Some(client_tls(&mut authority, Some("server.test"))));
    client.opened().await;
    server.opened().await;
    they_talk(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_server_with_a_certificate_of_a_stranger_is_not_believed() {
    let mut authority = Authority::new("of the site");
    let mut stranger = Authority::new("of somebody else");
    let (_server, at) = waiting(Some(server_tls(&mut stranger)));
    let mut client = calling(at, Some(client_tls(&mut authority, Some("server.test"))));
    let LineEnd::NotOpened(why) = client.closed().await else {
        panic!("a stranger was believed");
    };
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn who_comes_back_takes_the_place_of_its_old_connection() {
    let (mut server, at) = waiting(None);
    let mut first = calling(at, None);
    first.opened().await;
    server.opened().await;
    let mut second = calling(at, None);
    second.opened().await;
    assert!(matches!(server.closed().await, LineEnd::Replaced));
    server.opened().await;
    they_talk(&mut second, &mut server).await;
    assert!(matches!(first.closed().await, LineEnd::ByPeer));
}

#[tokio::test]
async fn two_ends_talk_over_a_unix_socket_that_was_left_behind() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("line.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut server = Line::over(Medium::ListenUnix(path.clone()));
    let mut client = Line::over(Medium::ConnectUnix(path.clone()));
    client.handle.open();
    client.opened().await;
    assert!(server.opened().await.starts_with("process "));
    they_talk(&mut client, &mut server).await;
    // One that answers is not taken away.
    assert!(Medium::ListenUnix(path.clone()).bind().is_err());
    assert!(UnixStream::connect(&path).await.is_ok());
}

#[tokio::test]
async fn a_slow_owner_slows_the_other_end_and_nothing_is_lost() {
    let (mut server, at) = waiting(None);
    let mut client = calling(at, None);
    client.opened().await;
    server.opened().await;
    let sent: Vec<u8> = (0..400_000_u32).map(|n| (n % 253) as u8).collect();
    for piece in sent.chunks(1000) {
        client.send(piece);
    }
    assert_eq!(server.received(sent.len()).await, sent);
}
