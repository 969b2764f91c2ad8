//! The sound of the site: every 20 ms each station hears those it is wired to.
//!
//! Microphones are browsers or files, loudspeakers too; ends on the network speak RTP. It follows
//! the circuits that the site tells and decides nothing. Inside, all sound is 16 kHz.

mod end;
mod files;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use legacy_protocols::number::Party;
use media::SampleRate;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::file::SoundEntry;
use crate::site::{Circuit, Stream, Voice};
use end::End;
use files::{Recorder, Speech};

pub(super) const RATE: SampleRate = SampleRate::Hz16000;
pub(super) const FRAME: usize = RATE.frame();
const TICK: Duration = Duration::from_millis(20);
/// Frames of a browser that wait; a browser that sends more is ahead of its own clock.
const MOST_WAITING: usize = 10;
/// Louder is somebody; softer is noise (-46 dBov).
const AUDIBLE: f32 = 160.0;
/// Orders that wait.
const ORDERS: usize = 1024;

pub(super) type Frame = [i16; FRAME];

#[derive(Debug)]
pub(super) enum Order {
    Wire(Circuit),
    Stream {
        end: usize,
        to: Option<Stream>,
    },
    /// A browser at this station listens; it is dropped when its queue is gone.
    Listen {
        station: Party,
        to: mpsc::Sender<Frame>,
    },
    Say {
        station: Party,
        frame: Box<Frame>,
    },
    Play {
        station: Party,
        file: PathBuf,
        done: Reply,
    },
    Record {
        station: Party,
        file: Option<PathBuf>,
        done: Reply,
    },
}

pub(super) type Reply = tokio::sync::oneshot::Sender<Result<()>>;

/// How loud it is at each station that hears something, in dBov.
pub(super) type Levels = BTreeMap<Party, f32>;

#[derive(Clone, Debug)]
pub(super) struct Handle {
    orders: mpsc::Sender<Order>,
    levels: watch::Receiver<Levels>,
}

impl Handle {
    pub(super) fn order(&self, order: Order) {
        // A second of orders that nobody has taken: there is no sound any more anyway.
        let _ = self.orders.try_send(order);
    }

    pub(super) fn levels(&self) -> Levels {
        self.levels.borrow().clone()
    }
}

/// Opens the ends on the network and starts the clock of the sound.
pub(super) async fn start(entry: SoundEntry, seed: u64) -> Result<(Handle, Vec<SocketAddr>)> {
    let mut ends = Vec::new();
    let mut places = Vec::new();
    for number in 0..entry.ends {
        let socket = UdpSocket::bind((entry.address, 0))
            .await
            .with_context(|| format!("sound cannot be had at {}", entry.address))?;
        places.push(socket.local_addr()?);
        ends.push(End::new(socket, seed.wrapping_add(u64::from(number))));
    }
    let (orders, ordered) = mpsc::channel(ORDERS);
    let (told, levels) = watch::channel(Levels::new());
    let plant = Plant {
        ends,
        circuits: BTreeMap::new(),
        mouths: BTreeMap::new(),
        ears: BTreeMap::new(),
        recorders: BTreeMap::new(),
        levels: told,
        ticks: 0,
    };
    tokio::spawn(plant.run(ordered));
    Ok((Handle { orders, levels }, places))
}

struct Plant {
    ends: Vec<End>,
    circuits: BTreeMap<u64, Circuit>,
    mouths: BTreeMap<Party, Mouth>,
    ears: BTreeMap<Party, Vec<mpsc::Sender<Frame>>>,
    recorders: BTreeMap<Party, Recorder>,
    levels: watch::Sender<Levels>,
    ticks: u64,
}

/// What is said at a station.
#[derive(Default)]
struct Mouth {
    waiting: std::collections::VecDeque<Frame>,
    speech: Option<Speech>,
}

impl Mouth {
    fn next(&mut self) -> Option<Frame> {
        if let Some(frame) = self.waiting.pop_front() {
            return Some(frame);
        }
        let next = self.speech.as_mut().and_then(Speech::next);
        if next.is_none() {
            self.speech = None;
        }
        next
    }
}

impl Plant {
    async fn run(mut self, mut ordered: mpsc::Receiver<Order>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                biased;
                order = ordered.recv() => match order {
                    Some(order) => self.take(order),
                    None => return,
                },
                _ = tick.tick() => self.tick(Instant::now()),
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Wire(circuit) if circuit.members.is_empty() => {
                self.circuits.remove(&circuit.id);
            }
            Order::Wire(circuit) => {
                self.circuits.insert(circuit.id, circuit);
            }
            Order::Stream { end, to } => {
                if let Some(end) = self.ends.get_mut(end) {
                    end.stream(to, Instant::now());
                }
            }
            Order::Listen { station, to } => self.ears.entry(station).or_default().push(to),
            Order::Say { station, frame } => {
                let mouth = self.mouths.entry(station).or_default();
                if mouth.waiting.len() >= MOST_WAITING {
                    mouth.waiting.pop_front();
                }
                mouth.waiting.push_back(*frame);
            }
            Order::Play {
                station,
                file,
                done,
            } => {
                let speech = Speech::read(&file);
                let read = speech.map(|speech| {
                    self.mouths.entry(station).or_default().speech = Some(speech);
                });
                // Who asked may have gone.
                let _ = done.send(read);
            }
            Order::Record {
                station,
                file,
                done,
            } => {
                let _ = done.send(self.record(station, file));
            }
        }
    }

    fn record(&mut self, station: Party, file: Option<PathBuf>) -> Result<()> {
        if let Some(recorder) = self.recorders.remove(&station) {
            recorder.finish()?;
        }
        if let Some(file) = file {
            self.recorders.insert(station, Recorder::begin(&file)?);
        }
        Ok(())
    }

    fn tick(&mut self, now: Instant) {
        self.ticks += 1;
        let said = self.said(now);
        let heard = self.mix(&said);
        for (index, end) in self.ends.iter_mut().enumerate() {
            let silence = [0; FRAME];
            let frame = heard.get(&Voice::End(index)).unwrap_or(&silence);
            end.say(frame, now);
        }
        let mut levels = Levels::new();
        for (voice, frame) in &heard {
            if let Voice::Station(station) = voice {
                levels.insert(*station, dbov(frame));
                self.hear(*station, frame);
            }
        }
        self.pause_recorders(&heard);
        if *self.levels.borrow() != levels {
            self.levels.send_replace(levels);
        }
    }

    /// What each voice says in these 20 ms; who says nothing is not there.
    fn said(&mut self, now: Instant) -> BTreeMap<Voice, Frame> {
        let mut said = BTreeMap::new();
        for (index, end) in self.ends.iter_mut().enumerate() {
            if let Some(frame) = end.hear(now) {
                said.insert(Voice::End(index), frame);
            }
        }
        for (station, mouth) in &mut self.mouths {
            if let Some(frame) = mouth.next() {
                said.insert(Voice::Station(*station), frame);
            }
        }
        self.mouths
            .retain(|_, mouth| !mouth.waiting.is_empty() || mouth.speech.is_some());
        let programmes = self.circuits.values().flat_map(|circuit| &circuit.members);
        let channels: Vec<u8> = programmes
            .filter_map(|member| match member.voice {
                Voice::Programme(channel) => Some(channel),
                Voice::Station(_) | Voice::End(_) => None,
            })
            .collect();
        for channel in channels {
            let frame = files::programme(channel, self.ticks);
            said.insert(Voice::Programme(channel), frame);
        }
        said
    }

    /// Who hears what. A circuit with a lower number comes first: a call before a programme.
    fn mix(&self, said: &BTreeMap<Voice, Frame>) -> BTreeMap<Voice, Frame> {
        let mut heard: BTreeMap<Voice, Frame> = BTreeMap::new();
        for circuit in self.circuits.values() {
            for listener in circuit.members.iter().filter(|member| member.part.hears) {
                if heard.contains_key(&listener.voice) {
                    continue;
                }
                let mut frame = [0; FRAME];
                let talkers = circuit.members.iter();
                let others = talkers.filter(|m| m.part.talks && m.voice != listener.voice);
                for other in others {
                    if let Some(voice) = said.get(&other.voice) {
                        add(&mut frame, voice);
                    }
                }
                heard.insert(listener.voice, frame);
            }
        }
        heard
    }

    fn hear(&mut self, station: Party, frame: &Frame) {
        if let Some(ears) = self.ears.get_mut(&station) {
            ears.retain(|ear| match ear.try_send(*frame) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => true,
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            });
            if ears.is_empty() {
                self.ears.remove(&station);
            }
        }
        if let Some(recorder) = self.recorders.get_mut(&station) {
            recorder.write(frame);
        }
    }

    /// A recording runs on while its station hears nothing, so that its time is real time.
    fn pause_recorders(&mut self, heard: &BTreeMap<Voice, Frame>) {
        for (station, recorder) in &mut self.recorders {
            if !heard.contains_key(&Voice::Station(*station)) {
                recorder.write(&[0; FRAME]);
            }
        }
    }
}

fn add(frame: &mut Frame, voice: &Frame) {
    for (sample, more) in frame.iter_mut().zip(voice) {
        *sample = sample.saturating_add(*more);
    }
}

fn dbov(frame: &Frame) -> f32 {
    let sum: f32 = frame.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
    let level = (sum / FRAME as f32).sqrt();
    if level < AUDIBLE {
        return -96.0;
    }
    (20.0 * (level / 32768.0).log10()).round()
}
