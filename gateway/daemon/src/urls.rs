//! Opens doors that are opened by a request to a device in the local segment.
//!
//! One GET, no redirects, and only the status counts. Invariants: a request is not sent after its
//! time is over, never twice, and every one is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use exchange::{UrlReply, UrlRequest};
use http_body_util::Empty;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use model::{CommandId, HttpUrl};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::control::protocol::Reply;
use crate::operator;

/// Requests on their way at a time.
const AT_ONCE: usize = 16;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UrlAnswered {
    pub(crate) command: CommandId,
    pub(crate) reply: UrlReply,
}

/// The page of a station is to be asked for; not a door.
#[derive(Debug)]
pub(crate) struct RemoteOrder {
    pub(crate) url: HttpUrl,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// How long a station's page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(5);

/// Carries requests out until cancelled or nobody can ask any more.
pub(crate) async fn serve(
    mut requests: mpsc::Receiver<UrlRequest>,
    mut remotes: mpsc::Receiver<RemoteOrder>,
    answers: mpsc::Sender<UrlAnswered>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let request = tokio::select! {
            () = stop.cancelled() => return,
            request = requests.recv() => request,
            Some(order) = remotes.recv() => {
                let place = Arc::clone(&places).try_acquire_owned();
                tokio::spawn(async move {
                    ask_page(order, place.is_ok()).await;
                    drop(place);
                });
                continue;
            }
        };
        let Some(request) = request else { return };
        let place = Arc::clone(&places).try_acquire_owned();
        let answers = answers.clone();
        tokio::spawn(async move {
            let reply = match place {
                Ok(_place) => open(&request).await,
                Err(_) => {
                    tracing::warn!("too many doors are being opened by URL at once");
                    UrlReply::Refused
                }
            };
            let command = request.command;
            // The main loop takes answers as long as it lives.
            let _ = answers.send(UrlAnswered { command, reply }).await;
        });
    }
}

async fn ask_page(order: RemoteOrder, has_place: bool) {
    let asked = match has_place {
        true => tokio::time::timeout(PAGE_WITHIN, get(order.url.as_str())).await,
        false => Ok(Err(anyhow::anyhow!("too many pages are asked for at once"))),
    };
    let reply = match asked {
        Ok(Ok(())) => operator::done("the station has taken it"),
        Ok(Err(error)) => operator::page_refused(&format!("{error:#}")),
        Err(_) => operator::page_refused("the station has not answered in time"),
    };
    // Whoever asked may have left.
    let _ = order.reply.send(reply);
}

async fn open(request: &UrlRequest) -> UrlReply {
    match tokio::time::timeout(request.within, get(request.url.as_str())).await {
        Ok(Ok(())) => UrlReply::Accepted,
        Ok(Err(error)) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "a door could not be opened by URL"
            );
            UrlReply::Refused
        }
        Err(_) => {
            tracing::warn!(
                within = ?request.within,
                "the device that opens a door has not answered in time"
            );
            UrlReply::Refused
        }
    }
}

async fn get(url: &str) -> anyhow::Result<()> {
    let url: Uri = url.parse()?;
    let Some(authority) = url.authority().cloned() else {
        anyhow::bail!("the URL names no host");
    };
    let (login, host) = match authority.as_str().rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority.as_str()),
    };
    let stream = connect(authority.host(), authority.port_u16().unwrap_or(80)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, "antiphon-gateway");
    if let Some(login) = login {
        request = request.header(AUTHORIZATION, basic(login)?);
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let mut response = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut response => response?,
        // It moves the bytes; its end may come with the answer or in its place.
        ended = connection => {
            ended?;
            response.await?
        }
    };
    let status = response.status();
    anyhow::ensure!(status.is_success(), "the device answered {status}");
    Ok(())
}

async fn connect(host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = SocketAddr::new(
        host.parse()
            .map_err(|_| anyhow::anyhow!("the host of the URL is no IP address"))?,
        port,
    );
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    stay_local(&socket, address)?;
    let connected = socket.connect(address).await;
    connected.with_context(|| format!("the device at {address} is not in a local segment, or off"))
}

/// Passwords travel readable and doors obey: what is sent passes no router. The kernel refuses what
/// has to go through one, and a router what comes with a hop limit of 1.
fn stay_local(socket: &TcpSocket, address: SocketAddr) -> anyhow::Result<()> {
    setsockopt(socket, sockopt::DontRoute, &true)?;
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4Ttl, &1)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6Ttl, &1)?,
    }
    Ok(())
}

/// RFC 7617 2, of what stands before the @ of a URL.
fn basic(login: &str) -> anyhow::Result<HeaderValue> {
    let text = BASE64_STANDARD.encode(unescaped(login));
    let mut value = HeaderValue::from_str(&format!("Basic {text}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 3986 2.1; what is no escape stays as it is.
fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let digits = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(octet) => {
                plain.push(octet);
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of a request to a device that answers with this line, or not at all.
    async fn asked(answer: Option<&'static str>) -> (UrlReply, String) {
        let device = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/relay/1?on", device.local_addr().unwrap());
        let request = UrlRequest {
            command: CommandId::new(7),
            url: HttpUrl::parse(&url).unwrap(),
            within: match answer {
                Some(_) => Duration::from_secs(60),
                None => Duration::from_millis(50),
            },
        };
        let device = tokio::spawn(async move {
            let (mut stream, _) = device.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            match answer {
                Some(line) => stream.write_all(line.as_bytes()).await.unwrap(),
                // Until the other side has had enough.
                None => drop(stream.read(&mut head).await),
            }
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        let reply = open(&request).await;
        (reply, device.await.unwrap())
    }

    #[tokio::test]
    async fn a_device_that_says_yes_has_opened() {
        let (reply, head) = asked(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
        assert_eq!(reply, UrlReply::Accepted);
        assert!(head.starts_with("GET /relay/1?on HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("host: 127.0.0.1:"), "{head}");
    }

    #[tokio::test]
    async fn a_password_goes_as_basic_and_not_as_part_of_the_host() {
        let device = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = device.local_addr().unwrap();
        let url = format!("http://remote:open%20sesame@{at}/relay");
        let asked = tokio::spawn(async move { get(&url).await });
        let (mut stream, _) = device.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..length]).into_owned();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        drop(stream);
        asked.await.unwrap().unwrap();
        assert!(head.contains(&format!("host: {at}\r\n")), "{head}");
        // "remote:open sesame", RFC 7617.
        assert!(
            head.contains("authorization: Basic cmVtb3RlOm9wZW4gc2VzYW1l\r\n"),
            "{head}"
        );
        assert!(!head.contains("sesame"), "{head}");
    }

    #[tokio::test]
    async fn what_would_pass_a_router_is_not_asked() {
        let socket = TcpSocket::new_v4().unwrap();
        let beyond = "198.51.100.7:80".parse().unwrap();
        stay_local(&socket, beyond).unwrap();
        assert!(nix::sys::socket::getsockopt(&socket, sockopt::DontRoute).unwrap());
        assert_eq!(
            nix::sys::socket::getsockopt(&socket, sockopt::Ipv4Ttl).unwrap(),
            1
        );
        // No segment of any machine has the addresses of examples.
        let refused = connect("198.51.100.7", 80).await.unwrap_err();
        assert!(
            format!("{refused:#}").contains("not in a local segment"),
            "{refused:#}"
        );
    }

    #[tokio::test]
    async fn anything_else_is_a_refusal() {
        for answer in ["HTTP/1.1 403 No\r\n\r\n", "nonsense\r\n\r\n", ""] {
            assert_eq!(asked(Some(answer)).await.0, UrlReply::Refused, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_device_that_says_nothing_is_not_waited_for() {
        assert_eq!(asked(None).await.0, UrlReply::Refused);
    }
}
