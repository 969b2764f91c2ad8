//! What one can see of the lines: for status, metrics and pages.

use std::time::Duration;

use legacy_protocols::counters::{LineCounters, PortCounters};
use legacy_protocols::coverage::Coverage;
use legacy_protocols::port::{LinkState, Port};
use model::NodeId;

use super::config::{LineId, LinkKind};
use super::line::Line;
use crate::state::Exchange;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineView {
    pub line: LineId,
    pub name: String,
    pub kind: LinkKind,
    pub driver: String,
    /// Why nobody speaks on this line.
    pub missing: Option<String>,
    pub node: NodeId,
    pub further_nodes: Vec<NodeId>,
    pub link: LinkState,
    /// In which time each of its stations is tested.
    pub surveillance: Option<Duration>,
    /// Stations behind it that have a fault.
    pub faulty_stations: usize,
    /// What its protocol can carry.
    pub coverage: Coverage,
    pub totals: LineTotals,
    pub port: PortCounters,
    pub protocol: LineCounters,
}

/// Counted by the gateway; port and protocol have counters of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineTotals {
    /// Commands of the other end that nobody here can carry out.
    pub unsupported: u64,
    /// What was told of stations that are not in the directory.
    pub unknown_stations: u64,
    /// Call requests of the other end that no desk here took.
    pub requests_refused: u64,
    /// Call requests of ours that the other end did not take.
    pub requests_not_filed: u64,
    /// Call requests of the other end that somebody wanted to take and nobody here can: its protocol
    /// knows neither claims nor calls with sound.
    pub claims_without_word: u64,
    /// Transfers that the other end asked for and that came to nothing.
    pub transfers_failed: u64,
    /// Tests of stations by the clock, those that were left out because of a call, and all that
    /// failed or came to no result.
    pub tests: u64,
    pub tests_skipped: u64,
    pub tests_failed: u64,
}

impl Exchange {
    /// All lines of the configuration, in the order of their ids.
    pub fn lines(&self) -> Vec<LineView> {
        let lines = (0..).map(LineId).zip(&self.lines.lines);
        lines
            .map(|(id, line)| line.view(id, self.faulty_behind(id)))
            .collect()
    }
}

impl Line {
    fn view(&self, id: LineId, faulty_stations: usize) -> LineView {
        let port = self.port();
        LineView {
            line: id,
            name: self.config.name.clone(),
            kind: self.config.kind,
            driver: self.config.driver.name().to_owned(),
            missing: self.missing().map(str::to_owned),
            node: self.config.node.node,
            further_nodes: self.config.further_nodes.iter().map(|s| s.node).collect(),
            link: self.link,
            surveillance: self.config.surveillance.filter(|_| self.can_test()),
            faulty_stations,
            coverage: port.map_or(Coverage::NONE, Port::coverage),
            totals: self.totals,
            port: port.map(|port| *port.counters()).unwrap_or_default(),
            protocol: port.map(|port| *port.line_counters()).unwrap_or_default(),
        }
    }
}
