//! Lines of ISDN: a D channel for the machine, and the sound of B channels as RTP on loopback.
//!
//! `l1oip` carries a line in UDP, `e1d` takes timeslots from osmo-e1d, `sound` is the end of RTP
//! that both share. What the frames mean the machine says; how octets become packets
//! `isdn::layer1` says. Invariant: a B channel that is not joined is silent.

mod e1d;
mod l1oip;
mod sound;

use std::io;
use std::net::SocketAddr;

use legacy_protocols::isdn::codec::Interface;
use net::lines::LineOrders;
use tokio::sync::mpsc;

pub(super) use self::e1d::E1d;
pub(super) use self::l1oip::L1oip;
use self::sound::SoundEnd;

/// Joins and partings of B channels that may wait for the task.
const WAITING: usize = 256;

/// Whom the sound of a B channel goes to and comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bearing {
    Join { channel: u8, ours: SocketAddr },
    Leave { channel: u8 },
}

/// A line of ISDN that is ready to be served.
#[derive(Debug)]
pub(super) struct IsdnLine {
    span: Span,
    bearings: mpsc::Receiver<Bearing>,
    sound: SoundEnd,
}

#[derive(Debug)]
pub(super) enum Span {
    L1oip(L1oip),
    E1d(E1d),
}

/// The main loop's end of the B channels of a line.
#[derive(Debug)]
pub(super) struct Channels {
    bearings: mpsc::Sender<Bearing>,
    /// Where the sound of each is.
    pub(super) at: Vec<(u8, SocketAddr)>,
}

impl IsdnLine {
    /// Opens the end of RTP. `seed` is random.
    pub(super) fn new(span: Span, interface: Interface, seed: u64) -> io::Result<(Self, Channels)> {
        let sound = SoundEnd::open(seed)?;
        let (sender, bearings) = mpsc::channel(WAITING);
        let channels = Channels {
            bearings: sender,
            at: interface
                .channels()
                .map(|channel| (channel, sound.address()))
                .collect(),
        };
        let line = Self {
            span,
            bearings,
            sound,
        };
        Ok((line, channels))
    }

    /// Serves the line until its owner is gone.
    pub(super) async fn serve(self, orders: LineOrders) -> io::Result<()> {
        let sound = self.sound.attach()?;
        match self.span {
            Span::L1oip(l1oip) => l1oip.serve(orders, self.bearings, sound).await,
            Span::E1d(e1d) => {
                e1d.serve(orders, self.bearings, sound).await;
                Ok(())
            }
        }
    }
}

impl Channels {
    /// False: too many wait, and this one is forgotten.
    pub(super) fn bear(&self, bearing: Bearing) -> bool {
        // A task that has ended says so itself.
        !matches!(
            self.bearings.try_send(bearing),
            Err(mpsc::error::TrySendError::Full(_))
        )
    }
}

#[cfg(test)]
mod tests;
