//! TLS of one device, with buffers only while there is something in them.
//!
//! The usual stream of rustls keeps 4 kB for the next read of each connection; most devices say
//! nothing most of the time, so here the octets that come and go are held by us and let go.
//! Deliberately not here: whose certificate it is. Invariant: what is held of a connection is
//! bounded by one flight of a handshake, and by one record after it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// Read at once; on the stack.
const PIECE: usize = 4096;

/// The most that may wait to be understood: a handshake message in pieces. rustls itself takes no
/// longer one.
const INCOMING: usize = 0xffff + PIECE;

/// Encrypted at once: a record.
const RECORD: usize = 16 * 1024;

/// What a record is longer than what is in it.
const OVERHEAD: usize = 64;

/// A connection whose handshake is done.
pub(super) struct Tls<S> {
    under: S,
    tls: UnbufferedServerConnection,
    /// Came, and is no whole record yet.
    incoming: Vec<u8>,
    /// Understood, and not read yet.
    plain: Vec<u8>,
    /// To be written.
    outgoing: Vec<u8>,
    closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tls<S> {
    /// Shakes hands. On the heap: it goes through several hands, and each would have a place for it.
    pub(super) async fn accept(config: Arc<ServerConfig>, under: S) -> io::Result<Box<Self>> {
        let mut tls = Box::new(Self {
            under,
            tls: UnbufferedServerConnection::new(config).map_err(io::Error::other)?,
            incoming: Vec::new(),
            plain: Vec::new(),
            outgoing: Vec::new(),
            closed: false,
        });
        while tls.tls.is_handshaking() && !tls.closed {
            let read = std::future::poll_fn(|context| tls.poll_more(context)).await;
            // The alert that says what is wrong is the last thing that is said.
            tls.flush().await?;
            read?;
        }
        if tls.closed {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(tls)
    }

    /// The certificate that was shown.
    pub(super) fn shown(&self) -> Option<CertificateDer<'static>> {
        let shown = self.tls.peer_certificates().and_then(<[_]>::first);
        shown.map(|shown| shown.clone().into_owned())
    }

    /// Takes what has come, and understands what is whole of it.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let mut read = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.under).poll_read(context, &mut read))?;
        if read.filled().is_empty() {
            self.closed = true;
            return Poll::Ready(Ok(()));
        }
        if self.incoming.len() + read.filled().len() > INCOMING {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.incoming.extend_from_slice(read.filled());
        Poll::Ready(self.understand())
    }

    fn understand(&mut self) -> io::Result<()> {
        let mut failed = Ok(());
        loop {
            let UnbufferedStatus { discard, state } =
                self.tls.process_tls_records(&mut self.incoming);
            let more = match state {
                Ok(ConnectionState::ReadTraffic(mut records)) => {
                    while let Some(record) = records.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        self.plain.extend_from_slice(record.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.outgoing, 0, |room| {
                        data.encode(room).map_err(|error| match error {
                            EncodeError::InsufficientSize(size) => Some(size),
                            EncodeError::AlreadyEncoded => None,
                        })
                    })?;
                    true
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    // It is in `outgoing`, and that leaves before more is read.
                    data.done();
                    true
                }
                Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => false,
                Ok(_) => {
                    self.closed = true;
                    false
                }
                // Once more, for the alert.
                Err(error) if failed.is_ok() => {
                    failed = Err(io::Error::new(io::ErrorKind::InvalidData, error));
                    true
                }
                Err(_) => false,
            };
            self.incoming.drain(..discard);
            if !more {
                break;
            }
        }
        let_go(&mut self.incoming);
        failed
    }

    /// One record of what is to be said.
    fn encrypt(&mut self, octets: &[u8]) -> io::Result<usize> {
        let octets = &octets[..octets.len().min(RECORD)];
        let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut self.incoming);
        let taken = match state.map_err(io::Error::other)? {
            ConnectionState::WriteTraffic(mut traffic) => {
                append(&mut self.outgoing, octets.len() + OVERHEAD, |room| {
                    traffic.encrypt(octets, room).map_err(|error| match error {
                        EncryptError::InsufficientSize(size) => Some(size),
                        EncryptError::EncryptExhausted => None,
                    })
                })?;
                octets.len()
            }
            _ => return Err(io::ErrorKind::NotConnected.into()),
        };
        self.incoming.drain(..discard);
        Ok(taken)
    }

    fn poll_outgoing(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.under).poll_write(context, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..written);
        }
        let_go(&mut self.outgoing);
        Poll::Ready(Ok(()))
    }
}

/// Appends what `write` writes into the room it is given; it may ask for more room once.
fn append(
    to: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> io::Result<()> {
    let begin = to.len();
    to.resize(begin + room, 0);
    let written = match write(&mut to[begin..]) {
        Err(Some(size)) => {
            to.resize(begin + size.required_size, 0);
            write(&mut to[begin..])
        }
        written => written,
    };
    to.truncate(begin + written.as_ref().copied().unwrap_or(0));
    written
        .map(drop)
        .map_err(|_| io::Error::other("no more can be encrypted"))
}

/// An empty buffer keeps no memory.
fn let_go(buffer: &mut Vec<u8>) {
    if buffer.is_empty() {
        *buffer = Vec::new();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.plain.is_empty() && !self.closed {
            let more = self.poll_more(context);
            // What is to be answered in the protocol itself; what does not leave now leaves with more.
            let _ = self.poll_outgoing(context)?;
            ready!(more)?;
        }
        let count = self.plain.len().min(into.remaining());
        into.put_slice(&self.plain[..count]);
        self.plain.drain(..count);
        let_go(&mut self.plain);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tls<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_outgoing(context))?;
        let taken = self.encrypt(octets)?;
        // It may wait for `flush`.
        let _ = self.poll_outgoing(context)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_outgoing(context))?;
        Pin::new(&mut self.under).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_outgoing(context))?;
        Pin::new(&mut self.under).poll_shutdown(context)
    }
}
