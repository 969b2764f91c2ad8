//! What an endpoint counts. Every refusal and drop has a counter, so that an operator can see what
//! was turned away and why.

use crate::message::{Method, StatusCode};

/// All counts since the endpoint was made. Plain numbers; reading costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub requests_received: ByMethod,
    pub requests_sent: ByMethod,
    pub responses_received: ByClass,
    pub responses_sent: ByClass,
    pub refused: Refusals,
    /// Requests that were repeated to us and served from a transaction.
    pub repeated_requests: u64,
    /// Responses that belong to nothing we have sent.
    pub stray_responses: u64,
    /// ACKs that belong to no call; one for each refusal of an INVITE that was given without state.
    pub stray_acks: u64,
    pub keep_alives: u64,
    /// Requests of ours without an answer in time.
    pub timeouts: u64,
    /// Transactions that died with their connection or found no way.
    pub transport_failures: u64,
    pub sessions_started: u64,
    pub sessions_ended: u64,
}

/// Why something was turned away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Not SIP, or malformed.
    pub malformed: u64,
    /// A stream that could not be cut into messages.
    pub framing: u64,
    /// Too many messages from one source; dropped unread.
    pub flood: u64,
    /// Too many new calls, from one source or from all.
    pub call_rate: u64,
    /// The owner said it is overloaded, or a table is at its limit.
    pub overload: u64,
    /// More connections than there may be.
    pub connections: u64,
    /// Without or with wrong credentials.
    pub unauthorized: u64,
    /// Within no dialog we know (481).
    pub unknown_dialog: u64,
    /// Merged, looped or out of hops (482, 483).
    pub loops: u64,
    /// A method, scheme, extension, body or event we do not serve (405, 416, 420, 415, 489).
    pub unsupported: u64,
    /// Out of order or crossing another (500, 491).
    pub conflicts: u64,
}

/// One count per method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByMethod {
    known: [u64; Method::KNOWN.len()],
    other: u64,
}

impl ByMethod {
    pub fn get(&self, method: &Method) -> u64 {
        match Self::place(method) {
            Some(place) => self.known[place],
            None => self.other,
        }
    }

    /// Name and count of each method that occurred.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let known = Method::KNOWN.iter().map(Method::as_str).zip(self.known);
        known
            .chain([("other", self.other)])
            .filter(|(_, count)| *count > 0)
    }

    pub(crate) fn count(&mut self, method: &Method) {
        match Self::place(method) {
            Some(place) => self.known[place] += 1,
            None => self.other += 1,
        }
    }

    fn place(method: &Method) -> Option<usize> {
        Method::KNOWN.iter().position(|known| known == method)
    }
}

/// One count per class of response: 1xx to 6xx.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByClass([u64; 6]);

impl ByClass {
    /// `class` is the first digit.
    pub fn get(&self, class: u16) -> u64 {
        class
            .checked_sub(1)
            .and_then(|place| self.0.get(usize::from(place)))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn count(&mut self, status: StatusCode) {
        self.0[usize::from(status.code() / 100 - 1)] += 1;
    }
}
