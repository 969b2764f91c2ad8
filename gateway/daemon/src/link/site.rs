//! What the gateway is to the cloud core: stations, doors, lines, faults, by the names of the
//! directory, and the document that says so.
//!
//! Invariant: what changes one by one is a map keyed by its name (rule 4 of docs/link.md), and the
//! same gateway makes the same document.

use std::collections::BTreeMap;

use exchange::StationView;
use model::{Directory, DoorId, Faults, StationId, Timestamp};
use serde_json::{Map, Value, json};

use super::telling::{self, Tale};
use crate::control::protocol::LineBrief;

/// Names of the directory, and the faults that were told.
#[derive(Debug, Default)]
pub(crate) struct Site {
    doors: BTreeMap<DoorId, DoorPlace>,
    numbers: BTreeMap<StationId, String>,
    faults: BTreeMap<StationId, Faults>,
    lines_up: BTreeMap<String, bool>,
}

#[derive(Debug)]
struct DoorPlace {
    key: String,
    station: String,
}

impl Site {
    /// The directory was read.
    pub(crate) fn is(&mut self, directory: &Directory, doors: &BTreeMap<String, DoorId>) {
        let stations = directory.stations();
        let of = |door: &DoorId| {
            let station = stations
                .iter()
                .find(|station| station.doors.iter().any(|one| one.id == *door))?;
            Some(station.number.to_string())
        };
        self.doors = doors
            .iter()
            .map(|(key, door)| {
                let place = DoorPlace {
                    key: key.clone(),
                    station: of(door).unwrap_or_default(),
                };
                (*door, place)
            })
            .collect();
        self.numbers = stations
            .iter()
            .map(|station| (station.id, station.number.to_string()))
            .collect();
        let numbers = &self.numbers;
        self.faults
            .retain(|station, _| numbers.contains_key(station));
    }

    pub(crate) fn key_of(&self, door: DoorId) -> &str {
        self.doors.get(&door).map_or("", |place| &place.key)
    }

    pub(crate) fn door(&self, key: &str) -> Option<DoorId> {
        self.doors
            .iter()
            .find(|(_, place)| place.key == key)
            .map(|(door, _)| *door)
    }

    /// What is to be told of a station's faults, if they are news.
    pub(crate) fn faults(
        &mut self,
        station: StationId,
        now: Faults,
        at: Timestamp,
    ) -> Option<Tale> {
        let number = self.numbers.get(&station)?;
        let before = self.faults.insert(station, now).unwrap_or_default();
        (before != now).then(|| telling::faults((station, number), now, at))
    }

    /// What is to be told of a line, if it is news.
    pub(crate) fn line(&mut self, line: &LineBrief, at: Timestamp) -> Option<Tale> {
        let is_up = line.state.starts_with("up");
        let before = self.lines_up.insert(line.name.clone(), is_up);
        // At the start a line comes up in its time; that it was there before is no news.
        (before.unwrap_or(is_up) != is_up).then(|| telling::line(&line.name, is_up, at))
    }

    /// The document.
    pub(crate) fn report(
        &self,
        name: &str,
        stations: &[StationView],
        lines: &[LineBrief],
    ) -> Value {
        let mut faults = Map::new();
        let stations: Map<_, _> = stations
            .iter()
            .map(|station| {
                let number = station.number.to_string();
                let names: Vec<_> = station.faults.names().collect();
                let mut shown = json!({
                    "kind": format!("{:?}", station.kind).to_lowercase(),
                    "state": station.state.to_string(),
                });
                if !station.name.reveal().is_empty() {
                    shown["name"] = json!(station.name.reveal());
                }
                if !names.is_empty() {
                    shown["faults"] = json!(names);
                    faults.insert(format!("station-{number}"), json!(names));
                }
                (number, shown)
            })
            .collect();
        let lines: Map<_, _> = lines
            .iter()
            .map(|line| {
                let said = line.missing.as_ref().or(line.trouble.as_ref());
                if let Some(said) = said {
                    faults.insert(format!("line-{}", line.name), json!(said));
                }
                let shown = json!({"kind": line.kind, "driver": line.driver, "state": line.state});
                (line.name.clone(), shown)
            })
            .collect();
        let doors: Map<_, _> = self
            .doors
            .values()
            .map(|place| (place.key.clone(), json!({"station": place.station})))
            .collect();
        json!({
            "name": name,
            "firmware": {"policy": super::settings::FIRMWARE_POLICY},
            "stations": stations,
            "doors": doors,
            "lines": lines,
            "faults": faults,
        })
    }
}
