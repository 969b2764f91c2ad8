//! Who watches which station: lamps and displays that subscribe to dialogs (RFC 4235).
//!
//! A watcher must be a station of the directory. What it sees is whether the station is free, rings
//! or talks; names and numbers of the other side are not told.

use std::collections::BTreeMap;
use std::time::Instant;

use model::{StationId, StationState};
use sip::endpoint::IncomingSubscribe;
use sip::message::{StatusCode, Uri};
use sip::subscription::{DialogInfo, DialogState, DialogStatus, Direction, Party, SubscriptionId};

use crate::parties;
use crate::state::Exchange;

#[derive(Debug, Default)]
pub(crate) struct Watchers {
    watched: BTreeMap<SubscriptionId, (StationId, Uri)>,
}

impl Watchers {
    pub(crate) fn remove(&mut self, subscription: SubscriptionId) {
        self.watched.remove(&subscription);
    }
}

impl Exchange {
    pub(crate) fn watcher_arrives(&mut self, subscribe: IncomingSubscribe, now: Instant) {
        let id = subscribe.subscription;
        let station = match self.watchable(&subscribe) {
            Ok(station) => station,
            Err(code) => {
                self.counters.watchers_refused += 1;
                // It can only be gone already.
                let _ = self.sip.refuse_subscription(id, code, now);
                return;
            }
        };
        let state = dialog_info(&subscribe.resource, self.calls.station_state(station));
        if self.sip.accept_subscription(id, &state, now).is_ok() {
            self.watchers
                .watched
                .insert(id, (station, subscribe.resource));
        }
    }

    fn watchable(&self, subscribe: &IncomingSubscribe) -> Result<StationId, StatusCode> {
        let known = |account: &str| self.directory.station_by_account(account).is_some();
        if !subscribe.account.as_deref().is_some_and(known) {
            return Err(StatusCode::FORBIDDEN);
        }
        let address = parties::dialled(&subscribe.resource, &self.directory);
        let station = address.and_then(|address| match self.directory.destination(&address)? {
            model::Destination::Station(station) => Some(station.id),
            model::Destination::RingGroup(_)
            | model::Destination::Desk(_)
            | model::Destination::Conference(_)
            | model::Destination::GroupCall(_)
            | model::Destination::EchoTest(_)
            | model::Destination::Elsewhere(_) => None,
        });
        station.ok_or(StatusCode::NOT_FOUND)
    }

    pub(crate) fn tell_watchers(&mut self, station: StationId, state: StationState, now: Instant) {
        for (subscription, (watched, resource)) in &self.watchers.watched {
            if *watched == station {
                // It can only have run out already.
                let _ = self
                    .sip
                    .notify(*subscription, &dialog_info(resource, state), now);
            }
        }
    }
}

fn dialog_info(resource: &Uri, state: StationState) -> DialogInfo {
    let dialog = match state {
        StationState::Ringing => Some((DialogState::Early, Direction::Recipient)),
        StationState::Requesting => Some((DialogState::Early, Direction::Initiator)),
        StationState::InCall | StationState::InConference(_) | StationState::Listening(_) => {
            Some((DialogState::Confirmed, Direction::Recipient))
        }
        StationState::Unknown
        | StationState::Idle
        | StationState::Privacy
        | StationState::OutOfService => None,
    };
    let dialogs = dialog.map(|(state, direction)| DialogStatus {
        id: "1".into(),
        dialog: None,
        direction,
        state,
        local: Party {
            display: String::new(),
            identity: resource.clone(),
            target: resource.clone(),
        },
        remote: None,
    });
    DialogInfo {
        entity: resource.clone(),
        dialogs: dialogs.into_iter().collect(),
    }
}
