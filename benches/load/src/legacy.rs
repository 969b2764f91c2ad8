//! A whole legacy server on one line: all channels of its bridge cards busy, and stations that
//! report what they do, faster than any site does.
//!
//! Starts a gateway of its own. What it measures it sees from outside: from the last octet of a
//! telegram that leaves to the first of the answer (so both directions count, and at most a
//! millisecond of this tool), and to the INVITE at the telephone. Each call over the line is one
//! channel, with its sound.

mod house;
mod server;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use legacy_protocols::command::{CallRef, CallSetup, Cause, Command, Verdict};
use legacy_protocols::event::{Event, StationState, TalkMode};
use legacy_protocols::priority::Priority;
use legacy_protocols::sound::{SoundCodec, SoundCodecs, SoundEnd, SoundKeys};

use crate::Parties;
use crate::agent::Agent;
use crate::process::Usage;
use crate::report::{Line, Samples, per};
use crate::stream::{Leg, Pump};
use crate::text::{audio_address, description};
use house::House;
use server::{Server, Told, phone, station};

#[derive(Args, Debug)]
pub(crate) struct Legacy {
    /// The gateway's program.
    #[arg(long, default_value = "target/release/antiphon-gateway")]
    gateway: PathBuf,
    /// Stations behind the line.
    #[arg(long, default_value_t = 500)]
    stations: usize,
    /// Changes of their state per second.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Channels that are busy: 14 cards of 8.
    #[arg(long, default_value_t = 112)]
    calls: usize,
    #[arg(long, default_value_t = 20.0)]
    secs: f64,
}

/// Between two questions whose answers are timed.
const QUESTION: Duration = Duration::from_millis(20);
/// Between two calls whose INVITE is timed.
const PROBE: Duration = Duration::from_millis(250);
const GIVE_UP: Duration = Duration::from_secs(10);

impl Legacy {
    pub(crate) fn run(self) -> Result<()> {
        ensure!(
            self.calls < 400 && self.stations <= 5000,
            "fewer than 400 calls and at most 5000 stations"
        );
        let mut house = House::start(&self.gateway, self.stations, self.calls + 1)?;
        let mut load = Load::new(&house, self.calls)?;
        load.wait("the line to come up", |load| load.server.is_up())?;
        let fresh = Usage::of(&[house.pid()]);
        for number in 1..=self.calls {
            load.connect(number)?;
        }
        load.turn_for(1.0)?;
        load.pump.start_counting();
        let before = Usage::of(&[house.pid()]);
        let began = Instant::now();
        let reported = self.measure(&mut load)?;
        let elapsed = began.elapsed().as_secs_f64();
        let after = Usage::of(&[house.pid()]);
        load.pump.fall_silent();
        let cores = (after.cpu_seconds - before.cpu_seconds) / elapsed;
        let (mut sent, mut received, mut lost) = (0, 0, 0);
        for leg in &load.pump.legs {
            sent += leg.counts.sent;
            received += leg.counts.received;
            lost += leg.counts.lost();
        }
        Line::new("legacy", "antiphon")
            .with("stations", self.stations)
            .with("calls", self.calls)
            .with("states_per_s", reported as f64 / elapsed)
            .with("cores", cores)
            .with("rss_kb", after.rss_kb)
            .with("rss_kb_before_calls", fresh.rss_kb)
            .with("answers", load.answers.len())
            .milliseconds("answer_ms_p50", &mut load.answers, 0.5)
            .milliseconds("answer_ms_p99", &mut load.answers, 0.99)
            .with("invites", load.invites.len())
            .milliseconds("invite_ms_p50", &mut load.invites, 0.5)
            .milliseconds("invite_ms_p99", &mut load.invites, 0.99)
            .with("delivered_pct", per(received as f64 * 100.0, sent as f64))
            .with("lost_by_seq", lost)
            .print();
        house.end()
    }

    /// States at a steady pace, and questions and calls whose answers are timed.
    fn measure(&self, load: &mut Load) -> Result<u64> {
        let end = Instant::now() + Duration::from_secs_f64(self.secs.clamp(0.1, 900.0));
        let pace = Duration::from_secs_f64(1.0 / self.rate.clamp(0.1, 10_000.0));
        let (mut state_at, mut ask_at, mut call_at) =
            (Instant::now(), Instant::now(), Instant::now());
        let mut reported = 0;
        while Instant::now() < end {
            while state_at <= Instant::now() {
                state_at += pace;
                let round = reported as usize / self.stations;
                let state = [StationState::Privacy, StationState::Idle][round % 2];
                let station = station(reported as usize % self.stations);
                load.server.tell(&Event::StationState { station, state });
                reported += 1;
            }
            if ask_at <= Instant::now() {
                ask_at += QUESTION;
                load.question();
            }
            if call_at <= Instant::now() {
                call_at += PROBE;
                load.probe(self.calls + 1);
            }
            load.turn()?;
        }
        load.turn_for(0.2)?;
        Ok(reported)
    }
}

/// What a question was for, by its reference.
enum Asked {
    /// It is timed.
    Question(Instant),
    Call,
}

struct Load {
    server: Server,
    agent: Agent,
    pump: Pump,
    /// The port of the leg that answers next, and what it was offered.
    answering: Rc<RefCell<(u16, Option<SocketAddrV4>)>>,
    asked: BTreeMap<u64, Asked>,
    next: u64,
    /// The call that probes, and when it was asked for.
    probing: Option<(CallRef, Instant)>,
    connected: Vec<(CallRef, Option<SoundEnd>)>,
    refused: u64,
    answers: Samples,
    invites: Samples,
}

impl Load {
    fn new(house: &House, calls: usize) -> Result<Self> {
        let parties = Parties {
            target: house.sip(),
            domain: None,
            from: "uac".into(),
            callee: "uas".into(),
            spread: calls + 1,
            register: None,
            auth: None,
        };
        let mut agent = Agent::new(&parties, 1)?;
        agent.hold = None;
        let answering = Rc::new(RefCell::new((1, None)));
        let shared = Rc::clone(&answering);
        agent.on_offer = Box::new(move |offer| {
            let mut answering = shared.borrow_mut();
            answering.1 = audio_address(offer);
            description(Ipv4Addr::LOCALHOST, answering.0)
        });
        agent.register_all("uas", house::PASSWORD)?;
        Ok(Self {
            server: Server::accept(house.line())?,
            agent,
            pump: Pump::new()?,
            answering,
            asked: BTreeMap::new(),
            next: 1,
            probing: None,
            connected: Vec::new(),
            refused: 0,
            answers: Samples::default(),
            invites: Samples::default(),
        })
    }

    /// One channel: a station calls a phone, which answers; both say something.
    fn connect(&mut self, number: usize) -> Result<()> {
        let mut station_leg = Leg::new(Ipv4Addr::LOCALHOST, false)?;
        let mut phone_leg = Leg::new(Ipv4Addr::LOCALHOST, false)?;
        *self.answering.borrow_mut() = (phone_leg.port(), None);
        let call = self.set_up(number - 1, number, station_leg.port());
        self.wait("a call to be answered", |load| {
            load.connected.iter().any(|(known, _)| *known == call) || load.refused > 0
        })?;
        ensure!(self.refused == 0, "call {number} was refused");
        let (_, sound) = self.connected.pop().context("it was answered")?;
        let sound = sound.context("the answer tells no sound")?;
        let SocketAddr::V4(remote) = sound.address else {
            anyhow::bail!("{} is not on loopback", sound.address);
        };
        station_leg.remote = Some(remote);
        phone_leg.remote = self.answering.borrow().1;
        self.pump.add(station_leg)?;
        self.pump.add(phone_leg)
    }

    fn set_up(&mut self, from: usize, to: usize, port: u16) -> CallRef {
        let (call, reference) = (CallRef(CallRef::OF_PORT | self.next), self.next);
        self.next += 1;
        let setup = CallSetup {
            call,
            from: station(from),
            to: phone(to),
            priority: Priority::NORMAL,
            mode: TalkMode::OpenDuplex,
            text: None,
            sound: SoundCodecs::new([SoundCodec::Pcma]).map(|codecs| SoundEnd {
                address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
                codecs,
                keys: SoundKeys::OnTheLine,
            }),
        };
        self.asked.insert(reference, Asked::Call);
        self.server.ask(reference, Command::CallSetup(setup));
        call
    }

    /// About a call that there is not: the gateway reads it, looks, and says so.
    fn question(&mut self) {
        let (call, cause) = (CallRef(CallRef::OF_PORT | u64::MAX >> 1), Cause::NORMAL);
        let reference = self.next;
        self.next += 1;
        self.asked
            .insert(reference, Asked::Question(Instant::now()));
        self.server
            .ask(reference, Command::CallRelease { call, cause });
    }

    /// A call that rings nobody's ear: timed to its INVITE, then taken back.
    fn probe(&mut self, to: usize) {
        if self.probing.is_some() {
            return;
        }
        self.agent.arrived.clear();
        let began = Instant::now();
        let call = self.set_up(to, to, 9);
        self.probing = Some((call, began));
    }

    fn probed(&mut self) {
        let Some((call, began)) = self.probing else {
            return;
        };
        let Some((_, arrived)) = self.agent.arrived.first() else {
            return;
        };
        self.invites.push(*arrived - began);
        self.agent.arrived.clear();
        self.probing = None;
        let reference = self.next;
        self.next += 1;
        self.asked.insert(reference, Asked::Call);
        let cause = Cause::NORMAL;
        self.server
            .ask(reference, Command::CallRelease { call, cause });
    }

    fn turn(&mut self) -> Result<()> {
        self.agent.poll(Duration::ZERO);
        for told in self.server.turn()? {
            match told {
                Told::Done(reference, verdict) => self.done(reference, verdict),
                Told::Connected(call, sound) => self.connected.push((call, sound)),
            }
        }
        self.probed();
        self.pump.turn()
    }

    fn done(&mut self, reference: u64, verdict: Verdict) {
        match self.asked.remove(&reference) {
            Some(Asked::Question(asked)) => self.answers.push(asked.elapsed()),
            Some(Asked::Call) if self.probing.is_none() => {
                let taken = matches!(verdict, Verdict::Done | Verdict::Accepted);
                self.refused += u64::from(!taken);
            }
            Some(Asked::Call) | None => {}
        }
    }

    fn turn_for(&mut self, secs: f64) -> Result<()> {
        let end = Instant::now() + Duration::from_secs_f64(secs);
        while Instant::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<()> {
        let end = Instant::now() + GIVE_UP;
        while !done(self) {
            ensure!(Instant::now() < end, "waited in vain for {what}");
            self.turn()?;
        }
        Ok(())
    }
}
