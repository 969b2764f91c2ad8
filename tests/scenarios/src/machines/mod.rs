//! Every machine of the house, ready for the [contract](crate::contract).
//!
//! An adapter holds the machine and as much of its surroundings as is needed to say sensible things
//! to it most of the time, and foolish things now and then.

mod calls;
mod endpoint;
mod gateway;
mod isdn;
mod legacy;
mod link;
mod owner;
mod registrar;
mod relay;

pub use self::calls::Calls;
pub use self::endpoint::SipEndpoint;
pub use self::gateway::WholeGateway;
pub use self::isdn::IsdnLine;
pub use self::legacy::LegacyPorts;
pub use self::link::LinkSession;
pub use self::registrar::StationRegistrar;
pub use self::relay::MediaRelay;
