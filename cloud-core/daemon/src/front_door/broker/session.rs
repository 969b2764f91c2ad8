//! MQTT as the core speaks it with a foreign broker: a client of version 5, as a machine.
//!
//! A message is acknowledged when it is told that it is stored, so that the broker brings again
//! what was not. Deliberately not here: sockets, time, whose message it is. Invariant: what is
//! under way in either direction is bounded by what both ends announced.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use contract::topic::{self, Up};
use contract::{DeviceName, limits};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Connection, ConnectionOptions, Event, role};
use mqtt_protocol_core::mqtt::packet::{
    GenericPacketTrait as _, MaximumPacketSize, MessageExpiryInterval, Packet, Property, Qos,
    ReceiveMaximum, SessionExpiryInterval, SubEntry, SubOpts, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, SubackReasonCode};

use super::super::links::Link;
use super::super::session::{Message, read};

/// Messages that the broker may bring before the first of them is stored: of many devices at once.
const RECEIVE: u16 = 500;

/// Seconds that the broker keeps what comes while this node is away.
const KEPT: u32 = 24 * 60 * 60;

/// Seconds between signs of life.
pub(super) const KEEP_ALIVE: u16 = 30;

/// Who the core is at the broker, and what it wants to hear there.
#[derive(Debug, Clone)]
pub(super) struct Wants {
    pub(super) name: String,
    pub(super) filters: Vec<String>,
    pub(super) kind: Kind,
}

/// What a connection to the broker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Messages that are stored: none may be missed.
    Work,
    /// Signs of life, which every node hears: what is missed comes again.
    Ears,
}

/// What the session wants done.
#[derive(Debug)]
pub(super) enum Output {
    Transmit(Vec<u8>),
    /// The broker serves what was asked for.
    Ready,
    Message {
        packet: Option<u16>,
        device: DeviceName,
        message: Message,
    },
}

/// Why the broker does not serve us.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the broker refuses the core ({0}): check certificate and rights of the core there")]
    Refused(ConnectReasonCode),
    #[error("the broker does not let the core read what devices say: check its rights there")]
    NotSubscribed,
    #[error("the broker ended the session")]
    Ended,
    #[error("the broker speaks no MQTT 5")]
    Protocol,
}

pub(super) struct Session {
    mqtt: Connection<role::Client>,
    wants: Wants,
    outputs: VecDeque<Output>,
    /// What was published and is not acknowledged, and who has a place for it.
    under_way: HashMap<u16, Arc<Link>>,
    /// What was no document, or of no device.
    pub(super) refused: u64,
}

impl Session {
    pub(super) fn new(wants: Wants) -> Self {
        let packet = u32::try_from(limits::PACKET).unwrap_or(u32::MAX);
        let options = ConnectionOptions::new().maximum_packet_size_recv(packet);
        let mut session = Self {
            mqtt: Connection::with_options(Version::V5_0, options),
            wants,
            outputs: VecDeque::new(),
            under_way: HashMap::new(),
            refused: 0,
        };
        let connect = session.connect(packet);
        session.send(connect);
        session
    }

    fn connect(&self, packet: u32) -> Option<Packet> {
        let work = self.wants.kind == Kind::Work;
        let mut properties: Vec<Property> = vec![
            ReceiveMaximum::new(RECEIVE).ok()?.into(),
            MaximumPacketSize::new(packet).ok()?.into(),
        ];
        if work {
            properties.push(SessionExpiryInterval::new(KEPT).ok()?.into());
        }
        let connect = v5_0::Connect::builder()
            .client_id(self.wants.name.as_str())
            .ok()?
            .clean_start(!work)
            .keep_alive(KEEP_ALIVE)
            .props(properties);
        connect.build().ok().map(Into::into)
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Octets from the broker.
    pub(super) fn received(&mut self, octets: &[u8]) -> Result<(), Broken> {
        let mut cursor = Cursor::new(octets);
        while usize::try_from(cursor.position()).is_ok_and(|at| at < octets.len()) {
            let before = cursor.position();
            for event in self.mqtt.recv(&mut cursor) {
                match event {
                    Event::NotifyPacketReceived(packet) => self.packet(packet)?,
                    Event::RequestSendPacket { packet, .. } => self.transmit(&packet),
                    Event::NotifyError(_) | Event::RequestClose => return Err(Broken::Protocol),
                    Event::NotifyPacketIdReleased(_)
                    | Event::RequestTimerCancel(_)
                    | Event::RequestTimerReset { .. } => {}
                }
            }
            if cursor.position() == before {
                return Err(Broken::Protocol);
            }
        }
        Ok(())
    }

    fn packet(&mut self, packet: Packet) -> Result<(), Broken> {
        match packet {
            Packet::V5_0Connack(connack) => match connack.reason_code() {
                ConnectReasonCode::Success => self.subscribe(),
                code => return Err(Broken::Refused(code)),
            },
            Packet::V5_0Suback(suback) => {
                let granted = |code: &SubackReasonCode| {
                    matches!(
                        code,
                        SubackReasonCode::GrantedQos0 | SubackReasonCode::GrantedQos1
                    )
                };
                if !suback.reason_codes().iter().all(granted) {
                    return Err(Broken::NotSubscribed);
                }
                self.outputs.push_back(Output::Ready);
            }
            Packet::V5_0Publish(publish) => {
                let payload = publish.payload();
                self.published(
                    publish.topic_name(),
                    publish.packet_id(),
                    payload.as_slice(),
                );
            }
            Packet::V5_0Puback(puback) => {
                if let Some(link) = self.under_way.remove(&puback.packet_id()) {
                    link.give_room(1);
                }
            }
            Packet::V5_0Disconnect(_) => return Err(Broken::Ended),
            // Nothing else is asked for, and what nobody asked for is none of ours.
            _ => {}
        }
        Ok(())
    }

    fn subscribe(&mut self) {
        let qos = match self.wants.kind {
            Kind::Work => Qos::AtLeastOnce,
            Kind::Ears => Qos::AtMostOnce,
        };
        let options = SubOpts::new().set_qos(qos);
        let entries: Result<Vec<_>, _> = (self.wants.filters.iter())
            .map(|filter| SubEntry::new(filter, options))
            .collect();
        let packet = entries.ok().and_then(|entries| {
            let id = self.mqtt.acquire_packet_id().ok()?;
            let subscribe = v5_0::Subscribe::builder().packet_id(id).entries(entries);
            subscribe.build().ok().map(Into::into)
        });
        self.send(packet);
    }

    fn published(&mut self, topic: &str, packet: Option<u16>, payload: &[u8]) {
        let of = |topic: &str| -> Option<(DeviceName, Up)> {
            let name: DeviceName = topic.split('/').nth(1)?.parse().ok()?;
            let channel = topic::published(&name, topic).ok()?;
            Some((name, channel))
        };
        let message = of(topic).and_then(|(device, channel)| {
            let message = read(channel, payload).ok()?;
            Some((device, message))
        });
        match message {
            Some((device, message)) => self.outputs.push_back(Output::Message {
                packet,
                device,
                message,
            }),
            // Brought again it would be no better.
            None => {
                self.refused += 1;
                self.stored(packet);
            }
        }
    }

    /// The message that came as `packet` is dealt with.
    pub(super) fn stored(&mut self, packet: Option<u16>) {
        let puback = packet.and_then(|id| v5_0::Puback::builder().packet_id(id).build().ok());
        if puback.is_some() {
            self.send(puback.map(Into::into));
        }
    }

    /// Says something to a device, for as long as it is worth anything. With a place taken at
    /// `link`, the broker confirms it; whether it goes.
    pub(super) fn say(
        &mut self,
        topic: String,
        payload: Vec<u8>,
        seconds: u32,
        link: Option<&Arc<Link>>,
    ) -> bool {
        let id = match link {
            None => None,
            Some(_) => match self.mqtt.acquire_packet_id() {
                Ok(id) => Some(id),
                Err(_) => return false,
            },
        };
        let qos = match id {
            Some(_) => Qos::AtLeastOnce,
            None => Qos::AtMostOnce,
        };
        let expiry = MessageExpiryInterval::new(seconds).ok().map(Property::from);
        let publish = v5_0::Publish::builder().topic_name(topic).ok();
        let publish = publish.and_then(|publish| {
            let publish = publish.qos(qos).packet_id(id).payload(payload);
            publish
                .props(expiry.into_iter().collect::<Vec<_>>())
                .build()
                .ok()
        });
        if let (Some(id), Some(link)) = (id, link) {
            self.under_way.insert(id, Arc::clone(link));
        }
        let sent = self.send(publish.map(Into::into));
        if let (false, Some(id)) = (sent, id) {
            self.under_way.remove(&id);
        }
        sent
    }

    /// A sign of life.
    pub(super) fn ping(&mut self) {
        let ping = v5_0::Pingreq::builder().build().ok();
        self.send(ping.map(Into::into));
    }

    pub(super) fn goodbye(&mut self) {
        let disconnect = v5_0::Disconnect::builder().build().ok();
        self.send(disconnect.map(Into::into));
    }

    /// Whether the packet leaves.
    fn send(&mut self, packet: Option<Packet>) -> bool {
        let Some(packet) = packet else { return false };
        let mut sent = true;
        for event in self.mqtt.send(packet) {
            match event {
                Event::RequestSendPacket { packet, .. } => self.transmit(&packet),
                Event::NotifyError(_) => sent = false,
                Event::NotifyPacketReceived(_)
                | Event::RequestClose
                | Event::NotifyPacketIdReleased(_)
                | Event::RequestTimerCancel(_)
                | Event::RequestTimerReset { .. } => {}
            }
        }
        sent
    }

    fn transmit(&mut self, packet: &Packet) {
        let octets = packet.to_continuous_buffer();
        self.outputs.push_back(Output::Transmit(octets));
    }
}
