//! A line of ISDN in UDP: its D channel as a line, its B channels as RTP at the site's address.
//!
//! Whose call a channel carries the site says; the rest does `spans`.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use legacy_protocols::isdn::layer1::l1oip::Config;
use net::lines::LineOrders;
use spans::{Bearing, L1oip, MOST_BEARINGS, SoundEnd};
use tokio::sync::mpsc;

use super::file::L1oipEntry;

/// The owner's end of the B channels.
#[derive(Debug)]
pub(super) struct Channels {
    bearings: mpsc::Sender<Bearing>,
    address: SocketAddr,
}

impl Channels {
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn bear(&self, bearing: Bearing) {
        // A task that takes none of so many has ended, and the line with it.
        let _ = self.bearings.try_send(bearing);
    }
}

/// Within a runtime.
///
/// Its sound is told and taken at `sound_at`.
pub(super) fn start(entry: &L1oipEntry, sound_at: IpAddr, orders: LineOrders) -> Result<Channels> {
    let config = Config::new(entry.interface(), entry.identity);
    let line = L1oip::bind(entry.bind, entry.peer, config);
    let line = line.with_context(|| entry.bind.to_string())?;
    let sound = SoundEnd::open(sound_at, 1)?;
    let address = sound.address();
    let sound = sound.attach()?;
    let (bearings, borne) = mpsc::channel(MOST_BEARINGS);
    tokio::spawn(line.serve(orders, borne, sound));
    Ok(Channels { bearings, address })
}
