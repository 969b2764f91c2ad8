//! The machine itself: owns SIP, calls and plan, and drains them into one another.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use calls::Engine;
use model::{CallRecord, Directory, LegAudio, LegId};
use sip::endpoint::Endpoint;
use sip::registrar::{Restored, StoredBinding};
use sip::sdp::KeySource;

use crate::causes::Quote;
use crate::config::Config;
use crate::counters::Counters;
use crate::emergency;
use crate::farewell::Farewells;
use crate::figures::Figures;
use crate::io::{Input, MediaEvent, Output, StoreWrite};
use crate::keys::Keys;
use crate::legs::Legs;
use crate::lines::Lines;
use crate::neighbours::Neighbours;
use crate::plan::{FreePorts, MediaPlan, Unplayed};
use crate::playback::Playbacks;
use crate::recording::Recordings;
use crate::watchers::Watchers;
use crate::web::Web;

/// One input causes at most so many steps. Thirty-two legs with ten streams each stay far below;
/// beyond it two children would be playing ping-pong.
const MOST_STEPS: usize = 100_000;

/// Whether what comes out must wait for nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    Now,
}

fn number(secret: [u8; 32]) -> u64 {
    let [number, ..] = secret.as_chunks::<8>().0 else {
        unreachable!("32 bytes are four times eight");
    };
    u64::from_be_bytes(*number)
}

/// See the crate.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    pub(crate) sip: Endpoint,
    pub(crate) calls: Engine,
    pub(crate) plan: MediaPlan,
    pub(crate) figures: Figures,
    pub(crate) farewells: Farewells,
    pub(crate) legs: Legs,
    pub(crate) lines: Lines,
    pub(crate) web: Web,
    pub(crate) neighbours: Neighbours,
    pub(crate) watchers: Watchers,
    pub(crate) counters: Counters,
    pub(crate) recordings: Recordings,
    pub(crate) keys: Keys,
    pub(crate) playbacks: Playbacks,
    /// Callers to be answered once all else that the call engine says has been carried out: what
    /// they are told depends on whom they are connected with.
    pub(crate) answering: VecDeque<LegId>,
    /// What ended a leg, in the words of its other end, until the engine has drawn its conclusions.
    pub(crate) quote: Option<Quote>,
    ending: Ending,
    outputs: VecDeque<Output>,
    deadline: Option<Instant>,
}

impl Exchange {
    /// All that must not be guessed comes from `seed`: take it from the operating system.
    pub fn new(config: Config, directory: Arc<Directory>, seed: [u8; 32], now: Instant) -> Self {
        let secret = |purpose| sip::secret_for(purpose, &seed);
        // Both can be seen from outside, and must tell nothing of the keys.
        let (calls_seed, first_id) = (number(secret("calls")), number(secret("descriptions")));
        let mut state = Self {
            sip: Endpoint::new(config.sip.clone(), secret("sip"), now),
            calls: Engine::new(
                config.calls.clone(),
                Arc::clone(&directory),
                calls_seed,
                now,
            ),
            plan: MediaPlan::new(
                first_id,
                config.ports_for_alarms,
                KeySource::new(secret("media keys")),
            )
            .over_threads(config.media_threads),
            legs: Legs::default(),
            lines: Lines::new(
                &config.lines,
                config.calls.start_count,
                number(secret("lines")),
                now,
            ),
            web: Web::default(),
            neighbours: Neighbours::default(),
            watchers: Watchers::default(),
            counters: Counters::default(),
            recordings: Recordings::default(),
            keys: Keys::default(),
            playbacks: Playbacks::default(),
            answering: VecDeque::new(),
            quote: None,
            ending: Ending::No,
            figures: Figures::default(),
            farewells: Farewells::default(),
            outputs: VecDeque::new(),
            deadline: None,
            config,
            directory,
        };
        state.drain(now);
        state
    }

    /// Takes back the registrations of before a restart, once, ahead of all input; accounts must
    /// have come with `Input::DirectoryChanged`.
    pub fn restore(&mut self, bindings: Vec<(Arc<str>, StoredBinding)>, now: Instant) -> Restored {
        let restored = self.sip.restore(bindings, now);
        self.drain(now);
        restored
    }

    /// Exchanges that share media threads share what is bound there: their owner puts it into the
    /// hands of the one whose turn it is, ahead of `handle` and `handle_timeout`, and takes back
    /// what is left after the drain by swapping again.
    pub fn swap_ports(&mut self, ports: &mut FreePorts) {
        self.plan.swap_ports(ports);
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        // What became due comes before what happens now, for all children alike.
        if self.deadline.is_some_and(|due| due <= now) {
            self.handle_timeout(now);
        }
        match input {
            Input::Received { flow, bytes } => self.sip.receive(&flow, bytes, now),
            Input::FlowOpened(flow) => self.sip.flow_opened(&flow, now),
            Input::FlowClosed(flow) => {
                self.neighbours.flow_closed(&flow);
                self.sip.flow_closed(&flow, now);
            }
            Input::Neighbour { node, flow } => self.neighbour(node, flow),
            Input::Unreachable(destination) => self.sip.unreachable(&destination, now),
            Input::PortsFree(ports) => self.plan.ports_free(ports),
            Input::Media(event) => self.media_says(event, now),
            Input::Stored(token) => self.sip.stored(token, now),
            Input::StoreFailed(token) => self.sip.store_failed(token, now),
            Input::DirectoryChanged(directory, accounts) => {
                self.directory = Arc::clone(&directory);
                self.sip.set_accounts(accounts, now);
                self.sip.set_emergency(emergency::marks(&self.directory));
                self.calls
                    .handle(calls::Input::DirectoryChanged(directory), now);
                self.refresh_pictures(now);
                self.review_surveillance();
                self.review_programmes(now);
            }
            Input::Operator { asker, command } => {
                if let Some(answer) = self.operator(asker, command, now) {
                    self.out(Output::Answer { asker, answer });
                }
            }
            Input::UrlAnswered { command, reply } => self.url_answered(command, reply, now),
            Input::Web { party, event } => self.web_says(party, event, now),
            Input::Line { line, event } => self.line_event(line, event, now),
            Input::ClockSet(time) => self.calls.handle(calls::Input::ClockSet(time), now),
            Input::Drain => self.calls.handle(calls::Input::Drain, now),
            Input::Stop => self.stop(now),
        }
        self.drain(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.refuse_late(now);
        self.sip.handle_timeout(now);
        self.calls.handle_timeout(now);
        self.lines.handle_timeout(now);
        self.surveil(now);
        self.resume_programmes(now);
        while let Some(record) = self.figures.expired(now) {
            self.plan.closed(record.leg);
            self.write_record(record);
        }
        self.drain(now);
    }

    pub fn poll_output(&mut self) -> Output {
        let next = self.outputs.pop_front();
        next.unwrap_or(Output::Timeout(self.deadline))
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sounds that somebody should have heard and has not.
    pub fn unplayed(&self) -> Unplayed {
        self.plan.unplayed()
    }

    pub fn sip(&self) -> &Endpoint {
        &self.sip
    }

    pub fn calls(&self) -> &Engine {
        &self.calls
    }

    pub(crate) fn out(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn announce(&mut self, event: calls::Event, now: Instant) {
        self.lines_hear(&event, now);
        if let calls::Event::StationChanged { station, state, .. } = &event {
            self.tell_watchers(*station, *state, now);
        }
        if let calls::Event::CallEnded { call } = &event {
            self.end_recording(*call);
            self.playback_ended(*call, now);
        }
        self.out(Output::Event(event));
    }

    fn media_says(&mut self, event: MediaEvent, now: Instant) {
        match event {
            MediaEvent::Digit { leg, digit, form } => self.key_pressed(leg, digit, form, now),
            MediaEvent::SoundOver { leg, sound } => {
                self.plan.sound_over(leg, sound);
                self.words_over(leg, sound, now);
                self.message_over(leg, sound, now);
            }
            MediaEvent::Silent { leg } => {
                self.counters.silent_legs += 1;
                if self.lines.has_leg(leg) {
                    return self.silent_by_line(leg, now);
                }
                if self.web.has_leg(leg) {
                    let cause = model::EndCause::ConnectionLost;
                    self.end_web(leg, cause);
                    return self
                        .calls
                        .handle(calls::Input::LegEnded { leg, cause }, now);
                }
                let Some(entry) = self.legs.remove(leg) else {
                    return;
                };
                self.plan.close(leg);
                for session in entry.sessions {
                    self.end_session(session, model::EndCause::ConnectionLost, now);
                }
                let cause = model::EndCause::ConnectionLost;
                self.calls
                    .handle(calls::Input::LegEnded { leg, cause }, now);
            }
            MediaEvent::Figures(figures) => {
                for (leg, audio) in figures {
                    self.figures.tell(leg, audio, now);
                }
                let calls = &self.calls;
                self.figures.keep(|leg| calls.has_leg(leg));
                self.plan.keep_closing(|leg| calls.has_leg(leg));
            }
            MediaEvent::Closed { leg, audio } => self.media_closed(leg, audio, now),
        }
    }

    /// A record goes when the last figures of its leg have come.
    pub(crate) fn record(&mut self, record: Box<CallRecord>, now: Instant) {
        let record = match self.ending {
            Ending::No if self.plan.has_media(record.leg) => self.figures.wait(record, now),
            Ending::No | Ending::Now => Some(self.figures.complete(record)),
        };
        if let Some(record) = record {
            self.write_record(record);
        }
    }

    fn write_record(&mut self, record: Box<CallRecord>) {
        self.out(Output::Store(StoreWrite::CallRecord(record)));
    }

    fn media_closed(&mut self, leg: LegId, audio: Option<LegAudio>, now: Instant) {
        self.plan.closed(leg);
        if let Some(audio) = audio {
            self.figures.tell(leg, audio, now);
        }
        match self.figures.closed(leg) {
            Some(record) => self.write_record(record),
            // A leg that never was one of a call has no record.
            None if !self.calls.has_leg(leg) => self.figures.forget(leg),
            None => {}
        }
    }

    /// Whoever stops the gateway does not wait for the media threads: records go as they are.
    fn stop(&mut self, now: Instant) {
        self.ending = Ending::Now;
        self.refuse_all_told(now);
        while let Some(record) = self.figures.any() {
            self.write_record(record);
        }
        let running: Vec<_> = self.calls.calls().map(|call| call.call).collect();
        for call in running {
            // It can only have ended with another one.
            let _ = self.calls.command(calls::Command::EndCall { call }, now);
        }
    }

    /// What one says is handed to the next, until all have nothing more to say.
    pub(crate) fn drain(&mut self, now: Instant) {
        for _ in 0..MOST_STEPS {
            let calls_until = match self.calls.poll_output() {
                calls::Output::Timeout(until) => until,
                command => {
                    self.carry(command, now);
                    continue;
                }
            };
            self.quote = None;
            if let Some(leg) = self.answering.pop_front() {
                self.answer_leg(leg, now);
                continue;
            }
            if self.take_line_call(now) {
                continue;
            }
            if let Some(command) = self.plan.poll_command() {
                self.out(Output::Media(command));
                continue;
            }
            if let Some((line, output)) = self.lines.poll() {
                self.line_says(line, output, now);
                continue;
            }
            match self.sip.poll_output() {
                sip::endpoint::Output::Transmit { to, bytes } => {
                    self.out(Output::Transmit { to, bytes });
                }
                sip::endpoint::Output::CloseFlow { connection } => {
                    self.out(Output::CloseFlow(connection));
                }
                sip::endpoint::Output::Store(store) => {
                    self.out(Output::Store(StoreWrite::Bindings(store)));
                }
                sip::endpoint::Output::Event(event) => self.route(event, now),
                sip::endpoint::Output::Timeout(sip_until) => {
                    let figures_until = self.figures.deadline();
                    let farewells_until = self.farewells.deadline();
                    let lines_until = self.lines.deadline();
                    let playbacks_until = self.playbacks.deadline();
                    let next = [
                        calls_until,
                        sip_until,
                        figures_until,
                        farewells_until,
                        lines_until,
                        playbacks_until,
                    ];
                    self.deadline = next.into_iter().flatten().min();
                    return;
                }
            }
        }
        self.counters.drains_cut_short += 1;
        self.deadline = Some(now);
    }
}
