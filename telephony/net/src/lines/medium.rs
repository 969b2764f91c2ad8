//! What a line runs over, and how it is opened.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::tls::ServerName;
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::serial::SerialSettings;
use crate::descriptor::Descriptor;
use crate::tls::{ClientTls, PeerCertificate, ServerTls};

/// A probe of the kernel finds a peer that vanished: 30 s, then three times 10 s.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// How long connecting and a handshake may take.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// What a line runs over.
#[derive(Clone, Debug)]
pub enum Medium {
    Serial(SerialSettings),
    /// We connect. With TLS, the certificate has to be for `server_name`.
    Connect {
        to: SocketAddr,
        tls: Option<(ClientTls, ServerName<'static>)>,
    },
    ConnectUnix(PathBuf),
    /// The other end connects; a new connection takes the place of an older one.
    Listen {
        at: SocketAddr,
        tls: Option<ServerTls>,
    },
    ListenUnix(PathBuf),
}

/// A medium whose listener, if it has one, is bound.
#[derive(Debug)]
pub struct Bound(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Ours(Dialler),
    Theirs(Listener),
}

/// Opens when it is told to.
#[derive(Debug)]
pub(super) enum Dialler {
    Serial(SerialSettings),
    Tcp {
        to: SocketAddr,
        tls: Option<(ClientTls, ServerName<'static>)>,
    },
    Unix(PathBuf),
}

#[derive(Debug)]
pub(super) enum Listener {
    Tcp {
        socket: StdTcpListener,
        tls: Option<ServerTls>,
    },
    Unix(StdUnixListener),
}

/// Why nobody can be listened for.
#[derive(Debug, Error)]
#[error("a line cannot wait for connections at {place}: {source}")]
pub struct BindError {
    pub place: String,
    pub source: io::Error,
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Something open, and what to call the other end.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    pub(super) peer: String,
    /// Its driver marks wrong octets.
    pub(super) marked: bool,
}

impl Medium {
    /// Binds what others connect to; opens nothing else.
    pub fn bind(self) -> Result<Bound, BindError> {
        Ok(Bound(match self {
            Self::Serial(settings) => Kind::Ours(Dialler::Serial(settings)),
            Self::Connect { to, tls } => Kind::Ours(Dialler::Tcp { to, tls }),
            Self::ConnectUnix(path) => Kind::Ours(Dialler::Unix(path)),
            Self::Listen { at, tls } => {
                let socket = bind_tcp(at).map_err(|source| BindError {
                    place: at.to_string(),
                    source,
                })?;
                Kind::Theirs(Listener::Tcp { socket, tls })
            }
            Self::ListenUnix(path) => {
                let socket = bind_unix(&path).map_err(|source| BindError {
                    place: path.display().to_string(),
                    source,
                })?;
                Kind::Theirs(Listener::Unix(socket))
            }
        }))
    }
}

impl Bound {
    /// Where connections are waited for, with the port that the system chose.
    pub fn local(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Theirs(Listener::Tcp { socket, .. }) => socket.local_addr().ok(),
            Kind::Theirs(Listener::Unix(_)) | Kind::Ours(_) => None,
        }
    }
}

fn bind_tcp(at: SocketAddr) -> io::Result<StdTcpListener> {
    let socket = StdTcpListener::bind(at)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket that an earlier run has left behind is removed; one that answers is not.
fn bind_unix(path: &Path) -> io::Result<StdUnixListener> {
    let left_behind = path
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.file_type().is_socket());
    if left_behind && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let socket = StdUnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Dialler {
    pub(super) async fn open(&self) -> Result<Opened, String> {
        match self {
            Self::Serial(settings) => open_serial(settings),
            Self::Tcp { to, tls } => open_tcp(*to, tls.as_ref()).await,
            Self::Unix(path) => {
                let stream = within(UnixStream::connect(path)).await?;
                Ok(Opened {
                    stream: Box::new(stream),
                    peer: path.display().to_string(),
                    marked: false,
                })
            }
        }
    }
}

fn open_serial(settings: &SerialSettings) -> Result<Opened, String> {
    let stream = settings.open().and_then(Descriptor::new);
    Ok(Opened {
        stream: Box::new(stream.map_err(|error| error.to_string())?),
        peer: settings.device.display().to_string(),
        marked: true,
    })
}

async fn open_tcp(
    to: SocketAddr,
    tls: Option<&(ClientTls, ServerName<'static>)>,
) -> Result<Opened, String> {
    let stream = within(TcpStream::connect(to)).await?;
    set_up(&stream)?;
    let Some((tls, name)) = tls else {
        return Ok(Opened {
            stream: Box::new(stream),
            peer: to.to_string(),
            marked: false,
        });
    };
    let connector = TlsConnector::from(tls.config());
    let stream = within(connector.connect(name.clone(), stream)).await?;
    let peer = named(to, PeerCertificate::of(stream.get_ref().1));
    Ok(Opened {
        stream: Box::new(stream),
        peer,
        marked: false,
    })
}

fn set_up(stream: &TcpStream) -> Result<(), String> {
    let socket = SockRef::from(stream);
    let set = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&KEEP_ALIVE));
    set.map_err(|error| error.to_string())
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(OPEN_WITHIN, step).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", OPEN_WITHIN.as_secs())),
    }
}

fn named(address: SocketAddr, certificate: Option<PeerCertificate>) -> String {
    let name = certificate.and_then(|certificate| {
        let names = certificate.dns_names.into_iter();
        names.chain(certificate.common_name).next()
    });
    match name {
        Some(name) => format!("{address} ({name})"),
        None => address.to_string(),
    }
}

/// A listener within the runtime that serves it.
#[derive(Debug)]
pub(super) enum Accepting {
    Tcp(TcpListener, Option<ServerTls>),
    Unix(UnixListener),
}

/// Somebody who was not let in.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) peer: String,
    pub(super) why: String,
}

/// A connection of which nothing is known yet.
#[derive(Debug)]
pub(super) enum Caller {
    Tcp(TcpStream, SocketAddr, Option<ServerTls>),
    Unix(UnixStream),
}

impl Listener {
    pub(super) fn accepting(self) -> io::Result<Accepting> {
        Ok(match self {
            Self::Tcp { socket, tls } => Accepting::Tcp(TcpListener::from_std(socket)?, tls),
            Self::Unix(socket) => Accepting::Unix(UnixListener::from_std(socket)?),
        })
    }
}

impl Accepting {
    /// Cancel-safe.
    pub(super) async fn next(&self) -> io::Result<Caller> {
        Ok(match self {
            Self::Tcp(listener, tls) => {
                let (stream, from) = listener.accept().await?;
                Caller::Tcp(stream, from, tls.clone())
            }
            Self::Unix(listener) => Caller::Unix(listener.accept().await?.0),
        })
    }
}

impl Caller {
    /// Proves who it is, where that is asked for.
    pub(super) async fn admit(self) -> Result<Opened, Refused> {
        match self {
            Self::Tcp(stream, from, tls) => {
                let peer = from.to_string();
                let admitted = admit_tcp(stream, from, tls).await;
                admitted.map_err(|why| Refused { peer, why })
            }
            Self::Unix(stream) => {
                let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
                Ok(Opened {
                    stream: Box::new(stream),
                    peer: process.map_or_else(
                        || "a local process".to_owned(),
                        |process| format!("process {process}"),
                    ),
                    marked: false,
                })
            }
        }
    }
}

async fn admit_tcp(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<ServerTls>,
) -> Result<Opened, String> {
    set_up(&stream)?;
    let Some(tls) = tls else {
        return Ok(Opened {
            stream: Box::new(stream),
            peer: from.to_string(),
            marked: false,
        });
    };
    let acceptor = TlsAcceptor::from(tls.config());
    let stream = within(acceptor.accept(stream)).await?;
    let peer = named(from, PeerCertificate::of(stream.get_ref().1));
    Ok(Opened {
        stream: Box::new(stream),
        peer,
        marked: false,
    })
}
