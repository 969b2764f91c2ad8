//! One request to the core over HTTPS, on a connection of its own.
//!
//! A device asks rarely: when it is claimed, when its certificate is renewed, when its settings do not
//! fit a message, when somebody wants its log. Invariant: no answer takes more than a minute or more
//! memory than [`LONGEST_ANSWER`].

use std::time::Duration;

use bytes::Bytes;
use contract::enrolment::{CHANNEL_BINDING_LABEL, CHANNEL_BINDING_OCTETS, ChannelBinding};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::tls::{self, TlsError};
use crate::way::{Unreachable, Way};

const LONGEST_ANSWER: usize = 256 * 1024;
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{0} is no address of a core; write https:// and its name")]
    Address(String),
    #[error("the connection to the core broke: {0}; it is tried again")]
    Broken(String),
}

/// Host and port of `https://host[:port]`.
pub(crate) fn place(base: &str) -> Result<(String, u16), AskError> {
    let wrong = || AskError::Address(base.to_owned());
    let uri: Uri = base.parse().map_err(|_| wrong())?;
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    if authority.as_str().contains('@') || !matches!(uri.path(), "" | "/") {
        return Err(wrong());
    }
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    Ok((host.to_owned(), authority.port_u16().unwrap_or(443)))
}

/// A connection, before anything was said on it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    host: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) async fn open(
        way: &Way,
        base: &str,
        mut config: ClientConfig,
    ) -> Result<Self, AskError> {
        let (host, port) = place(base)?;
        // RFC 9266 2: without it, keys of TLS 1.2 may belong to two connections.
        config.require_ems = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = way.to(&host, port).await?;
        let stream = tls::shake_hands(stream, &host, config).await?;
        let host = match port {
            443 => host,
            port if host.contains(':') => format!("[{host}]:{port}"),
            port => format!("{host}:{port}"),
        };
        Ok(Self { stream, host })
    }

    /// What only the two ends of this connection know.
    pub(crate) fn channel(&self) -> Result<ChannelBinding, AskError> {
        let (_, tls) = self.stream.get_ref();
        let exported = [0; CHANNEL_BINDING_OCTETS];
        tls.export_keying_material(exported, CHANNEL_BINDING_LABEL, None)
            .map(ChannelBinding::new)
            .map_err(|error| AskError::Broken(error.to_string()))
    }

    pub(crate) async fn ask(
        self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, AskError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::USER_AGENT, "antiphon-gateway");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(body.into()))
            .map_err(|error| AskError::Address(error.to_string()))?;
        match tokio::time::timeout(ANSWERS_WITHIN, answer(self.stream, request)).await {
            Ok(answered) => answered.map_err(|error| AskError::Broken(error.to_string())),
            Err(_) => Err(AskError::Broken("no answer within a minute".to_owned())),
        }
    }
}

async fn answer(
    stream: TlsStream<TcpStream>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let asked = async move {
        let answer = sender.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    };
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        // It moves the octets; its end may come before the answer was looked at.
        _ = connection => asked.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_core_are_https_and_a_host() {
        assert_eq!(
            place("https://core.example").unwrap(),
            ("core.example".to_owned(), 443)
        );
        assert_eq!(
            place("https://[::1]:8443/").unwrap(),
            ("::1".to_owned(), 8443)
        );
        for wrong in [
            "http://core.example",
            "core.example",
            "https://",
            "https://a@b",
            "https://a/b",
            "",
        ] {
            assert!(matches!(place(wrong), Err(AskError::Address(_))), "{wrong}");
        }
    }
}
