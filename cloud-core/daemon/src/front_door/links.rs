//! The devices whose sockets this node holds, and the way to each of them.
//!
//! Deliberately not here: rows. Invariant: there is at most one link per device, and to put
//! one in ends the other.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloud_logic::ids::DeviceId;
use cloud_logic::presence::Epoch;
use contract::topic::{Down, Subscribed};
use model::Timestamp;
use tokio::sync::{Notify, mpsc};

use super::credential::Credential;
use super::session::{Number, Saying, Token, Why};

/// How many orders may wait for a connection that is busy writing.
const ORDERS: usize = 64;

/// What a connection is told.
#[derive(Debug)]
pub(super) enum Order {
    /// A message is committed.
    Stored(Number),
    Say(Box<Saying>, Option<Token>),
}

/// What is told to the connection of the broker that a device is behind.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) device: DeviceId,
    pub(super) told: Result<Order, Why>,
}

/// The way to one connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) credential: Credential,
    pub(super) epoch: Epoch,
    /// A queue that has memory only while something is in it: there is one for every device.
    mail: Mutex<Mail>,
    ring: Notify,
    /// In place of the two, for a device behind a broker.
    mouth: Option<mpsc::Sender<Out>>,
    subscribed: AtomicU8,
    /// What may be said with a token before something is acknowledged.
    room: AtomicUsize,
    heard: AtomicI64,
    /// The revision of the settings that was said last.
    pub(super) settings: AtomicI64,
}

#[derive(Debug, Default)]
struct Mail {
    orders: VecDeque<Order>,
    end: Option<Why>,
}

impl Link {
    pub(super) fn new(credential: Credential, epoch: Epoch, now: Timestamp) -> Arc<Self> {
        Self::made(credential, epoch, now, None)
    }

    /// Of a device behind a broker, whose one connection it shares with all others.
    pub(super) fn behind(
        credential: Credential,
        epoch: Epoch,
        now: Timestamp,
        mouth: mpsc::Sender<Out>,
    ) -> Arc<Self> {
        Self::made(credential, epoch, now, Some(mouth))
    }

    fn made(
        credential: Credential,
        epoch: Epoch,
        now: Timestamp,
        mouth: Option<mpsc::Sender<Out>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            credential,
            epoch,
            mail: Mutex::default(),
            ring: Notify::new(),
            mouth,
            subscribed: AtomicU8::new(0),
            room: AtomicUsize::new(0),
            heard: AtomicI64::new(now.unix_ms()),
            settings: AtomicI64::new(-1),
        })
    }

    /// What the connection, and nobody else, is told next: its end before everything else. Nothing
    /// is lost when this is dropped.
    pub(super) async fn told(&self) -> Result<Order, Why> {
        loop {
            if let Some(told) = self.take() {
                return told;
            }
            self.ring.notified().await;
        }
    }

    /// As `told`, if there is anything now.
    pub(super) fn take(&self) -> Option<Result<Order, Why>> {
        let mut mail = self.mail();
        if let Some(why) = mail.end {
            return Some(Err(why));
        }
        let order = mail.orders.pop_front();
        if mail.orders.is_empty() {
            mail.orders = VecDeque::new();
        }
        order.map(Ok)
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        // It is whole between two statements.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn device(&self) -> DeviceId {
        self.credential.device
    }

    /// Tells the connection something. One that does not keep up is ended: a queue for it
    /// would be memory for whoever reads slowest.
    pub(super) fn order(&self, order: Order) {
        if self.mouth.is_some() {
            return self.tell_broker(Ok(order));
        }
        let mut mail = self.mail();
        if mail.orders.len() < ORDERS {
            mail.orders.push_back(order);
        } else {
            mail.end.get_or_insert(Why::SlowReader);
        }
        drop(mail);
        self.ring.notify_one();
    }

    /// Ends the connection; the first reason counts.
    pub(super) fn end(&self, why: Why) {
        self.mail().end.get_or_insert(why);
        self.ring.notify_one();
        if self.mouth.is_some() {
            self.tell_broker(Err(why));
        }
    }

    /// What does not go is lost, and comes again: as a message that is brought once more, or a
    /// command that is sent once more.
    fn tell_broker(&self, told: Result<Order, Why>) {
        let device = self.device();
        if let Some(mouth) = &self.mouth
            && mouth.try_send(Out { device, told }).is_err()
        {
            self.mail().end.get_or_insert(Why::SlowReader);
        }
    }

    pub(super) fn is_behind_broker(&self) -> bool {
        self.mouth.is_some()
    }

    pub(super) fn is_ending(&self) -> bool {
        self.mail().end.is_some()
    }

    pub(super) fn hears(&self, channel: Down) -> bool {
        Subscribed::from_bits(self.subscribed.load(Ordering::Relaxed)).to(channel)
    }

    pub(super) fn subscribes(&self, subscribed: Subscribed) {
        self.subscribed.store(subscribed.bits(), Ordering::Relaxed);
    }

    /// Takes a place for something that is to be acknowledged.
    pub(super) fn take_room(&self) -> bool {
        let taken = self
            .room
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |room| {
                room.checked_sub(1)
            });
        taken.is_ok()
    }

    pub(super) fn give_room(&self, places: usize) {
        self.room.fetch_add(places, Ordering::AcqRel);
    }

    pub(super) fn heard_at(&self, now: Timestamp) {
        self.heard.store(now.unix_ms(), Ordering::Relaxed);
    }

    pub(super) fn heard(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.heard.load(Ordering::Relaxed))
    }
}

/// All links of this node.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_device: Mutex<HashMap<DeviceId, Arc<Link>>>,
}

impl Links {
    /// Puts a link in and ends the one that was there.
    pub(super) fn put(&self, link: Arc<Link>) {
        let device = link.device();
        let older = self.locked().insert(device, link);
        if let Some(older) = older {
            older.end(Why::TakenOver);
        }
    }

    /// Takes a link out, if it is still the one that is there.
    pub(super) fn remove(&self, link: &Link) {
        let mut links = self.locked();
        if links
            .get(&link.device())
            .is_some_and(|there| there.epoch == link.epoch)
        {
            links.remove(&link.device());
        }
    }

    /// Forgets the devices behind a broker that is lost.
    pub(super) fn forget_behind(&self) {
        self.locked().retain(|_, link| !link.is_behind_broker());
    }

    pub(super) fn of(&self, device: DeviceId) -> Option<Arc<Link>> {
        self.locked().get(&device).cloned()
    }

    pub(super) fn count(&self) -> usize {
        self.locked().len()
    }

    pub(super) fn end_all(&self, why: Why) {
        for link in self.locked().values() {
            link.end(why);
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<Link>>> {
        // The map is whole between two statements: a panic elsewhere leaves nothing half done.
        self.by_device
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
