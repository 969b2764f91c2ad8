//! Real processes and SIP clients nobody here wrote, with tshark as the judge.
//!
//! Each test has a [`Network`] of its own, with a switch, the gateway and as many
//! hosts as it wants, in which nothing from outside is heard; it starts the gateway and clients in it; and waits for what they say,
//! never for a time to pass. Everything started here is ended here, by its
//! process id, also when a test fails; then the tail of what it said is printed.
//!
//! Links no crate of the product: it sees the gateway as a machine beside it
//! would, through the wire, the command line and the metrics page.

pub mod bad_cable;
pub mod baresip;
pub mod browser;
pub mod capture;
pub mod certificates;
pub mod cloud;
pub mod codec;
pub mod demo;
pub mod door_device;
pub mod encrypted;
pub mod flood;
pub mod gateway;
pub mod house;
pub mod kamailio;
pub mod legacy_site;
pub mod linphone;
pub mod lossy;
pub mod network;
pub mod not_run;
pub mod openwebnet;
pub mod pjsua2;
pub mod portal;
pub mod program;
pub mod raw;
pub mod rtpengine;
pub mod sipp;
pub mod site;
pub mod sound;
pub mod wait;

pub use baresip::Baresip;
pub use browser::Browser;
pub use capture::Capture;
pub use certificates::Certificates;
pub use cloud::Cloud;
pub use codec::Codec;
pub use door_device::DoorDevice;
pub use encrypted::{Encrypted, EncryptedHouse};
pub use flood::Flood;
pub use gateway::Gateway;
pub use kamailio::Kamailio;
pub use linphone::Linphone;
pub use network::Network;
pub use openwebnet::{OpenWebNetServer, Ownd};
pub use pjsua2::Pjsua2;
pub use portal::Portal;
pub use program::Program;
pub use sipp::Sipp;
pub use site::{Site, at_site};

/// How long anything may take before a test gives up on it. Generous: the
/// tests share two cores, and a passing test never waits for it.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
