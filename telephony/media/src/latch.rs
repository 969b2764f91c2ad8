//! Whose packets a leg accepts, and where it sends (symmetric RTP).
//!
//! The address in the SDP comes first. A packet from elsewhere is accepted,
//! and answered there, only if it comes from the same host or from the
//! signalling peer's network, and only within a window after the leg was
//! opened or updated by the owner. After that the source is settled.
//!
//! Invariant: no packet from outside those two places is ever permitted, and a
//! settled source changes only by the owner's update.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Addresses that share a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    /// Leading bits that count; more than the address has means all of them.
    pub prefix: u8,
}

impl Network {
    pub fn host(address: IpAddr) -> Network {
        Network {
            address,
            prefix: 128,
        }
    }

    pub fn contains(&self, other: IpAddr) -> bool {
        let differing = match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        differing >= u32::from(self.prefix).min(bits)
    }
}

/// How far a leg may depart from the address in its SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatchPolicy {
    /// Send to the SDP address whatever happens; accept any port of its host.
    /// For devices that send from another port than they listen at.
    Fixed,
    /// Answer to where packets come from, within the rules of this module.
    /// `network`: where the signalling peer is, if it may differ from the SDP.
    Symmetric { network: Option<Network> },
}

/// How long a source may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatchWindow {
    pub packets: u16,
    /// Counted from the first accepted packet.
    pub time: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Latch {
    expected: Option<SocketAddr>,
    policy: LatchPolicy,
    source: Option<SocketAddr>,
    settled: bool,
    opened: Option<Instant>,
    left: u16,
}

impl Latch {
    pub(crate) fn new(
        expected: Option<SocketAddr>,
        policy: LatchPolicy,
        window: LatchWindow,
    ) -> Latch {
        Latch {
            expected,
            policy,
            source: None,
            settled: false,
            opened: None,
            left: window.packets,
        }
    }

    /// The owner learnt of new signalling: the window opens again. A known
    /// source stays until then only if the SDP still names the same address.
    pub(crate) fn update(
        &mut self,
        expected: Option<SocketAddr>,
        policy: LatchPolicy,
        window: LatchWindow,
    ) {
        let source = self
            .source
            .filter(|_| expected == self.expected && policy == self.policy);
        *self = Latch {
            source,
            ..Latch::new(expected, policy, window)
        };
    }

    /// Whether a packet from `from` may belong to this leg. Asking changes nothing, so that a packet
    /// can be verified before it moves anything.
    pub(crate) fn permits(&self, from: SocketAddr, window: LatchWindow, now: Instant) -> bool {
        let known = || self.source.is_some_and(|source| same(source, from));
        if self.settled {
            return known();
        }
        self.permits_host(from.ip())
            && (self.policy == LatchPolicy::Fixed
                || self.source.is_none()
                || self.is_open(window, now)
                || known())
    }

    /// A packet from `from`, which was permitted, is genuine: it may move the source.
    pub(crate) fn follow(&mut self, from: SocketAddr, window: LatchWindow, now: Instant) {
        if self.settled || self.policy == LatchPolicy::Fixed {
            return;
        }
        let open = self.is_open(window, now);
        self.opened.get_or_insert(now);
        if self.source.is_some() && !open {
            self.settled = true;
            return;
        }
        self.source = Some(from);
        self.left = self.left.saturating_sub(1);
        // The address of the SDP has spoken itself: nothing left to guess.
        let exact = self.expected.is_some_and(|expected| same(expected, from));
        self.settled = exact || self.left == 0;
    }

    fn is_open(&self, window: LatchWindow, now: Instant) -> bool {
        let opened = self.opened.unwrap_or(now);
        self.left > 0 && now.saturating_duration_since(opened) < window.time
    }

    /// Where to send.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        self.source.or(self.expected)
    }

    /// The source that will not change until the owner's next update.
    pub(crate) fn settled(&self) -> Option<SocketAddr> {
        self.source.filter(|_| self.settled)
    }

    fn permits_host(&self, from: IpAddr) -> bool {
        let by_sdp = self.expected.is_some_and(|expected| expected.ip() == from);
        let by_peer = match self.policy {
            LatchPolicy::Fixed => false,
            LatchPolicy::Symmetric { network } => {
                network.is_some_and(|network| network.contains(from))
            }
        };
        by_sdp || by_peer
    }
}

/// The same host and port. An SDP names no interface, so a scope counts only
/// where both sides have one; flow labels never do.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    let scopes_agree = match (a, b) {
        (SocketAddr::V6(a), SocketAddr::V6(b)) => {
            a.scope_id() == b.scope_id() || a.scope_id() == 0 || b.scope_id() == 0
        }
        (SocketAddr::V4(_), _) | (_, SocketAddr::V4(_)) => true,
    };
    a.ip() == b.ip() && a.port() == b.port() && scopes_agree
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Latch {
        fn accepts(&mut self, from: SocketAddr, window: LatchWindow, now: Instant) -> bool {
            let permitted = self.permits(from, window, now);
            if permitted {
                self.follow(from, window, now);
            }
            permitted
        }
    }

    const WINDOW: LatchWindow = LatchWindow {
        packets: 10,
        time: Duration::from_secs(3),
    };

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn symmetric(peer: &str, prefix: u8) -> LatchPolicy {
        LatchPolicy::Symmetric {
            network: Some(Network {
                address: peer.parse().unwrap(),
                prefix,
            }),
        }
    }

    #[test]
    fn a_network_is_its_prefix() {
        let table = [
            ("192.0.2.0", 24, "192.0.2.77", true),
            ("192.0.2.0", 24, "192.0.3.77", false),
            ("192.0.2.1", 32, "192.0.2.1", true),
            ("192.0.2.1", 128, "192.0.2.2", false),
            ("0.0.0.0", 0, "8.8.8.8", true),
            ("2001:db8::", 64, "2001:db8::9", true),
            ("2001:db8::", 64, "2001:db8:0:1::9", false),
            ("::", 0, "8.8.8.8", false),
        ];
        for (address, prefix, other, expected) in table {
            let network = Network {
                address: address.parse().unwrap(),
                prefix,
            };
            let other: IpAddr = other.parse().unwrap();
            assert_eq!(network.contains(other), expected, "{network:?} {other}");
        }
    }

    #[test]
    fn the_sdp_address_settles_at_once() {
        let now = Instant::now();
        let sdp = at("192.0.2.1:4000");
        let mut latch = Latch::new(Some(sdp), symmetric("192.0.2.1", 32), WINDOW);
        assert_eq!(latch.target(), Some(sdp));
        assert!(latch.accepts(sdp, WINDOW, now));
        assert_eq!(latch.settled(), Some(sdp));
        assert!(!latch.accepts(at("192.0.2.1:4002"), WINDOW, now));
    }

    #[test]
    fn a_station_behind_a_translator_is_answered_where_it_speaks_from() {
        let now = Instant::now();
        let behind = at("10.0.0.9:4000");
        let mut latch = Latch::new(Some(behind), symmetric("198.51.100.7", 32), WINDOW);
        let outside = at("198.51.100.7:61234");
        assert!(latch.accepts(outside, WINDOW, now));
        assert_eq!(latch.target(), Some(outside));
        assert_eq!(latch.settled(), None);
        // A second port of the same translator, still inside the window.
        let moved = at("198.51.100.7:61236");
        assert!(latch.accepts(moved, WINDOW, now));
        assert_eq!(latch.target(), Some(moved));
    }

    #[test]
    fn a_third_address_is_never_followed() {
        let now = Instant::now();
        let sdp = at("192.0.2.1:4000");
        let mut latch = Latch::new(Some(sdp), symmetric("198.51.100.7", 32), WINDOW);
        for _ in 0..100 {
            assert!(!latch.accepts(at("203.0.113.5:4000"), WINDOW, now));
        }
        assert_eq!(latch.target(), Some(sdp));
        assert!(latch.accepts(sdp, WINDOW, now));
    }

    #[test]
    fn the_window_closes_by_packets_and_by_time() {
        let start = Instant::now();
        let (a, b) = (at("198.51.100.7:1000"), at("198.51.100.7:2000"));
        let fresh = || Latch::new(None, symmetric("198.51.100.7", 32), WINDOW);

        let mut by_packets = fresh();
        for _ in 0..WINDOW.packets {
            assert!(by_packets.accepts(a, WINDOW, start));
        }
        assert_eq!(by_packets.settled(), Some(a));
        assert!(!by_packets.accepts(b, WINDOW, start));

        let mut by_time = fresh();
        assert!(by_time.accepts(a, WINDOW, start));
        assert!(!by_time.accepts(b, WINDOW, start + WINDOW.time));
        assert!(by_time.accepts(a, WINDOW, start + WINDOW.time));
        assert_eq!(by_time.settled(), Some(a));
    }

    #[test]
    fn only_an_update_opens_the_window_again() {
        let now = Instant::now();
        let old = at("192.0.2.1:4000");
        let policy = symmetric("192.0.2.1", 32);
        let mut latch = Latch::new(Some(old), policy, WINDOW);
        assert!(latch.accepts(old, WINDOW, now));
        latch.update(Some(old), policy, WINDOW);
        assert_eq!(latch.target(), Some(old), "nothing moved: keep sending");
        assert_eq!(latch.settled(), None);
        let new = at("192.0.2.9:5000");
        latch.update(Some(new), policy, WINDOW);
        assert_eq!(latch.target(), Some(new));
        assert!(latch.accepts(new, WINDOW, now));
        assert!(!latch.accepts(old, WINDOW, now));
    }

    #[test]
    fn a_fixed_leg_sends_to_its_sdp_and_accepts_the_hosts_other_ports() {
        let now = Instant::now();
        let sdp = at("192.0.2.1:4000");
        let mut latch = Latch::new(Some(sdp), LatchPolicy::Fixed, WINDOW);
        assert!(latch.accepts(at("192.0.2.1:4444"), WINDOW, now));
        assert!(!latch.accepts(at("192.0.2.2:4000"), WINDOW, now));
        assert_eq!(latch.target(), Some(sdp));
        assert_eq!(latch.settled(), None);
        assert!(!Latch::new(None, LatchPolicy::Fixed, WINDOW).accepts(sdp, WINDOW, now));
    }

    #[test]
    fn a_link_local_source_matches_an_sdp_without_its_scope() {
        let now = Instant::now();
        let sdp = at("[fe80::1]:4000");
        let mut latch = Latch::new(Some(sdp), symmetric("fe80::1", 128), WINDOW);
        let scoped = at("[fe80::1%3]:4000");
        assert!(latch.accepts(scoped, WINDOW, now));
        assert_eq!(latch.settled(), Some(scoped));
        assert!(!latch.accepts(at("[fe80::1%4]:4000"), WINDOW, now));
    }
}
