//! Lines to older intercom servers: what is written to what the machine and the shell are told.
//!
//! `fields` declares, `check` converts a line, `medium` its transport, `rules` judges all of them
//! together (B6, B7). Opens nothing. Invariant: a line whose driver is missing is valid, and says
//! why.

mod check;
mod fields;
mod medium;
mod rules;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use exchange::LineConfig;
use net::lines::SerialSettings;

pub(crate) use self::check::settings;
pub(crate) use self::fields::LineSection;

/// A line, ready to be opened.
#[derive(Clone, Debug)]
pub(crate) struct LineSettings {
    pub(crate) config: LineConfig,
    pub(crate) medium: MediumSettings,
    /// As its owner has written it; None: not given.
    pub(crate) version: Option<String>,
    /// What could be better, for people.
    pub(crate) remarks: Vec<String>,
}

/// What a line runs over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MediumSettings {
    /// Nothing: there is no driver.
    Nothing,
    Serial(SerialSettings),
    Connect {
        to: SocketAddr,
        tls: Option<(LineTls, String)>,
    },
    Listen {
        at: SocketAddr,
        tls: Option<LineTls>,
    },
    ConnectUnix(PathBuf),
    ListenUnix(PathBuf),
    L1oip {
        bind: SocketAddr,
        peer: SocketAddr,
        identity: Option<u32>,
    },
    E1d {
        socket: PathBuf,
        interface: u8,
        line: u8,
    },
}

/// Where the certificates of a line are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineTls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authorities: PathBuf,
}

impl LineSettings {
    /// Whether a restart is needed to use the other one. What stands in it is compared as it is
    /// shown, tokens by themselves.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let tokens = |settings: &Self| {
            let config = &settings.config;
            let trusted = config
                .trusted
                .iter()
                .map(|trusted| trusted.authority.clone());
            let all = trusted.chain([config.authority.clone()]);
            all.collect::<Vec<_>>()
        };
        self.medium != other.medium
            || tokens(self) != tokens(other)
            || format!("{:?}", self.config) != format!("{:?}", other.config)
    }
}

#[cfg(test)]
mod tests;
