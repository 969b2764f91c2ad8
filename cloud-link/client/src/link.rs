//! Runs the machine of the link: connection, disk, gateway and clock are brought to it, and what it
//! wants is carried out.
//!
//! One task. It waits for the disk and the gateway by bounded channels and never holds up either:
//! what the gateway tells is taken only while few writes wait. Invariant: after each turn the machine
//! has said `Timeout`.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use contract::document::{self, Counter, Moment};
use contract::down::{self, Desired, Errand};
use contract::topic::Up;
use contract::up;
use serde_json::Value;
use session::outbox::{Place, Reading, Row};
use session::{Happened, Input, Memory, Output, Phase, Session, Tag, Ticket, Why, Write};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::enrol::{self, EnrolError, Plate};
use crate::https::{AskError, Connection};
use crate::identity::{Identity, Keep};
use crate::mqtt::{self, Heard, Wire};
use crate::tls;
use crate::way::{Way, host_and_port};

/// Writes that wait for the disk before nothing more is taken from the gateway.
const MOST_WAITING: u64 = 512;
/// How often it is looked whether the certificate is to be renewed.
const LOOKS_EACH: Duration = Duration::from_secs(15 * 60);

/// The disk takes no more now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is behind")]
pub struct Full;

/// The disk of the outbox, as this end needs it. Answers come as [`FromDisk`], in the order of what
/// was asked.
pub trait Disk {
    /// `of`: the number of the gateway's own record that this write makes, kept together with it.
    fn write(&mut self, ticket: Ticket, write: Write, of: Option<u64>) -> Result<(), Full>;
    fn read(&mut self, reading: Reading) -> Result<(), Full>;
}

#[derive(Debug)]
pub enum FromDisk {
    Stored(Ticket),
    Read(Vec<Row>),
}

/// What the gateway says.
#[derive(Debug)]
pub enum Say {
    /// Its own record with this number, each once and in order.
    Happened(u64, Happened),
    Report(Value),
    Applied(up::Applied),
    Ended(up::Outcome),
    Heartbeat(up::Heartbeat),
}

/// What the gateway is to do.
#[derive(Debug)]
pub enum Order {
    Apply { rev: Counter, settings: Value },
    Do(down::Command),
    Poked(Errand),
    Phase(Phase),
    Heartbeat,
}

/// How it stands, for people and metrics.
#[derive(Clone, Debug)]
pub struct Standing {
    pub phase: Phase,
    pub device: String,
    pub core: String,
    /// Epoch milliseconds.
    pub certificate_until: i64,
    pub connected: bool,
    pub waiting: usize,
    pub waiting_octets: usize,
    pub last_error: Option<String>,
    pub figures: session::Figures,
    pub renewals: u64,
    pub failed_renewals: u64,
}

/// What a link is made of.
pub struct Setup {
    pub identity: Identity,
    pub keep: Keep,
    pub way: Way,
    pub plate: Plate,
    pub config: session::Config,
    pub memory: Memory,
    pub seed: u64,
    pub disk: Box<dyn Disk>,
    pub from_disk: mpsc::Receiver<FromDisk>,
    pub from_gateway: mpsc::Receiver<Say>,
    pub to_gateway: mpsc::Sender<Order>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Setup({:?})", self.identity)
    }
}

/// See the module.
pub struct Link {
    session: Session,
    wire: Option<Wire>,
    identity: Identity,
    keep: Keep,
    way: Way,
    plate: Plate,
    disk: Box<dyn Disk>,
    /// What the disk had no room for; in order.
    held_back: VecDeque<ForDisk>,
    /// Records that the disk does not have yet. They are not told before: after a crash nobody would
    /// know that they were.
    unstored: VecDeque<(Place, Ticket)>,
    /// Messages of such records, in order.
    untold: VecDeque<(Place, Vec<u8>)>,
    /// Of a write: given to the disk, answered by it.
    asked: u64,
    answered: u64,
    from_disk: mpsc::Receiver<FromDisk>,
    from_gateway: mpsc::Receiver<Say>,
    to_gateway: mpsc::Sender<Order>,
    /// What the gateway had no room for; the machine bounds it.
    orders: VecDeque<Order>,
    errands: JoinSet<Brought>,
    look_at: Instant,
    standing: watch::Sender<Standing>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Link({:?})", self.identity)
    }
}

#[derive(Debug)]
enum ForDisk {
    Write(Ticket, Write, Option<u64>),
    Read(Reading),
}

/// What was fetched.
#[derive(Debug)]
enum Brought {
    Settings(Result<(Counter, Value), AskError>),
    Certificate(Result<Identity, EnrolError>),
}

/// What woke the link.
enum Woken {
    Wire(Heard),
    Disk(FromDisk),
    Gateway(Say),
    /// There is room at the gateway for one more.
    Room,
    Brought(Brought),
    Deadline,
    /// Nobody needs it any more.
    Over,
}

impl Link {
    /// The link, not running yet, and where it says how it stands.
    pub fn new(setup: Setup) -> (Self, watch::Receiver<Standing>) {
        let now = Instant::now();
        let session = Session::new(setup.config, setup.memory, setup.seed, now);
        let (standing, seen) = watch::channel(Standing {
            phase: session.phase(),
            device: setup.identity.device.clone(),
            core: setup.identity.https.clone(),
            certificate_until: setup.identity.expires,
            connected: false,
            waiting: 0,
            waiting_octets: 0,
            last_error: None,
            figures: *session.figures(),
            renewals: 0,
            failed_renewals: 0,
        });
        let link = Self {
            session,
            wire: None,
            identity: setup.identity,
            keep: setup.keep,
            way: setup.way,
            plate: setup.plate,
            disk: setup.disk,
            held_back: VecDeque::new(),
            unstored: VecDeque::new(),
            untold: VecDeque::new(),
            asked: 0,
            answered: 0,
            from_disk: setup.from_disk,
            from_gateway: setup.from_gateway,
            to_gateway: setup.to_gateway,
            orders: VecDeque::new(),
            errands: JoinSet::new(),
            look_at: now,
            standing,
        };
        (link, seen)
    }

    /// Runs until it is told to stop, or the gateway has let go of its end.
    pub async fn run(mut self, stop: CancellationToken) {
        if let Some(time) = local_time() {
            self.session.handle(Input::LocalTime(time), Instant::now());
        }
        let mut deadline = self.drain(None, Instant::now());
        loop {
            let woken = self.wait(&stop, deadline).await;
            let now = Instant::now();
            let mut of = None;
            match woken {
                Woken::Over => return,
                Woken::Wire(heard) => self.heard(heard, now),
                Woken::Disk(FromDisk::Stored(ticket)) => {
                    self.answered = self.answered.max(ticket.number());
                    self.tell_stored(ticket);
                    self.session.handle(Input::Stored(ticket), now);
                }
                Woken::Disk(FromDisk::Read(rows)) => self.session.handle(Input::Read(rows), now),
                Woken::Gateway(say) => {
                    let input = match say {
                        Say::Happened(number, happened) => {
                            of = Some(number);
                            Input::Happened(happened)
                        }
                        Say::Report(report) => Input::Report(report),
                        Say::Applied(applied) => Input::Applied(applied),
                        Say::Ended(outcome) => Input::Ended(outcome),
                        Say::Heartbeat(heartbeat) => Input::Heartbeat(heartbeat),
                    };
                    self.session.handle(input, now);
                }
                Woken::Room | Woken::Deadline => {}
                Woken::Brought(brought) => self.brought(brought, now),
            }
            self.session.handle_timeout(now);
            deadline = self.drain(of, now);
            self.look(now);
            self.tell();
        }
    }

    async fn wait(&mut self, stop: &CancellationToken, deadline: Option<Instant>) -> Woken {
        let until = deadline.map_or(self.look_at, |deadline| deadline.min(self.look_at));
        // A disk without room is asked again.
        let until = match self.held_back.is_empty() {
            true => until,
            false => until.min(Instant::now() + Duration::from_millis(50)),
        };
        let takes_more = self.asked.saturating_sub(self.answered) < MOST_WAITING;
        let wire = async {
            match &mut self.wire {
                Some(wire) => wire.heard().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => Woken::Over,
            heard = wire => Woken::Wire(heard),
            Some(said) = self.from_disk.recv() => Woken::Disk(said),
            said = self.from_gateway.recv(), if takes_more => said.map_or(Woken::Over, Woken::Gateway),
            Ok(permit) = self.to_gateway.reserve(), if !self.orders.is_empty() => {
                if let Some(order) = self.orders.pop_front() {
                    permit.send(order);
                }
                Woken::Room
            }
            Some(Ok(brought)) = self.errands.join_next() => Woken::Brought(brought),
            () = tokio::time::sleep_until(until.into()) => Woken::Deadline,
        }
    }

    fn heard(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Connected => {
                tracing::info!(core = self.identity.mqtt, "connected to the core");
                self.session.handle(Input::Connected, now);
            }
            Heard::Acknowledged(tag) => self.session.handle(Input::Acknowledged(tag), now),
            Heard::Received { channel, document } => {
                self.session
                    .handle(Input::Received { channel, document }, now);
            }
            Heard::Lost { why, said } => {
                self.cut();
                let said_before = self.standing.borrow().last_error.as_ref() == Some(&said);
                match (why, said_before) {
                    (Why::Refused, _) => tracing::error!(said, "the core refuses this gateway"),
                    (Why::Broken, false) => tracing::warn!(said, "no connection to the core"),
                    // The same, minute after minute, is no news.
                    (Why::Broken, true) => tracing::debug!(said, "no connection to the core"),
                }
                self.trouble(said);
                self.session.handle(Input::Lost(why), now);
            }
        }
    }

    /// Carries out what the machine wants; when it wants to be woken.
    fn drain(&mut self, of: Option<u64>, now: Instant) -> Option<Instant> {
        let mut of = of;
        while let Some(held) = self.held_back.pop_front() {
            if let Err(held) = self.hand_over(held) {
                self.held_back.push_front(held);
                break;
            }
        }
        loop {
            match self.session.poll_output() {
                Output::Timeout(deadline) => return deadline,
                Output::Connect { will } => self.connect(&will, now),
                Output::Disconnect => self.cut(),
                Output::Publish {
                    channel,
                    document,
                    tag,
                } => {
                    self.publish(channel, document, tag);
                }
                Output::Store { ticket, write } => {
                    let of = match &write {
                        Write::Record(row) => {
                            self.unstored.push_back((row.place, ticket));
                            of.take()
                        }
                        _ => None,
                    };
                    self.asked = self.asked.max(ticket.number());
                    self.queue(ForDisk::Write(ticket, write, of));
                }
                Output::Read(reading) => self.queue(ForDisk::Read(reading)),
                Output::Fetch => self.fetch(),
                Output::Apply { rev, settings } => self.order(Order::Apply { rev, settings }),
                Output::Do(command) => self.order(Order::Do(command)),
                Output::Poked(errand) => self.order(Order::Poked(errand)),
                Output::Phase(phase) => {
                    tracing::info!(phase = phase.name(), "the link to the core has changed");
                    self.order(Order::Phase(phase));
                }
                Output::Heartbeat => self.order(Order::Heartbeat),
            }
        }
    }

    /// What was to be told on this connection is told on the next one, when the machine says so.
    fn cut(&mut self) {
        self.wire = None;
        self.untold.clear();
    }

    fn publish(&mut self, channel: Up, document: Vec<u8>, tag: Option<Tag>) {
        let Some(wire) = &mut self.wire else { return };
        match tag {
            Some(Tag::Event(place))
                if self.unstored.iter().any(|(unstored, _)| *unstored == place) =>
            {
                self.untold.push_back((place, document));
            }
            tag => wire.publish(channel, document, tag),
        }
    }

    /// The disk has all up to here: what was held back for it may be told.
    fn tell_stored(&mut self, upto: Ticket) {
        let stored = self.unstored.partition_point(|(_, ticket)| *ticket <= upto);
        self.unstored.drain(..stored);
        let first = self.unstored.front().map(|(place, _)| *place);
        while let Some((place, document)) = self.untold.pop_front() {
            if first.is_some_and(|first| place >= first) {
                self.untold.push_front((place, document));
                return;
            }
            if let Some(wire) = &mut self.wire {
                wire.publish(Up::Event, document, Some(Tag::Event(place)));
            }
        }
    }

    fn queue(&mut self, wish: ForDisk) {
        if !self.held_back.is_empty() {
            return self.held_back.push_back(wish);
        }
        if let Err(wish) = self.hand_over(wish) {
            self.held_back.push_back(wish);
        }
    }

    fn hand_over(&mut self, wish: ForDisk) -> Result<(), ForDisk> {
        let taken = match &wish {
            ForDisk::Write(ticket, write, of) => self.disk.write(*ticket, write.clone(), *of),
            ForDisk::Read(reading) => self.disk.read(*reading),
        };
        taken.map_err(|Full| wish)
    }

    fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    fn connect(&mut self, will: &up::Will, now: Instant) {
        match self.wire(will) {
            Ok(wire) => self.wire = Some(wire),
            Err(said) => {
                tracing::error!(said, "no connection to the core can be made");
                self.trouble(said);
                self.session.handle(Input::Lost(Why::Refused), now);
            }
        }
    }

    fn wire(&self, will: &up::Will) -> Result<Wire, String> {
        let name = self.identity.name().map_err(|error| error.to_string())?;
        let (host, port) = host_and_port(&self.identity.mqtt)
            .ok_or_else(|| format!("{} is no address", self.identity.mqtt))?;
        let config = tls::as_ourselves(&self.identity).map_err(|error| error.to_string())?;
        let will = document::write(will).map_err(|error| error.to_string())?;
        let place = mqtt::Place {
            name,
            host,
            port,
            way: self.way.clone(),
        };
        Ok(Wire::connect(&place, config, will))
    }

    // ---- errands over HTTPS --------------------------------------------------------

    fn fetch(&mut self) {
        let (identity, way) = (self.identity.clone(), self.way.clone());
        self.errands
            .spawn(async move { Brought::Settings(settings(&identity, &way).await) });
    }

    /// Renews the certificate in its last third.
    fn look(&mut self, now: Instant) {
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOKS_EACH;
        let time = self.session.core_time(now).or_else(local_time);
        if time.is_none_or(|time| time.0.get() < self.identity.renew_after) {
            return;
        }
        let (present, way) = (self.identity.clone(), self.way.clone());
        let (plate, keep) = (self.plate.clone(), self.keep.clone());
        self.errands.spawn(async move {
            Brought::Certificate(enrol::renew(&present, &way, &plate, &keep).await)
        });
    }

    fn brought(&mut self, brought: Brought, now: Instant) {
        match brought {
            Brought::Settings(Ok(settings)) => {
                self.session.handle(Input::Fetched(Some(settings)), now);
            }
            Brought::Settings(Err(error)) => {
                self.trouble(error.to_string());
                self.session.handle(Input::Fetched(None), now);
            }
            // The present connection holds; the next one is made with it.
            Brought::Certificate(Ok(identity)) => {
                tracing::info!("the certificate for the core was renewed");
                self.identity = identity;
                self.standing.send_modify(|standing| standing.renewals += 1);
            }
            Brought::Certificate(Err(error)) => {
                tracing::error!(%error, "the certificate for the core could not be renewed");
                self.trouble(error.to_string());
                self.standing
                    .send_modify(|standing| standing.failed_renewals += 1);
            }
        }
    }

    // ---- how it stands -------------------------------------------------------------

    fn trouble(&self, said: String) {
        self.standing
            .send_modify(|standing| standing.last_error = Some(said));
    }

    fn tell(&self) {
        let (waiting, octets) = self.session.waiting();
        let (phase, figures) = (self.session.phase(), *self.session.figures());
        let connected = self.session.is_settled();
        let until = self.identity.expires;
        self.standing.send_if_modified(|standing| {
            if connected && !standing.connected {
                standing.last_error = None;
            }
            let changed = standing.phase != phase
                || standing.connected != connected
                || standing.waiting != waiting
                || standing.figures != figures
                || standing.certificate_until != until;
            standing.phase = phase;
            standing.connected = connected;
            standing.waiting = waiting;
            standing.waiting_octets = octets;
            standing.figures = figures;
            standing.certificate_until = until;
            changed
        });
    }
}

async fn settings(identity: &Identity, way: &Way) -> Result<(Counter, Value), AskError> {
    let config = tls::as_ourselves(identity)?;
    let connection = Connection::open(way, &identity.https, config).await?;
    let path = "/v1/devices/self/desired";
    let answer = connection.ask("GET", path, &[], Vec::new()).await?;
    if answer.status != hyper::StatusCode::OK {
        let said = format!("the core does not give our settings ({})", answer.status);
        return Err(AskError::Broken(said));
    }
    // Settings may be longer than a message; the limit of an answer bounds them.
    let desired: Desired = serde_json::from_slice(&answer.body)
        .map_err(|error| AskError::Broken(format!("settings that nobody can read: {error}")))?;
    match desired.full {
        Some(full) if full.is_object() => Ok((desired.rev, full)),
        _ => Err(AskError::Broken("settings that are not whole".to_owned())),
    }
}

/// By this machine's clock, if that can be right at all.
fn local_time() -> Option<Moment> {
    /// 2026-01-01: a clock before it was never set.
    const WRITTEN: i64 = 1_767_225_600_000;
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let ms = i64::try_from(since.as_millis()).ok()?;
    (ms > WRITTEN).then(|| Counter::new(ms).ok().map(Moment))?
}
