//! The machine itself: what it is made of, where inputs go, how it is drained.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{CallId, ConferenceId, Directory, EndCause, LegId, RequestId, Timestamp};

use crate::call::Call;
use crate::config::Config;
use crate::counters::Counters;
use crate::door::Doors;
use crate::ids::{Ids, Spread};
use crate::input::Input;
use crate::leg::{Hold, Leg};
use crate::output::{Event, Output};
use crate::request::Request;
use crate::station::{Seen, Stations};
use crate::timer::{Timer, Timers};

/// Decides who talks with whom. See the crate's documentation for the contract.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    pub(crate) started: Instant,
    pub(crate) now: Instant,
    /// What the wall clock said at a moment of the monotonic one.
    clock: (Instant, Timestamp),
    pub(crate) ids: Ids,
    pub(crate) spread: Spread,
    // Ordered maps: the order in which outputs come must not depend on a hasher, and trees give
    // their memory back after a busy hour.
    pub(crate) legs: BTreeMap<LegId, Leg>,
    pub(crate) calls: BTreeMap<CallId, Call>,
    pub(crate) requests: BTreeMap<RequestId, Request>,
    pub(crate) rooms: BTreeMap<ConferenceId, CallId>,
    /// Calls that play an audio programme.
    pub(crate) programmes: BTreeSet<CallId>,
    pub(crate) stations: Stations,
    pub(crate) doors: Doors,
    pub(crate) timers: Timers,
    outputs: VecDeque<Output>,
    pub(crate) counters: Counters,
    pub(crate) service: Service,
}

/// Whether new calls are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Open,
    /// Alarms only; calls in progress may end.
    Draining,
    /// Draining, and the last call has ended.
    Drained,
}

impl Engine {
    /// An engine without calls. The same seed and inputs give the same outputs. Until the first
    /// `ClockSet` the wall clock counts as 1970.
    pub fn new(config: Config, directory: Arc<Directory>, seed: u64, now: Instant) -> Self {
        Self {
            ids: Ids::new(config.start_count),
            config,
            directory,
            started: now,
            now,
            clock: (now, Timestamp::from_unix_ms(0)),
            spread: Spread::new(seed),
            legs: BTreeMap::new(),
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            rooms: BTreeMap::new(),
            programmes: BTreeSet::new(),
            stations: Stations::default(),
            doors: Doors::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            service: Service::Open,
        }
    }

    /// The id for a leg that is about to arrive.
    pub fn next_leg(&mut self) -> LegId {
        self.ids.leg()
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.enter(now);
        match input {
            Input::LegArrived(arrival) => self.leg_arrived(arrival, None),
            Input::LegFulfils { arrival, request } => self.leg_arrived(arrival, Some(request)),
            Input::LegTakesOver(takeover) => self.leg_takes_over(takeover),
            Input::LegProgress { leg, progress } => self.leg_progress(leg, progress),
            Input::LegAnswered { leg } => self.leg_answered(leg),
            Input::LegRefused { leg, cause } | Input::LegEnded { leg, cause } => {
                self.leg_over(leg, cause);
            }
            Input::LegRedirected { leg, to } => self.leg_redirected(leg, to),
            Input::LegHeld { leg } => self.set_hold(leg, Hold::On),
            Input::LegResumed { leg } => self.set_hold(leg, Hold::Off),
            Input::Digit { leg, digit } => self.digit(leg, digit),
            Input::TalkKey { leg, key } => self.talk_key(leg, key),
            Input::Transfer { leg, to } => self.transfer(leg, to),
            Input::TransferAttended { leg, with } => self.transfer_attended(leg, with),
            Input::StationSeen { station } => self.station_seen(station, Seen::There),
            Input::StationLost { station } => self.station_seen(station, Seen::Lost),
            Input::StationDoes { station, state } => self.station_does(station, state),
            Input::StationFaults { station, faults } => self.station_faults(station, faults),
            Input::SetPrivacy { station, privacy } => self.set_privacy(station, privacy),
            Input::Divert { station, rule } => self.divert(station, rule),
            Input::SetTalkMode { leg, mode } => self.set_talk_mode(leg, mode),
            Input::DoorReply { command, reply } => self.door_reply(command, reply),
            Input::ClaimVerdict { request, verdict } => self.claim_verdict(request, verdict),
            Input::DirectoryChanged(directory) => self.directory_changed(directory),
            Input::ClockSet(wall) => self.clock = (self.now, wall),
            Input::Drain => self.drain(),
        }
        self.leave();
    }

    /// Carries out what is due. Called too early it changes nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.enter(now);
        self.leave();
    }

    /// What is to be done next; `Timeout` when there is nothing more.
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => {
                // A burst of outputs is not paid for ever after.
                if self.outputs.capacity() > 1_024 {
                    self.outputs.shrink_to(64);
                }
                Output::Timeout(self.timers.next())
            }
        }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The wall clock now, reckoned from the last `ClockSet`.
    pub(crate) fn wall(&self) -> Timestamp {
        let (at, wall) = self.clock;
        wall.saturating_add(self.now.saturating_duration_since(at))
    }

    /// Time moves on, never back; what became due comes before what happens now, so that nothing
    /// that happens now meets a state which should have ended.
    pub(crate) fn enter(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.expired(timer);
        }
    }

    pub(crate) fn leave(&mut self) {
        self.tell_stations();
    }

    fn expired(&mut self, timer: Timer) {
        match timer {
            Timer::NoAnswer(call) => self.no_answer(call),
            Timer::Warning(call) => self.limit_warning(call),
            Timer::Limit(call) => self.limit_reached(call),
            Timer::AlarmPause(call) => self.alarm_pause_over(call),
            Timer::Digits(leg) => self.digits_paused(leg),
            Timer::Remind(request) => self.request_reminder(request),
            Timer::Escalate(request) => self.request_escalates(request),
            Timer::Expire(request) => self.request_expires(request),
            Timer::Verdict(request) => self.verdict_missing(request),
            Timer::DoorConfirm(command) => self.door_not_confirmed(command),
            Timer::DoorForget(command) => self.doors.forget(command),
        }
    }

    fn directory_changed(&mut self, directory: Arc<Directory>) {
        self.directory = directory;
        self.review_requests();
        self.review_stations();
    }

    fn drain(&mut self) {
        if self.service == Service::Open {
            self.service = Service::Draining;
            self.end_all_programmes(EndCause::Stopping);
            self.tell_if_drained();
        }
    }

    pub(crate) fn tell_if_drained(&mut self) {
        if self.service == Service::Draining && self.calls.is_empty() {
            self.service = Service::Drained;
            self.event(Event::Drained);
        }
    }

    /// How long somebody refused for this cause should wait before the next try.
    pub(crate) fn retry_after(&mut self, cause: EndCause) -> Option<Duration> {
        let passing = matches!(cause, EndCause::Overload | EndCause::Stopping);
        passing.then(|| self.spread.from(self.config.retry_after))
    }

    /// The moment after this time from now: never now itself, so that no deadline is due at once and
    /// again at once, and never beyond what the clock can count.
    pub(crate) fn after(&self, time: Duration) -> Instant {
        const LEAST: Duration = Duration::from_millis(1);
        const MOST: Duration = Duration::from_secs(365 * 86_400);
        self.now
            .checked_add(time.clamp(LEAST, MOST))
            .unwrap_or(self.now)
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }
}
