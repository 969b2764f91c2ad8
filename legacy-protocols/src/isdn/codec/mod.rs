//! Q.931 messages and information elements, to octets and back.
//!
//! A [`Message`] keeps the octets it came from, and each [`Element`] its contents as they were; a
//! typed view (number, cause, channel, ...) is read from an element when somebody asks. So nothing
//! unknown is lost, and a view that does not fit is the asker's to judge. Facility elements stay
//! opaque. Which message is expected when, `session` knows.
//!
//! Invariant: what was read is written to octets that read the same.

mod bearer;
mod cause;
mod channel;
mod element;
mod indication;
mod message;
mod number;

#[cfg(test)]
mod tests;

pub use bearer::{BearerCapability, Capability, Layer1};
pub use cause::{Cause, CauseValue, Location};
pub use channel::{Binding, ChannelIdentification, Interface, Selection};
pub use element::{Element, id};
pub use indication::{
    CallState, NotificationIndicator, ProgressDescription, ProgressIndicator, RestartClass,
    display, keypad, restart_indicator, text,
};
pub use message::{CallReference, DecodeError, Message, MessageType, Origin};
pub use number::{Number, Numbering, Presentation};
