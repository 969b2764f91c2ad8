//! What waits for the core: which records there are, in which order they go, which go first when
//! there is no room.
//!
//! The records lie on the disk; here is their index, and the documents of those that go next. Order
//! is that of happening and nothing else: the core takes a record once, by its place. Invariant: a
//! record leaves the index by acknowledgement, by age, by lack of room, or because the disk has lost
//! it, and all but the first are counted.

use std::collections::{BTreeMap, BTreeSet};

use contract::document::{Counter, Moment};

use crate::Figures;

/// Sent and not acknowledged at most: of the 20 that MQTT allows, some are for answers.
const IN_FLIGHT: usize = 16;
/// Documents held in memory.
const AT_HAND: usize = 64;

/// When a record was made: in which run of the program, and as which of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub boot: Counter,
    pub seq: Counter,
}

/// What a record is worth when there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Alarms, doors, audit: never dropped.
    Safety,
    /// Records of calls: dropped when nothing of less worth is left, and when they are too old.
    Call,
    /// The first to go.
    Telemetry,
}

/// A record on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub place: Place,
    pub class: Class,
    /// After this nobody may keep it.
    pub expires: Option<Moment>,
    pub document: Vec<u8>,
}

/// What is known of a record without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub place: Place,
    pub class: Class,
    pub expires: Option<Moment>,
    pub octets: usize,
}

/// Of what may go at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Least,
    More,
}

#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub octets: usize,
    pub records: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            octets: 64 << 20,
            records: 200_000,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Outbox {
    room: Room,
    records: BTreeMap<Place, Entry>,
    octets: usize,
    /// What may go when there is no room, in that order.
    droppable: BTreeSet<(Worth, Place)>,
    /// Of the first records: documents at hand, without a gap.
    at_hand: BTreeMap<Place, Vec<u8>>,
    /// What is being read from the disk: from after the first, up to the second.
    reading: Option<(Option<Place>, Place)>,
    in_flight: BTreeSet<Place>,
    /// The last that was sent on this connection.
    sent: Option<Place>,
    /// The last that was ever sent, to know what is a repetition.
    ever_sent: Option<Place>,
}

/// To be read from the disk, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub after: Option<Place>,
    pub most: usize,
}

impl Class {
    pub const ALL: [Self; 3] = [Self::Safety, Self::Call, Self::Telemetry];

    /// As the disk and metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Call => "call",
            Self::Telemetry => "telemetry",
        }
    }
}

impl Worth {
    const fn of(class: Class) -> Option<Self> {
        match class {
            Class::Safety => None,
            Class::Call => Some(Self::More),
            Class::Telemetry => Some(Self::Least),
        }
    }
}

impl Row {
    pub fn entry(&self) -> Entry {
        Entry {
            place: self.place,
            class: self.class,
            expires: self.expires,
            octets: self.document.len(),
        }
    }
}

impl Outbox {
    pub(crate) fn new(room: Room, records: Vec<Entry>) -> Self {
        let mut outbox = Self {
            room,
            records: BTreeMap::new(),
            octets: 0,
            droppable: BTreeSet::new(),
            at_hand: BTreeMap::new(),
            reading: None,
            in_flight: BTreeSet::new(),
            sent: None,
            ever_sent: None,
        };
        for record in records {
            outbox.enter(record);
        }
        outbox
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) const fn octets(&self) -> usize {
        self.octets
    }

    pub(crate) fn oldest(&self) -> Option<Place> {
        self.records.keys().next().copied()
    }

    /// Takes a record in; says what has to go for it.
    pub(crate) fn append(&mut self, row: Row, figures: &mut Figures) -> Vec<Place> {
        let all_at_hand = self.at_hand.len() == self.records.len();
        self.enter(row.entry());
        if all_at_hand && self.at_hand.len() < AT_HAND {
            self.at_hand.insert(row.place, row.document);
        }
        self.make_room(figures)
    }

    /// The next document to send, while few enough are on their way.
    pub(crate) fn next(&mut self, figures: &mut Figures) -> Option<(Place, Vec<u8>)> {
        if self.in_flight.len() >= IN_FLIGHT {
            return None;
        }
        let place = self.unsent()?;
        let document = self.at_hand.get(&place)?.clone();
        self.in_flight.insert(place);
        self.sent = Some(place);
        figures.events_repeated += u64::from(self.ever_sent >= Some(place));
        self.ever_sent = self.ever_sent.max(Some(place));
        Some((place, document))
    }

    /// What to read from the disk, if it is time to.
    pub(crate) fn reading(&mut self) -> Option<Reading> {
        if self.reading.is_some() || self.at_hand.len() >= IN_FLIGHT {
            return None;
        }
        let after = self.at_hand.keys().next_back().copied();
        let rest = (bound_after(after), std::ops::Bound::Unbounded);
        let (last, _) = self.records.range(rest).next_back()?;
        self.reading = Some((after, *last));
        Some(Reading {
            after,
            most: AT_HAND,
        })
    }

    /// What the disk gave. What should have been there and is not, is lost.
    pub(crate) fn read(&mut self, rows: Vec<Row>, figures: &mut Figures) {
        let Some((after, last)) = self.reading.take() else {
            return;
        };
        let reached = match rows.last() {
            Some(row) if rows.len() >= AT_HAND => row.place,
            Some(_) | None => last,
        };
        let given: BTreeMap<Place, Vec<u8>> = rows
            .into_iter()
            .map(|row| (row.place, row.document))
            .collect();
        let expected = (bound_after(after), std::ops::Bound::Included(reached));
        let missing: Vec<Place> = self
            .records
            .range(expected)
            .map(|(place, _)| *place)
            .filter(|place| !given.contains_key(place))
            .collect();
        for place in missing {
            figures.unreadable += 1;
            self.remove(place);
        }
        let known = given
            .into_iter()
            .filter(|(place, _)| self.records.contains_key(place));
        self.at_hand.extend(known);
    }

    /// The core has stored it.
    pub(crate) fn acknowledged(&mut self, place: Place, figures: &mut Figures) -> bool {
        let known = self.remove(place);
        figures.events_told += u64::from(known);
        known
    }

    /// The core has stored all up to here; what of it was still kept.
    pub(crate) fn acknowledged_up_to(&mut self, place: Place, figures: &mut Figures) -> Vec<Place> {
        let told: Vec<Place> = self.records.range(..=place).map(|(at, _)| *at).collect();
        for at in &told {
            self.acknowledged(*at, figures);
        }
        told
    }

    /// The connection is gone: all that is not acknowledged goes again.
    pub(crate) fn lost(&mut self) {
        self.in_flight.clear();
        self.sent = None;
    }

    /// Removes what nobody may keep any longer.
    pub(crate) fn expire(&mut self, now: Moment, figures: &mut Figures) -> Vec<Place> {
        let old: Vec<Place> = self
            .records
            .values()
            .filter(|entry| entry.class != Class::Safety)
            .filter(|entry| entry.expires.is_some_and(|expires| expires <= now))
            .map(|entry| entry.place)
            .collect();
        for place in &old {
            figures.expired += 1;
            self.remove(*place);
        }
        old
    }

    fn enter(&mut self, entry: Entry) {
        self.octets += entry.octets;
        self.records.insert(entry.place, entry);
        if let Some(worth) = Worth::of(entry.class) {
            self.droppable.insert((worth, entry.place));
        }
    }

    fn unsent(&self) -> Option<Place> {
        let rest = (bound_after(self.sent), std::ops::Bound::Unbounded);
        self.records.range(rest).next().map(|(place, _)| *place)
    }

    fn make_room(&mut self, figures: &mut Figures) -> Vec<Place> {
        let mut dropped = Vec::new();
        while self.octets > self.room.octets || self.records.len() > self.room.records {
            let Some((worth, place)) = self.droppable.first().copied() else {
                break;
            };
            match worth {
                Worth::Least => figures.telemetry_dropped += 1,
                Worth::More => figures.calls_dropped += 1,
            }
            self.remove(place);
            dropped.push(place);
        }
        dropped
    }

    fn remove(&mut self, place: Place) -> bool {
        self.at_hand.remove(&place);
        self.in_flight.remove(&place);
        match self.records.remove(&place) {
            Some(entry) => {
                self.octets -= entry.octets;
                if let Some(worth) = Worth::of(entry.class) {
                    self.droppable.remove(&(worth, place));
                }
                true
            }
            None => false,
        }
    }
}

fn bound_after(place: Option<Place>) -> std::ops::Bound<Place> {
    match place {
        Some(place) => std::ops::Bound::Excluded(place),
        None => std::ops::Bound::Unbounded,
    }
}
