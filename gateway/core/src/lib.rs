//! The gateway as one pure machine: composes SIP, calls and media plans; route.rs is the heart.
