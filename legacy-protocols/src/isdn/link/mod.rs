//! LAPD: the D channel's link layer after Q.921, over the [link engine](crate::link).
//!
//! [`Lapd`] is one end of one D channel, user or network side. On a point-to-point line it is one
//! link with the identifier 0; on a point-to-multipoint line the network hands out identifiers and
//! keeps a link to each terminal, and a terminal asks for its own. Only call control (SAPI 0) and
//! management (SAPI 63) are spoken; packet data (SAPI 16) and XID are counted and ignored.
//! Flags, bit stuffing and check sequences are done below us.
//!
//! Invariant: [`Lapd::links`] never counts more than [`Config::terminals`] links.

mod address;
mod machine;
mod management;
mod network;
mod terminal;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use address::Tei;
pub use machine::{Counters, Event, Lapd, Output, SendError};

/// Which end of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    User,
    Network,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::User => Self::Network,
            Self::Network => Self::User,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    PointToPoint,
    /// A basic rate bus with up to eight terminals.
    PointToMultipoint,
}

/// What a D channel is told about its line; the times' defaults are Q.921's (5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub side: Side,
    pub topology: Topology,
    pub link: crate::link::Config,
    /// T201: how long terminals may take to answer a check.
    pub check_within: Duration,
    /// T202: how long the network may take to assign an identifier.
    pub assign_within: Duration,
    /// N202: how often a terminal asks in one go.
    pub assign_attempts: u8,
    /// How long a terminal waits before it asks again, give or take a half.
    pub assign_pause: Duration,
    /// How many terminals the network serves on one line.
    pub terminals: usize,
}

impl Config {
    pub fn primary_rate(side: Side) -> Self {
        Self {
            side,
            topology: Topology::PointToPoint,
            link: crate::link::Config::primary_rate(),
            check_within: Duration::from_secs(1),
            assign_within: Duration::from_secs(2),
            assign_attempts: 3,
            assign_pause: Duration::from_secs(20),
            terminals: 8,
        }
    }

    pub fn basic_rate(side: Side, topology: Topology) -> Self {
        Self {
            topology,
            link: crate::link::Config::basic_rate(),
            ..Self::primary_rate(side)
        }
    }
}
