//! What a state of a session says after an input.

use super::confirmed::Confirmed;
use super::event::{EndCause, SessionEvent};
use super::leaving::Leaving;
use crate::message::Reason;

#[expect(clippy::large_enum_variant, reason = "lives for one step only")]
pub(super) enum Step {
    Stay,
    Confirm(Box<Confirmed>),
    /// The owner hears this last word; what is left to do on the wire needs no owner.
    End(SessionEvent, Option<Box<Leaving>>),
    /// Nothing is left to do.
    Gone,
}

impl Step {
    pub(super) fn ended(
        cause: EndCause,
        reason: Option<Reason>,
        rest: Option<Box<Leaving>>,
    ) -> Self {
        Self::End(SessionEvent::Ended { cause, reason }, rest)
    }
}
