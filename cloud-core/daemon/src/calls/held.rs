//! The exchange of one company, with what its shell knows of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use cloud_logic::ids::CompanyId;
use exchange::{Exchange, Input};
use model::{NodeId, Timestamp};
use net::flows::ConnectionId;

use super::clerk::Gateway;
use super::directory::node_of;
use crate::random;

#[derive(Debug)]
pub(super) struct Held {
    pub(super) exchange: Exchange,
    pub(super) company: CompanyId,
    /// What its ids begin with, in this process.
    pub(super) start: u32,
    /// What they begin with for all time: when it was made, and something random.
    pub(super) life: u64,
    /// When it wants to be woken.
    pub(super) due: Option<Instant>,
    /// What it has yet to hear of its own wishes.
    pub(super) back: VecDeque<Input>,
    /// Gateways that are there or were, with their flows.
    gateways: BTreeMap<NodeId, (Gateway, Option<ConnectionId>)>,
    idle_since: Option<Instant>,
}

impl Held {
    pub(super) fn new(
        exchange: Exchange,
        company: CompanyId,
        start: u32,
        wall: Timestamp,
        now: Instant,
    ) -> Self {
        let bits = random::id_bits(wall) >> 64;
        Self {
            exchange,
            company,
            start,
            life: u64::try_from(bits).unwrap_or(u64::MAX),
            due: None,
            back: VecDeque::new(),
            gateways: BTreeMap::new(),
            idle_since: Some(now),
        }
    }

    /// A gateway has a flow; the one that it had before.
    pub(super) fn came(&mut self, gateway: Gateway, flow: ConnectionId) -> Option<ConnectionId> {
        let entry = (gateway, Some(flow));
        let before = self.gateways.insert(node_of(gateway.device), entry);
        before.and_then(|(_, flow)| flow)
    }

    pub(super) fn left(&mut self, gateway: &Gateway, flow: ConnectionId) {
        if let Some((_, current)) = self.gateways.get_mut(&node_of(gateway.device)) {
            current.take_if(|current| *current == flow);
        }
    }

    /// The gateway that calls know under this name.
    pub(super) fn gateway(&self, node: NodeId) -> Option<&Gateway> {
        self.gateways.get(&node).map(|(gateway, _)| gateway)
    }

    pub(super) fn calls(&self) -> u64 {
        self.exchange.calls().gauges().calls as u64
    }

    /// Whether nothing of it has been there for so long.
    pub(super) fn is_idle(&mut self, now: Instant, patience: Duration) -> bool {
        let flows = self.gateways.values().any(|(_, flow)| flow.is_some());
        if flows || self.calls() > 0 {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(now);
        now.duration_since(since) >= patience
    }
}
