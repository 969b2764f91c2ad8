//! One hop of a Via header (RFC 3261 20.42), with `received` and `rport`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::grammar;
use super::host::{Host, HostRef};
use super::params::{self, Params};
use super::uri::parse_port;

/// One Via value. Written as `SIP/2.0/TRANSPORT host:port;params`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Via {
    pub transport: ViaTransport,
    pub host: Host,
    pub port: Option<u16>,
    pub params: Params,
}

/// The transport a Via names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ViaTransport {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
    /// A token outside the above, as written.
    Other(Box<str>),
}

/// Why a text is no Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViaError {
    #[error("does not begin with SIP/2.0/transport")]
    Protocol,
    #[error("the sent-by host is missing or malformed")]
    Host,
    #[error("the sent-by port is not a number from 1 to 65535")]
    Port,
    #[error("parameters are malformed")]
    Params,
}

impl Via {
    /// What RFC 3261 branches begin with; others are of RFC 2543 elements (17.2.3).
    pub const MAGIC_COOKIE: &str = "z9hG4bK";

    pub fn new(transport: ViaTransport, host: Host, port: Option<u16>, branch: &str) -> Self {
        Self {
            transport,
            host,
            port,
            params: Params::default().with("branch", Some(branch)),
        }
    }

    /// Reads one element, without list commas around it.
    pub fn parse(text: &[u8]) -> Result<Self, ViaError> {
        let via = ViaRef::read(text)?;
        Ok(Self {
            transport: ViaTransport::parse(via.transport).ok_or(ViaError::Protocol)?,
            host: via.host.into(),
            port: via.port,
            params: Params::parse(via.params).ok_or(ViaError::Params)?,
        })
    }

    /// Judges without building.
    pub(crate) fn check(text: &[u8]) -> Result<(), ViaError> {
        let via = ViaRef::read(text)?;
        params::check(via.params).map(drop).ok_or(ViaError::Params)
    }

    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch")
    }

    /// The branch, when it may serve as a transaction id: the magic cookie and something behind it
    /// (RFC 3261 8.1.1.7; RFC 4475 3.1.2.6 sends the bare cookie).
    pub fn rfc3261_branch(&self) -> Option<&str> {
        self.branch()
            .filter(|b| b.len() > Self::MAGIC_COOKIE.len() && b.starts_with(Self::MAGIC_COOKIE))
    }

    /// The source address the next hop saw; brackets around IPv6 are optional (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        Host::parse_lenient(self.params.value("received")?)?.ip()
    }

    pub fn has_rport(&self) -> bool {
        self.params.has("rport")
    }

    pub fn rport(&self) -> Option<u16> {
        parse_port(self.params.value("rport")?.as_bytes())
    }

    pub fn maddr(&self) -> Option<Host> {
        Host::parse_lenient(self.params.value("maddr")?)
    }

    /// Notes where the request came from: `received` when it differs from sent-by or `rport` is
    /// wanted (RFC 3261 18.2.1, RFC 3581 4), `rport` when wanted.
    pub fn note_source(&mut self, source: SocketAddr) {
        // A socket for both families shows IPv4 senders as `::ffff:192.0.2.1`.
        let address = source.ip().to_canonical();
        let wanted = self.has_rport();
        if wanted || self.host.ip().map(|ip| ip.to_canonical()) != Some(address) {
            // RFC 5118 4.5: no brackets here.
            self.params.set("received", Some(&address.to_string()));
        } else {
            self.params.remove("received");
        }
        if wanted {
            self.params.set("rport", Some(&source.port().to_string()));
        }
    }
}

/// The parts of a Via, still lying in its text.
struct ViaRef<'a> {
    transport: &'a [u8],
    host: HostRef<'a>,
    port: Option<u16>,
    params: &'a [u8],
}

impl<'a> ViaRef<'a> {
    /// RFC 3261 25.1 `via-parm`; the parameters are not judged yet.
    fn read(text: &'a [u8]) -> Result<Self, ViaError> {
        let (name, rest) = protocol_part(text)?;
        let (version, rest) = protocol_part(rest)?;
        let rest = grammar::trim_start(rest);
        if !name.eq_ignore_ascii_case(b"SIP") || version != b"2.0" {
            return Err(ViaError::Protocol);
        }
        let len = rest
            .iter()
            .position(|b| !grammar::is_token_byte(*b))
            .unwrap_or(rest.len());
        let (transport, rest) = rest.split_at(len);
        if transport.is_empty() {
            return Err(ViaError::Protocol);
        }
        if !rest.starts_with(b" ") && !rest.starts_with(b"\t") {
            return Err(ViaError::Host);
        }
        // No quoted string can stand before the first `;`.
        let end = rest.iter().position(|b| *b == b';').unwrap_or(rest.len());
        let (host, port) = sent_by(grammar::trim(&rest[..end]))?;
        Ok(Self {
            transport,
            host,
            port,
            params: &rest[end..],
        })
    }
}

/// `text / rest`, white space around the slash allowed (RFC 3261 25.1 `SLASH`).
fn protocol_part(text: &[u8]) -> Result<(&[u8], &[u8]), ViaError> {
    let slash = text
        .iter()
        .position(|b| *b == b'/')
        .ok_or(ViaError::Protocol)?;
    Ok((grammar::trim(&text[..slash]), &text[slash + 1..]))
}

fn sent_by(text: &[u8]) -> Result<(HostRef<'_>, Option<u16>), ViaError> {
    let text = str::from_utf8(text).map_err(|_| ViaError::Host)?;
    let (host, port) = match text.find(']') {
        Some(close) => {
            let (host, rest) = text.split_at(close + 1);
            match grammar::trim(rest.as_bytes()) {
                [] => (host, None),
                [b':', port @ ..] => (host, Some(port)),
                _ => return Err(ViaError::Host),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port.as_bytes())),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => Some(parse_port(grammar::trim(port)).ok_or(ViaError::Port)?),
        None => None,
    };
    Ok((
        HostRef::parse(grammar::trim_str(host)).ok_or(ViaError::Host)?,
        port,
    ))
}

impl ViaTransport {
    fn parse(text: &[u8]) -> Option<Self> {
        Some(match text {
            _ if text.eq_ignore_ascii_case(b"UDP") => Self::Udp,
            _ if text.eq_ignore_ascii_case(b"TCP") => Self::Tcp,
            _ if text.eq_ignore_ascii_case(b"TLS") => Self::Tls,
            _ if text.eq_ignore_ascii_case(b"WS") => Self::Ws,
            _ if text.eq_ignore_ascii_case(b"WSS") => Self::Wss,
            _ if grammar::is_token(text) => Self::Other(str::from_utf8(text).ok()?.into()),
            _ => return None,
        })
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}
