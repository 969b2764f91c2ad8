//! Subscriptions of peers to the dialog event package (RFC 6665, RFC 4235).

mod dialog_info;
mod notifier;

pub(crate) use notifier::{Notifier, Wish};

pub use dialog_info::{DialogInfo, DialogState, DialogStatus, Direction, Party};

/// A subscription of a peer. Never used twice within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub u64);
