//! A caller and any number of answering sockets in one process, UDP on loopback.
//!
//! It keeps RFC 3261's timers where they show (a retransmission disqualifies a rate) and nothing
//! else of the standard. Invariant: every started call leaves `calls` for `done` exactly once.

mod answerer;
mod caller;
mod messages;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use crate::text::{authorization, header, random, status};
use crate::{Parties, user_and_password};

pub(crate) use messages::{Registration, md5_challenge, registrar_uri};

const T1: Duration = Duration::from_millis(500);
/// In seconds, of every registration: longer than any run.
pub(crate) const EXPIRES: u32 = 3_600;
const BYE_GIVES_UP: Duration = Duration::from_secs(6);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Inviting,
    Up,
    Leaving,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Refused(u16),
    NoAnswer,
    PeerHungUp,
    ByeUnanswered,
}

/// A call this side places.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) state: State,
    pub(crate) started: Instant,
    pub(crate) rang: Option<Instant>,
    pub(crate) answered: Option<Instant>,
    pub(crate) answer: String,
    id: String,
    tag: String,
    to: String,
    from: String,
    request_uri: String,
    remote_target: String,
    routes: Vec<String>,
    cseq: u32,
    credentials: String,
    offer: String,
    provisional: bool,
    left: Option<Instant>,
    last_request: String,
    last_ack: String,
    retransmit_after: Duration,
}

#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) started: Instant,
    pub(crate) rang: Option<Instant>,
    pub(crate) answered: Option<Instant>,
    pub(crate) ended: Instant,
}

/// A call this side is asked to answer.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) arrived: Instant,
    pub(crate) cancelled: Option<Instant>,
    socket: usize,
    from: SocketAddr,
    request: String,
    tag: String,
    description: String,
    last_response: String,
    answered: bool,
    acknowledged: bool,
    retransmit_after: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Invite(String),
    GiveUp(String),
    HangUp(String),
    Bye(String),
    Answer(Key),
    Ok(Key),
}

/// Answering socket and Call-ID.
pub(crate) type Key = (usize, String);

/// Makes the answering side's description from the offer.
type Answerer = Box<dyn FnMut(&str) -> String>;

pub(crate) struct Agent {
    pub(crate) calls: HashMap<String, Call>,
    pub(crate) incoming: HashMap<Key, Incoming>,
    /// Since the owner last cleared it; kept after a call has gone.
    pub(crate) arrived: Vec<(Key, Instant)>,
    pub(crate) done: Vec<Finished>,
    pub(crate) retransmissions: Retransmissions,
    pub(crate) last_answer: Option<Instant>,
    /// How long a call stays up; None leaves hanging up to the owner.
    pub(crate) hold: Option<Duration>,
    pub(crate) answer_after: Duration,
    /// Only this answering socket picks up.
    pub(crate) only: Option<usize>,
    pub(crate) on_offer: Answerer,
    pub(crate) give_up: Duration,
    started: usize,
    parties: Parties,
    auth: Option<(String, String)>,
    caller: UdpSocket,
    answerers: Vec<UdpSocket>,
    registrations: VecDeque<String>,
    /// Socket, user and password of what is registered.
    bound: Vec<(usize, String, String)>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Retransmissions {
    pub(crate) invite: u64,
    pub(crate) ok: u64,
    pub(crate) bye: u64,
    pub(crate) from_peer: u64,
}

impl Agent {
    pub(crate) fn new(parties: &Parties, answering_sockets: usize) -> Result<Self> {
        let ip = *parties.target.ip();
        Ok(Self {
            calls: HashMap::new(),
            incoming: HashMap::new(),
            arrived: Vec::new(),
            done: Vec::new(),
            retransmissions: Retransmissions::default(),
            last_answer: None,
            hold: Some(Duration::ZERO),
            answer_after: Duration::ZERO,
            only: None,
            on_offer: Box::new(|_| String::new()),
            give_up: Duration::from_secs(8),
            started: 0,
            parties: parties.clone(),
            auth: parties.auth.as_deref().map(user_and_password),
            caller: socket(ip)?,
            answerers: (0..answering_sockets)
                .map(|_| socket(ip))
                .collect::<Result<_>>()?,
            registrations: VecDeque::new(),
            bound: Vec::new(),
            timers: BinaryHeap::new(),
        })
    }

    /// The next caller calls the next callee of a family.
    pub(crate) fn call(&mut self, callee: &str, offer: &str) -> String {
        let callee = self.parties.numbered(callee, self.started);
        let from = self.parties.numbered(&self.parties.from, self.started);
        self.started += 1;
        self.call_from(from, &callee, offer)
    }

    pub(crate) fn call_from(&mut self, from: String, callee: &str, offer: &str) -> String {
        let now = Instant::now();
        let id = format!("{:016x}@{}", random(), self.ip());
        let mut call = Call {
            state: State::Inviting,
            started: now,
            rang: None,
            answered: None,
            answer: String::new(),
            id: id.clone(),
            tag: format!("{:08x}", random() as u32),
            to: format!("<sip:{callee}@{}>", self.parties.domain()),
            request_uri: format!(
                "sip:{callee}@{}:{}",
                self.parties.domain(),
                self.parties.target.port()
            ),
            from,
            remote_target: String::new(),
            routes: Vec::new(),
            cseq: 1,
            credentials: String::new(),
            offer: offer.into(),
            provisional: false,
            left: None,
            last_request: String::new(),
            last_ack: String::new(),
            retransmit_after: T1,
        };
        self.invite(&mut call);
        self.arm(now + T1, Timer::Invite(id.clone()));
        self.arm(now + self.give_up, Timer::GiveUp(id.clone()));
        self.calls.insert(id.clone(), call);
        id
    }

    pub(crate) fn hang_up(&mut self, id: &str) {
        let Some(mut call) = self.calls.remove(id) else {
            return;
        };
        if call.state == State::Up {
            call.cseq += 1;
            call.state = State::Leaving;
            call.left = Some(Instant::now());
            call.retransmit_after = T1;
            call.last_request = self.in_dialog(&call, "BYE");
            self.to_peer(&call.last_request);
            self.arm(Instant::now() + T1, Timer::Bye(id.into()));
        }
        self.calls.insert(id.into(), call);
    }

    /// Registers every callee of the family with one answering socket.
    pub(crate) fn register_all(&mut self, user: &str, password: &str) -> Result<()> {
        for index in 0..self.parties.spread.max(1) {
            let user = self.parties.numbered(user, index);
            self.register(0, &user, password)?;
        }
        Ok(())
    }

    /// Registers one answering socket as a contact of a user, digest included.
    pub(crate) fn register(&mut self, socket: usize, user: &str, password: &str) -> Result<()> {
        self.bound.push((socket, user.into(), password.into()));
        self.bind(socket, user, password, EXPIRES)
    }

    /// Leaves the peer as it was: in the next run a contact of this one would ring for nobody.
    pub(crate) fn unregister_all(&mut self) -> Result<()> {
        for (socket, user, password) in std::mem::take(&mut self.bound) {
            self.bind(socket, &user, &password, 0)?;
        }
        Ok(())
    }

    fn bind(&mut self, socket: usize, user: &str, password: &str, expires: u32) -> Result<()> {
        let id = format!("reg{:012x}@{}", random() >> 16, self.ip());
        let port = self.answerers[socket].local_addr()?.port();
        let contact = format!("sip:{user}@{}:{port}", self.ip());
        let mut credentials = String::new();
        for attempt in 1..=2 {
            let request = Registration {
                parties: &self.parties,
                user,
                contact: &contact,
                via_port: port,
                call_id: &id,
                cseq: attempt,
                expires,
                credentials: &credentials,
            }
            .request();
            let answer = self.registered(socket, &id, &request)?;
            match status(&answer) {
                Some(200) => return Ok(()),
                Some(401) if attempt == 1 => {
                    let challenge = md5_challenge(&answer, "WWW-Authenticate")?;
                    let uri = registrar_uri(&self.parties);
                    let value = authorization(challenge, (user, password), "REGISTER", &uri);
                    credentials = format!("Authorization: {value}\r\n");
                }
                code => bail!("REGISTER {user}: answered {code:?}"),
            }
        }
        bail!("REGISTER {user}: challenged twice")
    }

    fn registered(&mut self, socket: usize, id: &str, request: &str) -> Result<String> {
        for _ in 0..8 {
            self.answerers[socket].send_to(request.as_bytes(), self.parties.target)?;
            let end = Instant::now() + T1;
            while Instant::now() < end {
                self.poll(Duration::from_millis(2));
                while let Some(answer) = self.registrations.pop_front() {
                    if header(&answer, "Call-ID") == Some(id) && status(&answer) >= Some(200) {
                        return Ok(answer);
                    }
                }
            }
        }
        bail!("{} does not answer REGISTER", self.parties.target)
    }

    /// Waits at most this long for something, then handles all that is there.
    pub(crate) fn poll(&mut self, wait: Duration) {
        if !wait.is_zero() {
            let mut sockets: Vec<PollFd<'_>> = std::iter::once(&self.caller)
                .chain(&self.answerers)
                .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
                .collect();
            let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
            // Interrupted or not: what is there is read below.
            let _ = poll(&mut sockets, wait);
        }
        let mut buffer = [0; 8192];
        while let Ok((length, _)) = self.caller.recv_from(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.caller_received(&message);
        }
        for socket in 0..self.answerers.len() {
            while let Ok((length, from)) = self.answerers[socket].recv_from(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                self.answerer_received(socket, &message, from);
            }
        }
        self.fire();
    }

    fn fire(&mut self) {
        let now = Instant::now();
        while self
            .timers
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= now)
        {
            let Some(Reverse((_, timer))) = self.timers.pop() else {
                return;
            };
            match timer {
                Timer::Invite(id) => self.invite_timer(id, now),
                Timer::GiveUp(id) => {
                    if self
                        .calls
                        .get(&id)
                        .is_some_and(|call| call.state == State::Inviting)
                        && let Some(call) = self.calls.remove(&id)
                    {
                        self.finish(&call, Outcome::NoAnswer);
                    }
                }
                Timer::HangUp(id) => self.hang_up(&id),
                Timer::Bye(id) => self.bye_timer(id, now),
                Timer::Answer(key) => self.pick_up(&key),
                Timer::Ok(key) => self.ok_timer(key, now),
            }
        }
    }

    fn invite_timer(&mut self, id: String, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.state != State::Inviting {
            return;
        }
        let mut again = T1;
        if !call.provisional {
            call.retransmit_after *= 2;
            again = call.retransmit_after;
            self.retransmissions.invite += 1;
            let request = call.last_request.clone();
            self.to_peer(&request);
        }
        self.arm(now + again, Timer::Invite(id));
    }

    fn bye_timer(&mut self, id: String, now: Instant) {
        let Some(mut call) = self.calls.remove(&id) else {
            return;
        };
        if call.left.is_some_and(|left| now - left > BYE_GIVES_UP) {
            self.finish(&call, Outcome::ByeUnanswered);
            return;
        }
        self.retransmissions.bye += 1;
        call.retransmit_after *= 2;
        self.to_peer(&call.last_request);
        self.arm(now + call.retransmit_after, Timer::Bye(id.clone()));
        self.calls.insert(id, call);
    }

    fn ok_timer(&mut self, key: Key, now: Instant) {
        let Some(call) = self.incoming.get_mut(&key) else {
            return;
        };
        if call.acknowledged || now - call.arrived > 64 * T1 {
            return;
        }
        call.retransmit_after = (call.retransmit_after * 2).min(8 * T1);
        self.retransmissions.ok += 1;
        let again = now + call.retransmit_after;
        let _ = self.answerers[call.socket].send_to(call.last_response.as_bytes(), call.from);
        self.arm(again, Timer::Ok(key));
    }

    fn finish(&mut self, call: &Call, outcome: Outcome) {
        self.done.push(Finished {
            outcome,
            started: call.started,
            rang: call.rang,
            answered: call.answered,
            ended: Instant::now(),
        });
    }

    fn arm(&mut self, at: Instant, timer: Timer) {
        self.timers.push(Reverse((at, timer)));
    }

    fn to_peer(&self, message: &str) {
        // Loopback with deep buffers; a loss would show as a retransmission.
        let _ = self.caller.send_to(message.as_bytes(), self.parties.target);
    }

    fn ip(&self) -> Ipv4Addr {
        *self.parties.target.ip()
    }

    fn port(&self, socket: &UdpSocket) -> u16 {
        socket.local_addr().map_or(0, |address| address.port())
    }
}

pub(crate) fn socket(ip: Ipv4Addr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0)).context("no free UDP port on loopback")?;
    socket.set_nonblocking(true)?;
    // Without the right to force it, the kernel's cap stands.
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20));
    let _ = setsockopt(&socket, sockopt::SndBufForce, &(4 << 20));
    Ok(socket)
}
