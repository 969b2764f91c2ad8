//! Where stations are reached: by their registrations, or at an address of the directory.
//!
//! No name is ever looked up here: a host must be an IP address, so that calls on site need no DNS
//! (M3). What stands in a registration comes from the station; what stands in the directory, from
//! whoever configured it.

use std::time::Instant;

use model::{Address, Reach, SipUri, StationId};
use sip::flow::{Destination, Hop, ListenerId, Transport};
use sip::message::{NameAddr, Uri};
use sip::registrar;

use crate::io::Output;
use crate::state::Exchange;

/// A place to send an INVITE to.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) uri: Uri,
    pub(crate) hop: Hop,
    pub(crate) route: Vec<NameAddr>,
}

impl Exchange {
    /// A station came, went, or somebody guessed at its password.
    pub(crate) fn registrar_says(&mut self, event: registrar::Event, now: Instant) {
        let (aor, there) = match &event {
            registrar::Event::StationUp { aor, .. } => (Some(aor), true),
            registrar::Event::StationDown { aor, .. } => (Some(aor), false),
            registrar::Event::SourceBarred { .. } | registrar::Event::AccountBarred { .. } => {
                (None, false)
            }
        };
        let station = aor.and_then(|aor| self.directory.station_by_account(aor));
        if let Some(station) = station.map(|station| station.id) {
            let seen = match there {
                true => calls::Input::StationSeen { station },
                false => calls::Input::StationLost { station },
            };
            self.calls.handle(seen, now);
        }
        self.out(Output::Registrar(event));
    }

    pub(crate) fn contacts_of_station(&self, station: StationId, now: Instant) -> Vec<Contact> {
        match self
            .directory
            .station(station)
            .map(|station| &station.reach)
        {
            Some(Reach::Account(account)) => {
                let contacts = self.sip.contacts(account.as_str(), now);
                contacts.iter().filter_map(registered).collect()
            }
            Some(Reach::Direct(uri)) => direct(uri).into_iter().collect(),
            // Browsers have no contacts.
            Some(Reach::User(_)) => Vec::new(),
            Some(Reach::Behind(node)) => {
                let neighbour = self.neighbour_with(station, *node);
                let trunk = || self.trunk_to_station(station, *node);
                neighbour.or_else(trunk).into_iter().collect()
            }
            None => Vec::new(),
        }
    }

    pub(crate) fn contacts_elsewhere(&self, address: &Address) -> Vec<Contact> {
        match address {
            Address::Sip(uri) => direct(uri).into_iter().collect(),
            Address::Remote { node, number } => {
                let neighbour = self.neighbour_at(*node, *number);
                let trunk = || self.trunk_to_number(address);
                neighbour.or_else(trunk).into_iter().collect()
            }
            Address::Local(_) | Address::CloudUser(_) | Address::Group(_) | Address::Desk(_) => {
                Vec::new()
            }
        }
    }
}

fn registered(contact: &registrar::Contact<'_>) -> Option<Contact> {
    let uri = Uri::parse(contact.uri.as_bytes()).ok()?;
    let route = contact.routes();
    let hop = match contact.reach {
        registrar::Reach::Flow(flow) => Hop::Flow(flow),
        registrar::Reach::Resolve { listener } => {
            let first = route.first().map_or(&uri, |path| &path.uri);
            Hop::Destination(destination(first, Some(listener))?)
        }
    };
    Some(Contact { uri, hop, route })
}

fn direct(uri: &SipUri) -> Option<Contact> {
    let uri = Uri::parse(uri.as_str().as_bytes()).ok()?;
    let hop = Hop::Destination(destination(&uri, None)?);
    Some(Contact {
        uri,
        hop,
        route: Vec::new(),
    })
}

fn destination(uri: &Uri, listener: Option<ListenerId>) -> Option<Destination> {
    let named = uri.param("transport").and_then(Transport::from_name);
    let transport = match uri.is_sips() {
        true => Transport::Tls,
        false => named.unwrap_or(Transport::Udp),
    };
    let host = uri.host()?;
    let port = uri.port().unwrap_or(transport.default_port());
    let mut destination = Destination::new(transport, (host.ip()?, port).into());
    destination.listener = listener;
    if transport == Transport::Tls {
        destination.server_name = Some(host.to_string().into());
    }
    Some(destination)
}
