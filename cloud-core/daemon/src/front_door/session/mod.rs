//! MQTT as the core speaks it with one device: a machine around `mqtt-protocol-core`.
//!
//! It confines the device to its topics, answers what needs nobody else, hands messages
//! out, and acknowledges a message only when it is told that the message is stored.
//! Versions 3.1.1 and 5. Deliberately not here: sockets, rows, time; what a silence is
//! stands in `silence`, whoever owns the socket counts it. Invariant: after `Close`
//! nothing is said or heard any more.

mod connect;
mod first;
mod packets;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use cloud_logic::ids::CommandId;
use contract::down::{Ack, Command, Desired, Poke};
use contract::topic::{self, Subscribed, Up};
use contract::{DeviceName, document, up};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Connection, Event, TimerKind, role};
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait as _, Packet, Qos};
use mqtt_protocol_core::mqtt::{Version, connection::ConnectionOptions};

use connect::Refused;
pub(super) use connect::{Asked, SESSION};
use first::First;

/// Messages of a device that may wait for their commit. Above it nothing is read.
const UNANSWERED: usize = 64;

/// What a device said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Hello(up::Hello),
    Reported(up::Reported),
    Event(up::Event),
    Outcome(up::Outcome),
    Heartbeat(up::Heartbeat),
    Will(up::Will),
}

/// What the core says, and what it is called when the device has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Saying {
    Desired(Desired),
    Command(Command),
    Ack(Ack),
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a hint to fetch something; updates will give it")
    )]
    Poke(Poke),
}

impl Saying {
    /// Its channel and its document.
    pub(super) fn written(&self) -> (topic::Down, Result<Vec<u8>, document::WriteError>) {
        match self {
            Self::Desired(desired) => (topic::Down::Desired, document::write(desired)),
            Self::Command(command) => (topic::Down::Command, document::write(command)),
            Self::Ack(ack) => (topic::Down::Ack, document::write(ack)),
            Self::Poke(poke) => (topic::Down::Poke, document::write(poke)),
        }
    }
}

/// The number of a message that waits for its acknowledgement; `None` for QoS 0.
pub(super) type Number = Option<u16>;

/// What was said and is to be acknowledged by the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Command(CommandId),
    /// Settings of this revision.
    Desired(i64),
}

/// What the session wants done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    Transmit(Vec<u8>),
    /// A CONNECT that may be accepted: `accept` or `refuse` it.
    Asked(Asked),
    Message {
        packet: Number,
        message: Message,
    },
    /// The device's subscriptions are now these.
    Subscribed(Subscribed),
    /// The device acknowledged what was sent as `token`.
    Delivered {
        token: Token,
    },
    Close(Why),
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Why {
    /// The device said goodbye.
    Goodbye,
    /// What came is no MQTT, or not what may come now.
    Protocol,
    /// The device used a name, topic or will that is not its own.
    NotAllowed,
    Silence,
    TakenOver,
    /// The device may not be here any more.
    Barred,
    /// It reads slower than is said to it.
    SlowReader,
    /// The core ends, or cannot store.
    Leaving,
    /// The socket ended.
    Lost,
}

/// Why something could not be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SayError {
    #[error("the device has not asked for this channel")]
    NotSubscribed,
    #[error("as much is under way as the device can take")]
    Full,
    #[error("longer than a document or than the device takes")]
    TooLong,
    #[error("the session is not open")]
    NotOpen,
}

/// One device's session.
pub(super) struct Session {
    /// By its certificate, or, without one, as soon as it has said so.
    device: Option<DeviceName>,
    mqtt: Connection<role::Server>,
    phase: Phase,
    outputs: VecDeque<Output>,
    subscribed: Subscribed,
    /// What was sent and is not acknowledged: packet and token.
    under_way: HashMap<u16, Token>,
    unanswered: usize,
    /// Documents that were none.
    refused: u64,
    /// Why the connection ends, when the library says that it does.
    ending: Why,
}

enum Phase {
    First(First),
    Deciding(Asked),
    Open { keep_alive: Duration },
    Closed,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(device: Option<DeviceName>) -> Self {
        let limit = u32::try_from(contract::limits::PACKET).unwrap_or(u32::MAX);
        let options = ConnectionOptions::new().maximum_packet_size_recv(limit);
        let mut mqtt = Connection::with_options(Version::Undetermined, options);
        mqtt.set_auto_ping_response(true);
        Self {
            device,
            mqtt,
            phase: Phase::First(First::default()),
            outputs: VecDeque::new(),
            subscribed: Subscribed::default(),
            under_way: HashMap::new(),
            unanswered: 0,
            refused: 0,
            ending: Why::Protocol,
        }
    }

    pub(super) fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            // There is one for every device, and most say nothing most of the time.
            self.outputs = VecDeque::new();
        }
        output
    }

    /// Whether more octets may be handed in.
    pub(super) fn listens(&self) -> bool {
        match self.phase {
            Phase::First(_) => true,
            // What a hasty device sends before CONNACK waits in its socket.
            Phase::Deciding(_) | Phase::Closed => false,
            Phase::Open { .. } => self.unanswered < UNANSWERED,
        }
    }

    /// How long the device may be silent, once it was let in.
    pub(super) fn silence(&self) -> Option<Duration> {
        match self.phase {
            Phase::Open { keep_alive } => Some(keep_alive + keep_alive / 2),
            Phase::First(_) | Phase::Deciding(_) | Phase::Closed => None,
        }
    }

    pub(super) fn subscribed(&self) -> Subscribed {
        self.subscribed
    }

    /// How many messages more may be said with a token.
    pub(super) fn room(&self) -> usize {
        let device = self.mqtt.get_receive_maximum_vacancy_for_send();
        let ours = usize::from(contract::limits::IN_FLIGHT).saturating_sub(self.under_way.len());
        device.map_or(ours, |room| ours.min(usize::from(room)))
    }

    /// Documents that were refused since the last time this was asked.
    pub(super) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Octets from the device, one packet at a time; how many were taken.
    pub(super) fn received(&mut self, octets: &[u8]) -> usize {
        if !self.listens() {
            return 0;
        }
        if let Phase::First(first) = &mut self.phase
            && !first.passes(octets)
        {
            self.close(Why::Protocol);
            return octets.len();
        }
        let mut cursor = Cursor::new(octets);
        let events = self.mqtt.recv(&mut cursor);
        let failed = self.process(events);
        if failed {
            self.close(Why::Protocol);
        }
        usize::try_from(cursor.position())
            .unwrap_or(octets.len())
            .min(octets.len())
    }

    /// The answer to `Asked`: the device is let in.
    pub(super) fn accept(&mut self, session: Option<Subscribed>) {
        let Phase::Deciding(asked) = self.phase else {
            return;
        };
        self.subscribed = session.unwrap_or_default();
        self.phase = Phase::Open {
            keep_alive: asked.keep_alive,
        };
        let connack = packets::connack(self.version(), session.is_some(), &asked);
        self.send(connack);
    }

    /// The answer to `Asked`: it is not.
    pub(super) fn refuse(&mut self, why: Why) {
        if let Phase::Deciding(_) = self.phase {
            let refused = match why {
                Why::Barred => Refused::Barred,
                Why::NotAllowed => Refused::NotAllowed,
                Why::Goodbye
                | Why::Protocol
                | Why::Silence
                | Why::TakenOver
                | Why::SlowReader
                | Why::Leaving
                | Why::Lost => Refused::NotNow,
            };
            self.ending = why;
            self.send(packets::refusal(self.version(), refused));
            self.close(why);
        }
    }

    /// The message that came as `packet` is stored.
    pub(super) fn stored(&mut self, packet: Number) {
        if let (Phase::Open { .. }, Some(id)) = (&self.phase, packet) {
            self.unanswered = self.unanswered.saturating_sub(1);
            self.send(packets::puback(
                self.version(),
                id,
                packets::Verdict::Stored,
            ));
        }
    }

    /// Says something; `token` comes back when the device has it.
    pub(super) fn say(&mut self, saying: &Saying, token: Option<Token>) -> Result<(), SayError> {
        let (Phase::Open { .. }, Some(device)) = (&self.phase, self.device) else {
            return Err(SayError::NotOpen);
        };
        let (channel, written) = saying.written();
        if !self.subscribed.to(channel) {
            return Err(SayError::NotSubscribed);
        }
        let payload = written.map_err(|_| SayError::TooLong)?;
        let topic = channel.topic(&device);
        let packet = match token {
            None => None,
            Some(token) => {
                if self.room() == 0 {
                    return Err(SayError::Full);
                }
                let id = self.mqtt.acquire_packet_id().map_err(|_| SayError::Full)?;
                self.under_way.insert(id, token);
                Some(id)
            }
        };
        let publish = packets::publish(self.version(), topic, payload, packet);
        if self.send(publish) {
            return Ok(());
        }
        if let Some(id) = packet {
            self.under_way.remove(&id);
        }
        Err(SayError::TooLong)
    }

    /// Ends the session from this side, with a word to the device if its version has one.
    pub(super) fn end(&mut self, why: Why) {
        if let Phase::Open { .. } = self.phase {
            self.ending = why;
            self.send(packets::disconnect(self.version(), why));
        }
        self.close(why);
    }

    fn version(&self) -> Version {
        self.mqtt.get_protocol_version()
    }

    fn close(&mut self, why: Why) {
        if !matches!(self.phase, Phase::Closed) {
            self.phase = Phase::Closed;
            self.outputs.push_back(Output::Close(why));
        }
    }

    /// Whether the packet leaves.
    fn send(&mut self, packet: Option<Packet>) -> bool {
        let Some(packet) = packet else { return false };
        let events = self.mqtt.send(packet);
        let failed = events
            .iter()
            .any(|event| matches!(event, Event::NotifyError(_)));
        self.process(events);
        !failed
    }

    /// Whether the library found a fault.
    fn process(&mut self, events: Vec<Event>) -> bool {
        let mut failed = false;
        for event in events {
            match event {
                Event::NotifyPacketReceived(packet) => self.packet(packet),
                Event::RequestSendPacket { packet, .. } => {
                    self.outputs
                        .push_back(Output::Transmit(packet.to_continuous_buffer()));
                }
                Event::NotifyError(_) => failed = true,
                Event::RequestClose => self.close(self.ending),
                Event::NotifyPacketIdReleased(_)
                | Event::RequestTimerCancel(_)
                | Event::RequestTimerReset {
                    kind: TimerKind::PingreqSend | TimerKind::PingreqRecv | TimerKind::PingrespRecv,
                    ..
                } => {}
            }
        }
        failed
    }

    fn packet(&mut self, packet: Packet) {
        match packet {
            Packet::V3_1_1Connect(connect) => self.connect(Asked::v3(&connect, self.device)),
            Packet::V5_0Connect(connect) => self.connect(Asked::v5(&connect, self.device)),
            Packet::V3_1_1Publish(publish) => {
                let id = publish.packet_id();
                let payload = publish.payload().as_slice();
                self.published(
                    publish.topic_name(),
                    publish.qos(),
                    publish.retain(),
                    id,
                    payload,
                );
            }
            Packet::V5_0Publish(publish) => {
                let id = publish.packet_id();
                let payload = publish.payload().as_slice();
                self.published(
                    publish.topic_name(),
                    publish.qos(),
                    publish.retain(),
                    id,
                    payload,
                );
            }
            Packet::V3_1_1Puback(puback) => self.acknowledged(puback.packet_id()),
            Packet::V5_0Puback(puback) => self.acknowledged(puback.packet_id()),
            Packet::V3_1_1Subscribe(subscribe) => {
                self.subscribe(subscribe.packet_id(), subscribe.entries());
            }
            Packet::V5_0Subscribe(subscribe) => {
                self.subscribe(subscribe.packet_id(), subscribe.entries());
            }
            Packet::V3_1_1Unsubscribe(unsubscribe) => {
                let id = unsubscribe.packet_id();
                let filters: Vec<_> = unsubscribe.entries().iter().map(|e| e.as_str()).collect();
                self.unsubscribe(id, &filters);
            }
            Packet::V5_0Unsubscribe(unsubscribe) => {
                let id = unsubscribe.packet_id();
                let filters: Vec<_> = unsubscribe.entries().iter().map(|e| e.as_str()).collect();
                self.unsubscribe(id, &filters);
            }
            Packet::V3_1_1Disconnect(_) | Packet::V5_0Disconnect(_) => self.close(Why::Goodbye),
            Packet::V3_1_1Pingreq(_) | Packet::V5_0Pingreq(_) => {}
            // QoS 2 is announced as unsupported; the rest only a server may send.
            Packet::V3_1_1Pubrec(_)
            | Packet::V3_1_1Pubrel(_)
            | Packet::V3_1_1Pubcomp(_)
            | Packet::V5_0Pubrec(_)
            | Packet::V5_0Pubrel(_)
            | Packet::V5_0Pubcomp(_)
            | Packet::V5_0Auth(_)
            | Packet::V3_1_1Connack(_)
            | Packet::V3_1_1Suback(_)
            | Packet::V3_1_1Unsuback(_)
            | Packet::V3_1_1Pingresp(_)
            | Packet::V5_0Connack(_)
            | Packet::V5_0Suback(_)
            | Packet::V5_0Unsuback(_)
            | Packet::V5_0Pingresp(_) => self.end(Why::Protocol),
        }
    }

    fn connect(&mut self, asked: Result<Asked, Refused>) {
        match asked {
            Ok(asked) => {
                self.device = Some(asked.device);
                self.phase = Phase::Deciding(asked);
                self.outputs.push_back(Output::Asked(asked));
            }
            Err(refused) => {
                self.ending = Why::NotAllowed;
                self.send(packets::refusal(self.version(), refused));
                self.close(Why::NotAllowed);
            }
        }
    }

    fn published(&mut self, to: &str, qos: Qos, retain: bool, id: Number, payload: &[u8]) {
        if qos == Qos::ExactlyOnce || retain {
            let disconnect = packets::unsupported(self.version(), retain);
            self.send(disconnect);
            return self.close(Why::Protocol);
        }
        let own = self
            .device
            .and_then(|device| topic::published(&device, to).ok());
        let Some(channel) = own else {
            return self.foreign(id);
        };
        match read(channel, payload) {
            Ok(message) => {
                self.unanswered += usize::from(id.is_some());
                self.outputs.push_back(Output::Message {
                    packet: id,
                    message,
                });
            }
            Err(_) => {
                self.refused += 1;
                if let Some(id) = id {
                    let verdict = packets::Verdict::NoDocument;
                    self.send(packets::puback(self.version(), id, verdict));
                }
            }
        }
    }

    /// A topic that is not this device's: version 5 has a word for it.
    fn foreign(&mut self, id: Number) {
        match (self.version(), id) {
            (Version::V5_0, Some(id)) => {
                let verdict = packets::Verdict::NotAllowed;
                self.send(packets::puback(Version::V5_0, id, verdict));
            }
            (Version::V5_0 | Version::V3_1_1 | Version::Undetermined, _) => {
                self.end(Why::NotAllowed);
            }
        }
    }

    fn acknowledged(&mut self, id: u16) {
        if let Some(token) = self.under_way.remove(&id) {
            self.outputs.push_back(Output::Delivered { token });
        }
    }

    fn subscribe(&mut self, id: u16, entries: &[mqtt_protocol_core::mqtt::packet::SubEntry]) {
        let granted: Vec<_> = entries
            .iter()
            .map(|entry| {
                let device = self.device?;
                let channels = topic::subscribed(&device, entry.topic_filter()).ok()?;
                self.subscribed.add(channels);
                Some(entry.sub_opts().qos() != Qos::AtMostOnce)
            })
            .collect();
        let changed = granted.iter().any(Option::is_some);
        self.send(packets::suback(self.version(), id, &granted));
        if changed {
            self.outputs.push_back(Output::Subscribed(self.subscribed));
        }
    }

    fn unsubscribe(&mut self, id: u16, filters: &[&str]) {
        for filter in filters {
            if let Some(Ok(channels)) = self.device.map(|device| topic::subscribed(&device, filter))
            {
                self.subscribed.remove(channels);
            }
        }
        self.send(packets::unsuback(self.version(), id, filters.len()));
        self.outputs.push_back(Output::Subscribed(self.subscribed));
    }
}

/// What a device says on a channel.
pub(super) fn read(channel: Up, payload: &[u8]) -> Result<Message, document::ReadError> {
    match channel {
        Up::Hello => document::read(payload).map(Message::Hello),
        Up::Reported => document::read(payload).map(Message::Reported),
        Up::Event => document::read(payload).map(Message::Event),
        Up::Result => document::read(payload).map(Message::Outcome),
        Up::Heartbeat => document::read(payload).map(Message::Heartbeat),
        Up::Will => document::read(payload).map(Message::Will),
    }
}
