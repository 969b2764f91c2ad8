//! The checked configuration: what the rest of the program is built from.
//!
//! Plain values. Invariant: a `Settings` in hand came out of `load` without a problem, so nothing
//! here needs a second look before sockets are bound.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use client::Proxy;
use exchange::{Announcements, Causes};
use media::tones::Region;
use model::{CallNumber, Directory, DoorId, Encryption};
use sip::digest::server::Realm;
use tracing_subscriber::filter::Targets;

pub(crate) use super::fields::{Durability, LogFormat, Passwords, RecordCalls};
pub(crate) use super::lines::{LineSettings, LineTls, MediumSettings};
pub(crate) use super::remote::RemoteActions;
use super::section::Located;
pub(crate) use super::values::Secret;

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) state_folder: PathBuf,
    pub(crate) control_socket: PathBuf,
    pub(crate) sip: SipSettings,
    pub(crate) media: MediaSettings,
    pub(crate) recording: RecordingSettings,
    /// Nothing: no timeline is kept.
    pub(crate) timeline: Option<TimelineSettings>,
    pub(crate) calls: CallSettings,
    pub(crate) directory: DirectorySettings,
    pub(crate) lines: Vec<LineSettings>,
    pub(crate) causes: Causes,
    pub(crate) cloud: CloudSettings,
    pub(crate) store: StoreSettings,
    pub(crate) metrics: SocketAddr,
    pub(crate) log: LogSettings,
    pub(crate) grace: Duration,
}

/// The way to the cloud core.
#[derive(Clone, Debug, Default)]
pub(crate) struct CloudSettings {
    pub(crate) proxy: Option<Proxy>,
    /// PEM.
    pub(crate) authorities: Option<String>,
    /// Numbers of the core, dialled as they are, and what is dialled in front of any of them.
    pub(crate) numbers: Vec<CallNumber>,
    pub(crate) block: Option<CallNumber>,
}

/// SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SipSettings {
    pub(crate) realm: Realm,
    pub(crate) listeners: Vec<ListenerSettings>,
    pub(crate) trusted_peers: Vec<IpAddr>,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) t1: Duration,
    pub(crate) t2: Duration,
    pub(crate) t4: Duration,
    pub(crate) session: Duration,
    pub(crate) shortest_registration: Duration,
    pub(crate) usual_registration: Duration,
    pub(crate) longest_registration: Duration,
    pub(crate) contacts_per_station: usize,
    pub(crate) limits: SipLimits,
}

/// One bound address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerSettings {
    pub(crate) address: SocketAddr,
    pub(crate) advertise: Option<IpAddr>,
    pub(crate) passwords: Passwords,
    pub(crate) kind: ListenerKind,
}

/// What is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    Udp,
    Tcp,
    Tls(TlsFiles),
}

/// Where certificates and keys are; read again on a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_authorities: Option<PathBuf>,
}

/// Limits against floods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SipLimits {
    pub(crate) message_bytes: usize,
    pub(crate) connections: usize,
    pub(crate) connections_per_source: usize,
    pub(crate) handshake: Duration,
    pub(crate) idle: Duration,
    pub(crate) requests_per_source: u32,
    pub(crate) calls_per_source: u32,
    pub(crate) calls_per_second: u32,
    pub(crate) wrong_passwords: u32,
}

/// Audio and video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaSettings {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) dscp: u8,
    pub(crate) tones: Region,
    pub(crate) announcements: Announcements,
    pub(crate) encryption: Encryption,
    pub(crate) threads: u16,
}

/// Recordings of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordingSettings {
    pub(crate) calls: RecordCalls,
    pub(crate) keep: Duration,
    pub(crate) bytes: u64,
}

/// The flight recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimelineSettings {
    pub(crate) keep: Duration,
    pub(crate) bytes: u64,
}

/// Limits of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallSettings {
    pub(crate) longest: Duration,
    pub(crate) warning: Duration,
    pub(crate) ring: Duration,
    pub(crate) at_once: usize,
}

/// The store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreSettings {
    pub(crate) registrations: Durability,
    pub(crate) keep_records: Duration,
}

/// The log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) level: Targets,
}

/// The part that may change while the gateway runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirectorySettings {
    pub(crate) directory: Directory,
    /// SIP accounts of the stations that register here.
    pub(crate) accounts: Vec<AccountSettings>,
    /// What the operator calls the doors.
    pub(crate) doors: BTreeMap<String, DoorId>,
    /// Pages of stations, by the stations' numbers.
    pub(crate) remotes: BTreeMap<String, RemoteActions>,
    /// Names of the servers that stations are behind.
    pub(crate) behind: Vec<Located<String>>,
    /// Files that were read for it, to be watched.
    pub(crate) files: Vec<PathBuf>,
}

/// How a station proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountSettings {
    pub(crate) user: String,
    pub(crate) proof: Proof,
    pub(crate) md5: Md5Login,
}

/// What is known of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Password(Secret),
    /// Digests, as lower-case hex.
    Digests {
        sha256: Option<Secret>,
        md5: Option<Secret>,
    },
}

/// Whether a station may log in with MD5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Md5Login {
    Allowed,
    Refused,
}

impl Settings {
    /// What works, and is not what one would want: for whoever reads it.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let stations = self.directory.directory.stations().iter();
        let demands = stations.filter_map(|station| station.encryption);
        let required = demands
            .chain([self.media.encryption])
            .any(|encryption| encryption == Encryption::Required);
        let listeners = self.sip.listeners.iter();
        let readable = listeners.filter(|listener| !matches!(listener.kind, ListenerKind::Tls(_)));
        let remark = |listener: &ListenerSettings| {
            format!(
                "srtp is required, and who calls over {} sends its keys in the clear; \
                 let stations use TLS, or remove this listener",
                listener.address
            )
        };
        let mut remarks: Vec<String> = match required {
            true => readable.map(remark).collect(),
            false => Vec::new(),
        };
        let lines = self.lines.iter();
        remarks.extend(lines.flat_map(|line| line.remarks.iter().cloned()));
        remarks
    }

    /// Names of the parts that another configuration changes and that only a restart takes over.
    pub(crate) fn parts_that_differ(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("name", self.name != other.name),
            ("state_folder", self.state_folder != other.state_folder),
            (
                "control_socket",
                self.control_socket != other.control_socket,
            ),
            ("sip", self.sip != other.sip),
            ("media", self.media != other.media),
            ("recording", self.recording != other.recording),
            ("timeline", self.timeline != other.timeline),
            ("calls", self.calls != other.calls),
            ("line", self.lines_differ(other)),
            // It has no order of its own to be compared by.
            (
                "causes",
                format!("{:?}", self.causes) != format!("{:?}", other.causes),
            ),
            ("store", self.store != other.store),
            ("metrics", self.metrics != other.metrics),
            ("log", self.log != other.log),
            ("stop", self.grace != other.grace),
        ];
        let differing = parts.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(name, _)| name).collect()
    }
}

impl Settings {
    fn lines_differ(&self, other: &Self) -> bool {
        let mut both = self.lines.iter().zip(&other.lines);
        self.lines.len() != other.lines.len() || both.any(|(one, other)| one.differs(other))
    }
}

impl DirectorySettings {
    pub(crate) fn stations(&self) -> usize {
        self.directory.stations().len()
    }
}
