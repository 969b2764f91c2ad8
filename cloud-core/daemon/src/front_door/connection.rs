//! One socket: octets to its session and from it, and the session's wishes to the others.
//!
//! Reads only as long as the session listens, writes with a limit of time, and keeps no
//! buffer while nothing happens. Invariant: whoever was let in is also counted out, in
//! whatever way the socket ends.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::Ground;
use super::credential::Credential;
use super::hall::Call;
use super::ingest::{Item, What};
use super::links::{Link, Order};
use super::session::{Asked, Output, Session, Why};

/// How long a device may take to say who it is, handshake and CONNECT together.
pub(super) const INTRODUCTION: Duration = Duration::from_secs(5);

/// How long a write may take before the device counts as a slow reader.
const WRITE: Duration = Duration::from_secs(10);

/// Read at once; on the stack, so that a connection without work holds none.
const PIECE: usize = 4096;

/// Serves one device until its socket ends.
///
/// Without a credential its word is taken for it.
pub(super) async fn serve<S>(
    ground: Arc<Ground>,
    stream: S,
    (credential, shown): (Option<Credential>, Option<CertificateDer<'static>>),
    until: Instant,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = credential.and_then(|credential| credential.device.to_string().parse().ok());
    if name.is_none() && credential.is_some() {
        return;
    }
    let mut connection = Connection {
        ground: Arc::clone(&ground),
        stream,
        session: Session::new(name),
        rest: Vec::new(),
    };
    let introduced = tokio::time::timeout_at(until, connection.introduce(credential, shown)).await;
    let why = match introduced {
        Ok(Ok(link)) => {
            let why = connection.talk(&link).await;
            ground.links.remove(&link);
            let (device, epoch, heard) = (link.device(), link.epoch, link.heard());
            let gone = Call::Departure {
                device,
                epoch,
                heard,
            };
            // Fails only when the core ends; then the lease tells.
            let _ = ground.calls.send(gone).await;
            why
        }
        Ok(Err(why)) => why,
        Err(_) => Why::Silence,
    };
    ground.figures.ended(why);
    tracing::debug!(?why, "a device's connection ended");
}

struct Connection<S> {
    ground: Arc<Ground>,
    stream: S,
    session: Session,
    /// What came and was not taken yet, because the session did not listen any more.
    rest: Vec<u8>,
}

impl<S> Connection<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// From the first octet to CONNACK.
    async fn introduce(
        &mut self,
        credential: Option<Credential>,
        mut shown: Option<CertificateDer<'static>>,
    ) -> Result<Arc<Link>, Why> {
        loop {
            let mut octets = Vec::new();
            let mut asked = None;
            let mut end = None;
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::Transmit(more) => octets.extend(more),
                    Output::Asked(wish) => asked = Some(wish),
                    Output::Close(why) => end = Some(why),
                    Output::Message { .. } | Output::Subscribed(_) | Output::Delivered { .. } => {}
                }
            }
            self.write(octets).await?;
            if let Some(why) = end {
                return Err(why);
            }
            let Some(asked) = asked else {
                self.read().await?;
                continue;
            };
            let Some(credential) = credential.or_else(|| word(&asked)) else {
                self.session.refuse(Why::NotAllowed);
                continue;
            };
            let (answer, answered) = oneshot::channel();
            let shown = shown.take();
            let call = Call::Arrival {
                credential,
                shown,
                asked,
                at: self.ground.node,
                answer,
            };
            self.ground
                .calls
                .send(call)
                .await
                .map_err(|_| Why::Leaving)?;
            match answered.await.unwrap_or(Err(Why::Leaving)) {
                Err(why) => self.session.refuse(why),
                Ok(arrived) => {
                    self.session.accept(arrived.session);
                    let now = self.ground.core.now();
                    let link = Link::new(credential, arrived.epoch, now);
                    link.subscribes(self.session.subscribed());
                    link.give_room(self.session.room());
                    self.ground.links.put(Arc::clone(&link));
                    self.ground.delivery.commands();
                    return Ok(link);
                }
            }
        }
    }

    /// From CONNACK to the end.
    async fn talk(&mut self, link: &Arc<Link>) -> Why {
        let silence = self.session.silence().unwrap_or(INTRODUCTION);
        let mut deadline = pin!(sleep_until(Instant::now() + silence));
        loop {
            if let Err(why) = self.deal_with_outputs(link).await {
                return why;
            }
            self.take_rest();
            if self.session.has_output() {
                continue;
            }
            tokio::select! {
                biased;
                told = link.told() => {
                    let mut told = Some(told);
                    // All that waits goes out in one write.
                    while let Some(Ok(order)) = told {
                        self.obey(order, link);
                        told = link.take();
                    }
                    if let Some(Err(why)) = told {
                        self.session.end(why);
                    }
                }
                read = read(&mut self.stream, &mut self.session, &mut self.rest),
                    if self.session.listens() && self.rest.is_empty() =>
                {
                    match read {
                        Ok(()) => {
                            link.heard_at(self.ground.core.now());
                            deadline.as_mut().reset(Instant::now() + silence);
                        }
                        Err(why) => return why,
                    }
                }
                () = &mut deadline => self.session.end(Why::Silence),
            }
        }
    }

    fn obey(&mut self, order: Order, link: &Link) {
        match order {
            Order::Stored(packet) => self.session.stored(packet),
            Order::Say(saying, token) => {
                if let Err(error) = self.session.say(&saying, token) {
                    // Nobody waits for an acknowledgement that will not come.
                    link.give_room(usize::from(token.is_some()));
                    tracing::debug!(%error, "something was not said to a device");
                }
            }
        }
    }

    async fn deal_with_outputs(&mut self, link: &Arc<Link>) -> Result<(), Why> {
        let mut octets = Vec::new();
        let mut end = None;
        while let Some(output) = self.session.poll_output() {
            let what = match output {
                Output::Transmit(more) => {
                    octets.extend(more);
                    continue;
                }
                Output::Close(why) => {
                    end = Some(why);
                    continue;
                }
                Output::Asked(_) => continue,
                Output::Message { packet, message } => What::Said { packet, message },
                Output::Delivered { token } => What::Delivered(token),
                Output::Subscribed(subscribed) => {
                    link.subscribes(subscribed);
                    What::Subscribed(subscribed)
                }
            };
            let item = Item {
                link: Arc::clone(link),
                what,
            };
            self.ground
                .items
                .send(item)
                .await
                .map_err(|_| Why::Leaving)?;
        }
        let refused = self.session.take_refused();
        if refused > 0 {
            let counter = &self.ground.figures.documents_refused;
            counter.fetch_add(refused, std::sync::atomic::Ordering::Relaxed);
        }
        self.write(octets).await?;
        end.map_or(Ok(()), Err)
    }

    async fn write(&mut self, octets: Vec<u8>) -> Result<(), Why> {
        if octets.is_empty() {
            return Ok(());
        }
        let written = async {
            self.stream.write_all(&octets).await?;
            self.stream.flush().await
        };
        match timeout(WRITE, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Why::Lost),
            Err(_) => Err(Why::SlowReader),
        }
    }

    async fn read(&mut self) -> Result<(), Why> {
        read(&mut self.stream, &mut self.session, &mut self.rest).await
    }

    fn take_rest(&mut self) {
        if !self.rest.is_empty() && self.session.listens() {
            let rest = std::mem::take(&mut self.rest);
            feed(&mut self.session, &rest, &mut self.rest);
        }
    }
}

/// Who it says it is.
fn word(asked: &Asked) -> Option<Credential> {
    asked.device.as_str().parse().ok().map(Credential::word)
}

/// Waits for octets and hands them to the session.
async fn read<S>(stream: &mut S, session: &mut Session, rest: &mut Vec<u8>) -> Result<(), Why>
where
    S: AsyncRead + Unpin,
{
    std::future::poll_fn(|context| poll_read(stream, session, rest, context)).await
}

fn poll_read<S>(
    stream: &mut S,
    session: &mut Session,
    rest: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<Result<(), Why>>
where
    S: AsyncRead + Unpin,
{
    let mut piece = [0; PIECE];
    let mut buffer = ReadBuf::new(&mut piece);
    match Pin::new(stream).poll_read(context, &mut buffer) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(_)) => Poll::Ready(Err(Why::Lost)),
        Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Err(Why::Lost)),
        Poll::Ready(Ok(())) => {
            feed(session, buffer.filled(), rest);
            Poll::Ready(Ok(()))
        }
    }
}

fn feed(session: &mut Session, mut octets: &[u8], rest: &mut Vec<u8>) {
    while !octets.is_empty() {
        let taken = session.received(octets);
        if taken == 0 {
            rest.extend(octets);
            return;
        }
        octets = &octets[taken..];
    }
}
