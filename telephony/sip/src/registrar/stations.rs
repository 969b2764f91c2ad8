//! The table of accounts and their bindings, with what finds them by user, by connection, by time.
//!
//! It keeps order and knows no rule of registration. Invariant: a station with bindings is watched
//! by one entry of the deadline heap that is not later than the first of them expires.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use super::binding::Binding;
use super::settings::{Account, Transports};
use crate::digest::Ha1Set;
use crate::flow::{ConnectionId, Flow, Transport};

#[derive(Debug)]
pub(super) struct Station {
    pub(super) user: Arc<str>,
    pub(super) ha1: Ha1Set,
    pub(super) max_contacts: u8,
    pub(super) transports: Transports,
    bindings: Box<[Binding]>,
    /// What the owner was told last.
    announced: Presence,
    /// When the deadline heap looks at this station next; other entries of it are outdated.
    check_at: u32,
}

impl Station {
    pub(super) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Whether a request from there comes from where a binding of this station lives.
    pub(super) fn lives_at(&self, flow: &Flow) -> bool {
        self.bindings.iter().any(|binding| {
            let home = binding.view().flow;
            match flow.transport {
                Transport::Udp => home.transport == Transport::Udp && home.remote == flow.remote,
                Transport::Tcp | Transport::Tls => home.connection == flow.connection,
            }
        })
    }
}

/// Whether a station came or went since the owner was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Came,
    Went,
    Same,
}

const NEVER: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Stations {
    by_user: HashMap<Arc<str>, u32>,
    slots: Vec<Option<Station>>,
    free: Vec<u32>,
    deadlines: BinaryHeap<Reverse<(u32, u32)>>,
    /// May hold pairs that no binding is behind any more, until the connection closes.
    connections: BTreeSet<(ConnectionId, u32)>,
    bindings: usize,
}

impl Stations {
    pub(super) fn find(&self, user: &str) -> Option<u32> {
        self.by_user.get(user).copied()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Station> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Station)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, station)| Some((slot as u32, station.as_ref()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.by_user.len()
    }

    pub(super) fn bindings(&self) -> usize {
        self.bindings
    }

    /// Some account, the same one for the same number until accounts come or go.
    pub(super) fn any(&self, number: u64) -> Option<&Station> {
        let start = number.checked_rem(self.slots.len() as u64)? as usize;
        let (before, from) = self.slots.split_at(start);
        from.iter().chain(before).find_map(Option::as_ref)
    }

    /// Adds an account, or changes the one of that user and keeps its bindings.
    pub(super) fn put_account(&mut self, account: Account) -> u32 {
        let Account {
            user,
            ha1,
            max_contacts,
            transports,
        } = account;
        if let Some(slot) = self.find(&user)
            && let Some(station) = &mut self.slots[slot as usize]
        {
            (station.ha1, station.max_contacts, station.transports) =
                (ha1, max_contacts, transports);
            return slot;
        }
        let user: Arc<str> = user.into();
        let station = Station {
            user: user.clone(),
            ha1,
            max_contacts,
            transports,
            bindings: Box::default(),
            announced: Presence::Went,
            check_at: NEVER,
        };
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(station),
            None => self.slots.push(Some(station)),
        }
        self.by_user.insert(user, slot);
        slot
    }

    pub(super) fn remove_account(&mut self, slot: u32) -> Option<Station> {
        let station = self.slots.get_mut(slot as usize)?.take()?;
        self.by_user.remove(&station.user);
        self.free.push(slot);
        self.bindings -= station.bindings.len();
        Some(station)
    }

    /// Replaces all bindings of a station and gives those it had.
    pub(super) fn set_bindings(&mut self, slot: u32, bindings: Vec<Binding>) -> Box<[Binding]> {
        let Some(Some(station)) = self.slots.get_mut(slot as usize) else {
            return Box::default();
        };
        for binding in &bindings {
            let connection = binding.view().flow.connection;
            if connection != ConnectionId::NONE {
                self.connections.insert((connection, slot));
            }
        }
        self.bindings = self.bindings + bindings.len() - station.bindings.len();
        let before = std::mem::replace(&mut station.bindings, bindings.into());
        self.watch(slot);
        before
    }

    /// What to tell the owner of a station; counts as told.
    pub(super) fn note_presence(&mut self, user: &str) -> Presence {
        let slot = self
            .find(user)
            .and_then(|slot| self.slots.get_mut(slot as usize));
        let Some(Some(station)) = slot else {
            return Presence::Same;
        };
        let now = match station.bindings.is_empty() {
            true => Presence::Went,
            false => Presence::Came,
        };
        if station.announced == now {
            return Presence::Same;
        }
        station.announced = now;
        now
    }

    /// Sets the station's entry in the deadline heap unless there is an earlier one already.
    fn watch(&mut self, slot: u32) {
        let Some(Some(station)) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let first = station.bindings.iter().map(|b| b.expires).min();
        if let Some(first) = first
            && first < station.check_at
        {
            station.check_at = first;
            self.deadlines.push(Reverse((first, slot)));
        }
        if self.deadlines.len() > 2 * self.by_user.len() + 64 {
            self.rebuild_deadlines();
        }
    }

    /// Drops outdated entries, which a station makes by asking for ever shorter times.
    fn rebuild_deadlines(&mut self) {
        let all = self.iter().filter(|(_, station)| station.check_at != NEVER);
        self.deadlines = all
            .map(|(slot, station)| Reverse((station.check_at, slot)))
            .collect();
    }

    /// The next second at which a station should be looked at.
    pub(super) fn next_deadline(&mut self) -> Option<u32> {
        while let Some(&Reverse((second, slot))) = self.deadlines.peek() {
            if self
                .get(slot)
                .is_some_and(|s| s.check_at == second && !s.bindings.is_empty())
            {
                return Some(second);
            }
            self.deadlines.pop();
            if let Some(Some(station)) = self.slots.get_mut(slot as usize)
                && station.check_at == second
            {
                station.check_at = NEVER;
            }
        }
        None
    }

    /// A station whose time has come, and what of its bindings is still alive.
    pub(super) fn next_due(&mut self, second: u32) -> Option<(u32, Vec<Binding>)> {
        loop {
            let due = self.next_deadline().filter(|due| *due <= second)?;
            let Reverse((_, slot)) = self.deadlines.pop()?;
            let Some(Some(station)) = self.slots.get_mut(slot as usize) else {
                continue;
            };
            debug_assert_eq!(station.check_at, due);
            station.check_at = NEVER;
            let alive: Vec<_> = station
                .bindings
                .iter()
                .filter(|b| b.expires > second)
                .cloned()
                .collect();
            if alive.len() < station.bindings.len() {
                return Some((slot, alive));
            }
            self.watch(slot); // it was refreshed since
        }
    }

    /// The stations that may have bindings on a connection; the pairs are forgotten.
    pub(super) fn take_connection(&mut self, connection: ConnectionId) -> Vec<u32> {
        let range = (connection, 0)..=(connection, u32::MAX);
        let slots: Vec<u32> = self
            .connections
            .range(range)
            .map(|(_, slot)| *slot)
            .collect();
        for slot in &slots {
            self.connections.remove(&(connection, *slot));
        }
        slots
    }
}
