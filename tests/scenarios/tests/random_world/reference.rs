//! What must be true, seen from outside: a simple model of the house, and what is counted twice.
//!
//! The model knows who asked for a door, how long sound has been flowing between two legs, and which
//! records there are. It does not know how calls are routed; whether the house works at all, the
//! calm shows (`calm.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use model::{CommandId, LegId, RecordId};
use scenarios::world::World;

use crate::house::LAST_KEYS;

/// A conversation of ten minutes.
const LONGEST_SOUND: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct Reference {
    /// For each door: how often its code may have been completed, and an operator asked.
    permitted: BTreeMap<&'static str, u64>,
    /// Over all starts: pulses of starts that are over.
    pulses_before: u64,
    records: BTreeSet<RecordId>,
    recorded_legs: BTreeSet<LegId>,
    seen_records: usize,
    door_records: BTreeSet<CommandId>,
    seen_door_records: usize,
    urls: BTreeSet<CommandId>,
    seen_urls: usize,
    /// Records of the starts before this one.
    records_before: u64,
    sound_since: BTreeMap<(LegId, LegId), Instant>,
}

impl Reference {
    /// Somebody pressed keys, where they may be heard as a code.
    pub(crate) fn keys(&mut self, keys: &str) {
        for (door, last) in LAST_KEYS {
            let presses = keys.chars().filter(|key| *key == last).count();
            *self.permitted.entry(door).or_default() += presses as u64;
        }
    }

    pub(crate) fn operator_opened(&mut self, door: &'static str) {
        *self.permitted.entry(door).or_default() += 1;
    }

    /// Somebody behind the line asks for a door of ours.
    pub(crate) fn old_side_opens(&mut self, door: &'static str) {
        *self.permitted.entry(door).or_default() += 1;
    }

    /// Doors behind the line open for operators only.
    pub(crate) fn check_yard(&self, opened: u64) {
        let asked = self.permitted.get("yard").copied().unwrap_or_default();
        assert!(
            opened <= asked,
            "{opened} pulses of the yard for {asked} requests"
        );
    }

    /// The process is about to die: what it had counted is lost with it.
    pub(crate) fn crashes(&mut self, world: &World) {
        if world.gateway.is_up() {
            self.pulses_before += world.gateway.state().calls().counters().door_pulses;
        }
        self.records_before = world.gateway.records.len() as u64;
        self.sound_since.clear();
    }

    /// After each step.
    pub(crate) fn check(&mut self, world: &World) {
        self.check_records(world);
        if !world.gateway.is_up() {
            return;
        }
        self.check_doors(world);
        self.check_legs(world);
        self.check_sound(world);
        let state = world.gateway.state();
        assert_eq!(
            state.counters().drains_cut_short,
            0,
            "a drain was cut short"
        );
    }

    /// No record twice, no leg twice, no door command twice.
    fn check_records(&mut self, world: &World) {
        for record in &world.gateway.records[self.seen_records..] {
            assert!(self.records.insert(record.id), "{} comes twice", record.id);
            assert!(
                self.recorded_legs.insert(record.leg),
                "{} has two records",
                record.leg
            );
            assert!(record.started <= record.ended || record.answered.is_none());
        }
        self.seen_records = world.gateway.records.len();
        for record in &world.gateway.door_records[self.seen_door_records..] {
            let first = self.door_records.insert(record.command);
            assert!(first, "{:?} has two records", record.command);
        }
        self.seen_door_records = world.gateway.door_records.len();
        for request in &world.gateway.url_requests[self.seen_urls..] {
            assert!(
                self.urls.insert(request.command),
                "{:?} was sent twice",
                request.command
            );
        }
        self.seen_urls = world.gateway.url_requests.len();
    }

    /// A pulse implies that somebody asked.
    fn check_doors(&self, world: &World) {
        let pulses = world.gateway.state().calls().counters().door_pulses + self.pulses_before;
        let permitted: u64 = self.permitted.values().sum();
        assert!(
            pulses <= permitted,
            "{pulses} pulses for {permitted} requests"
        );
        let urls = self.urls.len() as u64;
        let gate = self.permitted.get("gate").copied().unwrap_or_default();
        assert!(
            urls <= gate,
            "{urls} pulses of the gate for {gate} requests"
        );
    }

    /// Every leg there was is there, or has its record; at most one answers.
    fn check_legs(&self, world: &World) {
        let engine = world.gateway.state().calls();
        let (counters, gauges) = (engine.counters(), engine.gauges());
        let legs = counters.legs_arrived + counters.legs_started;
        assert_eq!(
            legs,
            counters.records + gauges.legs as u64,
            "legs without a record"
        );
        let told = world.gateway.records.len() as u64 - self.records_before;
        assert_eq!(counters.records, told, "records that were not told");
        for call in engine.calls() {
            let talking = matches!(call.phase, calls::Phase::Talking | calls::Phase::Held);
            let answered = call
                .legs
                .iter()
                .filter(|leg| leg.answer == calls::AnswerView::Answered);
            let answered = answered.count();
            assert!(
                !talking || answered <= 2,
                "{answered} legs talk in {call:?}"
            );
        }
        let (media, _) = world.gateway.media.leftovers();
        assert!(
            media <= gauges.legs,
            "{media} media legs for {} legs",
            gauges.legs
        );
    }

    /// No two talk with each other for longer than a conversation may last. Rooms have no limit,
    /// and what is heard while it rings is no conversation.
    fn check_sound(&mut self, world: &World) {
        let engine = world.gateway.state().calls();
        let talk = |leg| {
            let call = engine.call_of_leg(leg).and_then(|call| engine.call(call));
            call.is_some_and(|call| call.phase == calls::Phase::Talking)
        };
        let mut joined = world.gateway.media.joined();
        joined.retain(|(a, b)| talk(*a) && talk(*b));
        self.sound_since.retain(|pair, _| joined.contains(pair));
        for pair in joined {
            let since = *self.sound_since.entry(pair).or_insert(world.now);
            let time = world.now - since;
            assert!(
                time <= LONGEST_SOUND,
                "{pair:?} have been talking for {time:?}"
            );
        }
    }
}
