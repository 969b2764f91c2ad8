//! Notices: what people are told without having asked.
//!
//! [`Kind`] is the closed list of what there is to tell. [`Site`] turns the coming and going of a
//! site's devices into as few notices as say it: short absences are none, an outage of the site is
//! one and not one per device, what comes and goes all the time is said once.
//!
//! Not here: who is told, texts, rows. Invariant: what is told follows from the moments at which
//! devices changed, not from when somebody looked.

mod kind;
mod rules;
mod site;

pub use kind::{Kind, Severity, UnknownKind};
pub use rules::{BadRule, Rules};
pub use site::{Act, How, Seen, Site, Subject, Watched};
