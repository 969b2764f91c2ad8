//! One call's state (Q.931 2.1 and 2.2), as its own end sees it.

use std::time::Instant;

use crate::isdn::codec::{CallState, CauseValue, Element};
use crate::isdn::link::{Side, Tei};

use super::config::{Config, Dialect};

/// A call of one line, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    // We call.
    Initiated,
    OverlapSending,
    OutgoingProceeding,
    Delivered,
    // They call.
    Present,
    OverlapReceiving,
    IncomingProceeding,
    Received,
    ConnectRequest,
    // Either.
    Active,
    DisconnectRequest,
    ReleaseRequest,
}

impl State {
    /// The number that STATUS gives it. The network counts from the other end: what is a call
    /// that we make is one that it presents.
    pub(super) fn number(self, config: &Config) -> CallState {
        let network = config.side() == Side::Network && config.dialect == Dialect::Dss1;
        CallState(match (self, network) {
            (Self::Initiated, false) | (Self::Present, true) => 1,
            (Self::OverlapSending, false) | (Self::OverlapReceiving, true) => 2,
            (Self::OutgoingProceeding, false) | (Self::IncomingProceeding, true) => 3,
            (Self::Delivered, false) | (Self::Received, true) => 4,
            (Self::Present, false) | (Self::Initiated, true) => 6,
            (Self::Received, false) | (Self::Delivered, true) => 7,
            (Self::ConnectRequest, _) => 8,
            (Self::IncomingProceeding, false) | (Self::OutgoingProceeding, true) => 9,
            (Self::Active, _) => 10,
            // Q.931 2.2: the network that sent DISCONNECT is in "disconnect indication".
            (Self::DisconnectRequest, false) => 11,
            (Self::DisconnectRequest, true) => 12,
            (Self::ReleaseRequest, _) => 19,
            (Self::OverlapReceiving, false) | (Self::OverlapSending, true) => 25,
        })
    }

    pub(super) fn is_clearing(self) -> bool {
        matches!(self, Self::DisconnectRequest | Self::ReleaseRequest)
    }

    /// We called, and nobody has answered.
    pub(super) fn is_outgoing(self) -> bool {
        self <= Self::Delivered
    }

    /// They called, and we have not answered.
    pub(super) fn is_incoming(self) -> bool {
        (Self::Present..=Self::Received).contains(&self)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    T301,
    T302,
    T303,
    T304,
    T305,
    T308,
    T310,
    T313,
}

/// With whom a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// Over the link with this identifier.
    Terminal(Tei),
    /// With all terminals of a bus; those that took notice.
    All {
        responders: Vec<Tei>,
        refusals: Vec<(Tei, CauseValue)>,
    },
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    /// Its reference on the line, and how many octets that has.
    pub(super) reference: u16,
    pub(super) length: u8,
    pub(super) ours: bool,
    pub(super) peer: Peer,
    pub(super) state: State,
    pub(super) channel: Option<u8>,
    /// The other end knows the channel from us, or agreed to it.
    pub(super) channel_settled: bool,
    /// For T303's second attempt.
    pub(super) setup: Vec<Element>,
    pub(super) timer: Option<(Timer, Instant)>,
    pub(super) attempts: u8,
    /// T322, and how often was asked.
    pub(super) status_by: Option<(u8, Instant)>,
    /// T309
    pub(super) link_lost_until: Option<Instant>,
    /// Why we clear it.
    pub(super) cause: CauseValue,
    /// The owner heard of its end.
    pub(super) ended: bool,
    /// Nothing more to do: it is forgotten.
    pub(super) over: bool,
}

impl Call {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timer = self.timer.map(|(_, at)| at);
        let status = self.status_by.map(|(_, at)| at);
        [timer, status, self.link_lost_until]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn is_with(&self, tei: Tei) -> bool {
        self.peer == Peer::Terminal(tei)
    }
}
