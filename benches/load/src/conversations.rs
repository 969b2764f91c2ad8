//! Concurrent two-way calls with RTP, set up over SIP, over rtpengine's ng protocol, or over the
//! fixed ports of the reference relay.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::agent::{Agent, State, socket};
use crate::process::Usage;
use crate::report::{Line, Samples, per};
use crate::stream::{Leg, Pump};
use crate::text::{audio_address, description, random};
use crate::{Parties, Peer, user_and_password};

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    /// A SIP peer that anchors media.
    Sip,
    /// rtpengine's control protocol.
    Ng,
    /// The reference relay of this tool.
    Floor,
}

#[derive(Args, Debug)]
pub(crate) struct Media {
    #[command(flatten)]
    peer: Peer,
    #[command(flatten)]
    parties: Parties,
    #[arg(long, value_enum)]
    via: Via,
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// Counting window, after the warm-up.
    #[arg(long, default_value_t = 6.0)]
    secs: f64,
    #[arg(long, default_value_t = 2.0)]
    warm_secs: f64,
    /// Calls set up per second.
    #[arg(long, default_value_t = 100.0)]
    setup_rate: f64,
    /// Calls whose one-way delay is measured.
    #[arg(long, default_value_t = 8)]
    probe: usize,
}

impl Media {
    pub(crate) fn run(self) -> Result<()> {
        let ip = *self.parties.target.ip();
        let mut pump = Pump::new()?;
        let mut setup = Setup::new(&self)?;
        let fresh = Usage::of(&self.peer.pid);
        for number in 0..self.calls.min(3000) {
            let began = Instant::now();
            let mut caller = Leg::new(ip, number < self.probe)?;
            let mut callee = Leg::new(ip, number < self.probe)?;
            match setup.connect(number, &mut caller, &mut callee, &mut pump) {
                Ok(()) => {
                    pump.add(caller)?;
                    pump.add(callee)?;
                }
                Err(error) => *setup.failed.entry(format!("{error:#}")).or_default() += 1,
            }
            ensure!(
                number < 2 || !pump.legs.is_empty(),
                "no call came up: {:?}",
                setup.failed
            );
            let next = began + Duration::from_secs_f64(1.0 / self.setup_rate);
            while Instant::now() < next {
                setup.turn(&mut pump)?;
            }
        }
        setup.turn_for(&mut pump, self.warm_secs)?;
        pump.start_counting();
        let before = Usage::of(&self.peer.pid);
        let began = Instant::now();
        setup.turn_for(&mut pump, self.secs.clamp(0.1, 120.0))?;
        let elapsed = began.elapsed().as_secs_f64();
        let after = Usage::of(&self.peer.pid);
        setup.hang_up(&mut pump)?;
        let cores = (after.cpu_seconds - before.cpu_seconds) / elapsed;
        self.report(&pump, &setup, cores, elapsed, after, fresh);
        setup.agent.unregister_all()
    }

    fn report(
        &self,
        pump: &Pump,
        setup: &Setup<'_>,
        cores: f64,
        elapsed: f64,
        usage: Usage,
        fresh: Usage,
    ) {
        let calls = (pump.legs.len() / 2) as f64;
        let (mut delays, mut gaps) = (Samples::default(), Samples::default());
        let (mut sent, mut received, mut lost) = (0, 0, 0);
        for leg in &pump.legs {
            delays.extend(&leg.counts.delays);
            gaps.extend(&leg.counts.gaps);
            sent += leg.counts.sent;
            received += leg.counts.received;
            lost += leg.counts.lost();
        }
        let rate = received as f64 / elapsed;
        Line::new("media", &self.peer.name)
            .with("calls", calls)
            .with("asked", self.calls)
            .with("failed", json!(setup.failed))
            .with("direct_media", setup.direct)
            .with("delivered_pct", per(received as f64 * 100.0, sent as f64))
            .with("lost_by_seq", lost)
            .with("delay_samples", delays.len())
            .milliseconds("delay_ms_p50", &mut delays, 0.5)
            .milliseconds("delay_ms_p99", &mut delays, 0.99)
            .milliseconds("gap_ms_p99", &mut gaps, 0.99)
            .with("cpu_pct_per_100_calls", per(cores * 1e4, calls))
            .with("calls_per_core", per(calls, cores))
            .with("pkts_per_s_per_core", per(rate, cores))
            .with("peer_rss_kb", usage.rss_kb)
            .with(
                "rss_kb_per_call",
                per(usage.rss_kb as f64 - fresh.rss_kb as f64, calls),
            )
            .with("peer_threads", usage.threads)
            .print();
    }
}

/// The ports of the callee's leg go into the answer; the offer it got comes back.
#[derive(Debug, Default)]
struct Answering {
    port: u16,
    offered: Option<SocketAddrV4>,
}

struct Setup<'a> {
    load: &'a Media,
    ip: Ipv4Addr,
    agent: Agent,
    answering: Rc<RefCell<Answering>>,
    ng: UdpSocket,
    ids: Vec<String>,
    failed: BTreeMap<String, u64>,
    /// Calls whose audio did not go through the peer.
    direct: u64,
}

impl<'a> Setup<'a> {
    fn new(load: &'a Media) -> Result<Self> {
        let ip = *load.parties.target.ip();
        let mut agent = Agent::new(&load.parties, 1)?;
        agent.hold = None;
        if let (Via::Sip, Some(register)) = (load.via, &load.parties.register) {
            let (user, password) = user_and_password(register);
            agent.register_all(&user, &password)?;
        }
        let answering = Rc::new(RefCell::new(Answering::default()));
        let shared = Rc::clone(&answering);
        agent.on_offer = Box::new(move |offer| {
            let mut answering = shared.borrow_mut();
            answering.offered = audio_address(offer);
            description(ip, answering.port)
        });
        Ok(Self {
            load,
            ip,
            agent,
            answering,
            ng: socket(ip)?,
            ids: Vec::new(),
            failed: BTreeMap::new(),
            direct: 0,
        })
    }

    fn connect(
        &mut self,
        number: usize,
        caller: &mut Leg,
        callee: &mut Leg,
        pump: &mut Pump,
    ) -> Result<()> {
        match self.load.via {
            Via::Floor => {
                let port = self.load.parties.target.port() + 2 * number as u16;
                caller.remote = Some(SocketAddrV4::new(self.ip, port));
                callee.remote = Some(SocketAddrV4::new(self.ip, port + 1));
                caller.introduce();
                callee.introduce();
                Ok(())
            }
            Via::Ng => self.connect_ng(number, caller, callee),
            Via::Sip => self.connect_sip(caller, callee, pump),
        }
    }

    fn connect_sip(&mut self, caller: &mut Leg, callee: &mut Leg, pump: &mut Pump) -> Result<()> {
        *self.answering.borrow_mut() = Answering {
            port: callee.port(),
            offered: None,
        };
        let callee_name = self.load.parties.callee.clone();
        let id = self
            .agent
            .call(&callee_name, &description(self.ip, caller.port()));
        let end = Instant::now() + self.agent.give_up;
        loop {
            self.turn(pump)?;
            match self.agent.calls.get(&id) {
                Some(call) if call.state == State::Up => {
                    caller.remote =
                        Some(audio_address(&call.answer).context("no audio in the answer")?);
                    break;
                }
                Some(_) => ensure!(Instant::now() < end, "not answered"),
                None => bail!(
                    "refused: {:?}",
                    self.agent.done.last().map(|call| call.outcome)
                ),
            }
        }
        let offered = self.answering.borrow_mut().offered.take();
        callee.remote = Some(offered.context("no audio in the offer")?);
        if caller.remote.map(|remote| remote.port()) == Some(callee.port()) {
            self.direct += 1;
        }
        self.ids.push(id);
        Ok(())
    }

    fn connect_ng(&mut self, number: usize, caller: &mut Leg, callee: &mut Leg) -> Result<()> {
        let id = format!("load{:016x}{number}", random());
        let offer = description(self.ip, caller.port());
        let seen_by_callee = self.ng("offer", &id, &offer, "")?;
        callee.remote = Some(audio_address(&seen_by_callee).context("no audio in the offer")?);
        let answer = description(self.ip, callee.port());
        let seen_by_caller = self.ng("answer", &id, &answer, "6:to-tag6:callee")?;
        caller.remote = Some(audio_address(&seen_by_caller).context("no audio in the answer")?);
        self.ids.push(id);
        Ok(())
    }

    /// One bencoded command; the description in its answer.
    fn ng(&self, command: &str, id: &str, sdp: &str, tags: &str) -> Result<String> {
        let cookie = format!("{:08x}", random() as u32);
        let text = |s: &str| format!("{}:{s}", s.len());
        let request = format!(
            "{cookie} d7:call-id{}7:command{}3:ICE6:remove8:from-tag6:caller3:sdp{}{tags}e",
            text(id),
            text(command),
            text(sdp),
        );
        self.ng
            .send_to(request.as_bytes(), self.load.parties.target)?;
        let mut buffer = [0; 8192];
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            let Ok(length) = self.ng.recv(&mut buffer) else {
                std::thread::yield_now();
                continue;
            };
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if answer.starts_with(&cookie) {
                let (_, rest) = answer.split_once("3:sdp").with_context(|| answer.clone())?;
                let (length, sdp) = rest.split_once(':').context("broken bencoding")?;
                return Ok(sdp
                    .get(..length.parse()?)
                    .context("broken bencoding")?
                    .to_owned());
            }
        }
        bail!("{} does not answer {command}", self.load.parties.target)
    }

    fn turn(&mut self, pump: &mut Pump) -> Result<()> {
        self.agent.poll(Duration::ZERO);
        pump.turn()
    }

    fn turn_for(&mut self, pump: &mut Pump, secs: f64) -> Result<()> {
        let end = Instant::now() + Duration::from_secs_f64(secs);
        while Instant::now() < end {
            self.turn(pump)?;
        }
        Ok(())
    }

    fn hang_up(&mut self, pump: &mut Pump) -> Result<()> {
        for id in std::mem::take(&mut self.ids) {
            match self.load.via {
                Via::Sip => self.agent.hang_up(&id),
                Via::Ng => {
                    let request = format!(
                        "{:08x} d7:call-id{}:{id}7:command6:delete12:delete-delayi0e8:from-tag6:callere",
                        random() as u32,
                        id.len()
                    );
                    self.ng
                        .send_to(request.as_bytes(), self.load.parties.target)?;
                }
                Via::Floor => {}
            }
        }
        let end = Instant::now() + Duration::from_secs(4);
        while !self.agent.calls.is_empty() && Instant::now() < end {
            self.turn(pump)?;
        }
        Ok(())
    }
}
