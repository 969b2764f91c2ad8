//! What the front door counts. Every refusal, drop and end has its counter.

use std::sync::atomic::{AtomicU64, Ordering};

use super::session::Why;

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the start of the process.
        #[derive(Debug, Default)]
        pub(crate) struct Figures {
            $($(#[$doc])* pub(super) $name: AtomicU64,)*
        }

        impl Figures {
            /// Each counter with its name.
            pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

figures! {
    /// Sockets accepted.
    sockets,
    /// Sockets refused because there are as many as there may be.
    sockets_over_limit,
    /// TLS handshakes that failed or took too long.
    handshakes_failed,
    /// Certificates without a name of the link in them.
    certificates_nameless,
    /// Devices that were let in.
    admitted,
    /// Devices that were not.
    refused,
    /// Messages of devices that were stored.
    stored,
    /// Messages that were stored before.
    repeated,
    /// Messages that were no document of the link.
    documents_refused,
    /// Messages that the store would not take.
    not_stored,
    /// Transactions that stored messages.
    commits,
    /// Commands that were put on the wire.
    commands_sent,
    /// Settings that were put on the wire.
    settings_sent,
    /// Connections to a broker that ended, or did not come about.
    broker_lost,
    ended_goodbye,
    ended_protocol,
    ended_not_allowed,
    ended_silence,
    ended_taken_over,
    ended_barred,
    ended_slow_reader,
    ended_leaving,
    ended_lost,
}

impl Figures {
    pub(super) fn ended(&self, why: Why) {
        let counter = match why {
            Why::Goodbye => &self.ended_goodbye,
            Why::Protocol => &self.ended_protocol,
            Why::NotAllowed => &self.ended_not_allowed,
            Why::Silence => &self.ended_silence,
            Why::TakenOver => &self.ended_taken_over,
            Why::Barred => &self.ended_barred,
            Why::SlowReader => &self.ended_slow_reader,
            Why::Leaving => &self.ended_leaving,
            Why::Lost => &self.ended_lost,
        };
        count(counter);
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
