//! Loads of signalling alone: call rate, registrations, and a press that rings many contacts.

use std::collections::{BTreeMap, HashMap};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;

use crate::agent::{Agent, EXPIRES, Outcome, Registration, md5_challenge, registrar_uri, socket};
use crate::process::Usage;
use crate::report::{Line, Samples, per};
use crate::text::{authorization, cseq, description, header, random, status};
use crate::{Parties, Peer, user_and_password};

const WARM_UP_CALLS: usize = 5;
const MOST_CALLS_AT_ONCE: usize = 20_000;

#[derive(Args, Debug)]
pub(crate) struct Calls {
    #[command(flatten)]
    peer: Peer,
    #[command(flatten)]
    parties: Parties,
    /// Calls per second.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    #[arg(long, default_value_t = 6.0)]
    secs: f64,
    /// How long each call stays up.
    #[arg(long, default_value_t = 0)]
    hold_ms: u64,
    /// Beside the load, this many calls a second to a callee that must never suffer.
    #[arg(long, requires = "emergency_callee")]
    emergency_rate: Option<f64>,
    #[arg(long)]
    emergency_callee: Option<String>,
    /// `user:password:count` of the stations behind that callee, which are registered too.
    #[arg(long)]
    emergency_desk: Option<String>,
}

impl Calls {
    pub(crate) fn run(self) -> Result<()> {
        let mut agent = self.agent()?;
        let offer = description(*self.parties.target.ip(), 40_000);
        for _ in 0..WARM_UP_CALLS {
            agent.call(&self.parties.callee, &offer);
            settle(&mut agent, Duration::from_millis(200));
        }
        agent.done.clear();
        agent.retransmissions = crate::agent::Retransmissions::default();

        let before = Usage::of(&self.peer.pid);
        let began = Instant::now();
        let (sent, emergencies) = self.offer_load(&mut agent, &offer);
        let elapsed = began.elapsed();
        let deadline =
            Instant::now() + Duration::from_secs(9) + Duration::from_millis(self.hold_ms);
        while !agent.calls.is_empty() && Instant::now() < deadline {
            agent.poll(Duration::from_millis(2));
        }
        let after = Usage::of(&self.peer.pid);
        self.report(
            &agent,
            sent,
            &emergencies,
            elapsed,
            after.cpu_seconds - before.cpu_seconds,
            after.rss_kb,
        );
        agent.unregister_all()
    }

    fn agent(&self) -> Result<Agent> {
        let mut agent = Agent::new(&self.parties, 1)?;
        agent.hold = Some(Duration::from_millis(self.hold_ms));
        let answer = description(*self.parties.target.ip(), 40_002);
        agent.on_offer = Box::new(move |_| answer.clone());
        if let Some((user, password)) = self.parties.register.as_deref().map(user_and_password) {
            agent.register_all(&user, &password)?;
        }
        if let Some(desk) = &self.emergency_desk {
            let (user, rest) = user_and_password(desk);
            let (password, count) = rest.split_once(':').context("user:password:count")?;
            for index in 1..=count.parse()? {
                let index: usize = index;
                agent.register(0, &format!("{user}{index}"), password)?;
            }
        }
        Ok(agent)
    }

    /// Paces the calls by the clock; a late tool catches up instead of thinning the load.
    fn offer_load(&self, agent: &mut Agent, offer: &str) -> (u64, Vec<Instant>) {
        let secs = self.secs.clamp(0.1, 120.0);
        let rate = self.rate.clamp(0.1, 20_000.0);
        let (mut sent, mut emergencies) = (0, Vec::new());
        let began = Instant::now();
        while began.elapsed().as_secs_f64() < secs {
            let elapsed = began.elapsed().as_secs_f64();
            if let (Some(rate), Some(callee)) = (self.emergency_rate, &self.emergency_callee) {
                while (emergencies.len() as f64) < elapsed * rate {
                    let point = format!("sos{}", emergencies.len() % 50 + 1);
                    let id = agent.call_from(point, callee, offer);
                    emergencies.push(agent.calls[&id].started);
                }
            }
            while (sent as f64) < elapsed * rate && agent.calls.len() < MOST_CALLS_AT_ONCE {
                agent.call(&self.parties.callee, offer);
                sent += 1;
                if sent % 32 == 0 {
                    agent.poll(Duration::ZERO);
                }
            }
            agent.poll(Duration::from_millis(1));
        }
        (sent, emergencies)
    }

    fn report(
        &self,
        agent: &Agent,
        sent: u64,
        emergencies: &[Instant],
        elapsed: Duration,
        cpu: f64,
        rss_kb: u64,
    ) {
        let (mut ring, mut setup, mut refused_after) =
            (Samples::default(), Samples::default(), Samples::default());
        let (mut urgent_ok, mut urgent_ring) = (0_u64, Samples::default());
        let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
        let mut urgent_outcomes: BTreeMap<String, u64> = BTreeMap::new();
        let mut completed = 0_u64;
        for call in &agent.done {
            let urgent = emergencies.binary_search(&call.started).is_ok();
            let counted = if urgent {
                &mut urgent_outcomes
            } else {
                &mut outcomes
            };
            *counted.entry(format!("{:?}", call.outcome)).or_default() += 1;
            if call.outcome == Outcome::Completed {
                completed += u64::from(!urgent);
                urgent_ok += u64::from(urgent);
                let rang = call.rang.map(|at| at - call.started);
                if urgent {
                    rang.into_iter().for_each(|after| urgent_ring.push(after));
                } else {
                    rang.into_iter().for_each(|after| ring.push(after));
                    call.answered
                        .into_iter()
                        .for_each(|at| setup.push(at - call.started));
                }
            } else if let Outcome::Refused(503) = call.outcome {
                refused_after.push(call.ended - call.started);
            }
        }
        let again = agent.retransmissions;
        Line::new("calls", &self.peer.name)
            .with("rate", self.rate)
            .with("secs", elapsed.as_secs_f64())
            .with("sent", sent)
            .with("ok", completed)
            .with("goodput_per_s", completed as f64 / elapsed.as_secs_f64())
            .with("unfinished", agent.calls.len())
            .with("outcomes", json!(outcomes))
            .with("invite_retx", again.invite)
            .with("uas_200_retx", again.ok)
            .with("bye_retx", again.bye)
            .with("retx", again.invite + again.ok + again.bye)
            .with("dup_from_peer", again.from_peer)
            .milliseconds("ring_ms_p50", &mut ring, 0.5)
            .milliseconds("ring_ms_p99", &mut ring, 0.99)
            .milliseconds("setup_ms_p50", &mut setup, 0.5)
            .milliseconds("setup_ms_p99", &mut setup, 0.99)
            .milliseconds("refused_503_ms_p99", &mut refused_after, 0.99)
            .with("emergency_sent", emergencies.len())
            .with("emergency_ok", urgent_ok)
            .with("emergency_outcomes", json!(urgent_outcomes))
            .milliseconds("emergency_ring_ms_p99", &mut urgent_ring, 0.99)
            .with("peer_cpu_ms_per_call", per(cpu * 1e3, completed as f64))
            .with("calls_per_s_per_core", per(completed as f64, cpu))
            .with("peer_rss_kb", rss_kb)
            .print();
    }
}

fn settle(agent: &mut Agent, at_most: Duration) {
    let end = Instant::now() + at_most;
    while Instant::now() < end {
        agent.poll(Duration::from_millis(2));
    }
}

#[derive(Args, Debug)]
pub(crate) struct Register {
    #[command(flatten)]
    peer: Peer,
    #[command(flatten)]
    parties: Parties,
    /// Users `u1` to `uN`.
    #[arg(long, default_value_t = 2_000)]
    users: usize,
    #[arg(long, default_value = "u")]
    prefix: String,
    #[arg(long, default_value = "pw")]
    pass: String,
    /// Registrations under way at once.
    #[arg(long, default_value_t = 20)]
    window: usize,
}

/// One registration under way.
struct Attempt {
    began: Instant,
    sent: Instant,
    user: String,
    contact: String,
    request: String,
    cseq: u32,
}

struct RegisterRun<'a> {
    load: &'a Register,
    socket: UdpSocket,
    open: HashMap<String, Attempt>,
    took: Samples,
    codes: BTreeMap<u16, u64>,
    retransmissions: u64,
}

impl Register {
    pub(crate) fn run(self) -> Result<()> {
        let mut run = RegisterRun {
            load: &self,
            socket: socket(*self.parties.target.ip())?,
            open: HashMap::new(),
            took: Samples::default(),
            codes: BTreeMap::new(),
            retransmissions: 0,
        };
        let before = Usage::of(&self.peer.pid);
        let began = Instant::now();
        run.all()?;
        let elapsed = began.elapsed().as_secs_f64();
        // The peer's last writes belong to the registrations just made.
        std::thread::sleep(Duration::from_millis(300));
        let after = Usage::of(&self.peer.pid);
        let cpu = after.cpu_seconds - before.cpu_seconds;
        let ok = run.codes.get(&200).copied().unwrap_or(0) as f64;
        let grown = (after.pss_kb as f64 - before.pss_kb as f64) * 1024.0;
        Line::new("register", &self.peer.name)
            .with("users", self.users)
            .with("ok", ok)
            .with("codes", json!(run.codes))
            .with("retx", run.retransmissions)
            .with("secs", elapsed)
            .with("per_s", per(ok, elapsed))
            .milliseconds("ms_p50", &mut run.took, 0.5)
            .milliseconds("ms_p99", &mut run.took, 0.99)
            .with("peer_cpu_us_per_reg", per(cpu * 1e6, ok))
            .with("regs_per_s_per_core", per(ok, cpu))
            .with("pss_bytes_per_reg", per(grown, ok))
            .print();
        Ok(())
    }
}

impl RegisterRun<'_> {
    fn all(&mut self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        let mut started = 0;
        while self.codes.values().sum::<u64>() < self.load.users as u64 && Instant::now() < end {
            while self.open.len() < self.load.window && started < self.load.users {
                started += 1;
                self.start(started)?;
            }
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            // Interrupted or not: what is there is read below.
            let _ = poll(&mut fds, PollTimeout::from(10_u8));
            let mut buffer = [0; 8192];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                self.answered(&String::from_utf8_lossy(&buffer[..length]))?;
            }
            self.retransmit()?;
        }
        Ok(())
    }

    fn start(&mut self, number: usize) -> Result<()> {
        let ip = self.load.parties.target.ip();
        let user = format!("{}{number}", self.load.prefix);
        let contact = format!("sip:{user}@{ip}:{}", 10_000 + number % 50_000);
        let id = format!("{:016x}r{number}", random());
        let now = Instant::now();
        let mut attempt = Attempt {
            began: now,
            sent: now,
            user,
            contact,
            request: String::new(),
            cseq: 1,
        };
        self.send(&id, &mut attempt, "")?;
        self.open.insert(id, attempt);
        Ok(())
    }

    fn send(&self, id: &str, attempt: &mut Attempt, credentials: &str) -> Result<()> {
        attempt.request = Registration {
            parties: &self.load.parties,
            user: &attempt.user,
            contact: &attempt.contact,
            via_port: self.socket.local_addr()?.port(),
            call_id: id,
            cseq: attempt.cseq,
            expires: EXPIRES,
            credentials,
        }
        .request();
        attempt.sent = Instant::now();
        self.socket
            .send_to(attempt.request.as_bytes(), self.load.parties.target)?;
        Ok(())
    }

    fn answered(&mut self, message: &str) -> Result<()> {
        let code = status(message).context("the peer sent a request to a registering client")?;
        let id = header(message, "Call-ID").unwrap_or("");
        let Some(mut attempt) = self.open.remove(id) else {
            return Ok(());
        };
        if code < 200 || cseq(message).0 != attempt.cseq {
            self.open.insert(id.to_owned(), attempt);
        } else if code == 401 && attempt.cseq == 1 {
            let challenge = md5_challenge(message, "WWW-Authenticate")?;
            let login = (attempt.user.as_str(), self.load.pass.as_str());
            let uri = registrar_uri(&self.load.parties);
            let value = authorization(challenge, login, "REGISTER", &uri);
            attempt.cseq = 2;
            self.send(id, &mut attempt, &format!("Authorization: {value}\r\n"))?;
            self.open.insert(id.to_owned(), attempt);
        } else {
            *self.codes.entry(code).or_default() += 1;
            self.took.push(attempt.began.elapsed());
        }
        Ok(())
    }

    fn retransmit(&mut self) -> Result<()> {
        for attempt in self.open.values_mut() {
            if attempt.sent.elapsed() > Duration::from_millis(500) {
                attempt.sent = Instant::now();
                self.retransmissions += 1;
                self.socket
                    .send_to(attempt.request.as_bytes(), self.load.parties.target)?;
            }
        }
        Ok(())
    }
}

#[derive(Args, Debug)]
pub(crate) struct Ring {
    #[command(flatten)]
    peer: Peer,
    #[command(flatten)]
    parties: Parties,
    /// Contacts that ring.
    #[arg(long, default_value_t = 32)]
    n: usize,
    /// The address whose contacts ring, and the user that registers them.
    #[arg(long, default_value = "ring")]
    user: String,
    #[arg(long, default_value = "pw")]
    pass: String,
    /// Users `ring01` to `ringNN`, one contact each, instead of one user with N contacts.
    #[arg(long)]
    distinct: bool,
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

impl Ring {
    pub(crate) fn run(self) -> Result<()> {
        let ip = *self.parties.target.ip();
        let mut agent = Agent::new(&self.parties, self.n)?;
        let answer = description(ip, 40_002);
        agent.on_offer = Box::new(move |_| answer.clone());
        agent.answer_after = Duration::from_millis(300);
        agent.hold = Some(Duration::from_millis(100));
        for contact in 0..self.n {
            let user = if self.distinct {
                format!("{}{:02}", self.user, contact + 1)
            } else {
                self.user.clone()
            };
            agent.register(contact, &user, &self.pass)?;
        }
        let offer = description(ip, 40_000);
        let before = Usage::of(&self.peer.pid);
        let mut presses = Presses::default();
        for round in 0..self.rounds.min(200) {
            agent.only = Some(round % self.n);
            presses.press(&mut agent, &self.parties.callee, &offer);
        }
        let cpu = Usage::of(&self.peer.pid).cpu_seconds - before.cpu_seconds;
        presses.report(&self, cpu);
        agent.unregister_all()
    }
}

/// What was seen over all presses of the button.
#[derive(Default)]
struct Presses {
    first: Samples,
    last: Samples,
    silent: Samples,
    reached: Vec<usize>,
    cancelled: Vec<usize>,
    answered: usize,
}

impl Presses {
    fn press(&mut self, agent: &mut Agent, callee: &str, offer: &str) {
        agent.arrived.clear();
        agent.incoming.clear();
        agent.done.clear();
        let pressed = Instant::now();
        agent.call(callee, offer);
        let end = pressed + Duration::from_secs(5);
        while agent.done.is_empty() && Instant::now() < end {
            agent.poll(Duration::from_millis(1));
        }
        settle(agent, Duration::from_millis(200));
        let times: Vec<_> = agent.arrived.iter().map(|(_, at)| *at - pressed).collect();
        let cancels: Vec<_> = agent
            .incoming
            .values()
            .filter_map(|call| call.cancelled)
            .collect();
        self.first
            .push(times.iter().min().copied().unwrap_or_default());
        self.last
            .push(times.iter().max().copied().unwrap_or_default());
        if let (Some(last), Some(answer)) = (cancels.iter().max(), agent.last_answer) {
            self.silent.push(last.saturating_duration_since(answer));
        }
        self.reached.push(agent.arrived.len());
        self.cancelled.push(cancels.len());
        self.answered += usize::from(
            agent
                .done
                .first()
                .is_some_and(|call| call.outcome == Outcome::Completed),
        );
    }

    fn report(mut self, load: &Ring, cpu: f64) {
        self.reached.sort_unstable();
        self.cancelled.sort_unstable();
        let median = |values: &[usize]| values.get(values.len() / 2).copied();
        Line::new("ring", &load.peer.name)
            .with("targets", load.n)
            .with("rounds", self.reached.len())
            .with("answered_ok", self.answered)
            .with("reached_median", median(&self.reached))
            .with("cancelled_median", median(&self.cancelled))
            .milliseconds("first_ring_ms_p50", &mut self.first, 0.5)
            .milliseconds("last_ring_ms_p50", &mut self.last, 0.5)
            .milliseconds("last_ring_ms_max", &mut self.last, 1.0)
            .milliseconds("last_cancel_after_answer_ms_p50", &mut self.silent, 0.5)
            .with(
                "peer_cpu_ms_per_press",
                per(cpu * 1e3, self.reached.len() as f64),
            )
            .print();
    }
}
