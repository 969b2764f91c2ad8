//! What a worker did, for metrics.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A snapshot of a worker's counters; all only grow but `sockets`.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// Of several workers together.
        impl Add for Counters {
            type Output = Counters;

            fn add(self, other: Counters) -> Counters {
                Counters {
                    $($name: self.$name + other.$name,)*
                }
            }
        }

        #[derive(Debug, Default)]
        pub(crate) struct Shared {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Shared {
            pub(crate) fn snapshot(&self) -> Counters {
                Counters {
                    $($name: self.$name.load(Relaxed),)*
                }
            }
        }
    };
}

counters! {
    received,
    sent,
    /// Longer than the receive buffer, dropped.
    oversized,
    /// The kernel had no room, dropped.
    send_full,
    /// Any other error of a send.
    send_failed,
    /// The far end's host said that nobody listens at the port.
    unreachable,
    receive_failed,
    /// The owner did not take events fast enough.
    events_dropped,
    commands,
    /// Returns from waiting.
    wakeups,
    /// Attached now.
    sockets,
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
