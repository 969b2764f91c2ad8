//! The task of one TCP or TLS connection, from the first packet to the last.
//!
//! It reports to the owner over one bounded channel: when the owner is behind, the task stops
//! reading and the peer feels it. It holds no read buffer while it waits; an idle connection costs
//! its state machines and nothing else.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, Sleep, sleep, timeout};
use tokio_rustls::rustls::CommonState;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::config::StreamSettings;
use super::flow::{CloseReason, ConnectionId, Flow, Obstacle};
use super::outbox::{Order, Outbox};
use crate::tls::PeerCertificate;

/// Bytes read at a time; lies on the stack, and only while reading.
const PIECE: usize = 8 << 10;

/// What the tasks of this crate tell the owner of the flows.
#[derive(Debug)]
pub(super) enum TaskEvent {
    Opened {
        connection: ConnectionId,
        local: SocketAddr,
        peer: Option<Arc<PeerCertificate>>,
    },
    Received {
        connection: ConnectionId,
        bytes: Bytes,
    },
    Closed {
        connection: ConnectionId,
        why: CloseReason,
    },
    Undeliverable(Flow, Obstacle),
}

/// How a connection begins.
pub(super) enum Start {
    Accepted(TcpStream),
    AcceptedTls(TcpStream, TlsAcceptor),
    Connect(TcpSocket, SocketAddr),
    ConnectTls(TcpSocket, SocketAddr, TlsConnector, ServerName<'static>),
}

pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) outbox: Arc<Outbox>,
    pub(super) events: mpsc::Sender<TaskEvent>,
    pub(super) settings: Arc<StreamSettings>,
}

impl Connection {
    /// Its last event is `Closed`, unless the owner is gone.
    pub(super) async fn run(self, start: Start) {
        let why = self.live(start).await.unwrap_or_else(|why| why);
        let connection = self.id;
        self.tell(TaskEvent::Closed { connection, why }).await;
    }

    async fn live(&self, start: Start) -> Result<CloseReason, CloseReason> {
        let first_bytes = self.settings.first_bytes_timeout;
        let idle = self.settings.idle_timeout;
        // Each stage lies on the heap by itself: a connection then costs what its stage needs, not
        // what the largest stage of any connection would.
        match start {
            Start::Accepted(mut stream) => Box::pin(self.carry(&mut stream, first_bytes)).await,
            Start::AcceptedTls(stream, acceptor) => {
                let mut stream = self.shake_hands(acceptor.accept(stream)).await?;
                Box::pin(self.carry(&mut *stream, first_bytes)).await
            }
            Start::Connect(socket, remote) => {
                let mut stream = self.connect(socket, remote).await?;
                Box::pin(self.carry(&mut stream, idle)).await
            }
            Start::ConnectTls(socket, remote, connector, name) => {
                let stream = self.connect(socket, remote).await?;
                let mut stream = self.shake_hands(connector.connect(name, stream)).await?;
                Box::pin(self.carry(&mut *stream, idle)).await
            }
        }
    }

    async fn connect(
        &self,
        socket: TcpSocket,
        remote: SocketAddr,
    ) -> Result<TcpStream, CloseReason> {
        let limit = self.settings.connect_timeout;
        let late = CloseReason::ConnectTimeout;
        let connected = Box::pin(self.within(limit, late, socket.connect(remote))).await?;
        connected.map_err(|error| CloseReason::Connect(error.kind()))
    }

    async fn shake_hands<S>(
        &self,
        handshake: impl Future<Output = io::Result<S>>,
    ) -> Result<Box<S>, CloseReason> {
        let limit = self.settings.handshake_timeout;
        let late = CloseReason::HandshakeTimeout;
        let done = Box::pin(self.within(limit, late, handshake)).await?;
        done.map(Box::new)
            .map_err(|error| CloseReason::Handshake(error.to_string()))
    }

    async fn within<T>(
        &self,
        limit: Duration,
        late: CloseReason,
        step: impl Future<Output = T>,
    ) -> Result<T, CloseReason> {
        tokio::select! {
            biased;
            why = self.called_off() => Err(why),
            outcome = step => Ok(outcome),
            () = sleep(limit) => Err(late),
        }
    }

    async fn called_off(&self) -> CloseReason {
        poll_fn(|cx| match self.outbox.watch(cx) {
            Order::Run => Poll::Pending,
            Order::Finish => Poll::Ready(CloseReason::Local),
            Order::Abort(why) => Poll::Ready(why),
        })
        .await
    }

    async fn carry<S: Stream>(
        &self,
        stream: &mut S,
        patience: Duration,
    ) -> Result<CloseReason, CloseReason> {
        let connection = self.id;
        let tcp = stream.tcp();
        let local = tcp
            .local_addr()
            .map_err(|error| CloseReason::Broken(error.kind()))?;
        let peer = stream.tls().and_then(PeerCertificate::of).map(Arc::new);
        let opened = TaskEvent::Opened {
            connection,
            local,
            peer,
        };
        self.tell(opened).await;

        let deadline = pin!(sleep(patience.min(self.settings.idle_timeout)));
        let mut exchange = Exchange::new(stream, &self.outbox, &self.settings, deadline);
        let why = loop {
            match poll_fn(|cx| exchange.poll(cx)).await {
                Step::Received(bytes) => {
                    self.tell(TaskEvent::Received { connection, bytes }).await;
                }
                Step::Ended(why) => break why,
            }
        };
        self.part(exchange.stream, &why).await;
        Ok(why)
    }

    /// An owner that no longer listens is about to close everything, and the last bytes have yet
    /// to leave: no reason to stop here.
    async fn tell(&self, event: TaskEvent) {
        let _owner_gone = self.events.send(event).await;
    }

    async fn part<S: Stream>(&self, stream: &mut S, why: &CloseReason) {
        match why {
            CloseReason::Local
            | CloseReason::Peer
            | CloseReason::Idle
            | CloseReason::NeverSpoke => {
                let farewell = async {
                    stream.shutdown().await?;
                    // A close with bytes unread would reset the connection, and the reset destroys
                    // our last bytes on their way (RFC 1122 4.2.2.13): read to the peer's end.
                    while !poll_fn(|cx| read(cx, stream)).await?.is_empty() {}
                    io::Result::Ok(())
                };
                // Whatever goes wrong now, the connection is over.
                let _over = timeout(self.settings.close_timeout, farewell).await;
            }
            // Reset: else the kernel would go on keeping bytes for a peer that does not read.
            CloseReason::NotReading => {
                let _over = stream.tcp().set_zero_linger();
            }
            CloseReason::Broken(_)
            | CloseReason::Connect(_)
            | CloseReason::ConnectTimeout
            | CloseReason::Handshake(_)
            | CloseReason::HandshakeTimeout
            | CloseReason::Displaced
            | CloseReason::Fault => {}
        }
    }
}

/// An open connection, moving bytes both ways.
struct Exchange<'a, S> {
    stream: &'a mut S,
    outbox: &'a Outbox,
    settings: &'a StreamSettings,
    deadline: Pin<&'a mut Sleep>,
    heard: Option<Instant>,
    batch: Vec<u8>,
    written: usize,
    unflushed: bool,
    /// The owner wants to close; the deadline is that of the last bytes.
    is_leaving: bool,
}

enum Step {
    Received(Bytes),
    Ended(CloseReason),
}

impl<'a, S: Stream> Exchange<'a, S> {
    fn new(
        stream: &'a mut S,
        outbox: &'a Outbox,
        settings: &'a StreamSettings,
        deadline: Pin<&'a mut Sleep>,
    ) -> Self {
        Self {
            stream,
            outbox,
            settings,
            deadline,
            heard: None,
            batch: Vec::new(),
            written: 0,
            unflushed: false,
            is_leaving: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        match self.write(cx) {
            Poll::Ready(Ok(why)) => return Poll::Ready(Step::Ended(why)),
            Poll::Ready(Err(error)) => return Poll::Ready(Step::Ended(broken(&error))),
            Poll::Pending => {}
        }
        if self.is_leaving && self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Step::Ended(CloseReason::Local));
        }
        match read(cx, self.stream) {
            Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                return Poll::Ready(Step::Ended(CloseReason::Peer));
            }
            Poll::Ready(Ok(bytes)) => {
                self.heard = Some(Instant::now());
                return Poll::Ready(Step::Received(bytes));
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Step::Ended(broken(&error))),
            Poll::Pending => {}
        }
        if self.is_leaving {
            return Poll::Pending;
        }
        self.watch_silence(cx).map(Step::Ended)
    }

    /// Pending while there is nothing to write or no room; ready when the owner wants an end.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<CloseReason>> {
        loop {
            let order = if self.written == self.batch.len() {
                let (batch, order) = self.outbox.take(cx);
                self.batch = batch;
                self.written = 0;
                order
            } else {
                self.outbox.watch(cx)
            };
            if let Order::Abort(why) = order {
                return Poll::Ready(Ok(why));
            }
            if order == Order::Finish && !self.is_leaving {
                self.is_leaving = true;
                let limit = Instant::now() + self.settings.close_timeout;
                self.deadline.as_mut().reset(limit);
            }
            let rest = &self.batch[self.written..];
            let stream = Pin::new(&mut *self.stream);
            if !rest.is_empty() {
                match ready!(stream.poll_write(cx, rest))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => self.written += written,
                }
                self.unflushed = true;
            } else if self.unflushed {
                ready!(stream.poll_flush(cx))?;
                self.unflushed = false;
            } else if order == Order::Finish {
                return Poll::Ready(Ok(CloseReason::Local));
            } else {
                return Poll::Pending;
            }
        }
    }

    fn watch_silence(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            ready!(self.deadline.as_mut().poll(cx));
            let Some(heard) = self.heard else {
                return Poll::Ready(CloseReason::NeverSpoke);
            };
            // The timer is not moved at every byte, but only here, when it is due.
            let due = heard + self.settings.idle_timeout;
            if due <= Instant::now() {
                return Poll::Ready(CloseReason::Idle);
            }
            self.deadline.as_mut().reset(due);
        }
    }
}

/// Empty at the end of the stream.
fn read<S: Stream>(cx: &mut Context<'_>, stream: &mut S) -> Poll<io::Result<Bytes>> {
    let mut space = [const { MaybeUninit::uninit() }; PIECE];
    let mut piece = ReadBuf::uninit(&mut space);
    ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
    Poll::Ready(Ok(Bytes::copy_from_slice(piece.filled())))
}

fn broken(error: &io::Error) -> CloseReason {
    match error.kind() {
        // TLS without its closing alert: rude, and what most peers do.
        io::ErrorKind::UnexpectedEof => CloseReason::Peer,
        kind => CloseReason::Broken(kind),
    }
}

/// What TCP and TLS connections have in common.
trait Stream: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
    fn tls(&self) -> Option<&CommonState>;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn tls(&self) -> Option<&CommonState> {
        None
    }
}

impl Stream for server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn tls(&self) -> Option<&CommonState> {
        Some(self.get_ref().1)
    }
}

impl Stream for client::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn tls(&self) -> Option<&CommonState> {
        Some(self.get_ref().1)
    }
}
