//! The edge's thread: waits at all sockets, hands each datagram to its leg, sends what legs say.
//!
//! A datagram finds its leg by one look into a table: checks of ICE by the name in them, everything
//! else by where it comes from, which a check with the right password has shown before. Invariants:
//! both tables are bounded by the legs; a flood at one socket keeps no other from its turn.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use str0m::Input;
use str0m::net::{Protocol, Receive, Transmit};
use tokio::sync::mpsc;

use crate::figures::{Figures, add};
use crate::leg::{AWAY, Leg, LegError, Making, Said};
use crate::order::{LegId, LegNews, News, Order, Ringing, Taken};
use crate::places::Open;
use crate::purse::Purse;
use crate::stun::{self, Kind};
use crate::tcp::Connection;

/// Datagrams of one socket in one turn.
const SHARED_TURN: usize = 32;
const PLAIN_TURN: usize = 4;
const EVENTS: usize = 64;
const ORDERS_TURN: usize = 64;
/// A datagram of ICE, DTLS or RTP is far shorter.
const LONGEST: usize = 2048;
/// Addresses one browser is heard from: a few networks, each in UDP and TCP.
const SOURCES: usize = 8;
/// Questions for one's own address that are answered in a second.
const QUESTIONS: u32 = 1000;
/// Connections of TCP at once: as many as legs could have, and these over.
const SPARE_CONNECTIONS: usize = 64;
/// How long a connection may be nobody's.
const NAMELESS: Duration = Duration::from_secs(5);

/// What an event of epoll is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    Wake,
    Udp(usize),
    Listener(usize),
    Stun(usize),
    Tcp(u64),
    Plain(LegId, usize),
}

/// The kind stands in the highest octet, the number of a stream in the lowest.
impl Watched {
    fn bits(self) -> u64 {
        let (kind, number) = match self {
            Self::Wake => (0, 0),
            Self::Udp(place) => (1, place as u64),
            Self::Listener(place) => (2, place as u64),
            Self::Stun(socket) => (3, socket as u64),
            Self::Tcp(connection) => (4, connection),
            Self::Plain(leg, track) => (5, leg.0 << 8 | track as u64),
        };
        kind << 56 | number
    }

    fn of(bits: u64) -> Self {
        let number = bits & ((1 << 56) - 1);
        match bits >> 56 {
            1 => Self::Udp(number as usize),
            2 => Self::Listener(number as usize),
            3 => Self::Stun(number as usize),
            4 => Self::Tcp(number),
            5 => Self::Plain(LegId(number >> 8), (number & 0xff) as usize),
            _ => Self::Wake,
        }
    }
}

pub(crate) struct Thread {
    epoll: OwnedFd,
    places: Vec<Open>,
    stun: Vec<UdpSocket>,
    making: Making,
    most_legs: usize,
    inbox: Receiver<Order>,
    wake: Arc<OwnedFd>,
    tell: mpsc::Sender<LegNews>,
    figures: Arc<Figures>,

    legs: HashMap<LegId, Leg>,
    next_leg: u64,
    names: HashMap<String, LegId>,
    sources: HashMap<(Protocol, SocketAddr), LegId>,
    deadlines: BTreeSet<(Instant, LegId)>,
    connections: HashMap<u64, Connection>,
    next_connection: u64,
    /// When connections were taken that may be nobody's.
    nameless: VecDeque<(Instant, u64)>,
    /// By the browser's address.
    peers: HashMap<SocketAddr, u64>,
    questions: Purse,
    said: Vec<Said>,
}

impl Thread {
    pub(crate) fn new(
        (places, stun): (Vec<Open>, Vec<UdpSocket>),
        making: Making,
        most_legs: usize,
        (inbox, wake): (Receiver<Order>, Arc<OwnedFd>),
        (tell, figures): (mpsc::Sender<LegNews>, Arc<Figures>),
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let thread = Self {
            epoll,
            places,
            stun,
            making,
            most_legs,
            inbox,
            wake,
            tell,
            figures,
            legs: HashMap::new(),
            next_leg: 1,
            names: HashMap::new(),
            sources: HashMap::new(),
            deadlines: BTreeSet::new(),
            connections: HashMap::new(),
            next_connection: 1,
            nameless: VecDeque::new(),
            peers: HashMap::new(),
            questions: Purse::new(QUESTIONS, Instant::now()),
            said: Vec::new(),
        };
        thread.watch(&*thread.wake, Watched::Wake)?;
        for (at, place) in thread.places.iter().enumerate() {
            thread.watch(&place.udp, Watched::Udp(at))?;
            thread.watch(&place.tcp, Watched::Listener(at))?;
        }
        for (at, socket) in thread.stun.iter().enumerate() {
            thread.watch(socket, Watched::Stun(at))?;
        }
        Ok(thread)
    }

    fn watch(&self, socket: impl AsFd, what: Watched) -> io::Result<()> {
        let data = EventData::new_u64(what.bits());
        epoll::add(&self.epoll, socket, data, EventFlags::IN)?;
        Ok(())
    }

    pub(crate) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        let mut buffer = vec![0; LONGEST];
        loop {
            let wait = self.next_deadline().map(until);
            events.clear();
            // An interruption is a turn without events.
            let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), wait.as_ref());
            for event in &events {
                let flags = event.flags;
                match Watched::of(event.data.u64()) {
                    Watched::Wake => {
                        if self.obey().is_err() {
                            return self.end_all();
                        }
                    }
                    Watched::Udp(place) => self.read_udp(place, &mut buffer),
                    Watched::Listener(place) => self.accept(place),
                    Watched::Stun(socket) => self.questions(socket, &mut buffer),
                    Watched::Tcp(connection) => self.read_tcp(connection, flags),
                    Watched::Plain(leg, track) => self.read_plain(leg, track, &mut buffer),
                }
            }
            self.keep_time();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let leg = self.deadlines.first().map(|(at, _)| *at);
        let nameless = self.nameless.front().map(|(since, _)| *since + NAMELESS);
        leg.into_iter().chain(nameless).min()
    }

    fn keep_time(&mut self) {
        let now = Instant::now();
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            if let Some(leg) = self.legs.get_mut(&id) {
                let away = leg.away.is_some_and(|since| now >= since + AWAY);
                if away {
                    self.end(id, Some(News::Over));
                } else {
                    leg.timeout(now);
                    self.settle(id, now);
                }
            }
        }
        while let Some((since, id)) = self.nameless.front().copied() {
            if now < since + NAMELESS {
                break;
            }
            self.nameless.pop_front();
            let open = self.connections.get(&id);
            if open.is_some_and(|connection| connection.leg.is_none()) {
                self.refuse_connection(id);
            }
        }
    }

    // ---- orders --------------------------------------------------------------------------------

    fn obey(&mut self) -> Result<(), Gone> {
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        for _ in 0..ORDERS_TURN {
            match self.inbox.try_recv() {
                Ok(order) => self.order(order, Instant::now()),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Gone),
            }
        }
        // There may be more: once again, after the sockets had their turn.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        Ok(())
    }

    /// Who asked and went away is told nothing.
    fn order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Ring(plain, reply) => drop(reply.send(self.ring(&plain, now))),
            Order::Call(offer, reply) => drop(reply.send(self.call(&offer, now))),
            Order::Answered(id, answer, reply) => {
                drop(reply.send(self.change(id, now, |leg, _| leg.answered(&answer))));
            }
            Order::Renew(id, offer, reply) => drop(reply.send(self.renew(id, &offer, now))),
            Order::Candidate(id, line, reply) => {
                drop(reply.send(self.change(id, now, |leg, _| leg.candidate(&line))));
            }
            Order::Connect(id, answer, reply) => {
                drop(reply.send(self.change(id, now, |leg, _| leg.far_end(&answer))));
            }
            Order::Reoffer(id, offer, reply) => {
                drop(reply.send(self.change(id, now, |leg, _| leg.far_offer(&offer))));
            }
            Order::End(id) => self.end(id, None),
        }
    }

    fn ring(&mut self, plain: &[u8], now: Instant) -> Result<Ringing, LegError> {
        self.has_room()?;
        let made = Leg::ringing(&self.making, plain, now);
        let (leg, offer, plain) = made.inspect_err(|_| add(&self.figures.refused))?;
        let leg = self.admit(leg, now)?;
        Ok(Ringing { leg, offer, plain })
    }

    fn call(&mut self, offer: &str, now: Instant) -> Result<Taken, LegError> {
        self.has_room()?;
        let made = Leg::calling(&self.making, offer, now);
        let (leg, answer) = made.inspect_err(|_| add(&self.figures.refused))?;
        let id = self.admit(leg, now)?;
        let leg = self.legs.get_mut(&id).ok_or(LegError::Unknown)?;
        let plain = leg.plain_offer();
        Ok(Taken {
            leg: id,
            answer,
            plain,
        })
    }

    fn renew(&mut self, id: LegId, offer: &str, now: Instant) -> Result<Taken, LegError> {
        let before = self.legs.get(&id).map(|leg| leg.name().to_owned());
        let renewed = self.change(id, now, |leg, making| leg.renew(making, offer));
        let leg = self.legs.get_mut(&id).ok_or(LegError::Unknown)?;
        if let Some(before) = before.filter(|before| before != leg.name()) {
            self.names.remove(&before);
            self.names.insert(leg.name().to_owned(), id);
        }
        let answer = renewed?;
        let plain = leg.plain_offer();
        Ok(Taken {
            leg: id,
            answer,
            plain,
        })
    }

    fn change<T>(
        &mut self,
        id: LegId,
        now: Instant,
        change: impl FnOnce(&mut Leg, &Making) -> Result<T, LegError>,
    ) -> Result<T, LegError> {
        let leg = self.legs.get_mut(&id).ok_or(LegError::Unknown)?;
        let changed = change(leg, &self.making);
        self.settle(id, now);
        changed
    }

    fn has_room(&self) -> Result<(), LegError> {
        if self.legs.len() < self.most_legs {
            return Ok(());
        }
        add(&self.figures.refused);
        Err(LegError::Full)
    }

    fn admit(&mut self, leg: Leg, now: Instant) -> Result<LegId, LegError> {
        let id = LegId(self.next_leg);
        self.next_leg += 1;
        self.names.insert(leg.name().to_owned(), id);
        self.legs.insert(id, leg);
        self.count_legs();
        self.settle(id, now);
        match self.legs.contains_key(&id) {
            true => Ok(id),
            false => Err(LegError::Unknown),
        }
    }

    fn end(&mut self, id: LegId, news: Option<News>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.close();
            // Its farewell goes out at once, or not at all.
            leg.drain(&self.figures, |said| self.said.push(said));
            for said in std::mem::take(&mut self.said) {
                if let Said::Transmit(transmit) = said {
                    self.transmit(&transmit);
                }
            }
        }
        self.forget(id);
        if let Some(news) = news {
            self.tell(id, news);
        }
    }

    fn end_all(mut self) {
        let ids: Vec<LegId> = self.legs.keys().copied().collect();
        ids.into_iter().for_each(|id| self.end(id, None));
    }

    fn forget(&mut self, id: LegId) {
        let Some(leg) = self.legs.remove(&id) else {
            return;
        };
        self.names.remove(leg.name());
        for source in &leg.sources {
            self.sources.remove(source);
        }
        self.deadlines.retain(|(_, owner)| *owner != id);
        let open = self.connections.iter();
        let hers = open.filter(|(_, connection)| connection.leg == Some(id));
        let hers: Vec<u64> = hers.map(|(connection, _)| *connection).collect();
        hers.into_iter()
            .for_each(|connection| self.drop_connection(connection));
        self.count_legs();
    }

    fn count_legs(&self) {
        self.figures.legs.store(self.legs.len() as u64, Relaxed);
    }

    fn tell(&self, leg: LegId, news: News) {
        if self.tell.try_send(LegNews { leg, news }).is_err() {
            add(&self.figures.notices_lost);
        }
    }

    // ---- what legs say -------------------------------------------------------------------------

    /// Lets a leg say what it has to say, and notes when it wants to be asked again.
    fn settle(&mut self, id: LegId, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let before = leg.wakes_at();
        let mut said = std::mem::take(&mut self.said);
        leg.drain(&self.figures, |one| said.push(one));
        let mut over = false;
        for one in said.drain(..) {
            match one {
                Said::Transmit(transmit) => self.transmit(&transmit),
                Said::Connected => self.heard(id, News::Connected),
                Said::Back => self.heard(id, News::Back),
                Said::Silent => {
                    if let Some(leg) = self.legs.get_mut(&id) {
                        leg.away.get_or_insert(now);
                    }
                    self.tell(id, News::Silent);
                }
                Said::Over => over = true,
            }
        }
        self.said = said;
        if over {
            self.forget(id);
            return self.tell(id, News::Over);
        }
        self.watch_tracks(id);
        if let Some(leg) = self.legs.get(&id) {
            self.deadlines.remove(&(before, id));
            self.deadlines.insert((leg.wakes_at(), id));
        }
    }

    fn heard(&mut self, id: LegId, news: News) {
        let was_away = self
            .legs
            .get_mut(&id)
            .is_some_and(|leg| leg.away.take().is_some());
        if was_away {
            self.tell(id, news);
        }
    }

    fn watch_tracks(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        for (at, track) in leg.tracks.iter_mut().enumerate() {
            if !track.watched {
                let data = EventData::new_u64(Watched::Plain(id, at).bits());
                let added = epoll::add(&self.epoll, &track.socket, data, EventFlags::IN);
                if let Err(error) = added {
                    tracing::warn!(%error, "a stream of a browser's call cannot be heard");
                }
                track.watched = true;
            }
        }
    }

    fn transmit(&mut self, transmit: &Transmit) {
        let to = transmit.destination;
        let sent = match transmit.proto {
            Protocol::Udp => {
                let places = &self.places;
                let place = places.iter().find(|place| place.told == transmit.source);
                place.is_some_and(|place| place.udp.send_to(&transmit.contents, to).is_ok())
            }
            Protocol::Tcp => self.send_on_connection(to, &transmit.contents),
            Protocol::SslTcp | Protocol::Tls => false,
        };
        if !sent {
            add(&self.figures.dropped);
        }
    }

    // ---- what browsers send --------------------------------------------------------------------

    fn read_udp(&mut self, place: usize, buffer: &mut [u8]) {
        for _ in 0..SHARED_TURN {
            let received = self.places[place].udp.recv_from(buffer);
            let Some((len, from)) = taken(received) else {
                return;
            };
            self.datagram(Protocol::Udp, place, from, &buffer[..len]);
        }
    }

    /// The leg that a datagram went to.
    fn datagram(
        &mut self,
        proto: Protocol,
        place: usize,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<LegId> {
        let now = Instant::now();
        let id = match stun::kind(datagram) {
            Kind::Check { ours } => self.names.get(ours).copied(),
            Kind::Other => self.sources.get(&(proto, from)).copied(),
            Kind::Reflexive { transaction } => {
                if proto == Protocol::Udp && self.may_answer(now) {
                    let (answer, len) = stun::reflexive(transaction, from);
                    // Lost answers are asked for again.
                    let _ = self.places[place].udp.send_to(&answer[..len], from);
                }
                return None;
            }
            Kind::Stray => None,
        };
        let Some((id, leg)) = id.and_then(|id| Some((id, self.legs.get_mut(&id)?))) else {
            add(&self.figures.strays);
            return None;
        };
        let source = (proto, from);
        let is_known = self.sources.get(&source) == Some(&id);
        if !is_known && !leg.checks.spend(now) {
            add(&self.figures.checks_limited);
            return None;
        }
        let told = self.places[place].told;
        let Ok(receive) = Receive::new(proto, from, told, datagram) else {
            add(&self.figures.strays);
            return None;
        };
        let input = Input::Receive(now, receive);
        if !is_known && !leg.accepts(&input) {
            add(&self.figures.wrong_passwords);
            return None;
        }
        leg.take(input);
        if !is_known {
            self.learn(id, source);
        }
        self.settle(id, now);
        Some(id)
    }

    /// A check with the right password came from there.
    fn learn(&mut self, id: LegId, source: (Protocol, SocketAddr)) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if leg.sources.len() == SOURCES {
            let oldest = leg.sources.remove(0);
            self.sources.remove(&oldest);
        }
        leg.sources.push(source);
        // A browser that has ended one call may use its port for the next.
        if let Some(before) = self.sources.insert(source, id)
            && let Some(leg) = self.legs.get_mut(&before)
            && before != id
        {
            leg.sources.retain(|known| *known != source);
        }
    }

    fn questions(&mut self, socket: usize, buffer: &mut [u8]) {
        for _ in 0..SHARED_TURN {
            let received = self.stun[socket].recv_from(buffer);
            let Some((len, from)) = taken(received) else {
                return;
            };
            let Kind::Reflexive { transaction } = stun::kind(&buffer[..len]) else {
                add(&self.figures.strays);
                continue;
            };
            if self.may_answer(Instant::now()) {
                let (answer, len) = stun::reflexive(transaction, from);
                // Lost answers are asked for again.
                let _ = self.stun[socket].send_to(&answer[..len], from);
            }
        }
    }

    fn may_answer(&mut self, now: Instant) -> bool {
        let may = self.questions.spend(now);
        add(match may {
            true => &self.figures.addresses_told,
            false => &self.figures.addresses_limited,
        });
        may
    }

    // ---- what far ends send --------------------------------------------------------------------

    fn read_plain(&mut self, id: LegId, track: usize, buffer: &mut [u8]) {
        for _ in 0..PLAIN_TURN {
            let Some(leg) = self.legs.get_mut(&id) else {
                return;
            };
            let Some(socket) = leg.tracks.get(track).map(|track| &track.socket) else {
                return;
            };
            let Some((len, from)) = taken(socket.recv_from(buffer)) else {
                return;
            };
            let now = Instant::now();
            leg.carry_to_browser(track, &buffer[..len], from, &self.figures);
            // What was written goes out when time moves.
            leg.timeout(now);
            self.settle(id, now);
        }
    }

    // ---- connections ---------------------------------------------------------------------------

    fn accept(&mut self, place: usize) {
        let Ok((stream, peer)) = self.places[place].tcp.accept() else {
            return;
        };
        let most = self.most_legs + SPARE_CONNECTIONS;
        let fresh = self.nameless.len() >= most;
        if fresh || self.connections.len() >= most || self.peers.contains_key(&peer) {
            return add(&self.figures.tcp_refused);
        }
        let id = self.next_connection;
        self.next_connection += 1;
        let connection = Connection::new(stream, peer, place, Instant::now());
        let watched = connection.and_then(|connection| {
            self.watch(&connection.stream, Watched::Tcp(id))?;
            Ok(connection)
        });
        match watched {
            Ok(connection) => {
                self.peers.insert(peer, id);
                self.nameless.push_back((connection.since, id));
                self.connections.insert(id, connection);
                add(&self.figures.tcp_accepted);
            }
            Err(_) => add(&self.figures.tcp_refused),
        }
    }

    fn read_tcp(&mut self, id: u64, flags: EventFlags) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if flags.contains(EventFlags::OUT) && connection.flush().is_err() {
            return self.drop_connection(id);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
            && connection.read().is_err()
        {
            return self.drop_connection(id);
        }
        self.wait_for_room(id);
        while let Some(connection) = self.connections.get_mut(&id) {
            let (place, peer) = (connection.place, connection.peer);
            let is_nameless = connection.leg.is_none();
            let packet = match connection.packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return,
                Err(_) => return self.refuse_connection(id),
            };
            let leg = self.datagram(Protocol::Tcp, place, peer, &packet);
            match (leg, self.connections.get_mut(&id)) {
                (Some(leg), Some(connection)) => connection.leg = Some(leg),
                (None, Some(_)) if is_nameless => return self.refuse_connection(id),
                _ => {}
            }
        }
    }

    fn send_on_connection(&mut self, to: SocketAddr, packet: &[u8]) -> bool {
        let Some(id) = self.peers.get(&to).copied() else {
            return false;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        match connection.send(packet) {
            Ok(sent) => {
                self.wait_for_room(id);
                sent
            }
            Err(_) => {
                self.drop_connection(id);
                false
            }
        }
    }

    /// Wakes up when there is room again for what waits, and only then.
    fn wait_for_room(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let waits = connection.has_waiting();
        if waits != connection.awaits_room {
            connection.awaits_room = waits;
            let wanted = match waits {
                true => EventFlags::IN | EventFlags::OUT,
                false => EventFlags::IN,
            };
            let data = EventData::new_u64(Watched::Tcp(id).bits());
            if epoll::modify(&self.epoll, &connection.stream, data, wanted).is_err() {
                self.drop_connection(id);
            }
        }
    }

    fn refuse_connection(&mut self, id: u64) {
        add(&self.figures.tcp_refused);
        self.drop_connection(id);
    }

    fn drop_connection(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            self.peers.remove(&connection.peer);
        }
    }
}

/// Nobody gives orders any more.
struct Gone;

fn taken(received: io::Result<(usize, SocketAddr)>) -> Option<(usize, SocketAddr)> {
    match received {
        Ok(taken) => Some(taken),
        // Nothing is there; or the answer to something sent came back, which the next read passes.
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(_) => None,
    }
}

/// Rounded up to the millisecond, so that nothing spins before a deadline.
fn until(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    let millis = (left + Duration::from_nanos(999_999)).as_millis();
    let millis = i32::try_from(millis).unwrap_or(i32::MAX);
    Timespec {
        tv_sec: i64::from(millis / 1000),
        tv_nsec: i64::from(millis % 1000) * 1_000_000,
    }
}
