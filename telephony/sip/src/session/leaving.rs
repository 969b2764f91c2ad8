//! A session its owner has left, with something still to do on the wire: a BYE that must wait for
//! the ACK to our 2xx, or one that may be challenged.
//!
//! Invariant: it says nothing to the owner any more and ends within the timers of a transaction.

use std::time::Instant;

use super::command::SessionId;
use super::confirmed::Unacked;
use super::step::Step;
use super::usage::{Outcome, Purpose, Usage};
use crate::endpoint::core::Core;
use crate::message::{HeaderName, Method, Reason};
use crate::transaction::TransactionId;

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "boxed as a whole, and both are short-lived"
)]
pub(super) enum Leaving {
    /// RFC 3261 15: the callee must not send BYE before the ACK, or before it gave up on it.
    BeforeAck {
        usage: Usage,
        unacked: Unacked,
        reason: Option<Reason>,
    },
    /// Our BYE is out and could be challenged.
    Bye { usage: Usage },
}

impl Leaving {
    pub(super) fn before_ack(usage: Usage, unacked: Unacked, reason: Option<Reason>) -> Self {
        Self::BeforeAck {
            usage,
            unacked,
            reason,
        }
    }

    /// Sends BYE. `None` when nobody has to wait for what becomes of it.
    pub(super) fn bye(
        mut usage: Usage,
        session: SessionId,
        reason: Option<Reason>,
        core: &mut Core,
    ) -> Option<Self> {
        let sent = usage.send(session, Method::Bye, Purpose::Bye, core, |request| {
            if let Some(reason) = reason {
                request.headers.push(HeaderName::Reason, reason.to_string());
            }
        });
        if sent.is_ok() && usage.auth.is_some() {
            return Some(Self::Bye { usage });
        }
        usage.forget_open(core);
        None
    }

    pub(super) fn usage(&self) -> &Usage {
        match self {
            Self::BeforeAck { usage, .. } | Self::Bye { usage } => usage,
        }
    }

    pub(super) fn usage_mut(&mut self) -> &mut Usage {
        match self {
            Self::BeforeAck { usage, .. } | Self::Bye { usage } => usage,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::BeforeAck { unacked, .. } => Some(unacked.deadline()),
            Self::Bye { .. } => None,
        }
    }

    pub(super) fn on_timeout(self, session: SessionId, core: &mut Core) -> Option<Self> {
        match self {
            Self::BeforeAck {
                usage,
                mut unacked,
                reason,
            } => {
                if unacked.on_timeout(core) {
                    Some(Self::BeforeAck {
                        usage,
                        unacked,
                        reason,
                    })
                } else {
                    Self::bye(usage, session, reason, core)
                }
            }
            Self::Bye { .. } => Some(self),
        }
    }

    pub(super) fn on_ack(self, session: SessionId, number: u32, core: &mut Core) -> Option<Self> {
        match self {
            Self::BeforeAck {
                usage,
                unacked,
                reason,
            } if unacked.is_acked_by(number) => Self::bye(usage, session, reason, core),
            Self::BeforeAck { .. } | Self::Bye { .. } => Some(self),
        }
    }

    pub(super) fn on_outcome(
        &mut self,
        session: SessionId,
        id: TransactionId,
        outcome: &Outcome,
        core: &mut Core,
    ) -> Step {
        if outcome.code().is_provisional()
            || self.usage_mut().close(session, id, outcome, core).is_none()
        {
            return Step::Stay;
        }
        match self {
            Self::BeforeAck { .. } => Step::Stay,
            Self::Bye { .. } => Step::Gone,
        }
    }
}
