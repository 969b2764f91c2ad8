//! Records of calls: one row for each leg that ever started (C7).
//!
//! What an exchange has written goes into the store in portions, in its order, and is tried until it
//! is in; a portion that was in already changes nothing. Invariant: a record has an id of its own for
//! all time, so it is there once or not yet.

mod routes;
mod rows;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cloud_logic::ids::UserId;
use cloud_logic::ids::{CallId, CallLegId, CallRecordId, CompanyId, DeviceId, ProjectId, SiteId};
use model::{Address, CallRecord, LegAudio, LegRole, Party, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

pub(super) use routes::routes;
pub(crate) use rows::forget_person;

use super::figures::Figures;
use super::held::Held;
use crate::core::Core;

/// Between two tries to write.
const PATIENCE: Duration = Duration::from_millis(500);

/// A record with its place.
#[derive(Clone, Debug)]
pub(super) struct Record {
    id: CallRecordId,
    call: CallId,
    leg: CallLegId,
    talked_with: Option<CallLegId>,
    company: CompanyId,
    project: Option<ProjectId>,
    site: Option<SiteId>,
    role: &'static str,
    party: End,
    dialled: Option<End>,
    by_way_of: Option<End>,
    priority: u8,
    started: Timestamp,
    answered: Option<Timestamp>,
    ended: Timestamp,
    rang_for: Duration,
    talked_for: Duration,
    status: &'static str,
    cause: &'static str,
    audio: Option<Audio>,
}

/// Somebody at the end of a leg, or whom somebody called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct End {
    /// A person of the company.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// The gateway behind which it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Its number: there, or in the company.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// How the sound of a leg travelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
struct Audio {
    codec: Option<String>,
    /// The suite of SRTP; null: it never left this machine.
    encryption: Option<String>,
    packets_received: u64,
    packets_lost: u64,
    jitter_ms: u64,
    round_trip_ms: Option<u64>,
    packets_sent: u64,
    /// As the other end says.
    far_lost: Option<u64>,
}

impl Record {
    pub(super) fn of(held: &Held, record: &CallRecord) -> Self {
        let bits = |id: u64| u128::from(held.life) << 64 | u128::from(id);
        let end = |address: &Address| End::at(held, address);
        let mut party = record.party.address.as_ref().map_or_else(End::default, end);
        party.named(held, &record.party);
        let gateway = match &record.party.address {
            Some(Address::Remote { node, .. }) => held.gateway(*node),
            Some(_) | None => None,
        };
        Self {
            id: CallRecordId::from_bits(bits(record.id.get())),
            call: CallId::from_bits(bits(record.call.get())),
            leg: CallLegId::from_bits(bits(record.leg.get())),
            talked_with: (record.talked_with).map(|leg| CallLegId::from_bits(bits(leg.get()))),
            company: held.company,
            project: gateway.and_then(|gateway| gateway.project),
            site: gateway.and_then(|gateway| gateway.site),
            role: match record.role {
                LegRole::Caller => "caller",
                LegRole::Callee => "callee",
            },
            party,
            dialled: record.dialled.as_ref().map(end),
            by_way_of: record.by_way_of.as_ref().map(end),
            priority: record.priority.get(),
            started: record.started,
            answered: record.answered,
            ended: record.ended,
            rang_for: record.rang_for,
            talked_for: record.talked_for,
            status: record.status.name(),
            cause: record.cause.name(),
            audio: record.audio.as_ref().map(Audio::of),
        }
    }
}

impl End {
    fn at(held: &Held, address: &Address) -> Self {
        let mut end = Self::default();
        match address {
            Address::Local(number) => end.number = Some(number.to_string()),
            Address::Remote { node, number } => {
                end.device = held.gateway(*node).map(|gateway| gateway.device);
                end.number = Some(number.to_string());
            }
            Address::CloudUser(user) => end.user = Some(UserId::from_bits(user.get())),
            Address::Group(id) => {
                let group = held.exchange.directory().ring_group(*id);
                end.number = group.map(|group| group.number.to_string());
            }
            Address::Sip(_) | Address::Desk(_) => {}
        }
        end
    }

    /// What is known of a party besides its address.
    fn named(&mut self, held: &Held, party: &Party) {
        let name = party.name.reveal();
        self.name = (!name.is_empty()).then(|| name.clone());
        let station = party
            .station
            .and_then(|id| held.exchange.directory().station(id));
        let Some(station) = station else { return };
        self.number = Some(station.number.to_string());
        if let model::Reach::User(user) = station.reach {
            self.user = Some(UserId::from_bits(user.get()));
        }
    }
}

impl Audio {
    fn of(audio: &LegAudio) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            codec: audio.codec.map(|codec| codec.name().to_owned()),
            encryption: audio.encryption.map(str::to_owned),
            packets_received: audio.received.packets,
            packets_lost: audio.received.lost,
            jitter_ms: ms(audio.received.jitter),
            round_trip_ms: audio.round_trip.map(ms),
            packets_sent: audio.sent.packets,
            far_lost: audio.sent.far.map(|far| far.lost),
        }
    }
}

/// Writes what comes, until nothing more can come. A store that is away is waited for.
pub(super) async fn write(
    core: Core,
    mut records: mpsc::Receiver<Vec<Record>>,
    figures: Arc<Figures>,
) {
    while let Some(portion) = records.recv().await {
        loop {
            match rows::insert(&core, &portion).await {
                Ok(new) => {
                    figures.records.fetch_add(new, Ordering::Relaxed);
                    break;
                }
                Err(error) => {
                    tracing::warn!(
                        ?error,
                        records = portion.len(),
                        "records of calls wait for the store"
                    );
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }
}
