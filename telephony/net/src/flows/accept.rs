//! One TCP or TLS listener, polled by the owner. What it accepts becomes a connection or is closed
//! at once; when there are too many handshakes one waits here and the others in the kernel.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, Sleep, sleep};
use tokio_rustls::TlsAcceptor;

use super::config::{Dscp, ListenerSocket, StreamSettings};
use super::connection::Start;
use super::connections::Connections;
use super::counters::Counters;
use super::flow::{ListenerId, Transport};
use super::sockets::{self, BindError};
use crate::tls::ServerTls;

/// Connections accepted before others have their turn.
const PER_TURN: usize = 32;

/// How long a listener rests when the system has no file descriptor or memory for a connection.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct StreamListener {
    pub(super) id: ListenerId,
    pub(super) local: SocketAddr,
    listener: TcpListener,
    tls: Option<ServerTls>,
    /// Accepted, and waiting for room among the handshakes.
    held: Option<(TcpStream, SocketAddr)>,
    rest: Option<Pin<Box<Sleep>>>,
    next_rest: Duration,
}

impl StreamListener {
    pub(super) fn bind(
        id: ListenerId,
        socket: ListenerSocket,
        tls: Option<ServerTls>,
        settings: &StreamSettings,
        dscp: Dscp,
    ) -> Result<Self, BindError> {
        let socket = sockets::stream(id, socket, settings, dscp)?;
        let setup = |source| BindError::Setup {
            listener: id,
            source,
        };
        let listener = TcpListener::from_std(socket).map_err(setup)?;
        Ok(Self {
            id,
            local: listener.local_addr().map_err(setup)?,
            listener,
            tls,
            held: None,
            rest: None,
            next_rest: FIRST_REST,
        })
    }

    pub(super) fn transport(&self) -> Transport {
        if self.tls.is_some() {
            Transport::Tls
        } else {
            Transport::Tcp
        }
    }

    /// For connections accepted from now on. False: this is not a TLS listener.
    pub(super) fn replace_tls(&mut self, tls: ServerTls) -> bool {
        let Some(current) = &mut self.tls else {
            return false;
        };
        *current = tls;
        true
    }

    /// Accepts what waits. Pending: nothing waits, or the system needs rest. Ready: more may wait.
    pub(super) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        connections: &mut Connections,
        counters: &mut Counters,
    ) -> Poll<()> {
        for _ in 0..PER_TURN {
            let Some((stream, remote)) = ready!(self.poll_next(cx, counters)) else {
                continue;
            };
            if !connections.admits(self.id, remote, counters) {
                continue;
            }
            if self.tls.is_some() && connections.poll_handshake_room(cx).is_pending() {
                self.held = Some((stream, remote));
                return Poll::Pending;
            }
            let (transport, start) = self.start(stream);
            connections.accept(self.id, transport, remote, start);
        }
        Poll::Ready(())
    }

    /// The next connection; none if the attempt failed.
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        counters: &mut Counters,
    ) -> Poll<Option<(TcpStream, SocketAddr)>> {
        if let Some(held) = self.held.take() {
            return Poll::Ready(Some(held));
        }
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        match ready!(self.listener.poll_accept(cx)) {
            Ok(connection) => {
                self.next_rest = FIRST_REST;
                counters.accepted += 1;
                Poll::Ready(Some(connection))
            }
            Err(error) => {
                counters.accept_errors += 1;
                if is_exhausted(&error) {
                    self.rest = Some(Box::pin(sleep(self.next_rest)));
                    self.next_rest = (self.next_rest * 2).min(LONGEST_REST);
                }
                // Else the error belongs to one connection that ended before we took it.
                Poll::Ready(None)
            }
        }
    }

    fn start(&self, stream: TcpStream) -> (Transport, Start) {
        match &self.tls {
            Some(tls) => {
                let acceptor = TlsAcceptor::from(tls.config());
                (Transport::Tls, Start::AcceptedTls(stream, acceptor))
            }
            None => (Transport::Tcp, Start::Accepted(stream)),
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    matches!(
        errno,
        Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM
    )
}
