//! Exchanges of our own kind: the core for a gateway, gateways for the core.
//!
//! A neighbour is known by its flow: the shell has checked the certificate at its end before the
//! first octet, and no header is asked who it is. Calls to its numbers go down that flow; what comes
//! by it is from one of its stations, or from whoever it says. It has judged its own callers.
//!
//! Invariant: a neighbour without a flow is unreachable at once for new calls; those that run wait for
//! it, and their sound goes on meanwhile.

use std::collections::BTreeMap;

use calls::Origin;
use model::{Address, CallNumber, Encryption, NodeId, Party, Pii, Reach, StationId};
use sip::flow::{ConnectionId, Flow, Hop};
use sip::message::Uri;
use sip::session::Incoming;

use crate::plan::Terms;
use crate::registrations::Contact;
use crate::state::Exchange;

/// What is dialled here to reach numbers of a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub node: NodeId,
    /// In front of any of its numbers.
    pub block: Option<CallNumber>,
    /// These as they are.
    pub numbers: Vec<CallNumber>,
}

impl Neighbour {
    /// Its number that is meant by a dialled one, with how much of that was a block.
    pub(crate) fn meant(&self, dialled: CallNumber) -> Option<(usize, CallNumber)> {
        if self.numbers.contains(&dialled) {
            // Nothing is more exact.
            return Some((CallNumber::MAX_DIGITS, dialled));
        }
        let block = self.block?;
        let rest = dialled.as_str().strip_prefix(block.as_str())?;
        Some((block.len(), CallNumber::parse(rest).ok()?))
    }
}

/// Those that are there, or were.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    ways: BTreeMap<NodeId, Way>,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    flow: Flow,
    there: There,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    Yes,
    /// Its running calls wait for it.
    Was,
}

impl Neighbours {
    /// Where the neighbour was before, if it was anywhere else.
    fn came(&mut self, node: NodeId, flow: Flow) -> Option<ConnectionId> {
        let there = There::Yes;
        let before = self.ways.insert(node, Way { flow, there })?;
        let before = before.flow.connection;
        (before != flow.connection).then_some(before)
    }

    fn went(&mut self, gone: impl Fn(NodeId, &Flow) -> bool) {
        for (node, way) in &mut self.ways {
            if gone(*node, &way.flow) {
                way.there = There::Was;
            }
        }
    }

    pub(crate) fn flow_closed(&mut self, flow: &Flow) {
        self.went(|_, of| of.connection == flow.connection);
    }

    fn towards(&self, node: NodeId) -> Option<Flow> {
        let way = self.ways.get(&node)?;
        (way.there == There::Yes).then_some(way.flow)
    }

    fn at(&self, flow: &Flow) -> Option<NodeId> {
        let mut ways = self.ways.iter();
        let (node, _) = ways.find(|(_, way)| way.flow.connection == flow.connection)?;
        Some(*node)
    }
}

impl Exchange {
    /// A neighbour is there, or gone. Calls that run with it go on over its new flow.
    pub(crate) fn neighbour(&mut self, node: NodeId, flow: Option<Flow>) {
        let Some(flow) = flow else {
            return self.neighbours.went(|of, _| of == node);
        };
        self.sip.trust(flow.connection);
        if let Some(before) = self.neighbours.came(node, flow) {
            self.sip.moved(before, &flow);
        }
    }

    /// What is asked of media that go to whoever is at the end of this flow: what leaves the house to
    /// a neighbour is encrypted, whatever is usual here.
    pub(crate) fn terms_over(&self, flow: &Flow, station: Option<StationId>) -> Terms {
        let signalling = flow.transport.into();
        match self.neighbours.at(flow) {
            Some(_) => Terms {
                encryption: Encryption::Required,
                signalling,
            },
            None => self.terms(station, signalling),
        }
    }

    /// Where a number of a neighbour is called, if it is there.
    pub(crate) fn neighbour_at(&self, node: NodeId, number: CallNumber) -> Option<Contact> {
        let flow = self.neighbours.towards(node)?;
        let uri = format!("sips:{number}@{}", self.config.domain);
        Some(Contact {
            uri: Uri::parse(uri.as_bytes()).ok()?,
            hop: Hop::Flow(flow),
            route: Vec::new(),
        })
    }

    pub(crate) fn neighbour_with(&self, station: StationId, node: NodeId) -> Option<Contact> {
        let station = self.directory.station(station)?;
        self.neighbour_at(node, station.number)
    }

    /// Who calls by the flow of a neighbour.
    pub(crate) fn caller_by_neighbour(&self, incoming: &Incoming) -> Option<Origin> {
        let node = self.neighbours.at(&incoming.flow)?;
        let number = incoming.from.uri.user_unescaped();
        let number = number.and_then(|user| CallNumber::parse(&user).ok());
        let station = number.and_then(|number| self.directory.station_by_number(number));
        if let Some(station) = station.filter(|station| station.reach == Reach::Behind(node)) {
            return Some(Origin::Station(station.id));
        }
        let party = Party {
            station: None,
            address: number.map(|number| Address::Remote { node, number }),
            name: Pii::new(incoming.from.display().into_owned()),
        };
        Some(Origin::Node { node, party })
    }
}
