//! Messages of ours on connections that are not open yet: which address of ours they leave from is
//! not known before. Invariant: what waits is bounded, and is handed out once.

use std::collections::HashMap;

use net::flows::ConnectionId;

use super::SipSeen;

/// Messages that wait at most, over all connections.
const MOST: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Opening {
    all: HashMap<ConnectionId, Vec<(Option<u64>, SipSeen)>>,
    waiting: usize,
}

impl Opening {
    /// The message again where too many wait.
    pub(super) fn keep(
        &mut self,
        connection: ConnectionId,
        because: Option<u64>,
        seen: SipSeen,
    ) -> Option<SipSeen> {
        if self.waiting >= MOST {
            return Some(seen);
        }
        self.waiting += 1;
        self.all
            .entry(connection)
            .or_default()
            .push((because, seen));
        None
    }

    /// All that waits for a connection, in its order.
    pub(super) fn take(&mut self, connection: ConnectionId) -> Vec<(Option<u64>, SipSeen)> {
        let waited = self.all.remove(&connection).unwrap_or_default();
        self.waiting -= waited.len();
        waited
    }
}
