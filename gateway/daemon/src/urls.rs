//! Opens doors that are opened by a request to a device in the local segment.
//!
//! One GET, no redirects, and only the status counts. Invariants: a request is not sent after its
//! time is over, never twice, and every one is answered.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use gateway_core::{UrlReply, UrlRequest};
use http_body_util::Empty;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use model::CommandId;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Requests on their way at a time.
const AT_ONCE: usize = 16;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UrlAnswered {
    pub(crate) command: CommandId,
    pub(crate) reply: UrlReply,
}

/// Carries requests out until cancelled or nobody can ask any more.
pub(crate) async fn serve(
    mut requests: mpsc::Receiver<UrlRequest>,
    answers: mpsc::Sender<UrlAnswered>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let request = tokio::select! {
            () = stop.cancelled() => return,
            request = requests.recv() => request,
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
    let stream = connect(authority.host(), authority.port_u16().unwrap_or(80)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .header(USER_AGENT, "antiphon-gateway")
        .body(Empty::<Bytes>::new())?;
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
    Ok(TcpStream::connect(address).await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of a request to a device that answers with this line, or not at all.
    async fn asked(answer: Option<&'static str>) -> (UrlReply, String) {
        let device = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/relay/1?on", device.local_addr().unwrap());
        let request = UrlRequest {
            command: CommandId::new(7),
            url: model::HttpUrl::parse(&url).unwrap(),
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
