//! What one can see from outside: calls with how they sound, stations with where they are reached,
//! and the totals.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use model::{
    CallNumber, Faults, ForwardingRule, LegId, Pii, Reach, StationId, StationKind, StationState,
};
use sip::flow::Transport;

use crate::figures::AudioView;
use crate::operator::Status;
use crate::state::Exchange;

/// A call, and how its legs sound.
#[derive(Clone, Debug, PartialEq)]
pub struct CallShown {
    pub call: calls::CallView,
    /// Of those legs whose media thread has looked already.
    pub audio: BTreeMap<LegId, AudioView>,
    /// The suite of SRTP, of those legs that are not spoken with in the clear.
    pub encryption: BTreeMap<LegId, Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationView {
    pub station: StationId,
    pub number: CallNumber,
    pub name: Pii<String>,
    pub kind: StationKind,
    pub state: StationState,
    pub faults: Faults,
    pub contacts: Vec<ContactView>,
    /// Set from outside the directory.
    pub diversion: Option<ForwardingRule>,
    /// The audio programme that it hears while it has no call.
    pub programme: Option<u8>,
}

/// Where one device of a station is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactView {
    pub transport: Transport,
    pub address: SocketAddr,
}

impl Exchange {
    pub(crate) fn calls_shown(&self, now: Instant) -> Vec<CallShown> {
        let shown = |call: calls::CallView| {
            let legs = call.legs.iter().map(|leg| leg.leg);
            let audio = legs
                .clone()
                .filter_map(|leg| Some((leg, self.figures.view(leg, now)?)));
            let encryption =
                legs.filter_map(|leg| Some((leg, self.plan.suite(leg)?.name().into())));
            CallShown {
                audio: audio.collect(),
                encryption: encryption.collect(),
                call,
            }
        };
        self.calls.calls().map(shown).collect()
    }

    pub(crate) fn station_views(&self, now: Instant) -> Vec<StationView> {
        let stations = self.directory.stations().iter();
        let view = |station: &model::Station| {
            let contacts = self.contacts_of_station(station.id, now);
            let contacts = contacts.iter().map(|contact| ContactView {
                transport: contact.hop.transport(),
                address: contact.hop.remote(),
            });
            StationView {
                station: station.id,
                number: station.number,
                name: station.name.clone(),
                kind: station.kind,
                state: self.calls.station_state(station.id),
                faults: self.calls.faults(station.id),
                contacts: contacts.collect(),
                programme: self.playbacks.programme_of(station.id),
                diversion: self.calls.diversion(station.id).cloned(),
            }
        };
        stations.map(view).collect()
    }

    pub(crate) fn status(&self, now: Instant) -> Status {
        let stations = self.directory.stations();
        let there =
            |station: &&model::Station| !self.contacts_of_station(station.id, now).is_empty();
        let registering = |station: &&model::Station| matches!(station.reach, Reach::Account(_));
        let gauges = self.calls.gauges();
        Status {
            stations: stations.len(),
            registered: stations.iter().filter(registering).filter(there).count(),
            doors: stations.iter().map(|station| station.doors.len()).sum(),
            calls: gauges.calls,
            legs: gauges.legs,
        }
    }
}
