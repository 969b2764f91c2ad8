//! What is asked of the edge, and what it tells.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::leg::LegError;

/// One browser's leg. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub(crate) u64);

/// What becomes of a leg by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Sound and pictures can pass.
    Connected,
    /// The browser is not heard; its network may have changed. It has a minute to come back.
    Silent,
    /// It is heard again.
    Back,
    /// The browser ended it, or was away too long.
    Over,
}

/// Of which leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegNews {
    pub leg: LegId,
    pub news: News,
}

/// A browser that is rung: what it is offered, and what the far end is answered.
#[derive(Clone, Debug)]
pub struct Ringing {
    pub leg: LegId,
    pub offer: String,
    pub plain: Bytes,
}

/// A browser's offer that was taken: the answer for it, and the offer for the far end.
#[derive(Clone, Debug)]
pub struct Taken {
    pub leg: LegId,
    pub answer: String,
    pub plain: Bytes,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, LegError>>;

#[derive(Debug)]
pub(crate) enum Order {
    Ring(Bytes, Reply<Ringing>),
    Call(String, Reply<Taken>),
    Answered(LegId, String, Reply<()>),
    Renew(LegId, String, Reply<Taken>),
    Candidate(LegId, String, Reply<()>),
    Connect(LegId, Bytes, Reply<()>),
    Reoffer(LegId, Bytes, Reply<Bytes>),
    End(LegId),
}
