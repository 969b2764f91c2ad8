//! What devices say, committed: one task stores the messages of all of them.
//!
//! While one transaction commits the next one gathers, so that many devices share one write
//! to the disk and a single one waits for nobody. Deliberately not here: what settings and
//! events mean. Invariant: `Order::Stored` is given after the commit and never without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cloud_logic::ids::DeviceId;
use contract::document::{Counter, Moment};
use contract::down::{Ack, Stream};
use contract::topic::Down;
use model::Timestamp;
use tokio::sync::mpsc;

use super::Ground;
use super::figures::count;
use super::links::{Link, Order};
use super::rows::{connections, streams};
use super::session::{Message, Number, Saying, Token, Why};
use crate::devices::{commands, twin};
use crate::store::{StoreError, Tx};

/// So many messages may wait; above it the connections wait, and with them the devices.
const WAITING: usize = 4096;

/// So many are committed at once.
const PORTION: usize = 500;

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
    Subscribed(contract::topic::Subscribed),
}

pub(super) fn items() -> (mpsc::Sender<Item>, mpsc::Receiver<Item>) {
    mpsc::channel(WAITING)
}

/// Lives until all who could say something are gone.
pub(super) async fn run(ground: Arc<Ground>, mut items: mpsc::Receiver<Item>) {
    let mut portion = Vec::new();
    while items.recv_many(&mut portion, PORTION).await > 0 {
        let now = ground.core.now();
        match store(&ground, &portion, now).await {
            Ok(marks) => answer(&ground, &portion, &marks, now),
            Err(error) if portion.len() == 1 => refuse(&ground, &portion, &error),
            // One of them may be what the store does not take: each on its own.
            Err(_) => {
                for item in std::mem::take(&mut portion) {
                    let item = [item];
                    match store(&ground, &item, now).await {
                        Ok(marks) => answer(&ground, &item, &marks, now),
                        Err(error) => refuse(&ground, &item, &error),
                    }
                }
            }
        }
        portion.clear();
    }
}

/// How far streams are stored now.
type Marks = BTreeMap<(DeviceId, Stream), (i64, i64)>;

async fn store(ground: &Ground, items: &[Item], now: Timestamp) -> Result<Marks, StoreError> {
    let mut tx = ground.core.store.write().await?;
    let mut marks = Marks::new();
    // Those that a message does not tell by itself.
    let mut asked = BTreeSet::new();
    let mut news = BTreeSet::new();
    let mut stored = 0;
    let mut repeated = 0;
    for Item { link, what } in items {
        let device = link.device();
        match what {
            What::Delivered(Token::Command(id)) => {
                commands::rows::acknowledged(&mut tx, *id, now).await?;
            }
            What::Delivered(Token::Desired(_)) => {}
            What::Subscribed(subscribed) => {
                connections::subscribe(&mut tx, device, link.epoch, *subscribed).await?;
            }
            What::Said { message, .. } => {
                let heard = said(&mut tx, link, message, now).await?;
                match (place_of(message), &heard) {
                    (Some((stream, mark)), Said::News(_)) => {
                        marks.insert((device, stream), mark);
                    }
                    (Some(_), Said::Known) | (None, _) => {
                        asked.extend(streams_of(message).iter().map(|stream| (device, *stream)));
                    }
                }
                match heard {
                    Said::News(kind) => {
                        stored += 1;
                        news.extend(kind.map(|kind| (device, kind)));
                    }
                    Said::Known => repeated += 1,
                }
            }
        }
    }
    for (device, stream) in asked {
        if let Some(mark) = streams::mark(&mut tx, device, stream).await? {
            marks.insert((device, stream), mark);
        }
    }
    for (device, kind) in news {
        let whose = connections::whose(&mut tx, device)
            .await?
            .unwrap_or_default();
        connections::tell(&mut tx, kind, device, whose, now);
    }
    tx.commit().await?;
    use std::sync::atomic::Ordering::Relaxed;
    ground.figures.stored.fetch_add(stored, Relaxed);
    ground.figures.repeated.fetch_add(repeated, Relaxed);
    count(&ground.figures.commits);
    Ok(marks)
}

/// The place of a message in its stream: where the stream's mark is when the message is new.
fn place_of(message: &Message) -> Option<(Stream, (i64, i64))> {
    match message {
        Message::Reported(reported) => {
            let place = (reported.boot.get(), reported.seq.get());
            Some((Stream::Reported, place))
        }
        Message::Event(event) => Some((Stream::Event, (event.boot.get(), event.seq.get()))),
        Message::Hello(_) | Message::Outcome(_) | Message::Heartbeat(_) | Message::Will(_) => None,
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

enum Said {
    /// Something that listeners are told of, once per device and portion.
    News(Option<&'static str>),
    Known,
}

async fn said(
    tx: &mut Tx,
    link: &Link,
    message: &Message,
    now: Timestamp,
) -> Result<Said, StoreError> {
    let device = link.device();
    let news = match message {
        Message::Hello(hello) => {
            connections::hello(tx, device, link.epoch, hello, now).await?;
            twin::rows::overtake(tx, device, hello.have.desired).await?;
            return Ok(Said::News(None));
        }
        Message::Event(event) => streams::event(tx, device, event, now)
            .await?
            .then_some(Some("device_event")),
        Message::Reported(reported) => streams::reported(tx, device, reported, now)
            .await?
            .then_some(Some("twin")),
        Message::Outcome(outcome) => commands::rows::told(tx, device, outcome, now)
            .await?
            .then_some(None),
        // They say that the device is there, which its socket has said already.
        Message::Heartbeat(_) | Message::Will(_) => return Ok(Said::News(None)),
    };
    Ok(news.map_or(Said::Known, Said::News))
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
                ground.delivery.commands();
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
