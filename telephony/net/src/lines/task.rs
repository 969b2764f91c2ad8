//! The task of a line: opens it or lets the other end open it, and carries octets both ways.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::marks::Marks;
use super::medium::{Accepting, Bound, Dialler, Kind, Opened, Refused, Stream};
use super::order::{LineEnd, LineEvent, LineOrders, Refusals, Shared, Turn};

/// Octets read at once.
const PIECE: usize = 4 << 10;
/// So long the other end may take nothing.
const STALL: Duration = Duration::from_secs(10);
/// So long the last words may take when we close.
const FAREWELL: Duration = Duration::from_secs(1);
/// Callers that prove who they are at the same time; more wait in the kernel.
const HANDSHAKES: usize = 8;
/// How long a listener rests when the system gives no connection, for want of descriptors.
const REST: Duration = Duration::from_millis(200);

/// Serves a line until its owner is gone.
pub async fn serve(bound: Bound, mut orders: LineOrders) -> io::Result<()> {
    match bound.0 {
        Kind::Ours(dialler) => dial(&dialler, &mut orders).await,
        Kind::Theirs(listener) => answer(listener.accepting()?, &mut orders).await,
    }
    Ok(())
}

async fn dial(dialler: &Dialler, orders: &mut LineOrders) {
    while orders.wanted().await {
        let mut turn = orders.begin();
        let opened = tokio::select! {
            opened = dialler.open() => opened,
            () = turn.closed_by_owner() => continue,
        };
        let end = match opened {
            Ok(opened) => carry(opened, &turn, orders).await,
            Err(why) => {
                LineOrders::count(&orders.shared.failures, 1);
                LineEnd::NotOpened(why)
            }
        };
        turn.tell(LineEvent::Closed(end)).await;
    }
}

/// Whoever comes and proves who it is takes the place of the one before: a peer that was cut off
/// comes back before its old connection is found to be dead.
async fn answer(accepting: Accepting, orders: &mut LineOrders) {
    let mut door = Door {
        accepting,
        handshakes: JoinSet::new(),
        refusals: orders.refusals(),
        shared: Arc::clone(&orders.shared),
    };
    let mut waiting = None;
    loop {
        let opened = match waiting.take() {
            Some(opened) => opened,
            None => tokio::select! {
                opened = door.next() => opened,
                () = orders.abandoned() => return,
            },
        };
        let turn = orders.begin();
        let end = tokio::select! {
            end = carry(opened, &turn, orders) => end,
            newer = door.next() => {
                waiting = Some(newer);
                LineEnd::Replaced
            }
        };
        turn.tell(LineEvent::Closed(end)).await;
    }
}

/// Where others come in. One that is slow to prove who it is keeps nobody else waiting.
struct Door {
    accepting: Accepting,
    handshakes: JoinSet<Result<Opened, Refused>>,
    refusals: Refusals,
    shared: Arc<Shared>,
}

impl Door {
    /// Cancel-safe.
    async fn next(&mut self) -> Opened {
        loop {
            let done = tokio::select! {
                Some(done) = self.handshakes.join_next() => done,
                caller = self.accepting.next(), if self.handshakes.len() < HANDSHAKES => {
                    match caller {
                        Ok(caller) => {
                            self.handshakes.spawn(caller.admit());
                        }
                        Err(_) => {
                            LineOrders::count(&self.shared.failures, 1);
                            sleep(REST).await;
                        }
                    }
                    continue;
                }
            };
            match done {
                Ok(Ok(opened)) => return opened,
                Ok(Err(refused)) => {
                    LineOrders::count(&self.shared.failures, 1);
                    self.refusals.tell(refused);
                }
                // A handshake that panicked is a fault of the library's, and the caller's to try again.
                Err(_) => LineOrders::count(&self.shared.failures, 1),
            }
        }
    }
}

/// One opening, from its first octet to its last.
async fn carry(opened: Opened, turn: &Turn, orders: &mut LineOrders) -> LineEnd {
    let Opened {
        stream,
        peer,
        marked,
    } = opened;
    turn.tell(LineEvent::Opened { peer }).await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let marks = marked.then(Marks::default);
    let shared = Arc::clone(&orders.shared);
    let mut unsent = Bytes::new();
    let mut closing = turn.clone();
    let end = tokio::select! {
        end = read(&mut reader, marks, turn, &shared) => end,
        end = write(&mut writer, &mut unsent, turn, orders) => end,
        () = closing.closed_by_owner() => LineEnd::ByUs,
    };
    match end {
        LineEnd::ByUs => farewell(&mut writer, unsent, turn, orders).await,
        LineEnd::Stalled => LineOrders::count(&shared.stalls, 1),
        LineEnd::ByPeer | LineEnd::Broken(_) | LineEnd::NotOpened(_) | LineEnd::Replaced => {}
    }
    end
}

async fn read(
    reader: &mut ReadHalf<Box<dyn Stream>>,
    mut marks: Option<Marks>,
    turn: &Turn,
    shared: &Shared,
) -> LineEnd {
    let mut piece = BytesMut::with_capacity(PIECE);
    loop {
        piece.reserve(PIECE);
        match reader.read_buf(&mut piece).await {
            Ok(0) => return LineEnd::ByPeer,
            Ok(length) => LineOrders::count(&shared.octets_in, length),
            Err(error) if is_unplugged(&error) => return LineEnd::ByPeer,
            Err(error) => return LineEnd::Broken(error),
        }
        let octets = match &mut marks {
            Some(marks) => {
                let mut octets = piece.split().to_vec();
                let wrong = marks.take_out(&mut octets);
                shared.wrong_octets.fetch_add(wrong, Ordering::Relaxed);
                Bytes::from(octets)
            }
            None => piece.split().freeze(),
        };
        if !octets.is_empty() {
            turn.tell(LineEvent::Received(octets)).await;
        }
    }
}

/// A device that was pulled out, or a pseudo-terminal whose other end is gone, fails with EIO; TLS
/// without its last alert ends so too.
fn is_unplugged(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(
        errno,
        Some(rustix::io::Errno::IO | rustix::io::Errno::NXIO | rustix::io::Errno::NODEV)
    ) || error.kind() == io::ErrorKind::UnexpectedEof
}

async fn write(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    unsent: &mut Bytes,
    turn: &Turn,
    orders: &mut LineOrders,
) -> LineEnd {
    loop {
        let Some(octets) = orders.to_send(turn).await else {
            return LineEnd::ByUs;
        };
        *unsent = octets;
        while unsent.has_remaining() {
            match timeout(STALL, writer.write_buf(unsent)).await {
                Ok(Ok(0)) => return LineEnd::ByPeer,
                Ok(Ok(length)) => LineOrders::count(&orders.shared.octets_out, length),
                Ok(Err(error)) if is_unplugged(&error) => return LineEnd::ByPeer,
                Ok(Err(error)) => return LineEnd::Broken(error),
                Err(_) => return LineEnd::Stalled,
            }
        }
        match timeout(STALL, writer.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return LineEnd::Broken(error),
            Err(_) => return LineEnd::Stalled,
        }
    }
}

/// What was said before the owner closed is sent still, if the other end takes it at once.
async fn farewell(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    unsent: Bytes,
    turn: &Turn,
    orders: &mut LineOrders,
) {
    let deadline = Instant::now() + FAREWELL;
    let mut next = Some(unsent);
    while let Some(mut octets) = next {
        let sent = timeout_at(deadline, writer.write_all_buf(&mut octets)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
        next = orders.left_to_send(turn);
    }
    // Whether the other end hears it is its own affair now.
    let _ = timeout_at(deadline, writer.shutdown()).await;
}
