//! Stations behind a line are tested by the clock: each in turn, its microphone and loudspeaker.
//!
//! The server at the other end makes the test and tells what it found; here is when each station is
//! asked for, and what follows. A station in a call is never tested. Two tests in a row that failed,
//! or came to no result, are a fault; two in a row that passed take it away. What a server tells of a
//! station by itself, and tests that somebody has ordered, count at once.
//!
//! Invariants: tests under way are bounded, and each has an end; nothing is remembered of a station
//! once its line is lost.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use calls::Input;
use chance::Chance;
use legacy_protocols::command::{Command, Verdict};
use legacy_protocols::event::LineTest;
use legacy_protocols::number::Party;
use legacy_protocols::port::LinkState;
use model::{Faults, Reach, Station, StationId, StationState};

use super::{Errand, LineId, words};
use crate::state::Exchange;

/// So many in a row make a fault, or take it away.
const IN_A_ROW: u8 = 2;
/// Tests under way on one line at most.
const MOST_UNDER_WAY: usize = 16;
/// The result of a test comes within this.
const RESULT_WITHIN: Duration = Duration::from_secs(10);
/// However many stations there are: the line carries calls as well.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// The time between two tests is drawn from so much around the mean.
const JITTER: f64 = 0.2;

#[derive(Debug)]
pub(super) struct Surveillance {
    rounds: BTreeMap<LineId, Round>,
    stations: BTreeMap<StationId, Known>,
    chance: Chance,
}

/// The stations of a line that is up, one after the other.
#[derive(Debug)]
struct Round {
    /// How long a whole round takes.
    period: Duration,
    pause: Duration,
    next: Instant,
    waiting: VecDeque<StationId>,
    /// Until when a result may come.
    under_way: BTreeMap<StationId, Instant>,
}

/// What is known to be wrong with a station, and from whom.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    told: Faults,
    found: Faults,
    row: Row,
}

/// The last results that were alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Row {
    #[default]
    None,
    Passed(u8),
    Failed(u8),
}

/// Who wanted a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Clock,
    /// Somebody has ordered it, or the server makes tests of its own.
    Others,
}

impl Surveillance {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            rounds: BTreeMap::new(),
            stations: BTreeMap::new(),
            chance: Chance::new(seed),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.rounds.values().map(Round::deadline).min()
    }

    /// The mean, a fifth more or a fifth less.
    fn around(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(1.0 - JITTER + 2.0 * JITTER * self.chance.fraction())
    }

    fn known(&mut self, station: StationId) -> &mut Known {
        self.stations.entry(station).or_default()
    }
}

impl Round {
    const fn of(period: Duration, now: Instant) -> Self {
        Self {
            period,
            pause: period,
            next: now,
            waiting: VecDeque::new(),
            under_way: BTreeMap::new(),
        }
    }

    fn deadline(&self) -> Instant {
        let ends = self.under_way.values().min().copied();
        let begins = (self.under_way.len() < MOST_UNDER_WAY).then_some(self.next);
        // With tests under way there is an end.
        ends.into_iter().chain(begins).min().unwrap_or(self.next)
    }

    fn overdue(&mut self, now: Instant) -> Option<StationId> {
        let mut due = self.under_way.iter().filter(|(_, until)| **until <= now);
        let station = *due.next()?.0;
        self.under_way.remove(&station);
        Some(station)
    }
}

impl Known {
    fn faults(self) -> Faults {
        self.told.with(self.found)
    }

    fn passed(&mut self) {
        self.told = words::without_tested(self.told);
        let row = match self.row {
            Row::Passed(times) => times.saturating_add(1),
            Row::None | Row::Failed(_) => 1,
        };
        self.row = Row::Passed(row);
        if row >= IN_A_ROW {
            self.found = Faults::NONE;
        }
    }

    fn failed(&mut self, faults: Faults, by: By) {
        let row = match self.row {
            Row::Failed(times) => times.saturating_add(1),
            Row::None | Row::Passed(_) => 1,
        };
        self.row = Row::Failed(row);
        match by {
            By::Others => self.told = self.told.with(faults),
            By::Clock if row >= IN_A_ROW => self.found = faults,
            By::Clock => {}
        }
    }
}

impl Exchange {
    /// A line has come up or gone.
    pub(super) fn surveil_line(&mut self, id: LineId, link: LinkState, now: Instant) {
        let Some(line) = self.lines.get(id) else {
            return;
        };
        let period = line.config.surveillance.filter(|_| line.can_test());
        match (link, period) {
            (LinkState::Up(_), Some(period)) => {
                let rounds = &mut self.lines.surveillance.rounds;
                // After a moment of silence it goes on where it was.
                if let Entry::Vacant(round) = rounds.entry(id) {
                    round.insert(Round::of(period, now));
                    self.begin_round(id);
                    self.pause_round(id, now);
                }
            }
            // Whoever is silent is asked for nothing; what was asked may still be answered.
            (LinkState::Up(_), None) | (LinkState::Suspect, _) => {}
            (LinkState::Down | LinkState::Connecting | LinkState::Syncing, _) => {
                self.lines.surveillance.rounds.remove(&id);
            }
        }
    }

    /// All stations of the line stand in the row again.
    fn begin_round(&mut self, id: LineId) {
        let stations = self.stations_by(id);
        let each = u32::try_from(stations.len().max(1)).unwrap_or(u32::MAX);
        if let Some(round) = self.lines.surveillance.rounds.get_mut(&id) {
            round.pause = (round.period / each).max(SHORTEST_PAUSE);
            round.waiting = stations;
        }
    }

    fn pause_round(&mut self, id: LineId, now: Instant) {
        let surveillance = &mut self.lines.surveillance;
        let Some(pause) = surveillance.rounds.get(&id).map(|round| round.pause) else {
            return;
        };
        let next = now + surveillance.around(pause);
        if let Some(round) = surveillance.rounds.get_mut(&id) {
            round.next = next;
        }
    }

    /// Those of the directory that are asked for over this line.
    fn stations_by(&self, line: LineId) -> VecDeque<StationId> {
        let here = |station: &&Station| match station.reach {
            Reach::Behind(node) => self.lines.towards(node) == Some(line),
            Reach::Account(_) | Reach::Direct(_) | Reach::User(_) => false,
        };
        let stations = self.directory.stations().iter().filter(here);
        stations.map(|station| station.id).collect()
    }

    /// Begins what is due, and ends what came to no result.
    pub(crate) fn surveil(&mut self, now: Instant) {
        let rounds = self.lines.surveillance.rounds.iter();
        let due = rounds.filter(|(_, round)| round.deadline() <= now);
        let due: Vec<LineId> = due.map(|(line, _)| *line).collect();
        for line in due {
            while let Some(station) = self.overdue_test(line, now) {
                self.without_result(line, station, now);
            }
            self.test_next(line, now);
        }
    }

    fn overdue_test(&mut self, line: LineId, now: Instant) -> Option<StationId> {
        self.lines.surveillance.rounds.get_mut(&line)?.overdue(now)
    }

    fn test_next(&mut self, id: LineId, now: Instant) {
        let Some(round) = self.lines.surveillance.rounds.get_mut(&id) else {
            return;
        };
        if round.next > now || round.under_way.len() >= MOST_UNDER_WAY {
            return;
        }
        if round.waiting.is_empty() {
            self.begin_round(id);
        }
        let round = self.lines.surveillance.rounds.get_mut(&id);
        let station = round.and_then(|round| round.waiting.pop_front());
        self.pause_round(id, now);
        if let Some(station) = station {
            self.test(id, station, now);
        }
    }

    fn test(&mut self, id: LineId, station: StationId, now: Instant) {
        let may = self.may_be_tested(station) && !self.is_under_way(id, station);
        let party = self.party_behind(id, station);
        let Some(line) = self.lines.get_mut(id) else {
            return;
        };
        let (Some(party), true, LinkState::Up(_)) = (party, may, line.link) else {
            line.totals.tests_skipped += 1;
            return;
        };
        line.totals.tests += 1;
        if let Some(round) = self.lines.surveillance.rounds.get_mut(&id) {
            round.under_way.insert(station, now + RESULT_WITHIN);
        }
        let errand = Errand::Test { line: id, station };
        self.command_line(id, Command::LineTest { station: party }, errand, now);
    }

    fn is_under_way(&self, line: LineId, station: StationId) -> bool {
        let round = self.lines.surveillance.rounds.get(&line);
        round.is_some_and(|round| round.under_way.contains_key(&station))
    }

    /// Not in a call, and nobody is about to speak there.
    fn may_be_tested(&self, station: StationId) -> bool {
        match self.calls.station_state(station) {
            StationState::Idle
            | StationState::Privacy
            | StationState::Unknown
            | StationState::OutOfService => true,
            StationState::Ringing
            | StationState::Requesting
            | StationState::InCall
            | StationState::InConference(_)
            | StationState::Listening(_) => false,
        }
    }

    /// How the other end has answered the question; the result is an event of its own.
    pub(super) fn test_answered(
        &mut self,
        (line, station): (LineId, StationId),
        verdict: Verdict,
        now: Instant,
    ) {
        match verdict {
            Verdict::Done | Verdict::Accepted | Verdict::Sent => {}
            // It is in a call over there, or nobody knows.
            Verdict::Busy | Verdict::RateLimited | Verdict::LineLost | Verdict::NotConnected => {
                self.end_test(line, station);
            }
            Verdict::NoSuchNumber
            | Verdict::NotAllowed
            | Verdict::AlreadyTaken
            | Verdict::Expired
            | Verdict::Unsupported
            | Verdict::Loop
            | Verdict::NodeUnreachable
            | Verdict::TestRefused
            | Verdict::NoAnswer => {
                if self.end_test(line, station) == By::Clock {
                    self.without_result(line, station, now);
                }
            }
        }
    }

    fn end_test(&mut self, line: LineId, station: StationId) -> By {
        let round = self.lines.surveillance.rounds.get_mut(&line);
        match round.and_then(|round| round.under_way.remove(&station)) {
            Some(_) => By::Clock,
            None => By::Others,
        }
    }

    fn without_result(&mut self, line: LineId, station: StationId, now: Instant) {
        self.count_failed_test(line);
        let known = self.lines.surveillance.known(station);
        known.failed(Faults::TEST_OVERDUE, By::Clock);
        self.show_faults(station, now);
    }

    pub(super) fn station_tested(
        &mut self,
        line: LineId,
        party: Party,
        result: LineTest,
        now: Instant,
    ) {
        let Some(station) = self.station_behind(line, party).map(|known| known.id) else {
            return;
        };
        let by = self.end_test(line, station);
        match result {
            LineTest::Passed => self.lines.surveillance.known(station).passed(),
            LineTest::Failed(found) => {
                self.count_failed_test(line);
                let known = self.lines.surveillance.known(station);
                known.failed(words::faults(found), by);
            }
            LineTest::Skipped => {
                if let (By::Clock, Some(line)) = (by, self.lines.get_mut(line)) {
                    line.totals.tests_skipped += 1;
                }
            }
        }
        self.show_faults(station, now);
    }

    fn count_failed_test(&mut self, line: LineId) {
        if let Some(line) = self.lines.get_mut(line) {
            line.totals.tests_failed += 1;
        }
    }

    /// What its server says is wrong with a station.
    pub(super) fn station_has_faults(
        &mut self,
        line: LineId,
        station: Party,
        faults: Faults,
        now: Instant,
    ) {
        if let Some(station) = self.known_station(line, station) {
            self.lines.surveillance.known(station).told = faults;
            self.show_faults(station, now);
        }
    }

    /// Nothing is known of these stations any more.
    pub(super) fn forget_faults(&mut self, stations: &[StationId], now: Instant) {
        for station in stations {
            self.lines.surveillance.stations.remove(station);
            self.show_faults(*station, now);
        }
    }

    /// Those that are no longer in the directory are forgotten, and those that are new come in.
    pub(crate) fn review_surveillance(&mut self) {
        let directory = &self.directory;
        let known = &mut self.lines.surveillance.stations;
        known.retain(|station, _| directory.station(*station).is_some());
        let lines: Vec<LineId> = self.lines.surveillance.rounds.keys().copied().collect();
        for line in lines {
            self.begin_round(line);
        }
    }

    fn show_faults(&mut self, station: StationId, now: Instant) {
        let known = self.lines.surveillance.stations.get(&station);
        let faults = known.map_or(Faults::NONE, |known| known.faults());
        self.calls
            .handle(Input::StationFaults { station, faults }, now);
    }

    /// How many stations behind the line have a fault.
    pub(super) fn faulty_behind(&self, line: LineId) -> usize {
        let stations = self.stations_by(line);
        let faulty = |station: &&StationId| self.calls.faults(**station) != Faults::NONE;
        stations.iter().filter(faulty).count()
    }
}
