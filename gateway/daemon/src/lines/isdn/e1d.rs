//! A line of ISDN whose timeslots osmo-e1d hands out, one descriptor each.
//!
//! Timeslot 16 is the D channel, with HDLC done by the daemon; a B channel is opened when it is
//! joined. The interface is the clock: for each octet it gives it gets one back. When the daemon
//! ends, or its control socket, the line is closed, and all timeslots with it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, bail};
use legacy_protocols::isdn::layer1::e1d::{Change, LONGEST_FRAME, Reply, Request, TimeslotMode};
use net::descriptor::Descriptor;
use net::lines::{LineEnd, LineEvent, LineOrders, Order, Turn};
use spans::{Bearing, Sound};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::timeout;

const D_CHANNEL: u8 = 16;
/// Octets that the daemon gives at once: 20 ms.
const READ_BUFFER: u16 = 160;
/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest message of the daemon's.
const LONGEST_REPLY: usize = 4_096;

#[derive(Debug)]
pub(crate) struct E1d {
    pub(crate) socket: PathBuf,
    pub(crate) interface: u8,
    pub(crate) line: u8,
}

/// What is open.
struct Opened {
    control: Descriptor,
    signalling: Descriptor,
    channels: BTreeMap<u8, Descriptor>,
}

/// What happened on an open line.
enum Happened {
    Ordered(Order),
    Bearing(Bearing),
    /// A packet of ours was taken.
    Taken,
    Frame(io::Result<Vec<u8>>),
    Octets(u8, io::Result<Vec<u8>>),
    Told(anyhow::Result<Reply>),
}

impl E1d {
    pub(super) async fn serve(
        self,
        mut orders: LineOrders,
        mut bearings: mpsc::Receiver<Bearing>,
        mut sound: Sound,
    ) {
        loop {
            match orders.next(None).await {
                Order::Open => {}
                Order::Send(_) | Order::Close => continue,
                Order::Gone => return,
            }
            let turn = orders.begin();
            let end = match self.open().await {
                Ok(opened) => {
                    let peer = format!("interface {} line {}", self.interface, self.line);
                    turn.tell(LineEvent::Opened { peer }).await;
                    self.carry(opened, &turn, &mut orders, &mut bearings, &mut sound)
                        .await
                }
                Err(error) => LineEnd::NotOpened(format!("{error:#}")),
            };
            sound.leave_all();
            turn.tell(LineEvent::Closed(end)).await;
        }
    }

    async fn open(&self) -> anyhow::Result<Opened> {
        let control = Descriptor::connect_packets(&self.socket)
            .with_context(|| format!("osmo-e1d does not answer at {}", self.socket.display()))?;
        let signalling = self
            .timeslot(&control, D_CHANNEL, TimeslotMode::Hdlc)
            .await?;
        Ok(Opened {
            control,
            signalling,
            channels: BTreeMap::new(),
        })
    }

    async fn timeslot(
        &self,
        control: &Descriptor,
        timeslot: u8,
        mode: TimeslotMode,
    ) -> anyhow::Result<Descriptor> {
        let request = Request::OpenTimeslot {
            interface: self.interface,
            line: self.line,
            timeslot,
            mode,
            read_buffer: READ_BUFFER,
        };
        control.write_now(&request.encode())?;
        loop {
            let answer = timeout(PATIENCE, control_message(control)).await;
            let (reply, passed) = answer.context("osmo-e1d takes too long")??;
            match (reply, passed) {
                (Reply::Opened(_), Some(descriptor)) => return Ok(Descriptor::new(descriptor)?),
                (Reply::Opened(_), None) => bail!("osmo-e1d opened timeslot {timeslot} for nobody"),
                (Reply::Failed(code), _) => {
                    bail!("osmo-e1d does not open timeslot {timeslot} (error {code})")
                }
                // Whatever else it says comes unasked.
                (other, _) => self.told(&other),
            }
        }
    }

    fn told(&self, reply: &Reply) {
        if let Reply::Alarm {
            interface,
            line,
            alarm,
            change,
        } = reply
            && (*interface, *line) == (self.interface, self.line)
        {
            match change {
                Change::Raised => tracing::warn!(?alarm, interface, line, "an alarm of an E1 line"),
                Change::Cleared => tracing::info!(?alarm, interface, line, "it is over"),
            }
        }
    }

    async fn carry(
        &self,
        mut opened: Opened,
        turn: &Turn,
        orders: &mut LineOrders,
        bearings: &mut mpsc::Receiver<Bearing>,
        sound: &mut Sound,
    ) -> LineEnd {
        let mut frame = [0; LONGEST_FRAME];
        loop {
            let happened = tokio::select! {
                order = orders.next(Some(turn)) => Happened::Ordered(order),
                Some(bearing) = bearings.recv() => Happened::Bearing(bearing),
                () = sound.take() => Happened::Taken,
                read = opened.signalling.read(&mut frame) => {
                    Happened::Frame(read.map(|length| frame[..length].to_vec()))
                }
                (channel, octets) = octets_of(&mut opened.channels) => {
                    Happened::Octets(channel, octets)
                }
                told = control_message(&opened.control) => {
                    Happened::Told(told.map(|(reply, _)| reply))
                }
            };
            match happened {
                Happened::Ordered(Order::Send(frame)) => {
                    // A full line loses a frame; layer 2 says it again.
                    let _ = opened.signalling.write_now(&frame);
                }
                Happened::Ordered(Order::Open) | Happened::Taken => {}
                Happened::Ordered(Order::Close | Order::Gone) => return LineEnd::ByUs,
                Happened::Bearing(bearing) => self.bear(bearing, &mut opened, sound).await,
                Happened::Frame(Ok(frame)) if frame.is_empty() => return LineEnd::ByPeer,
                Happened::Frame(Ok(frame)) => {
                    turn.tell(LineEvent::Received(frame.into())).await;
                }
                Happened::Octets(channel, Ok(octets)) if !octets.is_empty() => {
                    sound.said(channel, &octets);
                    let answer = sound.next(channel, octets.len());
                    if let Some(slot) = opened.channels.get(&channel) {
                        // What the line does not take now is too late.
                        let _ = slot.write_now(&answer);
                    }
                }
                Happened::Octets(channel, _) => {
                    tracing::warn!(channel, "a B channel has ended by itself");
                    opened.channels.remove(&channel);
                    sound.bear(Bearing::Leave { channel });
                }
                Happened::Told(Ok(reply)) => self.told(&reply),
                Happened::Frame(Err(error)) => return LineEnd::Broken(error),
                Happened::Told(Err(_)) => return LineEnd::ByPeer,
            }
        }
    }

    async fn bear(&self, bearing: Bearing, opened: &mut Opened, sound: &mut Sound) {
        match bearing {
            Bearing::Join { channel, .. } => {
                let slot = self
                    .timeslot(&opened.control, channel, TimeslotMode::Raw)
                    .await;
                match slot {
                    Ok(slot) => {
                        opened.channels.insert(channel, slot);
                        sound.bear(bearing);
                    }
                    Err(error) => tracing::warn!(
                        channel,
                        error = format!("{error:#}"),
                        "a call has no sound: its B channel cannot be opened"
                    ),
                }
            }
            Bearing::Leave { channel } => {
                opened.channels.remove(&channel);
                sound.bear(bearing);
            }
        }
    }
}

/// Cancel-safe.
async fn control_message(
    control: &Descriptor,
) -> anyhow::Result<(Reply, Option<std::os::fd::OwnedFd>)> {
    let mut message = vec![0; LONGEST_REPLY];
    let (length, passed) = control.receive_passed(&mut message).await?;
    if length == 0 {
        bail!("osmo-e1d has closed its control socket");
    }
    Ok((Reply::decode(&message[..length])?, passed))
}

/// The next octets of any open channel. Cancel-safe.
async fn octets_of(channels: &mut BTreeMap<u8, Descriptor>) -> (u8, io::Result<Vec<u8>>) {
    poll_fn(|cx| {
        for (channel, slot) in channels.iter_mut() {
            if let Poll::Ready(octets) = poll_octets(slot, cx) {
                return Poll::Ready((*channel, octets));
            }
        }
        Poll::Pending
    })
    .await
}

fn poll_octets(slot: &mut Descriptor, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
    let mut octets = [0; READ_BUFFER as usize * 4];
    let mut buffer = ReadBuf::new(&mut octets);
    Pin::new(slot)
        .poll_read(cx, &mut buffer)
        .map_ok(|()| buffer.filled().to_vec())
}
