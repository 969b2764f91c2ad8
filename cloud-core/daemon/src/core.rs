//! What every part of the core works with: the store, the clock, the settings.

use std::sync::Arc;

use cloud_logic::ids;
use cloud_logic::subscriptions::Checking;
use model::Timestamp;
use tokio::sync::Semaphore;

use crate::api::Tally;
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::devices::commands::Orders;
use crate::keys::Keys;
use crate::mail::Mail;
use crate::people::People;
use crate::random;
use crate::retention::ForgottenSoFar;
use crate::store::Store;
use crate::web_calls::WebCalls;

/// The running core. A clone is the same core.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) people: People,
    pub(crate) blobs: Blobs,
    pub(crate) mail: Mail,
    pub(crate) orders: Orders,
    pub(crate) tally: Tally,
    /// What was forgotten because it is over.
    pub(crate) forgotten: ForgottenSoFar,
    pub(crate) subscriptions: Checking,
    /// Places for pages that listen to what changes.
    pub(crate) streams: Arc<Semaphore>,
    /// Where the configuration names an address for them.
    pub(crate) web_calls: Option<WebCalls>,
}

/// So many pages listen at once on one node.
const MOST_STREAMS: usize = 2000;

pub(crate) fn streams() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_STREAMS))
}

/// Pages that listen now.
pub(crate) fn streams_open(core: &Core) -> u64 {
    MOST_STREAMS.saturating_sub(core.streams.available_permits()) as u64
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A kind of id that can be made anew.
pub(crate) trait NewId {
    fn new_at(now: Timestamp) -> Self;
}

macro_rules! new_ids {
    ($($id:ident)*) => {$(
        impl NewId for ids::$id {
            fn new_at(now: Timestamp) -> Self {
                Self::from_bits(random::id_bits(now))
            }
        }
    )*};
}

new_ids! {
    CompanyId ProjectId SiteId FolderId UserId GrantId DeviceId LabelId HandOverId RequestId AuthorityId UnitId
    SessionId PasskeyId CeremonyId InvitationId IntegrationId TokenKeyId LetterId
    CommandId NodeId IncidentId BlobId UploadId ExportId EditId
    NoticeId SubscriptionId
    RingGroupId CallNumberId
}
