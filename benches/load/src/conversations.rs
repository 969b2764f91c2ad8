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
use crate::alignment;
use crate::material::{Codec, Material};
use crate::process::Usage;
use crate::report::{Line, Samples, per};
use crate::secure::{Secure, Srtp};
use crate::stream::{Leg, Pump, Speech};
use crate::text::{audio_address, description, payload_type, random, speech_description};
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
    /// Two codecs, the caller's and the callee's, for calls that must be transcoded.
    #[arg(long, value_enum, value_delimiter = ',')]
    codecs: Vec<Codec>,
    /// What the callee's codec is called towards rtpengine, with clock rate, channels, bit rate,
    /// packet time, format parameters and options of the encoder.
    #[arg(long)]
    ng_callee: Option<String>,
    /// The same for the caller's codec.
    #[arg(long)]
    ng_caller: Option<String>,
    /// The caller speaks SRTP with the peer under load, the callee plain RTP.
    #[arg(long, value_enum)]
    srtp: Option<Srtp>,
}

impl Media {
    pub(crate) fn run(self) -> Result<()> {
        let ip = *self.parties.target.ip();
        let mut pump = Pump::new()?;
        let speech = self.materials()?;
        let mut setup = Setup::new(&self)?;
        let fresh = Usage::of(&self.peer.pid);
        for number in 0..self.calls.min(3000) {
            let began = Instant::now();
            let mut caller = Leg::new(ip, number < self.probe)?;
            let mut callee = Leg::new(ip, number < self.probe)?;
            if let Some((ours, theirs)) = &speech {
                caller.speech = Some(Speech::new(ours));
                callee.speech = Some(Speech::new(theirs));
            }
            caller.secure = self.srtp.map(Secure::new);
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
        pump.fall_silent();
        setup.hang_up(&mut pump)?;
        let cores = (after.cpu_seconds - before.cpu_seconds) / elapsed;
        self.report(&pump, &setup, cores, elapsed, after, fresh)?;
        setup.agent.unregister_all()
    }

    /// What callers and callees say, if not marks.
    fn materials(&self) -> Result<Option<(Rc<Material>, Rc<Material>)>> {
        let [caller, callee] = self.codecs[..] else {
            return Ok(None);
        };
        let (caller, callee) = (Material::new(caller)?, Material::new(callee)?);
        Ok(Some((Rc::new(caller), Rc::new(callee))))
    }

    fn report(
        &self,
        pump: &Pump,
        setup: &Setup<'_>,
        cores: f64,
        elapsed: f64,
        usage: Usage,
        fresh: Usage,
    ) -> Result<()> {
        let calls = (pump.legs.len() / 2) as f64;
        let (mut delays, mut gaps) = (Samples::default(), Samples::default());
        let (mut sent, mut received, mut lost) = (0, 0, 0);
        let (mut opus_octets, mut opus_packets, mut redundant) = (0, 0, 0);
        for leg in &pump.legs {
            delays.extend(&leg.counts.delays);
            if leg
                .speech
                .as_ref()
                .is_some_and(|speech| speech.material.codec == Codec::Opus)
            {
                opus_octets += leg.counts.octets;
                opus_packets += leg.counts.received;
                redundant += leg.counts.redundant;
            }
            gaps.extend(&leg.counts.gaps);
            sent += leg.counts.sent;
            received += leg.counts.received;
            lost += leg.counts.lost();
        }
        let rate = received as f64 / elapsed;
        let codec_delays = transcoding_delays(pump, &mut delays)?;
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
            .with("codec_delay_ms", json!(codec_delays))
            .with(
                "opus_kbit_per_s",
                per(opus_octets as f64 * 0.4, opus_packets as f64),
            )
            .with(
                "opus_redundant_pct",
                per(redundant as f64 * 100.0, opus_packets as f64),
            )
            .with("cores", cores)
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
        Ok(())
    }
}

fn answered(caller: &mut Leg, answer: &str) -> Result<()> {
    caller.remote = Some(audio_address(answer).context("no audio in the answer")?);
    match &mut caller.secure {
        None => Ok(()),
        Some(secure) => secure.agree(answer),
    }
}

/// Adds what the program delays the sound of probed legs, without the codecs; says what these
/// delay, in milliseconds, both ways.
fn transcoding_delays(pump: &Pump, delays: &mut Samples) -> Result<Vec<f64>> {
    let mut of_codecs = Vec::new();
    for pair in pump.legs.chunks_exact(2) {
        for (ear, mouth) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            let (Some(heard), Some(said)) = (&ear.speech, &mouth.speech) else {
                return Ok(of_codecs);
            };
            if said.said.at.is_empty() {
                return Ok(of_codecs);
            }
            let codecs = alignment::of_codecs(&said.material, heard.material.codec)?;
            if of_codecs.len() < 2 {
                of_codecs.push(codecs as f64 / 16.0);
            }
            let added = alignment::added(
                &said.material,
                heard.material.codec,
                &said.said,
                &heard.received,
                codecs,
            )?;
            added.into_iter().for_each(|delay| delays.push(delay));
        }
    }
    Ok(of_codecs)
}

/// The ports of the callee's leg go into the answer; the offer it got comes back.
#[derive(Debug, Default)]
struct Answering {
    port: u16,
    codec: Option<Codec>,
    /// Which number the offer gave to the codec.
    payload_type: Option<u8>,
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
            let Some(codec) = answering.codec else {
                return description(ip, answering.port);
            };
            answering.payload_type = payload_type(offer, codec.name());
            let number = answering.payload_type.unwrap_or(codec.payload_type());
            speech_description(ip, answering.port, number, codec.name())
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
            codec: callee.speech.as_ref().map(|speech| speech.material.codec),
            ..Answering::default()
        };
        let callee_name = self.load.parties.callee.clone();
        let id = self.agent.call(&callee_name, &self.offer(caller));
        let end = Instant::now() + self.agent.give_up;
        loop {
            self.turn(pump)?;
            match self.agent.calls.get(&id) {
                Some(call) if call.state == State::Up => {
                    answered(caller, &call.answer)?;
                    break;
                }
                Some(_) => ensure!(Instant::now() < end, "not answered"),
                None => bail!(
                    "refused: {:?}",
                    self.agent.done.last().map(|call| call.outcome)
                ),
            }
        }
        let (offered, number) = {
            let mut answering = self.answering.borrow_mut();
            (answering.offered.take(), answering.payload_type)
        };
        if let (Some(speech), Some(number)) = (&mut callee.speech, number) {
            speech.payload_type = number;
        }
        callee.remote = Some(offered.context("no audio in the offer")?);
        if caller.remote.map(|remote| remote.port()) == Some(callee.port()) {
            self.direct += 1;
        }
        self.ids.push(id);
        Ok(())
    }

    fn offer(&self, caller: &Leg) -> String {
        let plain = match &caller.speech {
            None => description(self.ip, caller.port()),
            Some(speech) => {
                let codec = speech.material.codec;
                speech_description(self.ip, caller.port(), speech.payload_type, codec.name())
            }
        };
        match &caller.secure {
            None => plain,
            Some(secure) => secure.offer(&plain),
        }
    }

    fn connect_ng(&mut self, number: usize, caller: &mut Leg, callee: &mut Leg) -> Result<()> {
        let id = format!("load{:016x}{number}", random());
        let offer = self.offer(caller);
        let mut tags = self.ng_codecs(caller, callee);
        if caller.secure.is_some() {
            tags += "18:transport-protocol7:RTP/AVP";
        }
        let seen_by_callee = self.ng("offer", &id, &offer, &tags)?;
        callee.remote = Some(audio_address(&seen_by_callee).context("no audio in the offer")?);
        let port = callee.port();
        let answer = match &mut callee.speech {
            None => description(self.ip, port),
            Some(speech) => {
                let name = speech.material.codec.name();
                let number = payload_type(&seen_by_callee, name);
                speech.payload_type = number.context("the callee's codec is not offered")?;
                speech_description(self.ip, port, speech.payload_type, name)
            }
        };
        let seen_by_caller = self.ng("answer", &id, &answer, "6:to-tag6:callee")?;
        answered(caller, &seen_by_caller)?;
        self.ids.push(id);
        Ok(())
    }

    /// To offer the callee's codec in place of the caller's, and to transcode between them.
    fn ng_codecs(&self, caller: &Leg, callee: &Leg) -> String {
        let (Some(caller), Some(callee)) = (&caller.speech, &callee.speech) else {
            return String::new();
        };
        let text = |s: &str| format!("{}:{s}", s.len());
        let named = |codec: Codec| codec.name().split('/').next().unwrap_or_default();
        let wanted = self.load.ng_callee.as_deref();
        let wanted = wanted.unwrap_or(named(callee.material.codec));
        let set = self.load.ng_caller.as_deref().map(text);
        let set = set.unwrap_or_default();
        format!(
            "5:codecd4:maskl{}e3:setl{set}e9:transcodel{}ee",
            text(named(caller.material.codec)),
            text(wanted)
        )
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
