//! The devices behind the broker: whose message it is, and which connection it belongs to.
//!
//! A hello is an arrival, as at our own door. Whatever else a device says belongs to the connection
//! that its row tells, which the node that did the work before may have written. Invariant: what a
//! device says while its connection is looked up waits, in its order.

use std::collections::HashMap;
use std::sync::Arc;

use cloud_logic::ids::DeviceId;
use cloud_logic::presence::{Epoch, Numbers};
use contract::{DeviceName, limits};
use tokio::sync::{mpsc, oneshot};

use super::super::Ground;
use super::super::credential::Credential;
use super::super::hall::{Call, Sign};
use super::super::ingest::{Item, What};
use super::super::links::{Link, Order};
use super::super::rows::connections;
use super::super::session::{Asked, Message, SESSION, Saying, Why};
use super::session::Session;
use super::{Broker, Lost};

/// How often a device behind a broker gives a sign of life, if one of them may be lost.
const KEEP_ALIVE: std::time::Duration = limits::HEARTBEAT.saturating_mul(2);

/// Seconds that an acknowledgement is worth something, and settings are.
const ACK_SECONDS: u32 = 60;
const SETTINGS_SECONDS: u32 = 24 * 60 * 60;

/// The number of a message of the broker, and what it says.
type Said = (Option<u16>, Message);

/// The connection that a device's messages belong to, or why it has none.
pub(super) type Found = (DeviceId, Result<Epoch, Why>);

pub(super) struct Crowd {
    ground: Arc<Ground>,
    /// Bounded by what the broker may bring before anything is stored.
    looked_up: HashMap<DeviceId, Vec<Said>>,
    found: mpsc::Sender<Found>,
    finding: mpsc::Receiver<Found>,
}

impl Crowd {
    pub(super) fn new(ground: Arc<Ground>) -> Self {
        let (found, finding) = mpsc::channel(64);
        Self {
            ground,
            looked_up: HashMap::new(),
            found,
            finding,
        }
    }

    /// A device says something.
    pub(super) async fn says(
        &mut self,
        name: DeviceName,
        packet: Option<u16>,
        message: Message,
    ) -> Result<(), Lost> {
        let Ok(device) = name.to_string().parse::<DeviceId>() else {
            return Ok(());
        };
        if let Some(waiting) = self.looked_up.get_mut(&device) {
            waiting.push((packet, message));
            return Ok(());
        }
        let hello = matches!(message, Message::Hello(_));
        let link = self
            .ground
            .links
            .of(device)
            .filter(|link| !link.is_ending());
        if let (Some(link), false) = (link, hello) {
            return self.store(link, (packet, message)).await;
        }
        self.looked_up.insert(device, vec![(packet, message)]);
        let (ground, found) = (Arc::clone(&self.ground), self.found.clone());
        tokio::spawn(async move {
            let epoch = look_up(&ground, device, name, hello).await;
            // Fails only when the connection to the broker has ended.
            let _ = found.send((device, epoch)).await;
        });
        Ok(())
    }

    pub(super) async fn finds(&mut self) -> Option<Found> {
        self.finding.recv().await
    }

    /// Goes on with what waited; the numbers of what is of no use and is not to come again.
    pub(super) async fn found(&mut self, (device, epoch): Found) -> Result<Vec<Option<u16>>, Lost> {
        let waiting = self.looked_up.remove(&device).unwrap_or_default();
        let numbers = |waiting: Vec<Said>| waiting.into_iter().map(|(packet, _)| packet).collect();
        let epoch = match epoch {
            Ok(epoch) => epoch,
            Err(Why::Leaving) => return Err(Lost::NotStored),
            // A device that nobody owns, or whose certificates are void.
            Err(_) => return Ok(numbers(waiting)),
        };
        let broker = self.ground.broker.as_ref();
        let Some(link) = broker.and_then(|broker| broker.link(&self.ground, device, epoch)) else {
            return Err(Lost::NotStored);
        };
        for said in waiting {
            self.store(Arc::clone(&link), said).await?;
        }
        Ok(Vec::new())
    }

    async fn store(&self, link: Arc<Link>, (packet, message): Said) -> Result<(), Lost> {
        link.heard_at(self.ground.core.now());
        let what = What::Said { packet, message };
        let item = Item { link, what };
        let stored = self.ground.items.send(item).await;
        stored.map_err(|_| Lost::NotStored)
    }

    /// A device gives a sign of life, or its will was published.
    pub(super) async fn gives_sign(&self, name: DeviceName, message: &Message) {
        let sign = match message {
            Message::Heartbeat(_) => Sign::Heartbeat,
            Message::Will(will) => Sign::Will(Numbers {
                boot: will.boot,
                conn: will.conn,
            }),
            Message::Hello(_) | Message::Reported(_) | Message::Event(_) | Message::Outcome(_) => {
                return;
            }
        };
        if let Ok(device) = name.to_string().parse() {
            // Fails only when the core ends.
            let _ = self.ground.calls.send(Call::Signed { device, sign }).await;
        }
    }

    /// Does what the link to a device is told.
    pub(super) fn obey(&self, session: &mut Session, device: DeviceId, order: Order) {
        match order {
            Order::Stored(packet) => session.stored(packet),
            Order::Say(saying, token) => {
                let Ok(name) = device.to_string().parse::<DeviceName>() else {
                    return;
                };
                let link = self.ground.links.of(device);
                let link = link.as_ref().filter(|_| token.is_some());
                let (channel, written) = saying.written();
                let sent = written.is_ok_and(|payload| {
                    session.say(channel.topic(&name), payload, self.life(&saying), link)
                });
                if let (false, Some(link)) = (sent, link) {
                    link.give_room(1);
                }
            }
        }
    }

    /// Seconds after which the broker need not deliver it any more.
    fn life(&self, saying: &Saying) -> u32 {
        match saying {
            Saying::Command(command) => {
                let left = command.expires.0.get() - self.ground.core.now().unix_ms();
                u32::try_from(left / 1000).unwrap_or(0).max(1)
            }
            Saying::Desired(_) => SETTINGS_SECONDS,
            Saying::Ack(_) | Saying::Poke(_) => ACK_SECONDS,
        }
    }
}

/// The connection that is current: the one the device's row tells, or a new one.
async fn look_up(
    ground: &Ground,
    device: DeviceId,
    name: DeviceName,
    hello: bool,
) -> Result<Epoch, Why> {
    if !hello {
        let mut tx = ground.core.store.read().await.map_err(|_| Why::Leaving)?;
        let held = connections::held(&mut tx, Broker::node(), device).await;
        if let Some(held) = held.map_err(|_| Why::Leaving)? {
            return Ok(held.epoch);
        }
    }
    let asked = Asked {
        version: 5,
        clean: false,
        keep_alive: KEEP_ALIVE,
        session: SESSION,
        will: None,
        unnamed: false,
        device: name,
    };
    let (answer, answered) = oneshot::channel();
    let call = Call::Arrival {
        credential: Credential::vouched(device),
        shown: None,
        asked,
        at: Broker::node(),
        answer,
    };
    ground.calls.send(call).await.map_err(|_| Why::Leaving)?;
    let arrived = answered.await.unwrap_or(Err(Why::Leaving))?;
    Ok(arrived.epoch)
}
