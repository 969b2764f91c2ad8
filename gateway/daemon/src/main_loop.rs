//! The main loop: the one task that owns the gateway's machine.
//!
//! Waits for whatever comes first - bytes, answers of the store, media events, people, signals, a
//! deadline -, gives it to the machine and carries out what follows. It awaits nothing else: no
//! send, no disk, no other task. Invariants: one deadline; every turn ends with the machine drained;
//! the watchdog is pinged from here and only after a turn.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exchange::{Exchange, Input, MediaEvent, OperatorCommand, SoundWish};
use model::{CallId, CommandId, DoorId, Gain, LegId, Mute};
use net::flows::Flows;
use sd_notify::NotifyState;
use switchboard::Heard;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::carry::Hands;
use crate::clock::Clock;
use crate::config::RemoteActions;
use crate::control::protocol::{GainOf, RemoteAction, Reply, Request, RunState};
use crate::control::server::Asked;
use crate::lines::line_views;
use crate::link::{News, answers};
use crate::metrics::{Figures, Sources};
use crate::operator::{self, Asker};
use crate::playing::{Playing, Taken};
use crate::recorder::AskedId;
use crate::reload::{ReloadAsked, Reloaded};
use crate::store::{Answer, JournalWrite, RecordingNote, Store};
use crate::systemd::{self, Watchdog};
use crate::timeline::Names;
use crate::urls::{RemoteOrder, UrlAnswered};
use crate::{machine, orders, random};

/// Events of flows that are taken in one turn.
const FLOW_EVENTS: usize = 64;
/// How often figures are put together and the wall clock is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long what is left to send may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The ends that the main loop holds of its channels.
#[derive(Debug)]
pub(crate) struct Inboxes {
    pub(crate) asked: mpsc::Receiver<Asked>,
    pub(crate) reloaded: mpsc::Receiver<Box<Reloaded>>,
    pub(crate) url_answers: mpsc::Receiver<UrlAnswered>,
    pub(crate) reload: mpsc::Sender<ReloadAsked>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct MainLoop {
    pub(crate) state: Exchange,
    pub(crate) flows: Flows,
    pub(crate) hands: Hands,
    pub(crate) inboxes: Inboxes,
    pub(crate) playing: Playing,
    pub(crate) figures: Arc<Figures>,
    pub(crate) doors: BTreeMap<String, DoorId>,
    pub(crate) remotes: BTreeMap<String, RemoteActions>,
    pub(crate) remote_orders: mpsc::Sender<RemoteOrder>,
    /// The cloud core wants the process to begin anew.
    pub(crate) restart_asked: bool,
    pub(crate) realm: String,
    pub(crate) contacts_per_station: usize,
    pub(crate) grace: Duration,
}

/// What woke the loop.
enum Woken {
    Flows,
    Stored(Answer),
    Media(Heard),
    Line(net::lines::Told),
    Recording(RecordingNote),
    Link(News),
    CoreFound(io::Result<Vec<SocketAddr>>),
    Asked(Asked),
    Reloaded(Box<Reloaded>),
    UrlAnswered(UrlAnswered),
    Reload,
    Terminate,
    Deadline,
    /// A thread that calls cannot do without is gone.
    Lost(&'static str),
}

/// Why the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    AsAsked,
    /// Something calls cannot do without has failed: a fresh start is the cure.
    Lost(&'static str),
    /// The cloud core wants it to begin anew.
    ToBeStarted,
}

/// Signals that the process listens to.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// When what is due.
struct Due {
    machine: Option<Instant>,
    uplink: Option<Instant>,
    tick: Instant,
    /// Once stopping: when the calls that still run are ended.
    stop: Option<Instant>,
    watchdog: Watchdog,
}

impl Due {
    fn next(&self) -> Instant {
        let others = [self.machine, self.uplink, self.stop, self.watchdog.due()];
        others.into_iter().flatten().fold(self.tick, Instant::min)
    }
}

impl MainLoop {
    /// Runs until the gateway has stopped; answers the store, which has to be finished outside, and
    /// why it has stopped.
    pub(crate) async fn run(mut self, mut signals: Signals) -> (Store, Ended) {
        let now = Instant::now();
        let mut due = Due {
            machine: Some(now),
            uplink: None,
            tick: now,
            stop: None,
            watchdog: Watchdog::from_environment(now),
        };
        loop {
            let woken = self.wait(&mut signals, due.next()).await;
            let now = Instant::now();
            if let Woken::Lost(what) = woken {
                tracing::error!(what, "a thread has ended that calls cannot do without");
                return (self.stop(now).await, Ended::Lost(what));
            }
            if let Woken::Terminate = woken {
                due.stop = Some(match due.stop {
                    None => self.begin_to_stop(now),
                    Some(_) => now,
                });
            }
            self.turn(woken, now);
            if self.restart_asked && due.stop.is_none() {
                due.stop = Some(self.begin_to_stop(now));
            }
            if due.machine.is_some_and(|deadline| deadline <= now) {
                self.state.handle_timeout(now);
            }
            let outlet = self.flows.outlet();
            self.hands.uplink.turn(outlet, now);
            due.uplink = self.hands.uplink.due();
            due.machine = self.hands.drain(&mut self.state, outlet, now);
            if now >= due.tick {
                due.tick = now + TICK;
                self.tick(now);
            }
            if due.watchdog.turned(now) {
                systemd::notify(&[NotifyState::Watchdog]);
            }
            if due
                .stop
                .is_some_and(|stop| self.hands.drained || stop <= now)
            {
                let ended = match self.restart_asked {
                    true => Ended::ToBeStarted,
                    false => Ended::AsAsked,
                };
                return (self.stop(now).await, ended);
            }
        }
    }

    async fn wait(&mut self, signals: &mut Signals, until: Instant) -> Woken {
        let Hands {
            store,
            media,
            recorder,
            lines,
            link,
            uplink,
            ..
        } = &mut self.hands;
        tokio::select! {
            () = self.flows.ready() => Woken::Flows,
            answer = store.answered() => answer.map_or(Woken::Lost("store"), Woken::Stored),
            heard = media.heard() => heard.map_or(Woken::Lost("media"), Woken::Media),
            told = lines.told() => Woken::Line(told),
            // Without the other end of these, calls go on.
            Some(note) = recorder.noted() => Woken::Recording(note),
            news = link.news() => Woken::Link(news),
            found = uplink.found() => Woken::CoreFound(found),
            Some(asked) = self.inboxes.asked.recv() => Woken::Asked(asked),
            Some(reloaded) = self.inboxes.reloaded.recv() => Woken::Reloaded(reloaded),
            Some(answered) = self.inboxes.url_answers.recv() => Woken::UrlAnswered(answered),
            _ = signals.hangup.recv() => Woken::Reload,
            _ = signals.terminate.recv() => Woken::Terminate,
            _ = signals.interrupt.recv() => Woken::Terminate,
            () = tokio::time::sleep_until(until.into()) => Woken::Deadline,
        }
    }

    fn turn(&mut self, woken: Woken, now: Instant) {
        let Self {
            state,
            flows,
            hands,
            ..
        } = self;
        match woken {
            Woken::Flows => {
                flows.drain(FLOW_EVENTS, |outlet, event| {
                    hands.flow_event(state, outlet, event, now);
                });
            }
            Woken::Stored(answer) => hands.stored(state, flows.outlet(), answer, now),
            Woken::Media(Heard::Ports(ports)) => {
                hands.feed(state, flows.outlet(), Input::PortsFree(ports), now);
            }
            Woken::Media(Heard::Event(event)) => {
                if let MediaEvent::Silent { leg } = event {
                    tracing::info!(%leg, "a conversation has gone silent and is ended");
                }
                if let MediaEvent::Figures(_) = event {
                    // Nobody may be watching.
                    let _ = hands.changes.send(());
                }
                hands.timeline.media(&event);
                hands.feed(state, flows.outlet(), Input::Media(event), now);
            }
            Woken::Line(told) => {
                if let Some((line, event)) = hands.lines.hear(told, now) {
                    hands.timeline.line_event(line, &event);
                    let input = Input::Line { line, event };
                    hands.feed(state, flows.outlet(), input, now);
                }
            }
            Woken::Recording(note) => self.recording_noted(note),
            Woken::UrlAnswered(UrlAnswered { command, reply }) => {
                hands.timeline.url_answered(command, reply);
                let input = Input::UrlAnswered { command, reply };
                hands.feed(state, flows.outlet(), input, now);
            }
            Woken::Link(News::Ordered(order)) => self.ordered(order, now),
            Woken::Link(News::CallsMoved(place)) => hands.uplink.set(place, flows.outlet(), now),
            Woken::CoreFound(found) => hands.uplink.open(found, flows.outlet(), now),
            Woken::Asked(asked) => self.asked(asked, now),
            Woken::Reloaded(reloaded) => self.reloaded(*reloaded, now),
            Woken::Reload => {
                // One is being done already: it reads the newest files as well.
                let _ = self.inboxes.reload.try_send(ReloadAsked::default());
            }
            Woken::Terminate | Woken::Deadline | Woken::Lost(_) => {}
        }
    }

    fn asked(&mut self, asked: Asked, now: Instant) {
        let Asked { request, answer } = asked;
        let mut asker = Asker::Once { reply: answer };
        let command = match request {
            Request::Status => OperatorCommand::Status,
            Request::Calls | Request::Watch => OperatorCommand::Calls,
            Request::Stations => OperatorCommand::Stations,
            Request::Remote { station, action } => {
                let Asker::Once { reply } = asker else { return };
                return self.ask_page(&station, action, reply);
            }
            Request::Lines => {
                let Asker::Once { reply } = asker else { return };
                let lines = line_views(&self.hands.lines, self.state.lines(), now);
                // Whoever asked may have left.
                let _ = reply.send(Reply::Lines(lines));
                return;
            }
            Request::Order { station, order } => match orders::command(&station, order) {
                Ok(command) => command,
                Err(refusal) => {
                    let Asker::Once { reply } = asker else { return };
                    // Whoever asked may have left.
                    let _ = reply.send(refusal);
                    return;
                }
            },
            Request::End { call } => OperatorCommand::End(CallId::new(call)),
            Request::RecordCall { call } => OperatorCommand::Record(CallId::new(call)),
            Request::StopRecording { call } => OperatorCommand::StopRecording(CallId::new(call)),
            Request::Record { of, seconds } => {
                let Asker::Once { reply } = asker else { return };
                return self.record_for(of, seconds, reply, now);
            }
            Request::TakeRecorded { recording } => {
                let Asker::Once { reply } = asker else { return };
                return self.hands.recorder.take(AskedId(recording), reply);
            }
            Request::EndRecorded { recording } => {
                let Asker::Once { reply } = asker else { return };
                self.hands.recorder.end(AskedId(recording));
                return self.hands.recorder.take(AskedId(recording), reply);
            }
            Request::Play {
                leg,
                rate,
                samples,
                last,
            } => match self.playing.take(leg, (rate, &samples), last, now) {
                Taken::Complete(recording) => OperatorCommand::Play(LegId::new(leg), recording),
                Taken::Piece => {
                    let Asker::Once { reply } = asker else { return };
                    // Whoever asked may have left.
                    let _ = reply.send(operator::done("taken"));
                    return;
                }
                Taken::Refused(refusal) => {
                    let Asker::Once { reply } = asker else { return };
                    // Whoever asked may have left.
                    let _ = reply.send(refusal);
                    return;
                }
            },
            Request::Gain { leg, of, db } => {
                let gain = match Gain::from_db(db) {
                    Ok(gain) => gain,
                    Err(error) => {
                        let Asker::Once { reply } = asker else { return };
                        // Whoever asked may have left.
                        let _ = reply.send(operator::bad_gain(error));
                        return;
                    }
                };
                let wish = match of {
                    GainOf::Microphone => SoundWish::Microphone(gain),
                    GainOf::Loudspeaker => SoundWish::Loudspeaker(gain),
                };
                OperatorCommand::Sound(LegId::new(leg), wish)
            }
            Request::Mute { leg, muted } => {
                let mute = if muted { Mute::On } else { Mute::Off };
                OperatorCommand::Sound(LegId::new(leg), SoundWish::Mute(mute))
            }
            Request::Level { of } => {
                let Asker::Once { reply } = asker else { return };
                return self.level_for(of, reply, now);
            }
            Request::Open { door } => {
                let Asker::Once { reply } = asker else { return };
                let Some(id) = self.doors.get(&door).copied() else {
                    // Whoever asked may have left.
                    let _ = reply.send(operator::no_such_door(&door));
                    return;
                };
                let command = match random::bytes() {
                    Ok(bytes) => CommandId::new(u128::from_be_bytes(bytes)),
                    Err(error) => {
                        tracing::error!(%error, "the system gives no random numbers");
                        return;
                    }
                };
                asker = Asker::Door { command, reply };
                OperatorCommand::Open(command, id)
            }
            // The link answers for itself and is never asked by way of this loop.
            Request::Link | Request::Reach { .. } | Request::Claim { .. } | Request::Unclaim => {
                let Asker::Once { reply } = asker else { return };
                // Whoever asked may have left.
                let _ = reply.send(answers::no_answer());
                return;
            }
            Request::Reload => {
                let Asker::Once { reply } = asker else { return };
                let answer = Some(reply);
                // Dropped when too many wait: the asker is told that nobody answers.
                let _ = self.inboxes.reload.try_send(ReloadAsked { answer });
                return;
            }
        };
        self.hands.timeline.operator(&command);
        let asker = self.hands.expect(asker);
        let input = Input::Operator { asker, command };
        let outlet = self.flows.outlet();
        self.hands.feed(&mut self.state, outlet, input, now);
    }

    /// Has a station's own page asked for; whoever asks hears what came of it.
    fn ask_page(&mut self, station: &str, action: RemoteAction, reply: oneshot::Sender<Reply>) {
        let actions = self.remotes.get(station);
        let url = actions.and_then(|actions| match action {
            RemoteAction::Answer => actions.answer.clone(),
            RemoteAction::Cancel => actions.cancel.clone(),
            RemoteAction::Decline => actions.decline.clone(),
        });
        let Some(url) = url else {
            // Whoever asked may have left.
            let _ = reply.send(operator::no_page(station));
            return;
        };
        self.hands.timeline.page_asked(station, action, &url);
        // Dropped when too many wait: the asker is told that nobody answers.
        let _ = self.remote_orders.try_send(RemoteOrder { url, reply });
    }

    fn reloaded(&mut self, reloaded: Reloaded, now: Instant) {
        let Reloaded {
            directory,
            tls,
            reply,
            answer,
        } = reloaded;
        for (listener, tls) in tls {
            if !self.flows.replace_tls(listener, tls) {
                tracing::warn!(
                    ?listener,
                    "a certificate is of no listener; restart to use it"
                );
            }
        }
        let accounts =
            machine::accounts(&directory.accounts, &self.realm, self.contacts_per_station);
        let names = Names::of(&directory.directory, &directory.doors);
        self.hands.timeline.names(names);
        self.hands.site.is(&directory.directory, &directory.doors);
        self.hands.report_due = true;
        self.doors = directory.doors;
        self.remotes = directory.remotes;
        self.hands.about.directory_read = self.hands.clock.wall_at(now);
        let input = Input::DirectoryChanged(Arc::new(directory.directory), accounts);
        let outlet = self.flows.outlet();
        self.hands.feed(&mut self.state, outlet, input, now);
        if let Some(answer) = answer {
            // Whoever asked may have left.
            let _ = answer.send(reply);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.stop_listening(now);
        let clock = Clock::read();
        if self.hands.clock.was_set_before(clock) {
            tracing::warn!("the wall clock was set");
            let input = Input::ClockSet(clock.wall);
            let outlet = self.flows.outlet();
            self.hands.feed(&mut self.state, outlet, input, now);
        }
        self.hands.clock = clock;
        self.report(now);
        let store = self.hands.store.figures();
        let lines = self.state.lines();
        self.hands.lines.look(&lines, now);
        let lines = line_views(&self.hands.lines, lines, now);
        self.figures.collect(&Sources {
            state: &self.state,
            flows: self.flows.counters(),
            hands: &self.hands,
            store: &store,
            lines: &lines,
        });
    }

    /// Tells the cloud core what the gateway is, when that may have changed.
    fn report(&mut self, now: Instant) {
        if !self.hands.link.is_claimed() {
            self.hands.report_due = true;
            return;
        }
        let at = self.hands.clock.wall_at(now);
        for line in self.hands.lines.briefly() {
            let tale = self.hands.site.line(&line, at);
            self.hands.report_due |= tale.is_some();
            self.hands.tell(tale);
        }
        if !std::mem::take(&mut self.hands.report_due) {
            return;
        }
        let asker = self.hands.expect(Asker::Report);
        let command = OperatorCommand::Stations;
        let input = Input::Operator { asker, command };
        let outlet = self.flows.outlet();
        self.hands.feed(&mut self.state, outlet, input, now);
    }

    /// No new calls but alarms from here; answers until when running ones may go on.
    fn begin_to_stop(&mut self, now: Instant) -> Instant {
        tracing::info!(grace = ?self.grace, "stopping: no new calls, running ones may end");
        systemd::notify(&[
            NotifyState::Stopping,
            NotifyState::Status("stopping: no new calls"),
        ]);
        self.hands.about.state = RunState::Stopping;
        let outlet = self.flows.outlet();
        self.hands.feed(&mut self.state, outlet, Input::Drain, now);
        now + self.grace
    }

    async fn stop(mut self, now: Instant) -> Store {
        let outlet = self.flows.outlet();
        self.hands.feed(&mut self.state, outlet, Input::Stop, now);
        self.flows.shutdown(LAST_WORDS).await;
        let Hands {
            recorder,
            timeline,
            mut store,
            lines,
            link,
            ..
        } = self.hands;
        lines.finish();
        link.finish();
        timeline.finish();
        for note in recorder.finish() {
            if let Err(error) = store.write_journal(JournalWrite::Recording(Box::new(note))) {
                tracing::error!(%error, "it is not written down what was recorded");
            }
        }
        store
    }
}
