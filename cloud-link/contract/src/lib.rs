//! What a device (or gateway) and the cloud core say to each other, version 1.
//!
//! Topics, documents and limits of MQTT, and how a device gets its certificate (`enrolment`,
//! over HTTPS), once for both ends. The rules in words stand in
//! `docs/link.md`, the same for other people's tools in `docs/asyncapi.yaml`; a test
//! compares that file with these types.
//!
//! Deliberately not here: connections, sessions, storage, and what a twin's settings
//! mean. Invariant: whatever octets come in, [`document::read`] answers with a document
//! inside its limits or with an error that names the rule broken; it never panics.

pub mod canonical;
pub mod device;
pub mod document;
pub mod down;
pub mod enrolment;
pub mod limits;
pub mod merge;
pub mod topic;
pub mod up;

pub use device::DeviceName;
