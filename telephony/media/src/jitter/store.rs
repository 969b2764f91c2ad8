//! The packets that wait, in order, in bounded memory.
//!
//! Payloads lie one behind the other in one piece of memory, what is known of
//! them in another; both grow as far as they are used and no further than
//! [`MAX_OCTETS`] and [`MAX_PACKETS`], because most streams never have two
//! packets waiting. A buffer that hands each packet over at once starts at the
//! beginning each time.
//!
//! Invariant: all waiting sequence numbers lie within [`MAX_PACKETS`].

/// A second of sound and more.
pub(super) const MAX_PACKETS: usize = 64;

/// All payloads together: 16 times what 120 ms of G.711 or G.722 need.
pub(super) const MAX_OCTETS: usize = 16_384;

/// One packet without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sequence: i64,
    /// Media time at which it begins, in ticks.
    pub(super) position: i64,
    /// Ticks of sound in it.
    pub(super) duration: u32,
    pub(super) timestamp: u32,
    start: u32,
    len: u32,
}

#[derive(Debug)]
pub(super) struct Store {
    /// By sequence number, in rising order.
    entries: Vec<Entry>,
    octets: Vec<u8>,
}

impl Store {
    pub(super) fn new() -> Store {
        Store {
            entries: Vec::new(),
            octets: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn get(&self, sequence: i64) -> Option<Entry> {
        let place = self.place(sequence).ok()?;
        self.entries.get(place).copied()
    }

    /// The earliest of all, no earlier than `from`.
    pub(super) fn first(&self, from: i64) -> Option<Entry> {
        let place = self.place(from).unwrap_or_else(|next| next);
        self.entries.get(place).copied()
    }

    /// `false`: no room, or it is there already.
    pub(super) fn put(
        &mut self,
        sequence: i64,
        position: i64,
        duration: u32,
        timestamp: u32,
        payload: &[u8],
    ) -> bool {
        let Err(place) = self.place(sequence) else {
            return false;
        };
        if self.entries.len() >= MAX_PACKETS {
            return false;
        }
        if self.entries.is_empty() {
            self.octets.clear();
        }
        if self.octets.len() + payload.len() > MAX_OCTETS {
            self.compact();
        }
        if self.octets.len() + payload.len() > MAX_OCTETS {
            return false;
        }
        let entry = Entry {
            sequence,
            position,
            duration,
            timestamp,
            start: self.octets.len() as u32,
            len: payload.len() as u32,
        };
        self.octets.extend_from_slice(payload);
        self.entries.insert(place, entry);
        true
    }

    /// Takes a packet out. Its payload may be read until the next [`Store::put`].
    pub(super) fn take(&mut self, entry: Entry) {
        if let Ok(place) = self.place(entry.sequence) {
            self.entries.remove(place);
        }
    }

    pub(super) fn payload(&self, entry: Entry) -> &[u8] {
        let start = entry.start as usize;
        let end = start + entry.len as usize;
        self.octets.get(start..end).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    fn place(&self, sequence: i64) -> Result<usize, usize> {
        self.entries
            .binary_search_by_key(&sequence, |entry| entry.sequence)
    }

    /// Closes the holes that packets left.
    fn compact(&mut self) {
        let mut end = 0;
        let mut from = 0;
        // Each payload moves down at most, so in order of place none is overwritten.
        while let Some(entry) = lowest_from(&mut self.entries, from) {
            let (start, len) = (entry.start as usize, entry.len as usize);
            from = entry.start + entry.len.max(1);
            self.octets.copy_within(start..start + len, end);
            entry.start = end as u32;
            end += len;
        }
        self.octets.truncate(end);
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> (usize, usize) {
        (self.entries.capacity(), self.octets.capacity())
    }
}

fn lowest_from(entries: &mut [Entry], from: u32) -> Option<&mut Entry> {
    let entries = entries.iter_mut();
    let entries = entries.filter(|entry| entry.start >= from && entry.len > 0);
    entries.min_by_key(|entry| entry.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map that keeps everything.
        #[test]
        fn payloads_stay_whole_while_others_come_and_go(
            steps in proptest::collection::vec((0..64i64, 0..1500usize, any::<bool>()), 1..300),
        ) {
            let mut store = Store::new();
            let mut model: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
            for (n, (sequence, len, put)) in steps.into_iter().enumerate() {
                let payload = vec![n as u8; len];
                if put {
                    let sum: usize = model.values().map(Vec::len).sum();
                    let fits = !model.contains_key(&sequence) && sum + len <= MAX_OCTETS;
                    prop_assert_eq!(store.put(sequence, 0, 160, 0, &payload), fits);
                    if fits {
                        model.insert(sequence, payload);
                    }
                } else if let Some(entry) = store.get(sequence) {
                    store.take(entry);
                    let expected = model.remove(&sequence);
                    prop_assert_eq!(Some(store.payload(entry)), expected.as_deref());
                }
                prop_assert_eq!(store.len(), model.len());
                let first = store.first(0).map(|entry| entry.sequence);
                prop_assert_eq!(first, model.keys().next().copied());
                for (sequence, payload) in &model {
                    let entry = store.get(*sequence).expect("it was put");
                    prop_assert_eq!(store.payload(entry), &payload[..]);
                }
                let (entries, octets) = store.capacity();
                prop_assert!(entries <= 2 * MAX_PACKETS && octets <= 2 * MAX_OCTETS);
            }
        }
    }
}
