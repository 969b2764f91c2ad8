//! A ring group: up to 32 that ring at once; the first to answer has the call (B3, C5).

use std::time::Duration;

use crate::{Address, CallNumber, Pii, RingGroupId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingGroup {
    pub id: RingGroupId,
    pub number: CallNumber,
    pub name: Pii<String>,
    /// Single devices and users, 1 to 32; they all ring at once. No groups in groups.
    pub members: Vec<Address>,
    pub early_media: EarlyMedia,
    /// How long they ring before the call goes on to `then`.
    pub ring_for: Duration,
    /// Where the call goes when nobody answers; without it the caller hears that nobody did.
    pub then: Option<Address>,
}

/// Whether those who are rung see and hear the caller before they answer (C1, C5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyMedia {
    #[default]
    Off,
    On,
}

impl RingGroup {
    pub const DEFAULT_RING_FOR: Duration = Duration::from_secs(30);

    pub fn new(id: RingGroupId, number: CallNumber, members: Vec<Address>) -> Self {
        Self {
            id,
            number,
            name: Pii::default(),
            members,
            early_media: EarlyMedia::Off,
            ring_for: Self::DEFAULT_RING_FOR,
            then: None,
        }
    }
}
