//! What devices say, committed: one task stores the messages of all of them.
//!
//! They are gathered into common commits (`store::gather`), and what is alike goes into one
//! statement. Deliberately not here: what settings and events mean. Invariant: `Order::Stored` is given after the commit and never without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cloud_logic::ids::{CommandId, DeviceId};
use contract::document::{Counter, Moment};
use contract::down::{Ack, Stream};
use contract::topic::{Down, Subscribed};
use contract::up;
use model::Timestamp;
use tokio::sync::mpsc;

use super::Ground;
use super::figures::count;
use super::links::{Link, Order};
use super::rows::streams::Place;
use super::rows::{connections, streams};
use super::session::{Message, Number, Saying, Token, Why};
use crate::devices::{commands, twin};
use crate::store::{Gathered, StoreError, Tx, gather};

/// So many messages may wait; above it the connections wait, and with them the devices.
const WAITING: usize = 4096;

/// So many are committed at once.
const PORTION: usize = 1024;

/// Something of a device that is to be stored.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) link: Arc<Link>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Said {
        packet: Number,
        message: Message,
    },
    /// It has what was said to it.
    Delivered(Token),
    Subscribed(Subscribed),
}

pub(super) fn items() -> (mpsc::Sender<Item>, mpsc::Receiver<Item>) {
    mpsc::channel(WAITING)
}

/// Lives until all who could say something are gone.
pub(super) async fn run(ground: Arc<Ground>, items: mpsc::Receiver<Item>) {
    gather(&Ingest(ground), items, PORTION).await;
}

struct Ingest(Arc<Ground>);

impl Gathered for Ingest {
    type Item = Item;
    type Stored = (Marks, Timestamp);

    async fn store(&self, items: &mut [Item]) -> Result<Self::Stored, StoreError> {
        let now = self.0.core.now();
        Ok((store(&self.0, items, now).await?, now))
    }

    fn done(&self, items: Vec<Item>, stored: Result<Self::Stored, StoreError>) {
        match stored {
            Ok((marks, now)) => answer(&self.0, &items, &marks, now),
            Err(error) => refuse(&self.0, &items, &error),
        }
    }
}

/// How far streams are stored now.
type Marks = BTreeMap<(DeviceId, Stream), Place>;

async fn store(ground: &Ground, items: &[Item], now: Timestamp) -> Result<Marks, StoreError> {
    let mut portion = Portion::default();
    for Item { link, what } in items {
        portion.sort(link, what);
    }
    if portion.is_empty() {
        return Ok(Marks::new());
    }
    let mut tx = ground.core.store.write().await?;
    let mut heard = Heard::default();
    portion.outcomes(&mut tx, &mut heard, now).await?;
    portion.others(&mut tx, &mut heard, now).await?;
    portion.events(&mut tx, &mut heard, now).await?;
    tx.commit().await?;
    use std::sync::atomic::Ordering::Relaxed;
    ground.figures.stored.fetch_add(heard.stored, Relaxed);
    ground.figures.repeated.fetch_add(heard.repeated, Relaxed);
    count(&ground.figures.commits);
    Ok(heard.marks)
}

/// What there is in a portion, by how it is stored: of each kind as much as can be in one statement.
#[derive(Default)]
struct Portion<'a> {
    events: Vec<(DeviceId, &'a up::Event)>,
    outcomes: Vec<(DeviceId, &'a up::Outcome)>,
    delivered: BTreeSet<CommandId>,
    /// What comes seldom, in its order.
    others: Vec<(&'a Link, Other<'a>)>,
}

enum Other<'a> {
    Hello(&'a up::Hello),
    Reported(&'a up::Reported),
    Subscribed(Subscribed),
}

/// What came of a portion.
#[derive(Default)]
struct Heard {
    stored: u64,
    repeated: u64,
    marks: Marks,
    /// What listeners are told of, once per device and portion.
    news: BTreeSet<(DeviceId, &'static str)>,
}

impl Heard {
    fn counts(&mut self, is_new: bool) {
        *match is_new {
            true => &mut self.stored,
            false => &mut self.repeated,
        } += 1;
    }
}

impl<'a> Portion<'a> {
    fn sort(&mut self, link: &'a Link, what: &'a What) {
        let device = link.device();
        match what {
            What::Delivered(Token::Command(id)) => drop(self.delivered.insert(*id)),
            What::Delivered(Token::Desired(_)) => {}
            What::Subscribed(to) => self.others.push((link, Other::Subscribed(*to))),
            What::Said { message, .. } => match message {
                Message::Event(event) => self.events.push((device, event)),
                Message::Outcome(outcome) => self.outcomes.push((device, outcome)),
                Message::Hello(hello) => self.others.push((link, Other::Hello(hello))),
                Message::Reported(reported) => self.others.push((link, Other::Reported(reported))),
                // They say that the device is there, which its socket has said already.
                Message::Heartbeat(_) | Message::Will(_) => {}
            },
        }
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.outcomes.is_empty()
            && self.delivered.is_empty()
            && self.others.is_empty()
    }

    async fn outcomes(
        &self,
        tx: &mut Tx,
        heard: &mut Heard,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut told = commands::rows::Told::default();
        if !self.outcomes.is_empty() {
            told = commands::rows::told(tx, &self.outcomes, now).await?;
            heard.stored += told.news;
            heard.repeated += self.outcomes.len() as u64 - told.news;
        }
        // Of those that are over it is known by their outcome that they arrived.
        let mut delivered = self.delivered.difference(&told.over).copied().peekable();
        if delivered.peek().is_some() {
            commands::rows::acknowledged(tx, delivered, now).await?;
        }
        Ok(())
    }

    async fn others(
        &self,
        tx: &mut Tx,
        heard: &mut Heard,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Streams whose marks an answer tells.
        let mut asked = BTreeSet::new();
        for (link, other) in &self.others {
            let device = link.device();
            match other {
                Other::Subscribed(to) => {
                    connections::subscribe(tx, device, link.epoch, *to).await?;
                }
                Other::Hello(hello) => {
                    connections::hello(tx, device, link.epoch, hello, now).await?;
                    twin::rows::overtake(tx, device, hello.have.desired).await?;
                    asked.extend([(device, Stream::Reported), (device, Stream::Event)]);
                    heard.counts(true);
                }
                Other::Reported(reported) => {
                    let is_new = streams::reported(tx, device, reported, now).await?;
                    heard.counts(is_new);
                    if is_new {
                        heard.news.insert((device, "twin"));
                    }
                    asked.insert((device, Stream::Reported));
                }
            }
        }
        for (device, stream) in asked {
            if let Some(mark) = streams::mark(tx, device, stream).await? {
                heard.marks.insert((device, stream), mark);
            }
        }
        Ok(())
    }

    /// And what listeners are told of the whole portion.
    async fn events(
        &self,
        tx: &mut Tx,
        heard: &mut Heard,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut new = Vec::with_capacity(self.events.len());
        let mut moved = BTreeMap::new();
        if !self.events.is_empty() {
            let devices = self.events.iter().map(|(device, _)| *device).collect();
            let mut marks = streams::hold(tx, Stream::Event, &devices).await?;
            for &(device, event) in &self.events {
                let place = (event.boot.get(), event.seq.get());
                // A device that is no more has no stream.
                let Some(mark) = marks.get_mut(&device) else {
                    continue;
                };
                heard.counts(place > *mark);
                if place > *mark {
                    *mark = place;
                    moved.insert(device, place);
                    new.push((device, event));
                    heard.news.insert((device, "device_event"));
                }
            }
            let marks = marks.into_iter();
            heard
                .marks
                .extend(marks.map(|(device, mark)| ((device, Stream::Event), mark)));
        }
        let told: BTreeSet<_> = heard.news.iter().map(|(device, _)| *device).collect();
        if told.is_empty() {
            return Ok(());
        }
        let owners = connections::owners(tx, told).await?;
        streams::keep(tx, &new, &owners, now).await?;
        streams::move_to(tx, Stream::Event, &moved).await?;
        for (device, kind) in &heard.news {
            let whose = owners.get(device).map(|owner| owner.whose);
            connections::tell(tx, kind, *device, whose.unwrap_or_default(), now);
        }
        Ok(())
    }
}

/// The streams whose mark an answer to this message tells.
fn streams_of(message: &Message) -> &'static [Stream] {
    match message {
        Message::Hello(_) => &[Stream::Reported, Stream::Event],
        Message::Reported(_) => &[Stream::Reported],
        Message::Event(_) => &[Stream::Event],
        Message::Outcome(_) | Message::Heartbeat(_) | Message::Will(_) => &[],
    }
}

fn answer(ground: &Ground, items: &[Item], marks: &Marks, now: Timestamp) {
    let mut links = BTreeMap::new();
    for Item { link, what } in items {
        match what {
            What::Said { packet, message } => {
                if packet.is_some() {
                    link.order(Order::Stored(*packet));
                }
                if let Message::Hello(hello) = message {
                    link.settings.store(
                        hello.have.desired.get(),
                        std::sync::atomic::Ordering::Relaxed,
                    );
                    ground.delivery.settings(link.device());
                    for stream in [Stream::Reported, Stream::Event] {
                        links.insert((link.device(), stream), (link, (0, 0)));
                    }
                }
                for stream in streams_of(message) {
                    if let Some(mark) = marks.get(&(link.device(), *stream)) {
                        links.insert((link.device(), *stream), (link, *mark));
                    }
                }
            }
            What::Delivered(_) => {
                link.give_room(1);
                ground.delivery.room();
            }
            What::Subscribed(_) => {
                ground.delivery.commands();
                ground.delivery.settings(link.device());
            }
        }
    }
    let Ok(now) = Counter::new(now.unix_ms()).map(Moment) else {
        return;
    };
    for ((_, stream), (link, (boot, upto))) in links {
        let counters = (Counter::new(boot), Counter::new(upto));
        if let ((Ok(boot), Ok(upto)), true) = (counters, link.hears(Down::Ack)) {
            let ack = Ack {
                stream,
                boot,
                upto,
                now,
            };
            link.order(Order::Say(Box::new(Saying::Ack(ack)), None));
        }
    }
}

/// Nothing was stored, so nothing is acknowledged: the device says it again when it is back.
fn refuse(ground: &Ground, items: &[Item], error: &StoreError) {
    for item in items {
        count(&ground.figures.not_stored);
        item.link.end(Why::Leaving);
    }
    tracing::warn!(
        ?error,
        "messages of devices were not stored; their connections are ended"
    );
}
