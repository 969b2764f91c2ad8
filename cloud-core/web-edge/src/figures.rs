//! What the edge counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! figures {
    ($( $(#[doc = $help:literal])* $name:ident, )+) => {
        /// Counted by the edge's thread, read by anybody.
        #[derive(Debug, Default)]
        pub struct Figures {
            $( $(#[doc = $help])* pub(crate) $name: AtomicU64, )+
        }

        impl Figures {
            $( $(#[doc = $help])*
            pub fn $name(&self) -> u64 {
                self.$name.load(Relaxed)
            } )+
        }
    };
}

figures! {
    /// Legs there are now.
    legs,
    /// Legs whose ICE and DTLS came about.
    connected,
    /// Legs that could not be made: too many, or a description that is not understood.
    refused,
    /// Packets of browsers that went on to the far end.
    from_browsers,
    /// Packets of far ends that went on to browsers.
    to_browsers,
    /// Packets of far ends that no browser could take: not RTP, or a codec that was not agreed.
    not_carried,
    /// Datagrams that belong to no leg.
    strays,
    /// Checks of ICE for a leg whose password they do not know.
    wrong_passwords,
    /// Such checks that were not even looked at, because there were too many.
    checks_limited,
    /// Questions for one's own address that were answered.
    addresses_told,
    /// Such questions that were not, because there were too many.
    addresses_limited,
    /// Connections of ICE over TCP that were taken.
    tcp_accepted,
    /// Those that were closed: too many, too slow to say whose they are, or not framed.
    tcp_refused,
    /// Packets dropped because a socket had no room for them.
    dropped,
    /// Notices that their reader had no room for.
    notices_lost,
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
