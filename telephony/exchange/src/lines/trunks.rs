//! Lines whose calls go by SIP: the line controls, the older server's SIP side carries the voice.
//!
//! A call to one of its stations is an INVITE to its number at the trunk, and one that comes from the
//! trunk's address is that station's, as with every device that is reached directly. So calls go on
//! when the line is lost, and only control is missing.

use std::net::IpAddr;

use calls::Origin;
use legacy_protocols::number::{Number, Party};
use model::{Address, NodeId, Pii, StationId};
use sip::flow::{Destination, Hop, Transport};
use sip::message::Uri;
use sip::session::Incoming;

use super::config::{LineSound, Trunk};
use super::{Line, LineId};
use crate::registrations::Contact;
use crate::state::Exchange;

impl Exchange {
    /// Where a station behind a trunk is called.
    pub(crate) fn trunk_to_station(&self, station: StationId, node: NodeId) -> Option<Contact> {
        let (line, trunk) = self.trunk_towards(node)?;
        contact(trunk, self.party_behind(line, station)?.number)
    }

    /// Where somebody behind a trunk is called whom the directory does not know.
    pub(crate) fn trunk_to_number(&self, address: &Address) -> Option<Contact> {
        let Address::Remote { node, number } = address else {
            return None;
        };
        let (_, trunk) = self.trunk_towards(*node)?;
        contact(trunk, Number::new(number.as_str()).ok()?)
    }

    /// Who calls from a trunk. Its server has checked its own stations.
    pub(crate) fn caller_by_trunk(&self, incoming: &Incoming) -> Option<Origin> {
        let source = incoming.flow.remote.ip();
        let mut lines = self.lines.all();
        let comes_from =
            |line: &Line| trunk_of(line).is_some_and(|trunk| trunk.host.ip() == source);
        let (id, line) = lines.find(|(_, line)| comes_from(line))?;
        let server = &line.config.node;
        let number = Number::new(&incoming.from.uri.user_unescaped()?).ok()?;
        let party = Party {
            node: server.number,
            number,
        };
        if let Some(station) = self.station_behind(id, party) {
            return Some(Origin::Station(station.id));
        }
        let name = incoming.from.display().into_owned();
        let node = server.node;
        let party = model::Party {
            station: None,
            address: self.address_behind(id, party),
            name: Pii::new(name),
        };
        Some(Origin::Node { node, party })
    }

    fn trunk_towards(&self, node: NodeId) -> Option<(LineId, &Trunk)> {
        let line = self.lines.towards(node)?;
        Some((line, trunk_of(self.lines.get(line)?)?))
    }
}

fn trunk_of(line: &Line) -> Option<&Trunk> {
    match &line.config.sound {
        LineSound::Sip(trunk) => Some(trunk),
        LineSound::Rtp | LineSound::Channels | LineSound::None => None,
    }
}

fn contact(trunk: &Trunk, number: Number) -> Option<Contact> {
    let host = match trunk.host.ip() {
        IpAddr::V4(host) => host.to_string(),
        IpAddr::V6(host) => format!("[{host}]"),
    };
    let (port, transport) = (trunk.host.port(), trunk.transport);
    let text = match transport {
        Transport::Udp => format!("sip:{number}@{host}:{port}"),
        Transport::Tcp => format!("sip:{number}@{host}:{port};transport=tcp"),
        Transport::Tls => format!("sips:{number}@{host}:{port}"),
    };
    let mut destination = Destination::new(transport, trunk.host);
    if transport == Transport::Tls {
        destination.server_name = Some(host.into());
    }
    Some(Contact {
        uri: Uri::parse(text.as_bytes()).ok()?,
        hop: Hop::Destination(destination),
        route: Vec::new(),
    })
}
