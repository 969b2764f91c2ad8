//! Who may send how much: rates per source address, with a bounded memory of sources.
//!
//! It decides by address, method and count only; it reads no credentials and answers nothing.
//! Guessing of passwords is the registrar's to punish. Invariant: it remembers at most
//! `Settings::sources` addresses, whatever arrives; a source that was forgotten starts afresh.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::message::{HeaderName, Headers, Uri};
use crate::session::Urgency;

#[derive(Clone, Debug)]
pub struct Settings {
    /// How many sources are remembered.
    pub sources: usize,
    /// Messages of any kind from one source; what exceeds it is dropped unread.
    pub messages: Rate,
    /// New calls from one source; what exceeds it is refused with 503.
    pub invites: Rate,
    /// New emergency calls from one source; they are not refused for what others do.
    pub emergencies: Rate,
    /// New calls of all sources together. Emergency calls count but are never refused by it.
    pub calls: Rate,
    /// Sources without limits: trunks, the other end of a link.
    pub trusted: Vec<Network>,
    pub emergency: EmergencyMarks,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sources: 16_384,
            messages: Rate::per_second(400, 2_000),
            invites: Rate::per_second(20, 60),
            emergencies: Rate::per_second(10, 40),
            calls: Rate::per_second(2_000, 4_000),
            trusted: Vec::new(),
            emergency: EmergencyMarks::default(),
        }
    }
}

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval: Duration,
    tolerance: Duration,
}

impl Rate {
    /// `per_second` in the long run, `burst` at once. Zeros count as one.
    pub fn per_second(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            interval,
            tolerance: interval * (burst.max(1) - 1),
        }
    }
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, unmapped(address)) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(self.prefix.into());
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(self.prefix.into());
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// What makes a call pass the soft limits. The hard limits and a rate of its own hold for every
/// source, so a lying caller gains a place in the queue and no more.
#[derive(Clone, Debug, Default)]
pub struct EmergencyMarks {
    /// User parts of the Request-URI: the numbers of alarm targets.
    pub users: BTreeSet<String>,
    /// Values of Resource-Priority (RFC 4412), as `namespace.value` in lower case.
    pub resource_priorities: BTreeSet<String>,
    pub priority_header: PriorityHeader,
}

/// Whether `Priority: emergency` (RFC 3261 20.26) makes an emergency call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriorityHeader {
    Ignored,
    #[default]
    Honoured,
}

impl EmergencyMarks {
    pub fn urgency(&self, uri: &Uri, headers: &Headers) -> Urgency {
        let by_user = uri
            .user_unescaped()
            .is_some_and(|user| self.users.contains(user.as_ref()));
        let by_priority = self.priority_header == PriorityHeader::Honoured
            && headers
                .get(HeaderName::Priority)
                .is_some_and(|value| value.eq_ignore_ascii_case(b"emergency"));
        let by_resource = !self.resource_priorities.is_empty()
            && headers.tokens(HeaderName::ResourcePriority).any(|value| {
                self.resource_priorities
                    .contains(&value.to_ascii_lowercase())
            });
        if by_user || by_priority || by_resource {
            Urgency::Emergency
        } else {
            Urgency::Normal
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// Too much from this source, or from all together.
    Exceeded,
}

#[derive(Debug)]
pub(crate) struct Admission {
    settings: Settings,
    /// Sources seen of late, and those seen before them: when the first is full it becomes the
    /// second, and what was only in the second is forgotten.
    recent: HashMap<IpAddr, Source>,
    before: HashMap<IpAddr, Source>,
    calls: Meter,
}

#[derive(Clone, Copy, Debug, Default)]
struct Source {
    messages: Meter,
    invites: Meter,
    emergencies: Meter,
}

impl Admission {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            recent: HashMap::new(),
            before: HashMap::new(),
            calls: Meter::default(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn set_emergency(&mut self, marks: EmergencyMarks) {
        self.settings.emergency = marks;
    }

    pub(crate) fn is_trusted(&self, address: IpAddr) -> bool {
        self.settings
            .trusted
            .iter()
            .any(|network| network.contains(address))
    }

    /// A message arrived, still unread.
    pub(crate) fn message(&mut self, address: IpAddr, now: Instant) -> Verdict {
        if self.is_trusted(address) {
            return Verdict::Pass;
        }
        let rate = self.settings.messages;
        self.source(address).messages.take(rate, now)
    }

    /// A new call was read.
    pub(crate) fn invite(&mut self, address: IpAddr, urgency: Urgency, now: Instant) -> Verdict {
        let trusted = self.is_trusted(address);
        let (calls, invites, emergencies) = (
            self.settings.calls,
            self.settings.invites,
            self.settings.emergencies,
        );
        let own = match urgency {
            _ if trusted => Verdict::Pass,
            Urgency::Emergency => self.source(address).emergencies.take(emergencies, now),
            Urgency::Normal => self.source(address).invites.take(invites, now),
        };
        // What a source sends beyond its own rate takes nothing from the others.
        if own != Verdict::Pass {
            return own;
        }
        let all = self.calls.take(calls, now);
        match trusted || urgency == Urgency::Emergency {
            true => Verdict::Pass,
            false => all,
        }
    }

    pub(crate) fn remembered(&self) -> usize {
        self.recent.len() + self.before.len()
    }

    fn source(&mut self, address: IpAddr) -> &mut Source {
        let key = key(address);
        if !self.recent.contains_key(&key) {
            if self.recent.len() >= (self.settings.sources / 2).max(1) {
                self.before = std::mem::take(&mut self.recent);
            }
            let known = self.before.remove(&key).unwrap_or_default();
            self.recent.insert(key, known);
        }
        self.recent.entry(key).or_default()
    }
}

/// A rate meter: the time at which the next event is due (generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    due: Option<Instant>,
}

impl Meter {
    fn take(&mut self, rate: Rate, now: Instant) -> Verdict {
        let due = self.due.unwrap_or(now).max(now);
        if due - now > rate.tolerance {
            return Verdict::Exceeded;
        }
        self.due = Some(due + rate.interval);
        Verdict::Pass
    }
}

/// One source: an IPv4 address, an IPv6 network of a customer, or one link-local station.
fn key(address: IpAddr) -> IpAddr {
    match unmapped(address) {
        IpAddr::V6(address) if !address.is_unicast_link_local() && !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & !u128::from(u64::MAX),
            ))
        }
        other => other,
    }
}

fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    fn admission(settings: Settings) -> Admission {
        Admission::new(settings)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let now = Instant::now();
        let mut admission = admission(Settings {
            invites: Rate::per_second(10, 3),
            ..Settings::default()
        });
        let mut invite = |at: u64| {
            admission.invite(address(1), Urgency::Normal, now + Duration::from_millis(at))
        };
        let verdicts: Vec<_> = [0, 0, 0, 0, 99, 100, 101].map(&mut invite).into();
        use Verdict::{Exceeded, Pass};
        assert_eq!(
            verdicts,
            [Pass, Pass, Pass, Exceeded, Exceeded, Pass, Exceeded]
        );
        assert_eq!(
            admission.invite(address(2), Urgency::Normal, now),
            Pass,
            "another source is not concerned"
        );
    }

    #[test]
    fn an_emergency_call_passes_when_the_rate_is_used_up() {
        let now = Instant::now();
        let mut admission = admission(Settings {
            invites: Rate::per_second(1, 1),
            calls: Rate::per_second(1, 1),
            ..Settings::default()
        });
        admission.invite(address(1), Urgency::Normal, now);
        assert_eq!(
            admission.invite(address(1), Urgency::Normal, now),
            Verdict::Exceeded
        );
        assert_eq!(
            admission.invite(address(1), Urgency::Emergency, now),
            Verdict::Pass
        );
    }

    #[test]
    fn a_flood_from_one_source_leaves_the_common_rate_to_the_others() {
        let now = Instant::now();
        let mut admission = admission(Settings {
            invites: Rate::per_second(10, 10),
            calls: Rate::per_second(100, 100),
            ..Settings::default()
        });
        let mut invite = |n| admission.invite(address(n), Urgency::Normal, now);
        let passed = (0..10_000).filter(|_| invite(1) == Verdict::Pass).count();
        assert_eq!(passed, 10);
        assert_eq!(invite(2), Verdict::Pass);
    }

    #[test]
    fn the_memory_of_sources_is_bounded() {
        let now = Instant::now();
        let mut admission = admission(Settings {
            sources: 100,
            ..Settings::default()
        });
        for n in 0..10_000 {
            admission.message(address(n), now);
        }
        assert!(admission.remembered() <= 100);
    }

    #[test]
    fn stations_on_a_link_count_apart_and_a_routed_network_counts_as_one() {
        let parse = |text: &str| key(text.parse().unwrap());
        assert_ne!(parse("fe80::1"), parse("fe80::2"));
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::2"));
        assert_ne!(parse("2001:db8:0:1::1"), parse("2001:db8:0:2::1"));
        assert_eq!(parse("::ffff:10.0.0.1"), parse("10.0.0.1"));
    }

    #[test]
    fn a_network_contains_its_addresses() {
        let network = Network {
            address: "10.1.0.0".parse().unwrap(),
            prefix: 16,
        };
        assert!(network.contains("10.1.2.3".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("10.2.2.3".parse().unwrap()));
        let everything = Network {
            address: "::".parse().unwrap(),
            prefix: 0,
        };
        assert!(everything.contains("2001:db8::1".parse().unwrap()));
        assert!(!everything.contains("10.0.0.1".parse().unwrap()));
    }
}
