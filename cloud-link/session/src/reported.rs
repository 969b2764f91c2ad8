//! What the gateway is and how it is set, told to the core as changes.
//!
//! Only the newest matters: nothing of it lies on the disk, and what changed while the core was gone
//! is one change. One document is on its way at a time. After a loss with one on its way nobody knows
//! what the core has, and the whole goes again. Invariant: when all is acknowledged and nothing
//! changes, the core has exactly what was last reported, but for parts counted as unreportable.

use std::collections::VecDeque;

use contract::document::Counter;
use contract::{limits, merge, up};
use serde_json::{Map, Value};

use crate::Figures;
use crate::outbox::Place;

/// Octets of settings in a document; the rest of it has room beside.
const PART: usize = limits::DOCUMENT - 1024;

#[derive(Debug)]
pub(crate) struct Reports {
    now: Value,
    core_has: CoreHas,
    parts: VecDeque<Part>,
    in_flight: Option<OnItsWay>,
    /// The last that the core acknowledged.
    acknowledged: Option<Place>,
    applied: Option<up::Applied>,
    seq: i64,
}

/// Once the parts that wait are acknowledged.
#[derive(Debug)]
enum CoreHas {
    Unknown,
    Exactly(Value),
}

#[derive(Debug)]
struct OnItsWay {
    place: Place,
    applied: Option<up::Applied>,
}

#[derive(Debug)]
struct Part {
    full: bool,
    patch: Value,
}

impl Reports {
    pub(crate) fn new() -> Self {
        Self {
            now: Value::Object(Map::new()),
            core_has: CoreHas::Unknown,
            parts: VecDeque::new(),
            in_flight: None,
            acknowledged: None,
            applied: None,
            seq: 0,
        }
    }

    pub(crate) fn set(&mut self, now: Value) {
        if now.is_object() {
            self.now = now;
        }
    }

    pub(crate) fn applied(&mut self, applied: up::Applied) {
        self.applied = Some(applied);
    }

    /// The next to send, if none is on its way.
    pub(crate) fn next(
        &mut self,
        boot: Counter,
        ts: contract::document::Moment,
        figures: &mut Figures,
    ) -> Option<(Place, up::Reported)> {
        if self.in_flight.is_some() {
            return None;
        }
        if self.parts.is_empty() {
            self.divide(figures);
        }
        let part = self.parts.pop_front();
        let applied = match &part {
            // Errors may be long; they get a document of their own.
            Some(_) => None,
            None => self.applied.take(),
        };
        if part.is_none() && applied.is_none() {
            return None;
        }
        self.seq += 1;
        let seq = Counter::new(self.seq).expect("one boot makes fewer than 2^53 reports");
        let (full, patch) = match part {
            Some(part) => (part.full, part.patch),
            None => (false, Value::Object(Map::new())),
        };
        let place = Place { boot, seq };
        self.in_flight = Some(OnItsWay {
            place,
            applied: applied.clone(),
        });
        figures.reports += 1;
        let report = up::Reported {
            seq,
            boot,
            ts,
            full,
            patch,
            applied,
        };
        Some((place, report))
    }

    pub(crate) fn acknowledged(&mut self, place: Place) {
        if self
            .in_flight
            .as_ref()
            .is_some_and(|sent| sent.place == place)
        {
            self.in_flight = None;
            self.acknowledged = Some(place);
        }
    }

    pub(crate) fn lost(&mut self) {
        let sent = self.in_flight.take();
        if sent.is_some() || !self.parts.is_empty() {
            self.core_has = CoreHas::Unknown;
            self.parts.clear();
        }
        if self.applied.is_none() {
            self.applied = sent.and_then(|sent| sent.applied);
        }
    }

    /// What the core says it has last stored: another core, or one that has forgotten, gets all.
    pub(crate) fn core_stored(&mut self, upto: Place) {
        if self.acknowledged != Some(upto) {
            self.core_has = CoreHas::Unknown;
        }
    }

    fn divide(&mut self, figures: &mut Figures) {
        let (full, change) = match &self.core_has {
            CoreHas::Unknown => (true, Some(self.now.clone())),
            CoreHas::Exactly(known) => (false, merge::between(known, &self.now)),
        };
        self.core_has = CoreHas::Exactly(self.now.clone());
        let Some(change) = change else {
            return;
        };
        let mut patches = Vec::new();
        pieces(&change, PART, &mut patches, figures);
        if full && patches.is_empty() {
            patches.push(Value::Object(Map::new()));
        }
        for (nth, patch) in patches.into_iter().enumerate() {
            let full = full && nth == 0;
            self.parts.push_back(Part { full, patch });
        }
    }
}

/// Patches of at most so many octets that are, one after the other, the whole.
fn pieces(whole: &Value, most: usize, into: &mut Vec<Value>, figures: &mut Figures) {
    let Value::Object(members) = whole else {
        figures.unreportable += 1;
        return;
    };
    let mut piece = Map::new();
    let mut size = 2;
    for (name, value) in members {
        let around = octets(&Value::String(name.clone())) + 2;
        let octets = octets(value) + around;
        if octets + 2 > most {
            let mut inner = Vec::new();
            pieces(value, most.saturating_sub(around + 2), &mut inner, figures);
            into.extend(
                inner
                    .into_iter()
                    .map(|part| Value::Object(Map::from_iter([(name.clone(), part)]))),
            );
            continue;
        }
        if size + octets > most {
            into.push(Value::Object(std::mem::take(&mut piece)));
            size = 2;
        }
        size += octets;
        piece.insert(name.clone(), value.clone());
    }
    if !piece.is_empty() {
        into.push(Value::Object(piece));
    }
}

fn octets(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests {
    use contract::document::Moment;
    use serde_json::json;

    use super::*;

    /// Everything that is to be said now, each acknowledged at once.
    fn all(reports: &mut Reports, core: &mut Value) -> usize {
        let boot = Counter::new(1).expect("a counter");
        let mut figures = Figures::default();
        let mut said = 0;
        while let Some((place, report)) = reports.next(boot, Moment::default(), &mut figures) {
            let octets = contract::document::write(&report).expect("it fits");
            assert!(octets.len() <= limits::DOCUMENT);
            if report.full {
                *core = json!({});
            }
            merge::apply(core, &report.patch);
            reports.acknowledged(place);
            said += 1;
        }
        assert_eq!(figures.unreportable, 0);
        said
    }

    #[test]
    fn the_whole_goes_first_then_changes_and_then_nothing() {
        let (mut reports, mut core) = (Reports::new(), json!({"left": "over"}));
        reports.set(json!({"name": "north", "stations": {"1": "idle"}}));
        assert_eq!(all(&mut reports, &mut core), 1);
        assert_eq!(core, json!({"name": "north", "stations": {"1": "idle"}}));
        reports.set(json!({"stations": {"1": "ringing", "2": "idle"}}));
        assert_eq!(all(&mut reports, &mut core), 1);
        assert_eq!(core, json!({"stations": {"1": "ringing", "2": "idle"}}));
        assert_eq!(all(&mut reports, &mut core), 0);
    }

    #[test]
    fn b5_five_hundred_stations_go_in_documents_of_the_right_size() {
        let (mut reports, mut core) = (Reports::new(), json!({}));
        let stations: Map<String, Value> = (0..500)
            .map(|nth| {
                (
                    nth.to_string(),
                    json!({"name": "x".repeat(150), "state": "idle"}),
                )
            })
            .collect();
        let whole = json!({"lines": {"one": {"stations": stations}}, "name": "north"});
        reports.set(whole.clone());
        assert!(all(&mut reports, &mut core) > 2);
        assert_eq!(core, whole);
    }

    #[test]
    fn after_a_loss_on_the_way_the_whole_goes_again() {
        let mut reports = Reports::new();
        let mut core = json!({});
        reports.set(json!({"a": 1}));
        all(&mut reports, &mut core);
        // It reaches the core, its acknowledgement does not come back, and the change is undone.
        reports.set(json!({"a": 1, "b": 2}));
        let boot = Counter::new(1).expect("a counter");
        let (_, report) = reports
            .next(boot, Moment::default(), &mut Figures::default())
            .expect("a change");
        merge::apply(&mut core, &report.patch);
        reports.lost();
        reports.set(json!({"a": 1}));
        all(&mut reports, &mut core);
        assert_eq!(core, json!({"a": 1}));
    }

    #[test]
    fn a_core_that_has_forgotten_gets_the_whole() {
        let (mut reports, mut core) = (Reports::new(), json!({}));
        reports.set(json!({"a": 1}));
        all(&mut reports, &mut core);
        core = json!({});
        reports.core_stored(Place {
            boot: Counter::default(),
            seq: Counter::default(),
        });
        all(&mut reports, &mut core);
        assert_eq!(core, json!({"a": 1}));
    }

    #[test]
    fn what_fits_nowhere_is_left_out_and_counted() {
        let mut figures = Figures::default();
        let mut patches = Vec::new();
        let whole = json!({"huge": "x".repeat(PART), "small": 1});
        pieces(&whole, PART, &mut patches, &mut figures);
        assert_eq!(
            (patches, figures.unreportable),
            (vec![json!({"small": 1})], 1)
        );
    }
}
