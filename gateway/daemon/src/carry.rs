//! Carries out what the gateway's machine wants: sends, stores, moves media, answers people.
//!
//! The hands of the main loop. Nothing here waits; what cannot be done at once is told back to the
//! machine as an input, as a rule in the same turn. Invariant: after `drain` the machine has said
//! `Timeout`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use client::Say;
use contract::document::Text;
use contract::up::{Outcome, OutcomeState};
use exchange::{
    Exchange, Input, MediaCommand, Output, StoreWrite, UrlReply, UrlRequest, WebCommand, WebEvent,
};
use model::{CommandId, DoorRecord, EndCause};
use net::flows::{FlowEvent, Outlet};
use sip::flow::{Destination, Hop};
use sip::registrar::StoreToken;
use switchboard::{MediaShell, Outgoing, net_connection, sip_flow};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::clock::Clock;
use crate::control::protocol::Reply;
use crate::diagnosis;
use crate::lines::LineShell;
use crate::link::orders::{of_door, outcome};
use crate::link::settings::CloudSet;
use crate::link::site::Site;
use crate::link::{LinkShell, telling};
use crate::listening::tap;
use crate::metrics::Sound;
use crate::operator;
use crate::recorder::Recorder;
use crate::store::{
    Answer, BINDINGS, BindingsWrite, JournalWrite, Sequence, Store, StoredBinding, Telling,
};
use crate::timeline::{LineSaid, Timeline};
use crate::uplink::Uplink;

/// What the machine is told back in one turn. More would be a circle of sending and failing.
const MOST_BACK: usize = 1_024;

/// Everything the machine's wishes need.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) store: Store,
    pub(crate) media: MediaShell,
    pub(crate) recorder: Recorder,
    pub(crate) lines: LineShell,
    pub(crate) timeline: Timeline,
    pub(crate) link: LinkShell,
    pub(crate) site: Site,
    /// Settings of the cloud core that hold.
    pub(crate) cloud_set: CloudSet,
    /// Something that the core is told of the gateway may have changed.
    pub(crate) report_due: bool,
    pub(crate) outgoing: Outgoing,
    pub(crate) uplink: Uplink,
    pub(crate) urls: mpsc::Sender<UrlRequest>,
    pub(crate) changes: broadcast::Sender<()>,
    pub(crate) clock: Clock,
    pub(crate) sound: Arc<Sound>,
    pub(crate) about: operator::About,
    /// Registrations on their way to the disk, in their order.
    waiting: VecDeque<(Sequence, StoreToken)>,
    /// People who wait for an answer of the machine.
    askers: HashMap<u64, operator::Asker>,
    next_asker: u64,
    /// People who wait to hear what became of a door.
    doors: HashMap<CommandId, oneshot::Sender<Reply>>,
    /// The same for the cloud core, and who wants it there.
    cloud_doors: HashMap<CommandId, (Text<40>, Text<64>)>,
    /// What the machine has yet to hear of its own wishes.
    back: VecDeque<Input>,
    pub(crate) counts: Counts,
    /// The last call has ended, after a drain was asked for.
    pub(crate) drained: bool,
}

/// The threads that carry out what the machine wants.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) store: Store,
    pub(crate) media: MediaShell,
    pub(crate) recorder: Recorder,
    pub(crate) lines: LineShell,
    pub(crate) timeline: Timeline,
    pub(crate) link: LinkShell,
}

/// What the hands count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages that could not be sent.
    pub(crate) unsent: u64,
    /// Records that neither disk nor memory took.
    pub(crate) records_lost: u64,
    /// Door requests that were not begun, because too many were on their way.
    pub(crate) urls_refused: u64,
}

impl Hands {
    pub(crate) fn new(
        threads: Threads,
        (outgoing, uplink): (Outgoing, Uplink),
        urls: mpsc::Sender<UrlRequest>,
        changes: broadcast::Sender<()>,
        about: operator::About,
    ) -> Self {
        let Threads {
            store,
            media,
            recorder,
            lines,
            timeline,
            link,
        } = threads;
        Self {
            store,
            media,
            recorder,
            lines,
            timeline,
            link,
            site: Site::default(),
            cloud_set: CloudSet::default(),
            report_due: true,
            outgoing,
            uplink,
            urls,
            changes,
            clock: Clock::read(),
            sound: Arc::default(),
            about,
            waiting: VecDeque::new(),
            askers: HashMap::new(),
            next_asker: 0,
            doors: HashMap::new(),
            cloud_doors: HashMap::new(),
            back: VecDeque::new(),
            counts: Counts::default(),
            drained: false,
        }
    }

    /// Gives the machine an input and carries out all that follows from it.
    pub(crate) fn feed(
        &mut self,
        state: &mut Exchange,
        outlet: &mut Outlet,
        input: Input,
        now: Instant,
    ) {
        state.handle(input, now);
        self.drain(state, outlet, now);
    }

    /// Carries out everything the machine wants, and answers when it wants to be woken.
    pub(crate) fn drain(
        &mut self,
        state: &mut Exchange,
        outlet: &mut Outlet,
        now: Instant,
    ) -> Option<Instant> {
        let mut told_back = 0;
        let deadline = loop {
            match state.poll_output() {
                Output::Timeout(deadline) => match self.back.pop_front() {
                    // The rest has its turn after others had theirs.
                    Some(input) if told_back == MOST_BACK => {
                        self.back.push_front(input);
                        break Some(now);
                    }
                    Some(input) => {
                        told_back += 1;
                        state.handle(input, now);
                    }
                    None => break deadline,
                },
                Output::Transmit { to, bytes } => self.transmit(&to, &bytes, outlet),
                Output::CloseFlow(connection) => outlet.close(net_connection(connection)),
                Output::Media(command) => self.media(command),
                Output::Recording(command) => {
                    let wall = self.clock.wall_at(now);
                    let change = self.recorder.command(command, wall, now);
                    tap(&mut self.media, change.as_slice());
                }
                Output::Store(write) => self.store(write),
                Output::OpenUrl(request) => self.open_url(request),
                Output::Answer { asker, answer } => {
                    if let Some(asker) = self.askers.remove(&asker) {
                        self.answer(asker, answer);
                    }
                }
                Output::Web { party, command } => {
                    // No browser is at a gateway itself.
                    if let WebCommand::Ring(_) = command {
                        let cause = EndCause::Unreachable;
                        let event = WebEvent::Refused { cause };
                        self.back.push_back(Input::Web { party, event });
                    }
                }
                Output::Line { line, command } => {
                    self.timeline.line_command(line, &command);
                    self.lines.command(line, command, now);
                }
                Output::LineState { line, state } => {
                    self.timeline.line_says(line, LineSaid::State(state));
                    self.lines.is(line, state);
                }
                Output::LineHappened { line, event, from } => {
                    self.timeline
                        .line_says(line, LineSaid::Happened(event, from));
                }
                Output::LineAsked {
                    line,
                    command,
                    from,
                } => self
                    .timeline
                    .line_says(line, LineSaid::Asked(command, from)),
                Output::LineCommanded {
                    line,
                    reference,
                    command,
                } => {
                    let said = LineSaid::Commanded(reference, command);
                    self.timeline.line_says(line, said);
                }
                Output::LineDone {
                    line,
                    reference,
                    answer,
                } => self
                    .timeline
                    .line_says(line, LineSaid::Done(reference, answer)),
                Output::LineTold { line, event } => {
                    self.timeline.line_says(line, LineSaid::Told(event));
                }
                Output::Registrar(event) => {
                    self.timeline.registrar(&event);
                    crate::events::log_registrar(&event);
                }
                Output::LegNamed { leg, call, call_id } => {
                    self.timeline.leg(leg, call, call_id);
                }
                Output::Event(event) => {
                    if event == calls::Event::Drained {
                        self.drained = true;
                    }
                    self.timeline.calls(&event);
                    crate::events::log(&event);
                    self.tell_core(&event, now);
                    // Nobody may be watching.
                    let _ = self.changes.send(());
                }
            }
        };
        self.media.flush();
        self.timeline.turn_over();
        deadline
    }

    /// What a flow says, in the machine's words.
    pub(crate) fn flow_event(
        &mut self,
        state: &mut Exchange,
        outlet: &mut Outlet,
        event: FlowEvent<&[u8]>,
        now: Instant,
    ) {
        let input = match event {
            FlowEvent::Received { flow, bytes } => {
                let bytes = Bytes::copy_from_slice(bytes);
                self.uplink.heard(&flow, now);
                self.timeline.received(&flow, &bytes, now);
                let flow = sip_flow(&flow);
                Input::Received { flow, bytes }
            }
            FlowEvent::Opened { flow } => {
                self.outgoing.opened(&flow);
                self.timeline.opened(&flow);
                self.back.extend(self.uplink.opened(&flow, now));
                Input::FlowOpened(sip_flow(&flow))
            }
            FlowEvent::Closed { flow, why } => {
                self.timeline.closed(&flow);
                tracing::debug!(?flow, %why, "a connection has ended");
                if let Some(destination) = self.outgoing.closed(&flow) {
                    self.back.push_back(Input::Unreachable(destination));
                }
                self.uplink.closed(&flow, now);
                Input::FlowClosed(sip_flow(&flow))
            }
            FlowEvent::Refused {
                listener,
                remote,
                why,
            } => {
                tracing::debug!(?listener, %remote, %why, "a connection was refused");
                return;
            }
            FlowEvent::Undeliverable { flow, why } => {
                tracing::debug!(?flow, %why, "a datagram does not arrive");
                let flow = sip_flow(&flow);
                Input::Unreachable(Destination {
                    listener: Some(flow.listener),
                    ..Destination::new(flow.transport, flow.remote)
                })
            }
        };
        self.feed(state, outlet, input, now);
    }

    /// The store has kept writes up to some number.
    pub(crate) fn stored(
        &mut self,
        state: &mut Exchange,
        outlet: &mut Outlet,
        answer: Answer,
        now: Instant,
    ) {
        if answer.lane != BINDINGS {
            // The journal has more than it had, and the link reads it.
            self.link.journal_grew();
            return;
        }
        while let Some((sequence, token)) = self.waiting.front().copied() {
            if sequence > answer.through {
                break;
            }
            self.waiting.pop_front();
            // Kept in memory only is told to the operator, not to the station: a door must ring
            // though the disk is full.
            state.handle(Input::Stored(token), now);
        }
        self.drain(state, outlet, now);
    }

    /// Remembers who asks, and answers the number under which the machine will answer.
    pub(crate) fn expect(&mut self, asker: operator::Asker) -> u64 {
        self.next_asker += 1;
        self.askers.insert(self.next_asker, asker);
        self.next_asker
    }

    fn transmit(&mut self, to: &Hop, bytes: &Bytes, outlet: &mut Outlet) {
        let error = match self.outgoing.send(to, bytes, outlet) {
            Ok(flow) => return self.timeline.sent(&flow, bytes),
            Err(error) => error,
        };
        self.timeline.not_sent(to, bytes, &error);
        self.counts.unsent += 1;
        tracing::debug!(to = %to.remote(), %error, "a message could not be sent");
        // A flow that is gone says so itself; nobody else speaks for a destination.
        if let Hop::Destination(destination) = to {
            self.back.push_back(Input::Unreachable(destination.clone()));
        }
    }

    fn media(&mut self, command: MediaCommand) {
        if let MediaCommand::Close { leg } = &command {
            self.recorder.closed(*leg);
        }
        self.media.command(command);
    }

    fn store(&mut self, write: StoreWrite) {
        match write {
            StoreWrite::Bindings(order) => {
                let bindings = order.bindings.into_iter().map(|binding| StoredBinding {
                    expires: self.clock.wall_at(binding.expires),
                    data: binding.data,
                });
                let write = BindingsWrite {
                    aor: order.aor,
                    bindings: bindings.collect(),
                };
                match self.store.write_bindings(write) {
                    Ok(sequence) => self.waiting.push_back((sequence, order.token)),
                    Err(_) => self.back.push_back(Input::StoreFailed(order.token)),
                }
            }
            StoreWrite::CallRecord(record) => {
                self.timeline.call_record(&record);
                let trouble = record.audio.as_ref().and_then(diagnosis::diagnose);
                self.sound.add(&record, trouble);
                if let Some(cause) = trouble {
                    crate::events::log_poor_leg(&record, cause);
                }
                let telling = self.link.number(|| telling::call(&record));
                self.journal(told(JournalWrite::Call(record), telling));
            }
            StoreWrite::DoorRecord(record) => {
                self.timeline.door_record(&record);
                self.tell_about_door(&record);
                let key = self.site.key_of(record.door);
                let by = self.cloud_doors.remove(&record.command);
                if let Some((command, _)) = &by {
                    self.link.say(Say::Ended(of_door(command, record.result)));
                }
                let by = by.as_ref().map(|(_, by)| by.as_str());
                let telling = self.link.number(|| telling::door(&record, key, by));
                self.journal(told(JournalWrite::Door(record), telling));
            }
            StoreWrite::Standing(standing) => self.journal(JournalWrite::Standing(standing)),
        }
    }

    pub(crate) fn journal(&mut self, write: JournalWrite) {
        if let Err(error) = self.store.write_journal(write) {
            self.counts.records_lost += 1;
            tracing::error!(%error, "a record is lost");
        }
    }

    fn open_url(&mut self, request: UrlRequest) {
        self.timeline.url_asked(&request);
        let command = request.command;
        if self.urls.try_send(request).is_err() {
            self.counts.urls_refused += 1;
            let reply = UrlReply::Refused;
            self.back.push_back(Input::UrlAnswered { command, reply });
        }
    }

    fn answer(&mut self, asker: operator::Asker, answer: exchange::Answer) {
        match asker {
            operator::Asker::Cloud { command, asked, by } => match answer {
                exchange::Answer::Refused(error) => {
                    let why = serde_json::json!({"why": error.to_string()});
                    self.link.say(Say::Ended(Outcome {
                        detail: Some(why),
                        ..outcome(&asked, OutcomeState::Rejected, Some("denied"))
                    }));
                }
                // The record says what became of it.
                _ => {
                    self.cloud_doors.insert(command, (asked, by));
                }
            },
            operator::Asker::Report => {
                if let exchange::Answer::Stations(stations) = answer {
                    let name = self.cloud_set.name.as_ref().unwrap_or(&self.about.name);
                    let report = self.site.report(name, &stations, &self.lines.briefly());
                    self.link.report(report);
                }
            }
            // A pulse on its way is no opened door: the record says what became of it.
            operator::Asker::Door { command, reply }
                if matches!(answer, exchange::Answer::Done) =>
            {
                self.doors.retain(|_, waiting| !waiting.is_closed());
                self.doors.insert(command, reply);
            }
            operator::Asker::Door { reply, .. } | operator::Asker::Once { reply, .. } => {
                // Whoever asked may have left.
                let _ = reply.send(operator::reply(
                    answer,
                    &self.about,
                    &self.store.figures(),
                    self.lines.briefly(),
                ));
            }
        }
    }

    /// What the cloud core is to know of what happened.
    fn tell_core(&mut self, event: &calls::Event, now: Instant) {
        let at = self.clock.wall_at(now);
        let tale = match event {
            calls::Event::StationChanged {
                station, faults, ..
            } => {
                self.report_due = true;
                self.site.faults(*station, *faults, at)
            }
            calls::Event::AlarmEscalated { call, to } => {
                Some(telling::alarm_goes_on(call.get(), to, at))
            }
            _ => None,
        };
        self.tell(tale);
    }

    pub(crate) fn tell(&mut self, tale: Option<telling::Tale>) {
        let telling = tale.and_then(|tale| self.link.number(|| tale));
        if let Some(telling) = telling {
            self.journal(JournalWrite::Telling(Box::new(telling)));
        }
    }

    fn tell_about_door(&mut self, record: &DoorRecord) {
        if let Some(reply) = self.doors.remove(&record.command) {
            // Whoever asked may have left.
            let _ = reply.send(operator::door_reply(record.result));
        }
    }
}

/// A record, with what the cloud core is told of it.
fn told(record: JournalWrite, telling: Option<Telling>) -> JournalWrite {
    match telling {
        Some(telling) => JournalWrite::Told(Box::new(record), Box::new(telling)),
        None => record,
    }
}
