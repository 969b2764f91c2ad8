//! Stations behind a line, and ours as the other end sees them.
//!
//! What is shown of a station behind a line is what its server says, and nothing once the line is
//! lost: it is unknown then, never idle, until the server has told anew.

use std::time::Instant;

use calls::Input;
use legacy_protocols::command::Command;
use legacy_protocols::event::{Event, StationState as TheirState};
use legacy_protocols::number::Party;
use legacy_protocols::port::{LinkState, Picture};
use model::{Faults, Reach, Station, StationId, StationState};

use super::{Errand, LineId, words};
use crate::state::Exchange;

impl Exchange {
    /// The station of the directory that a party behind a line is.
    pub(super) fn station_behind(&self, line: LineId, party: Party) -> Option<&Station> {
        let server = self.lines.get(line)?.server_numbered(party.node)?;
        let number = server.prefixes.to_ours(party.number)?;
        let station = self.directory.station_by_number(number)?;
        (station.reach == Reach::Behind(server.node)).then_some(station)
    }

    /// A station of ours that the other end means.
    pub(super) fn our_station(&self, line: LineId, party: Party) -> Option<&Station> {
        let number = self.lines.get(line)?.our_number(party)?;
        let station = self.directory.station_by_number(number)?;
        let elsewhere = matches!(station.reach, Reach::Behind(_));
        (!elsewhere).then_some(station)
    }

    pub(super) fn station_does(
        &mut self,
        line: LineId,
        station: Party,
        state: TheirState,
        now: Instant,
    ) {
        let state = words::state(state);
        if let Some(station) = self.known_station(line, station) {
            self.calls
                .handle(Input::StationDoes { station, state }, now);
        }
    }

    /// Stations that nobody has written into the directory are counted only.
    pub(super) fn known_station(&mut self, line: LineId, station: Party) -> Option<StationId> {
        let known = self.station_behind(line, station).map(|known| known.id);
        if let (None, Some(line)) = (known, self.lines.get_mut(line)) {
            line.totals.unknown_stations += 1;
        }
        known
    }

    /// The line has come up or gone.
    pub(super) fn stations_of_line(&mut self, line: LineId, link: LinkState, now: Instant) {
        let input: fn(StationId) -> Input = match link {
            // Its server told all that is.
            LinkState::Up(Picture::Whole | Picture::Partial) | LinkState::Suspect => return,
            // It cannot tell: its stations may be there.
            LinkState::Up(Picture::None) => |station| Input::StationDoes {
                station,
                state: StationState::Unknown,
            },
            LinkState::Down | LinkState::Connecting | LinkState::Syncing => {
                |station| Input::StationLost { station }
            }
        };
        let stations = self.stations_only_by(line);
        self.forget_faults(&stations, now);
        for station in stations {
            self.calls.handle(input(station), now);
        }
    }

    /// Stations behind this line and behind no other that is up.
    fn stations_only_by(&self, line: LineId) -> Vec<StationId> {
        let Some(nodes) = self.lines.get(line).map(super::Line::nodes) else {
            return Vec::new();
        };
        let others = self
            .lines
            .all()
            .filter(|(id, other)| *id != line && other.is_up());
        let reached: Vec<_> = others.flat_map(|(_, other)| other.nodes()).collect();
        let alone = |station: &&Station| match station.reach {
            Reach::Behind(node) => nodes.contains(&node) && !reached.contains(&node),
            Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => false,
        };
        let stations = self.directory.stations().iter().filter(alone);
        stations.map(|station| station.id).collect()
    }

    /// Stations may have been added that have been told of before.
    pub(crate) fn refresh_pictures(&mut self, now: Instant) {
        let up = self
            .lines
            .all()
            .filter(|(_, line)| line.can_command(&Command::Snapshot));
        let up: Vec<LineId> = up.map(|(id, _)| id).collect();
        for line in up {
            self.command_line(line, Command::Snapshot, Errand::Nothing, now);
        }
    }

    /// A station of ours has changed: told to those who do not know it better.
    pub(super) fn tell_station(
        &mut self,
        station: StationId,
        state: StationState,
        faults: Faults,
        now: Instant,
    ) {
        let lines: Vec<LineId> = self.lines.all().map(|(id, _)| id).collect();
        for line in lines {
            for event in self.station_facts(line, station, state, faults) {
                self.tell_line(line, event, now);
            }
        }
    }

    pub(super) fn station_facts(
        &self,
        line: LineId,
        station: StationId,
        state: StationState,
        faults: Faults,
    ) -> Vec<Event> {
        let Some(party) = self.party_of_ours(line, station) else {
            return Vec::new();
        };
        let state = Event::StationState {
            station: party,
            state: words::their_state(state),
        };
        let faults = Event::StationFaults {
            station: party,
            faults: words::their_faults(faults),
        };
        vec![state, faults]
    }

    /// How the other end calls a station that is at home here.
    pub(super) fn party_of_ours(&self, line: LineId, station: StationId) -> Option<Party> {
        let station = self.directory.station(station)?;
        match station.reach {
            Reach::Behind(_) => None,
            Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => {
                self.lines.get(line)?.config.numbering.party(station.number)
            }
        }
    }
}
