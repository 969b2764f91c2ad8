//! Lines of ISDN: a D channel for the machine, and the sound of B channels as RTP on loopback.
//!
//! `e1d` takes timeslots from osmo-e1d; the crate `spans` carries a line in UDP, and has the end of
//! RTP that both share. What the frames mean the machine says; how octets become packets
//! `isdn::layer1` says. Invariant: a B channel that is not joined is silent.

mod e1d;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use legacy_protocols::isdn::codec::Interface;
use net::lines::LineOrders;
pub(super) use spans::{Bearing, L1oip};
use spans::{MOST_BEARINGS, SoundEnd};
use tokio::sync::mpsc;

pub(super) use self::e1d::E1d;

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
        let sound = SoundEnd::open(Ipv4Addr::LOCALHOST.into(), seed)?;
        let (sender, bearings) = mpsc::channel(MOST_BEARINGS);
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
