//! Nonces that need no memory until they are used with success, and then a bounded one.
//!
//! A nonce carries its second of issue, a serial number and a MAC over both and over the address it
//! was given to. So it also proves that its sender receives at that address: what comes from a
//! forged address never carries a current nonce, and only a current nonce makes a wrong password
//! count against its source.
//! Invariant: a (nonce, count) pair is accepted at most once; what the table had to forget is stale.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{decode_hex, encode_hex};

/// Second of issue and serial number, in this order, so that ids sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NonceId(u64);

pub(super) struct Nonces {
    mac: Hmac<Sha256>,
    start: Instant,
    lifetime: Duration,
    serial: u32,
    used: BTreeMap<NonceId, Counts>,
    capacity: usize,
    /// Nonces up to this one are stale whatever their age: the table forgot their counts.
    forgotten: Option<NonceId>,
}

/// The counts seen with a nonce: the highest, and which of the 32 before it.
#[derive(Clone, Copy)]
struct Counts {
    highest: u32,
    before: u32,
}

const ID_LEN: usize = 8;
const MAC_LEN: usize = 12;

impl Nonces {
    pub(super) fn new(key: &[u8; 32], lifetime: Duration, capacity: usize, now: Instant) -> Self {
        Self {
            mac: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
            start: now,
            lifetime,
            serial: 0,
            used: BTreeMap::new(),
            capacity: capacity.max(1),
            forgotten: None,
        }
    }

    pub(super) fn issue(&mut self, to: IpAddr, now: Instant) -> String {
        self.serial = self.serial.wrapping_add(1);
        let id = NonceId(u64::from(self.second(now)) << 32 | u64::from(self.serial));
        let mut raw = [0; ID_LEN + MAC_LEN];
        raw[..ID_LEN].copy_from_slice(&id.0.to_be_bytes());
        raw[ID_LEN..].copy_from_slice(&self.tag(id, to));
        let mut text = vec![0; raw.len() * 2];
        encode_hex(&raw, &mut text);
        String::from_utf8(text).expect("hexadecimal digits are ASCII")
    }

    /// `None`: not ours, not given to that address, or too old. Those three look the same.
    pub(super) fn current(&self, nonce: &str, from: IpAddr, now: Instant) -> Option<NonceId> {
        let mut raw = [0; ID_LEN + MAC_LEN];
        decode_hex(nonce.as_bytes(), &mut raw)?;
        let (id, tag) = raw.split_first_chunk::<ID_LEN>()?;
        let id = NonceId(u64::from_be_bytes(*id));
        if !bool::from(self.tag(id, from).ct_eq(tag)) {
            return None;
        }
        let age = self.second(now).checked_sub(id.second())?;
        let fresh = Duration::from_secs(age.into()) <= self.lifetime;
        (fresh && self.forgotten.is_none_or(|forgotten| id > forgotten)).then_some(id)
    }

    /// Notes the use of a current nonce; `false` when that count was seen before.
    /// Asked only after the credentials proved right, so that strangers fill no table.
    pub(super) fn first_use(&mut self, id: NonceId, count: u32, now: Instant) -> bool {
        if let Some(counts) = self.used.get_mut(&id) {
            return counts.note(count);
        }
        if count == 0 {
            return false;
        }
        self.make_room(now);
        self.used.insert(
            id,
            Counts {
                highest: count,
                before: 0,
            },
        );
        true
    }

    fn make_room(&mut self, now: Instant) {
        let oldest_fresh = self
            .second(now)
            .saturating_sub(self.lifetime.as_secs() as u32);
        while let Some((&id, _)) = self.used.first_key_value() {
            let aged = id.second() < oldest_fresh;
            if !aged && self.used.len() < self.capacity {
                return;
            }
            self.used.remove(&id);
            if !aged {
                self.forgotten = Some(id);
            }
        }
    }

    fn tag(&self, id: NonceId, address: IpAddr) -> [u8; MAC_LEN] {
        let address = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let mut mac = self.mac.clone();
        mac.update(&id.0.to_be_bytes());
        mac.update(&address.octets());
        let tag = mac.finalize().into_bytes();
        *tag.first_chunk()
            .expect("SHA-256 makes more bytes than the tag keeps")
    }

    fn second(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_secs() as u32
    }
}

impl NonceId {
    fn second(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Counts {
    /// RFC 7616 3.4: a count seen before is a replay. Requests on UDP may overtake each other.
    fn note(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count - self.highest;
            self.before = self.before.checked_shl(ahead).unwrap_or(0)
                | 1u32.checked_shl(ahead - 1).unwrap_or(0);
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if count == 0 || behind == 0 || behind > 32 || self.before >> (behind - 1) & 1 == 1 {
            return false;
        }
        self.before |= 1 << (behind - 1);
        true
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nonces {{ used: {}, .. }}", self.used.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 8));

    fn nonces(capacity: usize) -> (Nonces, Instant) {
        let now = Instant::now();
        (
            Nonces::new(&[7; 32], Duration::from_secs(300), capacity, now),
            now,
        )
    }

    #[test]
    fn a_nonce_is_current_for_its_address_and_time_only() {
        let (mut nonces, now) = nonces(10);
        let nonce = nonces.issue(HERE, now);
        assert!(nonces.current(&nonce, HERE, now).is_some());
        assert!(nonces.current(&nonce, THERE, now).is_none());
        assert!(
            nonces
                .current(&nonce, HERE, now + Duration::from_secs(300))
                .is_some()
        );
        assert!(
            nonces
                .current(&nonce, HERE, now + Duration::from_secs(301))
                .is_none()
        );
        let other = Nonces::new(&[8; 32], Duration::from_secs(300), 10, now);
        assert!(other.current(&nonce, HERE, now).is_none());
        for (at, _) in nonce.char_indices() {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert!(
                nonces
                    .current(str::from_utf8(&forged).unwrap(), HERE, now)
                    .is_none()
            );
        }
        assert!(nonces.current("", HERE, now).is_none());
        assert!(nonces.current(&format!("{nonce}00"), HERE, now).is_none());
    }

    #[test]
    fn each_count_is_accepted_once_even_out_of_order() {
        let (mut nonces, now) = nonces(10);
        let nonce = nonces.issue(HERE, now);
        let id = nonces.current(&nonce, HERE, now).unwrap();
        let steps = [
            (0, false),
            (3, true),
            (3, false),
            (1, true),
            (1, false),
            (5, true),
            (4, true),
            (2, true),
            (4, false),
            (40, true),
            (8, true),
            (8, false),
            (7, false),
            (39, true),
            (u32::MAX, true),
            (u32::MAX, false),
            (40, false),
        ];
        for (count, accepted) in steps {
            assert_eq!(nonces.first_use(id, count, now), accepted, "count {count}");
        }
    }

    #[test]
    fn what_the_full_table_forgets_is_stale_and_not_replayable() {
        let (mut nonces, now) = nonces(2);
        let issued: Vec<String> = (0..4).map(|_| nonces.issue(HERE, now)).collect();
        for nonce in &issued[..3] {
            let id = nonces.current(nonce, HERE, now).unwrap();
            assert!(nonces.first_use(id, 1, now));
        }
        assert_eq!(nonces.used.len(), 2);
        assert!(nonces.current(&issued[0], HERE, now).is_none());
        assert!(nonces.current(&issued[1], HERE, now).is_some());
        assert!(nonces.current(&issued[3], HERE, now).is_some());
    }

    #[test]
    fn aged_entries_leave_without_making_younger_ones_stale() {
        let (mut nonces, now) = nonces(2);
        let nonce = nonces.issue(HERE, now);
        let id = nonces.current(&nonce, HERE, now).unwrap();
        assert!(nonces.first_use(id, 1, now));
        let later = now + Duration::from_secs(400);
        let nonce = nonces.issue(HERE, later);
        let id = nonces.current(&nonce, HERE, later).unwrap();
        assert!(nonces.first_use(id, 1, later));
        assert_eq!((nonces.used.len(), nonces.forgotten), (1, None));
    }
}
