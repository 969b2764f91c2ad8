//! MQTT 5 over TLS, by `rumqttc`. The only file that knows the library.
//!
//! What the library does not do is done here: no connection is ever made again by itself (the
//! machine decides when), nothing is kept over the end of one (the outbox keeps it), limits are those
//! of the link, and each PUBACK is brought back to the row that it is for. Measured, and the reason
//! for all of it: after a half-open link the library loses what it holds, without an error.
//!
//! Invariants: a [`Wire`] is one connection and ends with it; an acknowledgement is told at most once,
//! and only for what was sent on this connection.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use contract::DeviceName;
use contract::limits;
use contract::topic::{self, Down, Up};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, DisconnectReasonCode, LastWill, LastWillProperties, Packet, PubAckReason,
    SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{Outgoing, Proxy, ProxyAuth, ProxyType, TlsConfiguration, Transport};
use session::{Tag, Why};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::tls;
use crate::way::Way;

/// Half of what the core recommends: the library finds a silent link when the second ping is due.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const CONNECTS_WITHIN_SECONDS: u64 = 15;
/// Messages inside the library. What it holds is at risk; the rest waits in the outbox.
const INSIDE: usize = 10;
/// The core keeps the subscriptions for so long; without it the will would not wait.
const SESSION_SECONDS: u32 = 600;

/// A connection, made or being made.
#[derive(Debug)]
pub(crate) struct Wire {
    name: DeviceName,
    client: AsyncClient,
    heard: mpsc::Receiver<Result<Event, Box<ConnectionError>>>,
    /// What the library has no room for yet; the machine's window bounds it.
    waiting: VecDeque<Message>,
    /// Given to the library and not sent yet, in that order.
    given: VecDeque<Option<Tag>>,
    sent: HashMap<u16, Tag>,
    host: String,
    poller: JoinHandle<()>,
}

#[derive(Debug)]
struct Message {
    channel: Up,
    document: Vec<u8>,
    tag: Option<Tag>,
}

/// What a connection says.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Connected and subscribed.
    Connected,
    Acknowledged(Tag),
    Received {
        channel: Down,
        document: Vec<u8>,
    },
    /// The end of it, and what to tell people.
    Lost {
        why: Why,
        said: String,
    },
}

/// Where and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: DeviceName,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) way: Way,
}

impl Wire {
    pub(crate) fn connect(place: &Place, tls: rustls::ClientConfig, will: Vec<u8>) -> Self {
        let name = place.name;
        let mut options = MqttOptions::new(name.to_string(), place.host.clone(), place.port);
        let packet = u32::try_from(limits::PACKET).expect("64 KiB");
        let delay = u32::try_from(limits::WILL_DELAY.as_secs()).expect("half a minute");
        let properties = LastWillProperties {
            delay_interval: Some(delay),
            payload_format_indicator: None,
            message_expiry_interval: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        options
            .set_clean_start(true)
            .set_session_expiry_interval(Some(SESSION_SECONDS))
            .set_keep_alive(KEEP_ALIVE)
            .set_connection_timeout(CONNECTS_WITHIN_SECONDS)
            .set_max_packet_size(Some(packet))
            .set_receive_maximum(Some(limits::IN_FLIGHT))
            .set_outgoing_inflight_upper_limit(limits::IN_FLIGHT)
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(
                Arc::new(tls),
            )))
            .set_last_will(LastWill::new(
                Up::Will.topic(&name),
                will,
                QoS::AtLeastOnce,
                false,
                Some(properties),
            ));
        if let Some(proxy) = &place.way.proxy {
            options.set_proxy(Proxy {
                ty: ProxyType::Http,
                auth: match &proxy.login {
                    None => ProxyAuth::None,
                    Some((username, password)) => ProxyAuth::Basic {
                        username: username.clone(),
                        password: password.clone(),
                    },
                },
                addr: proxy.host.clone(),
                port: proxy.port,
            });
        }
        let (client, events) = AsyncClient::new(options, INSIDE);
        let (to, heard) = mpsc::channel(INSIDE);
        Self {
            name,
            client,
            heard,
            waiting: VecDeque::new(),
            given: VecDeque::new(),
            sent: HashMap::new(),
            host: place.host.clone(),
            poller: tokio::spawn(poll(events, to)),
        }
    }

    /// Hands over a message; it goes when there is room.
    pub(crate) fn publish(&mut self, channel: Up, document: Vec<u8>, tag: Option<Tag>) {
        self.waiting.push_back(Message {
            channel,
            document,
            tag,
        });
        self.push();
    }

    /// The next thing that is heard. Loses nothing when dropped before it is ready.
    pub(crate) async fn heard(&mut self) -> Heard {
        loop {
            self.push();
            let event = self.heard.recv().await;
            let heard = match event {
                Some(Ok(Event::Incoming(packet))) => self.incoming(packet),
                Some(Ok(Event::Outgoing(Outgoing::Publish(id)))) => {
                    if let Some(Some(tag)) = self.given.pop_front() {
                        self.sent.insert(id, tag);
                    }
                    None
                }
                Some(Ok(Event::Outgoing(_))) => None,
                Some(Err(error)) => Some(lost(&self.host, &error)),
                None => Some(Heard::Lost {
                    why: Why::Broken,
                    said: "the connection has ended".to_owned(),
                }),
            };
            if let Some(heard) = heard {
                return heard;
            }
        }
    }

    fn push(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            let topic = message.channel.topic(&self.name);
            let qos = match message.tag {
                Some(_) => QoS::AtLeastOnce,
                None => QoS::AtMostOnce,
            };
            let document = message.document.clone();
            if self
                .client
                .try_publish(topic, qos, false, document)
                .is_err()
            {
                self.waiting.push_front(message);
                return;
            }
            self.given.push_back(message.tag);
        }
    }

    fn incoming(&mut self, packet: Packet) -> Option<Heard> {
        match packet {
            Packet::ConnAck(_) => {
                let all = topic::all_down(&self.name);
                let asked = self.client.try_subscribe(all, QoS::AtLeastOnce);
                asked.err().map(|error| Heard::Lost {
                    why: Why::Broken,
                    said: error.to_string(),
                })
            }
            Packet::SubAck(answer) => Some(match answer.return_codes.first() {
                Some(SubscribeReasonCode::Success(_)) => Heard::Connected,
                other => Heard::Lost {
                    why: Why::Refused,
                    said: format!("the core does not let us listen to it: {other:?}"),
                },
            }),
            Packet::PubAck(answer) => {
                let tag = self.sent.remove(&answer.pkid)?;
                match answer.reason {
                    PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {}
                    // To send it again would not mend it.
                    PubAckReason::PayloadFormatInvalid => {
                        tracing::error!(?tag, "the core cannot read what was sent");
                    }
                    reason => {
                        return Some(Heard::Lost {
                            why: Why::Broken,
                            said: format!("the core does not take what was sent: {reason:?}"),
                        });
                    }
                }
                Some(Heard::Acknowledged(tag))
            }
            Packet::Publish(message) => {
                let topic = std::str::from_utf8(&message.topic).ok()?;
                let channel = Down::ALL
                    .into_iter()
                    .find(|down| down.topic(&self.name) == topic)?;
                Some(Heard::Received {
                    channel,
                    document: message.payload.to_vec(),
                })
            }
            _ => None,
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The socket goes with it.
        self.poller.abort();
    }
}

/// Turns the library's wheel in a task of its own: it must not be interrupted in the middle.
async fn poll(mut events: EventLoop, to: mpsc::Sender<Result<Event, Box<ConnectionError>>>) {
    loop {
        let event = events.poll().await.map_err(Box::new);
        // To go on after an error would connect again, at once.
        let over = event.is_err();
        if to.send(event).await.is_err() || over {
            return;
        }
    }
}

fn lost(host: &str, error: &ConnectionError) -> Heard {
    let refused = |said: &str| Heard::Lost {
        why: Why::Refused,
        said: said.to_owned(),
    };
    let broken = |said: String| Heard::Lost {
        why: Why::Broken,
        said,
    };
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::NotAuthorized
            | ConnectReturnCode::Banned
            | ConnectReturnCode::ClientIdentifierNotValid
            | ConnectReturnCode::BadUserNamePassword,
        ) => refused(
            "the core refuses this gateway: its certificate was revoked, or it was released; claim \
             it again",
        ),
        ConnectionError::ConnectionRefused(code) => {
            broken(format!("the core is there and takes nobody now: {code:?}"))
        }
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            match reason_code {
                DisconnectReasonCode::NotAuthorized
                | DisconnectReasonCode::AdministrativeAction => refused(
                    "the core has ended the connection: the certificate of this gateway was \
                         revoked, or it was released; claim it again",
                ),
                DisconnectReasonCode::SessionTakenOver => broken(
                    "somebody else connected as this gateway: two machines have the same \
                     identity; claim one of them again"
                        .to_owned(),
                ),
                other => broken(format!("the core has ended the connection: {other:?}")),
            }
        }
        ConnectionError::Tls(rumqttc::TlsError::Io(error)) => {
            broken(tls::told(host, error).to_string())
        }
        ConnectionError::Timeout(_) => broken(format!(
            "{host} does not answer; a firewall between may drop TCP to the port of MQTT"
        )),
        other => broken(other.to_string()),
    }
}
