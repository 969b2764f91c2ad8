//! A control desk: where call requests queue until somebody takes them.

use std::time::Duration;

use crate::{Address, CallNumber, DeskId, Pii};

/// One queue of call requests, shared by one or several positions. Calling a desk does not ring
/// everybody: it files a request that all positions see and exactly one takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desk {
    pub id: DeskId,
    pub number: CallNumber,
    pub name: Pii<String>,
    /// Who sees the queue and may take from it: single devices and cloud users, 1 to 64.
    pub positions: Vec<Address>,
    /// A waiting request is brought to mind again and again at this distance.
    pub remind_every: Duration,
    /// Where a request goes that nobody took.
    pub escalation: Option<Escalation>,
    /// A request that nobody took by then ends. Alarms do not expire.
    pub expires_after: Duration,
}

/// After this time the request is also seen at another desk, or becomes a call to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    pub after: Duration,
    pub to: Address,
}

impl Desk {
    pub const DEFAULT_REMIND_EVERY: Duration = Duration::from_secs(30);
    pub const DEFAULT_ESCALATE_AFTER: Duration = Duration::from_secs(60);
    pub const DEFAULT_EXPIRES_AFTER: Duration = Duration::from_secs(30 * 60);

    pub fn new(id: DeskId, number: CallNumber, positions: Vec<Address>) -> Self {
        Self {
            id,
            number,
            name: Pii::default(),
            positions,
            remind_every: Self::DEFAULT_REMIND_EVERY,
            escalation: None,
            expires_after: Self::DEFAULT_EXPIRES_AFTER,
        }
    }
}
