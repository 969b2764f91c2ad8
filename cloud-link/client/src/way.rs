//! The way to the core: straight, or by the HTTP proxy of the house (CONNECT, RFC 9110 9.3.6).
//!
//! What does not work is told in the words of the person who can mend it.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a connection may take to come about.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// A proxy that says more before the tunnel is none.
const LONGEST_HEAD: usize = 8 * 1024;

/// A proxy, as `http://host:3128` or `http://user:password@host:3128`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub host: String,
    pub port: u16,
    pub login: Option<(String, String)>,
}

/// Why a text names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a proxy as http://host:port or http://user:password@host:port")]
pub struct NoProxy;

impl std::fmt::Debug for Proxy {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Proxy({}:{})", self.host, self.port)
    }
}

impl FromStr for Proxy {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let rest = text.strip_prefix("http://").ok_or(NoProxy)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, at) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((login, at)) => {
                let (user, password) = login.split_once(':').ok_or(NoProxy)?;
                (Some((user.to_owned(), password.to_owned())), at)
            }
        };
        let (host, port) = host_and_port(at).ok_or(NoProxy)?;
        Ok(Self { host, port, login })
    }
}

/// `host:port`, with brackets around an address of version 6.
pub(crate) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(address) => address,
        None if host.contains(':') => return None,
        None => host,
    };
    let fits = !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && c != '/');
    fits.then_some((host.to_owned(), port.parse().ok()?))
}

/// Why something cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    #[error("the name {host} is not found; check its spelling and the DNS server of this machine")]
    Name { host: String },
    #[error("{to} refuses the connection; is that the right port, and does a firewall refuse it?")]
    Refused { to: String },
    #[error(
        "{to} does not answer; a firewall between may drop TCP to that port: let it through, or set \
         `cloud.proxy`"
    )]
    Silent { to: String },
    #[error("{to} cannot be reached: {source}")]
    Other { to: String, source: io::Error },
    #[error(
        "the proxy {proxy} does not let us through to {to} ({status}); allow that host and port at \
         the proxy, or correct the login in `cloud.proxy`"
    )]
    Proxy {
        proxy: String,
        to: String,
        status: String,
    },
}

/// How the core is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    pub proxy: Option<Proxy>,
}

impl Way {
    pub(crate) async fn to(&self, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
        let to = format!("{host}:{port}");
        let connecting = async {
            match &self.proxy {
                None => straight(host, port).await,
                Some(proxy) => through(proxy, host, port).await,
            }
        };
        match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(Unreachable::Silent { to }),
        }
    }
}

async fn straight(host: &str, port: u16) -> Result<TcpStream, Unreachable> {
    let addresses = tokio::net::lookup_host((host, port)).await;
    let addresses = addresses.map_err(|_| Unreachable::Name {
        host: host.to_owned(),
    })?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Small documents, answered at once; without it the connection is slower, not wrong.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    let to = format!("{host}:{port}");
    Err(match last {
        None => Unreachable::Name {
            host: host.to_owned(),
        },
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Unreachable::Refused { to }
        }
        Some(error) if error.kind() == io::ErrorKind::TimedOut => Unreachable::Silent { to },
        Some(source) => Unreachable::Other { to, source },
    })
}

async fn through(proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
    let mut stream = straight(&proxy.host, proxy.port).await?;
    let to = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let refused = |status: &str| Unreachable::Proxy {
        proxy: format!("{}:{}", proxy.host, proxy.port),
        to: to.clone(),
        status: status.to_owned(),
    };
    let login = proxy
        .login
        .as_ref()
        .map_or(String::new(), |(user, password)| {
            let login = base64(format!("{user}:{password}").as_bytes());
            format!("Proxy-Authorization: Basic {login}\r\n")
        });
    let asked = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n");
    let said = async {
        stream.write_all(asked.as_bytes()).await?;
        head(&mut stream).await
    };
    let head = said.await.map_err(|error| refused(&error.to_string()))?;
    let status = head
        .split_whitespace()
        .nth(1)
        .unwrap_or("no answer of HTTP");
    match status.starts_with('2') {
        true => Ok(stream),
        false => Err(refused(status)),
    }
}

/// What stands before the tunnel. One octet at a time: what follows belongs to somebody else.
async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return Err(io::Error::other("its answer does not end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// RFC 4648 4.
fn base64(octets: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::prelude::BASE64_STANDARD.encode(octets)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_proxy_is_read_as_people_write_it() {
        let proxy: Proxy = "http://gate:pa:ss@proxy.example:3128/".parse().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 3128));
        assert_eq!(proxy.login, Some(("gate".to_owned(), "pa:ss".to_owned())));
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy.example:3128)");
        let six: Proxy = "http://[fd00::1]:8080".parse().unwrap();
        assert_eq!((six.host.as_str(), six.port), ("fd00::1", 8080));
        for wrong in [
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://::1:1",
            "http://:1",
        ] {
            assert_eq!(wrong.parse::<Proxy>(), Err(NoProxy), "{wrong}");
        }
    }

    async fn answered(answer: &'static str) -> (Result<TcpStream, Unreachable>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let heard = head(&mut stream).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            heard
        });
        let proxy = format!("http://gate:secret@127.0.0.1:{port}")
            .parse()
            .unwrap();
        let way = Way { proxy: Some(proxy) };
        let reached = way.to("core.example", 8883).await;
        (reached, heard.await.unwrap())
    }

    #[tokio::test]
    async fn a_tunnel_begins_right_behind_the_answer_of_the_proxy() {
        let (reached, asked) = answered("HTTP/1.1 200 OK\r\nVia: x\r\n\r\nfirst").await;
        let mut first = [0; 5];
        reached.unwrap().read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"first");
        assert!(
            asked.starts_with("CONNECT core.example:8883 HTTP/1.1\r\n"),
            "{asked}"
        );
        // gate:secret
        assert!(
            asked.contains("Proxy-Authorization: Basic Z2F0ZTpzZWNyZXQ=\r\n"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_named_with_what_to_allow() {
        let (refused, _) = answered("HTTP/1.1 407 No\r\n\r\n").await;
        let told = refused.unwrap_err().to_string();
        assert!(told.contains("core.example:8883 (407)"), "{told}");
        assert!(!told.contains("secret"), "{told}");
        let (nonsense, _) = answered("hello\r\n\r\n").await;
        assert!(matches!(nonsense, Err(Unreachable::Proxy { .. })));
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let way = Way::default();
        let refused = way.to("127.0.0.1", port).await;
        assert!(matches!(refused, Err(Unreachable::Refused { .. })));
        let unknown = way.to("no-such-host.invalid", 1).await;
        assert!(matches!(unknown, Err(Unreachable::Name { .. })));
    }
}
