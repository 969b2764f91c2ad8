//! Finds out what of the way to the core is open: each line of the list that a site's firewall has to
//! let through, tried for real where that is possible from here.
//!
//! Steps, one after the other, so that whoever waits sees each as it comes. Invariant: every line that
//! is not open says exactly what to open.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};

use crate::https;
use crate::tls::{self, TlsError};
use crate::way::{Unreachable, Way};

/// How a line is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// The name of the core is looked up.
    Name,
    /// A connection, by the proxy where there is one.
    Connect,
    /// A connection, straight: proxies for this are rare.
    ConnectStraight,
    /// A question of SNTP.
    Time,
    /// A binding request of STUN.
    Stun,
    /// Only during a call.
    InCall,
}

/// One line of the list.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub service: &'static str,
    pub protocol: &'static str,
    pub port: u16,
    /// Beyond `port` for a range.
    pub port_to: Option<u16>,
    pub purpose: &'static str,
    pub how: Try,
}

const fn line(
    service: &'static str,
    protocol: &'static str,
    port: u16,
    how: Try,
    purpose: &'static str,
) -> Line {
    Line {
        service,
        protocol,
        port,
        port_to: None,
        purpose,
        how,
    }
}

/// What a gateway needs, in the order in which it is tried.
pub const LINES: [Line; 9] = [
    line("DNS", "udp, tcp", 53, Try::Name, "names are looked up"),
    line(
        "HTTPS",
        "tcp",
        443,
        Try::Connect,
        "claiming, configuration, logs, firmware, call signalling",
    ),
    line(
        "MQTTS",
        "tcp",
        8883,
        Try::Connect,
        "claiming, configuration, events, commands",
    ),
    line(
        "HTTP",
        "tcp",
        80,
        Try::Connect,
        "lists of revoked certificates",
    ),
    line("HTTPS", "tcp", 8088, Try::Connect, "logging"),
    line(
        "NTP",
        "udp",
        123,
        Try::Time,
        "the right time, without which no certificate holds",
    ),
    line("SIPS", "tcp", 5061, Try::ConnectStraight, "call signalling"),
    line(
        "STUN",
        "udp",
        3478,
        Try::Stun,
        "the way of media through NAT",
    ),
    Line {
        service: "SRTP",
        protocol: "udp",
        port: 10_000,
        port_to: Some(50_000),
        purpose: "media, during calls only",
        how: Try::InCall,
    },
];

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Open,
    /// Open, by the proxy.
    ByProxy,
    Blocked,
    /// It is there and refuses: nobody offers it at this core.
    NotOffered,
    NotTried,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "ok",
            Self::ByProxy => "proxy",
            Self::Blocked => "blocked",
            Self::NotOffered => "not offered",
            Self::NotTried => "not tried",
        }
    }
}

/// A line, tried.
#[derive(Clone, Debug)]
pub struct Reached {
    pub line: Line,
    pub host: String,
    pub port: String,
    pub outcome: Outcome,
    /// What was found.
    pub said: Option<String>,
    /// What to open, where it is not.
    pub open: Option<String>,
}

/// An answer to a datagram comes within this.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Tries one line towards the core at `base`, whose own port of HTTPS may be another.
pub async fn look(way: &Way, base: &str, nth: usize) -> Reached {
    let line = LINES[nth.min(LINES.len() - 1)];
    let (host, https) = match https::place(base) {
        Ok(place) => place,
        Err(error) => return blocked(line, base.to_owned(), line.port, error.to_string()),
    };
    let port = match line.port {
        443 => https,
        other => other,
    };
    let reached = |outcome, said: Option<String>| Reached {
        line,
        host: host.clone(),
        port: ports(line, port),
        outcome,
        said,
        open: None,
    };
    let open = match way.proxy {
        Some(_) => Outcome::ByProxy,
        None => Outcome::Open,
    };
    let straight = Way::default();
    match line.how {
        // A proxy looks names up by itself.
        Try::Name if way.proxy.is_some() => reached(Outcome::ByProxy, None),
        Try::Name => match tokio::net::lookup_host((host.clone(), port)).await {
            Ok(mut found) => {
                let found = found.next().map(|address| address.ip().to_string());
                reached(Outcome::Open, found)
            }
            Err(error) => blocked(line, host, port, error.to_string()),
        },
        Try::Connect | Try::ConnectStraight => {
            let (way, open) = match line.how {
                Try::ConnectStraight => (&straight, Outcome::Open),
                _ => (way, open),
            };
            match way.to(&host, port).await {
                Ok(stream) => match inspected(line, stream, &host).await {
                    None => reached(open, None),
                    Some(said) => blocked(line, host.clone(), port, said),
                },
                Err(Unreachable::Refused { .. }) => reached(Outcome::NotOffered, None),
                Err(error) => blocked(line, host.clone(), port, error.to_string()),
            }
        }
        Try::Time => asked(line, &host, port, &sntp()).await,
        Try::Stun => asked(line, &host, port, &stun()).await,
        Try::InCall => reached(Outcome::NotTried, None),
    }
}

/// TLS of HTTPS is shaken hands with for real: who shows another certificate, inspects. An authority
/// of the core's own is no finding here; the claim judges it.
async fn inspected(line: Line, stream: TcpStream, host: &str) -> Option<String> {
    if line.service != "HTTPS" || line.port != 443 {
        return None;
    }
    let config = tls::first_contact(None).ok()?;
    match tls::shake_hands(stream, host, config).await {
        Ok(_) | Err(TlsError::Authority { .. } | TlsError::NoName(_)) => None,
        Err(error) => Some(error.to_string()),
    }
}

async fn asked(line: Line, host: &str, port: u16, question: &[u8]) -> Reached {
    let answered = async {
        let address: SocketAddr = tokio::net::lookup_host((host, port))
            .await?
            .next()
            .ok_or_else(|| std::io::Error::other("the name has no address"))?;
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        socket.send(question).await?;
        let mut answer = [0; 512];
        socket.recv(&mut answer).await
    };
    let host = host.to_owned();
    match tokio::time::timeout(ANSWERS_WITHIN, answered).await {
        Ok(Ok(_)) => Reached {
            line,
            host,
            port: ports(line, port),
            outcome: Outcome::Open,
            said: None,
            open: None,
        },
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => Reached {
            line,
            host,
            port: ports(line, port),
            outcome: Outcome::NotOffered,
            said: None,
            open: None,
        },
        Ok(Err(error)) => blocked(line, host, port, error.to_string()),
        Err(_) => blocked(line, host, port, "no answer".to_owned()),
    }
}

fn blocked(line: Line, host: String, port: u16, said: String) -> Reached {
    let ports = ports(line, port);
    let open = format!(
        "allow {} to {host} port {ports}, from this machine outwards: {}",
        line.protocol, line.purpose
    );
    Reached {
        line,
        host,
        port: ports,
        outcome: Outcome::Blocked,
        said: Some(said),
        open: Some(open),
    }
}

fn ports(line: Line, port: u16) -> String {
    match line.port_to {
        None => port.to_string(),
        Some(to) => format!("{port}-{to}"),
    }
}

/// RFC 4330 5: version 4, a client; the rest may be zero.
fn sntp() -> [u8; 48] {
    let mut question = [0; 48];
    question[0] = 0b00_100_011;
    question
}

/// RFC 8489 5: a binding request without attributes.
fn stun() -> [u8; 20] {
    let mut question = [0; 20];
    question[1] = 1;
    question[4..8].copy_from_slice(&0x2112_a442_u32.to_be_bytes());
    question[8..].copy_from_slice(b"antiphontest");
    question
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn d1_a_line_that_is_not_open_says_what_to_open() {
        let way = Way::default();
        let reached = look(&way, "https://no-such-core.invalid", 2).await;
        assert_eq!(reached.outcome, Outcome::Blocked);
        let open = reached.open.unwrap();
        assert!(
            open.contains("tcp to no-such-core.invalid port 8883"),
            "{open}"
        );
        let wrong = look(&way, "core.example", 1).await;
        assert!(wrong.said.unwrap().contains("https://"));
    }

    #[tokio::test]
    async fn d1_what_answers_is_open_and_what_refuses_is_not_offered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Way::default();
        let name = look(&way, &format!("https://127.0.0.1:{port}"), 0).await;
        assert_eq!(
            (name.outcome, name.said.as_deref()),
            (Outcome::Open, Some("127.0.0.1"))
        );
        drop(listener);
        let refused = look(&way, &format!("https://127.0.0.1:{port}"), 1).await;
        assert_eq!(refused.outcome, Outcome::NotOffered);
        assert_eq!(refused.port, port.to_string());
    }

    #[test]
    fn d1_every_line_is_tried_or_says_that_it_is_not() {
        let tried: Vec<_> = LINES.iter().map(|line| (line.service, line.port)).collect();
        for expected in [
            ("DNS", 53),
            ("HTTP", 80),
            ("HTTPS", 443),
            ("HTTPS", 8088),
            ("MQTTS", 8883),
            ("NTP", 123),
            ("SIPS", 5061),
            ("SRTP", 10_000),
            ("STUN", 3478),
        ] {
            assert!(tried.contains(&expected), "{expected:?}");
        }
    }
}
