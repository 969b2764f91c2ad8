//! The thread of calls: owns the exchanges of all companies, their flows and their media.
//!
//! Waits for whatever comes first - octets, media, what the clerk tells, a deadline -, gives it to
//! the exchange of the company that it concerns and carries out what follows. It awaits nothing else:
//! no send, no store. Invariants: one deadline for each exchange; every turn ends with the exchange
//! drained; an exchange sees flows of its own company's gateways and no others, and sends to no
//! place but them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cloud_logic::ids::CompanyId;
use exchange::{Exchange, FreePorts, Input, MediaEvent, WebEvent, WebParty};
use model::{Directory, LegId};
use net::flows::{ConnectionId, Flow, FlowEvent, Flows, ListenerInfo};
use net::tls::ServerTls;
use rustls::ServerConfig;
use switchboard::{Heard, sip_flow};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::clerk::{Gateway, Question, Told};
use super::directory::node_of;
use super::exchange_of::Settings;
use super::figures::Figures;
use super::hands::Hands;
use super::held::Held;
use crate::clock::Clock;
use crate::random;

/// Events of flows that are taken in one turn.
const FLOW_EVENTS: usize = 64;
/// What a flow may say before it is known whose it is.
const EARLY_OCTETS: usize = 64 * 1024;
/// Words of pages that may wait for the exchange of their company.
const EARLY_PAGES: usize = 256;
/// How often clocks and idle companies are looked at.
const TICK: Duration = Duration::from_secs(10);
/// How long a company without flows and calls is kept.
const IDLE: Duration = Duration::from_secs(600);
/// How long what is left to send may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whose a flow is.
#[derive(Debug)]
enum Known {
    /// The clerk has been asked.
    NotYet {
        early: Vec<Bytes>,
        octets: usize,
    },
    As(Gateway),
}

/// What somebody's page says to the calls of a company.
pub(crate) type FromPage = (CompanyId, WebParty, WebEvent);

/// The ends that the thread holds of its channels.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) told: mpsc::Receiver<Told>,
    pub(super) questions: mpsc::Sender<Question>,
    pub(super) pages: mpsc::Receiver<FromPage>,
    pub(super) tls: watch::Receiver<Arc<ServerConfig>>,
    pub(super) stop: CancellationToken,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Floor {
    settings: Settings,
    clock: Clock,
    flows: Flows,
    listener: ListenerInfo,
    hands: Hands,
    /// Of all exchanges; in the hands of the one whose turn it is.
    ports: FreePorts,
    at: BTreeMap<ConnectionId, (Flow, Known)>,
    companies: BTreeMap<CompanyId, Held>,
    /// By what the ids of an exchange begin with.
    by_start: BTreeMap<u32, CompanyId>,
    due: BTreeSet<(Instant, CompanyId)>,
    last_start: u32,
    /// What pages have said of companies whose exchange is on its way.
    early: VecDeque<FromPage>,
    ends: Ends,
    figures: Arc<Figures>,
}

enum Woken {
    Flows,
    Media(Option<Heard>),
    Told(Option<Told>),
    Page(FromPage),
    Certificate,
    Deadline,
    Stop,
}

impl Floor {
    pub(super) fn new(
        settings: Settings,
        clock: Clock,
        (flows, listener): (Flows, ListenerInfo),
        hands: Hands,
        ends: Ends,
    ) -> Self {
        let figures = Arc::clone(&hands.figures);
        Self {
            ports: FreePorts::new(switchboard::ports_for_alarms(&settings.ports)),
            settings,
            clock,
            flows,
            listener,
            hands,
            at: BTreeMap::new(),
            companies: BTreeMap::new(),
            by_start: BTreeMap::new(),
            due: BTreeSet::new(),
            last_start: 0,
            early: VecDeque::new(),
            ends,
            figures,
        }
    }

    /// Runs until it is told to stop, or something is gone that calls cannot do without.
    pub(super) async fn run(mut self) {
        let first = self.hands.media.first_ports().await;
        self.ports.add(first);
        let mut tick = Instant::now() + TICK;
        loop {
            let due = self.due.first().map_or(tick, |(due, _)| tick.min(*due));
            let woken = self.wait(due).await;
            let now = Instant::now();
            match woken {
                Woken::Stop => break,
                Woken::Flows => self.flow_events(now),
                Woken::Media(Some(heard)) => self.media_says(heard, now),
                Woken::Told(Some(told)) => self.told(told, now),
                Woken::Media(None) | Woken::Told(None) => {
                    tracing::error!("a thread has ended that calls cannot do without");
                    break;
                }
                Woken::Page(said) => self.page_says(said, now),
                Woken::Certificate => self.renew_certificate(),
                Woken::Deadline => {}
            }
            while let Some((due, company)) = self.due.first().copied() {
                if due > now {
                    break;
                }
                self.turn(company, now, Exchange::handle_timeout);
            }
            if now >= tick {
                tick = now + TICK;
                self.tick(now);
            }
            self.hands.hand_over_records();
        }
        self.stop(Instant::now()).await;
    }

    async fn wait(&mut self, until: Instant) -> Woken {
        let Self {
            flows, hands, ends, ..
        } = self;
        let records_wait = hands.records_wait();
        let until = match records_wait {
            true => until.min(Instant::now() + Duration::from_millis(100)),
            false => until,
        };
        tokio::select! {
            biased;
            () = ends.stop.cancelled() => Woken::Stop,
            () = flows.ready() => Woken::Flows,
            heard = hands.media.heard() => Woken::Media(heard),
            told = ends.told.recv() => Woken::Told(told),
            Some(said) = ends.pages.recv() => Woken::Page(said),
            Ok(()) = ends.tls.changed() => Woken::Certificate,
            () = tokio::time::sleep_until(until.into()) => Woken::Deadline,
        }
    }

    // ---- flows --------------------------------------------------------------------------------

    fn flow_events(&mut self, now: Instant) {
        let mut events = Vec::with_capacity(FLOW_EVENTS);
        self.flows.drain(FLOW_EVENTS, |outlet, event| {
            events.push(match event {
                FlowEvent::Opened { flow } => {
                    let shown = outlet.peer_certificate(flow.connection);
                    let shown = shown.map(|shown| shown.der.clone());
                    FlowSaid::Opened(flow, shown)
                }
                FlowEvent::Received { flow, bytes } => {
                    FlowSaid::Received(flow, Bytes::copy_from_slice(bytes))
                }
                FlowEvent::Closed { flow, .. } => FlowSaid::Closed(flow),
                FlowEvent::Refused { remote, why, .. } => {
                    tracing::debug!(%remote, %why, "a flow of SIP was refused");
                    FlowSaid::Refused
                }
                FlowEvent::Undeliverable { .. } => return,
            });
        });
        for event in events {
            match event {
                FlowSaid::Opened(flow, shown) => self.opened(flow, shown),
                FlowSaid::Received(flow, bytes) => self.received(flow, bytes, now),
                FlowSaid::Closed(flow) => self.closed(flow, now),
                FlowSaid::Refused => self.figures.add(|figures| &figures.flows_refused),
            }
        }
    }

    fn opened(&mut self, flow: Flow, shown: Option<Box<[u8]>>) {
        let asked = shown.and_then(|shown| {
            let question = Question::WhoIs(flow.connection, shown);
            self.ends.questions.try_send(question).ok()
        });
        if asked.is_none() {
            // Without a certificate, or too many at once: it comes again.
            self.figures.add(|figures| &figures.flows_refused);
            self.flows.outlet().close(flow.connection);
            return;
        }
        let early = Vec::new();
        let known = Known::NotYet { early, octets: 0 };
        self.at.insert(flow.connection, (flow, known));
    }

    fn received(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        match self.at.get_mut(&flow.connection) {
            None => {}
            Some((_, Known::NotYet { early, octets })) => {
                *octets += bytes.len();
                early.push(bytes);
                if *octets > EARLY_OCTETS {
                    self.turn_away(flow.connection);
                }
            }
            Some((_, Known::As(gateway))) => {
                let company = gateway.company;
                let flow = sip_flow(&flow);
                self.feed(company, Input::Received { flow, bytes }, now);
            }
        }
    }

    fn turn_away(&mut self, connection: ConnectionId) {
        self.at.remove(&connection);
        self.figures.add(|figures| &figures.flows_refused);
        self.flows.outlet().close(connection);
        self.forget(connection);
    }

    fn closed(&mut self, flow: Flow, now: Instant) {
        match self.at.remove(&flow.connection) {
            None => {}
            Some((_, Known::NotYet { .. })) => self.forget(flow.connection),
            Some((_, Known::As(gateway))) => {
                self.forget(flow.connection);
                self.left(gateway, flow, now);
            }
        }
    }

    fn forget(&self, connection: ConnectionId) {
        let told = self.ends.questions.try_send(Question::Gone(connection));
        if told.is_err() {
            self.figures.add(|figures| &figures.questions_lost);
        }
    }

    /// A flow of a gateway is over.
    fn left(&mut self, gateway: Gateway, flow: Flow, now: Instant) {
        self.figures.flow_left();
        if let Some(held) = self.companies.get_mut(&gateway.company) {
            held.left(&gateway, flow.connection);
        }
        let closed = Input::FlowClosed(sip_flow(&flow));
        self.feed(gateway.company, closed, now);
    }

    // ---- what the clerk tells -----------------------------------------------------------------

    fn told(&mut self, told: Told, now: Instant) {
        match told {
            Told::At(connection, gateway, directory) => {
                if let Some(directory) = directory {
                    self.begin(gateway.company, directory, now);
                }
                self.known(connection, gateway, now);
            }
            Told::Leave(connection) => {
                let Some((flow, known)) = self.at.remove(&connection) else {
                    return;
                };
                self.figures.add(|figures| &figures.flows_barred);
                if let Known::As(gateway) = known {
                    self.left(gateway, flow, now);
                }
                self.flows.outlet().close(connection);
            }
            Told::Begin(company, directory) => {
                self.begin(company, directory, now);
                let mut said = Vec::new();
                let of_others = |said: &FromPage| said.0 != company;
                while let Some(place) = self.early.iter().position(|said| !of_others(said)) {
                    said.extend(self.early.remove(place));
                }
                for (company, party, event) in said {
                    self.feed(company, Input::Web { party, event }, now);
                }
            }
            Told::Directory(company, directory) => {
                let directory = Input::DirectoryChanged(directory, Vec::new());
                self.feed(company, directory, now);
            }
        }
    }

    fn known(&mut self, connection: ConnectionId, gateway: Gateway, now: Instant) {
        let Some(held) = self.companies.get_mut(&gateway.company) else {
            // Its company has gone in this moment: it comes again.
            return self.turn_away(connection);
        };
        let Some((flow, known)) = self.at.get_mut(&connection) else {
            return;
        };
        let flow = *flow;
        let before = std::mem::replace(known, Known::As(gateway));
        self.figures.flow_came();
        let older = held.came(gateway, connection);
        tracing::info!(device = %gateway.device, company = %gateway.company, remote = %flow.remote, "a gateway has come in for calls");
        let flow = sip_flow(&flow);
        self.feed(gateway.company, Input::FlowOpened(flow), now);
        let node = node_of(gateway.device);
        let there = Input::Neighbour {
            node,
            flow: Some(flow),
        };
        self.feed(gateway.company, there, now);
        // A gateway has one flow: the one before is of a connection that it has lost.
        if let Some(older) = older {
            self.flows.outlet().close(older);
        }
        if let Known::NotYet { early, .. } = before {
            for bytes in early {
                self.feed(gateway.company, Input::Received { flow, bytes }, now);
            }
        }
    }

    /// Whose page it is has been judged by who tells it.
    fn page_says(&mut self, (company, party, event): FromPage, now: Instant) {
        if self.companies.contains_key(&company) {
            return self.feed(company, Input::Web { party, event }, now);
        }
        let asked = self.ends.questions.try_send(Question::Begin(company));
        if asked.is_err() || self.early.len() >= EARLY_PAGES {
            self.figures.add(|figures| &figures.questions_lost);
            return;
        }
        self.early.push_back((company, party, event));
    }

    /// The exchange of a company is there from now on.
    fn begin(&mut self, company: CompanyId, directory: Arc<Directory>, now: Instant) {
        if self.companies.contains_key(&company) {
            let changed = Input::DirectoryChanged(directory, Vec::new());
            return self.feed(company, changed, now);
        }
        let start = self.next_start();
        let bound = (self.listener.id, self.listener.local);
        let config = self.settings.config(bound, start);
        let exchange = Exchange::new(config, directory, random::octets(), now);
        let wall = self.clock.now();
        self.by_start.insert(start, company);
        self.companies
            .insert(company, Held::new(exchange, company, start, wall, now));
        self.figures.set_companies(self.companies.len());
        self.feed(company, Input::ClockSet(wall), now);
    }

    /// 24 bits that no exchange of this process has.
    fn next_start(&mut self) -> u32 {
        loop {
            self.last_start = (self.last_start + 1) & 0x00ff_ffff;
            if self.last_start != 0 && !self.by_start.contains_key(&self.last_start) {
                return self.last_start;
            }
        }
    }

    // ---- media and time -----------------------------------------------------------------------

    fn media_says(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Ports(ports) => self.ports.add(ports),
            Heard::Event(MediaEvent::Figures(figures)) => {
                let mut of_each: BTreeMap<CompanyId, Vec<_>> = BTreeMap::new();
                for (leg, audio) in figures {
                    if let Some(company) = self.company_of(leg) {
                        of_each.entry(company).or_default().push((leg, audio));
                    }
                }
                for (company, figures) in of_each {
                    let figures = MediaEvent::Figures(figures);
                    self.feed(company, Input::Media(figures), now);
                }
            }
            Heard::Event(
                event @ (MediaEvent::Digit { leg, .. }
                | MediaEvent::SoundOver { leg, .. }
                | MediaEvent::Silent { leg }
                | MediaEvent::Closed { leg, .. }),
            ) => {
                if let Some(company) = self.company_of(leg) {
                    self.feed(company, Input::Media(event), now);
                }
            }
        }
    }

    /// Ids of legs begin with the number of their exchange.
    fn company_of(&self, leg: LegId) -> Option<CompanyId> {
        let start = u32::try_from(leg.get() >> 40).ok()?;
        self.by_start.get(&start).copied()
    }

    fn renew_certificate(&mut self) {
        let config = Arc::clone(&self.ends.tls.borrow_and_update());
        if !self
            .flows
            .replace_tls(self.listener.id, ServerTls::made(config))
        {
            tracing::error!("the listener of calls has not taken its new certificate");
        }
    }

    fn tick(&mut self, now: Instant) {
        let wall = self.clock.now();
        let companies: Vec<_> = self.companies.keys().copied().collect();
        for company in companies {
            self.feed(company, Input::ClockSet(wall), now);
        }
        let over: Vec<_> = (self.companies.iter_mut())
            .filter_map(|(company, held)| held.is_idle(now, IDLE).then_some(*company))
            .collect();
        for company in over {
            // The clerk has to know, or it would keep the directory for itself when one comes again.
            if self
                .ends
                .questions
                .try_send(Question::Over(company))
                .is_err()
            {
                continue;
            }
            if let Some(held) = self.companies.remove(&company) {
                self.by_start.remove(&held.start);
                self.due.retain(|(_, of)| *of != company);
            }
        }
        self.figures.set_companies(self.companies.len());
        let calls = self.companies.values().map(Held::calls).sum();
        self.figures.set_calls(calls);
        self.figures
            .set_media_lost(self.hands.media.lost_commands());
    }

    // ---- turns --------------------------------------------------------------------------------

    fn feed(&mut self, company: CompanyId, input: Input, now: Instant) {
        self.turn(company, now, |exchange, now| exchange.handle(input, now));
    }

    /// One turn of an exchange: what it is told, and all that follows.
    fn turn(
        &mut self,
        company: CompanyId,
        now: Instant,
        what: impl FnOnce(&mut Exchange, Instant),
    ) {
        let Some(held) = self.companies.get_mut(&company) else {
            self.due.retain(|(_, of)| *of != company);
            return;
        };
        if let Some(due) = held.due.take() {
            self.due.remove(&(due, company));
        }
        held.exchange.swap_ports(&mut self.ports);
        what(&mut held.exchange, now);
        let due = self.hands.drain(held, self.flows.outlet(), now);
        held.exchange.swap_ports(&mut self.ports);
        held.due = due;
        self.due.extend(due.map(|due| (due, company)));
    }

    async fn stop(mut self, now: Instant) {
        let companies: Vec<_> = self.companies.keys().copied().collect();
        for company in companies {
            self.feed(company, Input::Stop, now);
        }
        self.flows.shutdown(LAST_WORDS).await;
        self.hands.finish().await;
    }
}

/// What a flow has said, with octets of its own.
enum FlowSaid {
    Opened(Flow, Option<Box<[u8]>>),
    Received(Flow, Bytes),
    Closed(Flow),
    Refused,
}
