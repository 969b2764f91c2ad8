//! A device with an outbox: what is not acknowledged is said again on the next connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use contract::topic::Up;
use contract::{DeviceName, limits};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Connection, Event, role};
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait as _, Packet, Qos, v5_0};
use mqtt_protocol_core::mqtt::result_code::ConnectReasonCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Ends the load: nothing new is said, what was said is brought home.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) struct Device {
    pub(crate) name: String,
    /// The highest message that was ever put on a wire.
    pub(crate) sent: AtomicI64,
    /// All up to here were acknowledged.
    pub(crate) acknowledged: AtomicI64,
}

impl Device {
    pub(crate) fn new(number: usize) -> Self {
        let name = format!("de-{number:026}");
        Self {
            name,
            sent: AtomicI64::new(0),
            acknowledged: AtomicI64::new(0),
        }
    }

    fn is_home(&self) -> bool {
        self.acknowledged.load(Ordering::SeqCst) == self.sent.load(Ordering::SeqCst)
    }

    /// Until it is asked to stop and all it said is acknowledged.
    pub(crate) async fn run(self: Arc<Self>, port: u16, stop: Stop) {
        while !(stop.is_asked() && self.is_home()) {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
                // However it ends, the next connection goes on.
                let _ = self.talk(stream, &stop).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn talk(&self, mut stream: TcpStream, stop: &Stop) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut mqtt = Connection::<role::Client>::new(Version::V5_0);
        let connect = v5_0::Connect::builder()
            .client_id(self.name.as_str())
            .expect("a name");
        let connect = connect
            .clean_start(true)
            .keep_alive(30)
            .build()
            .expect("a CONNECT");
        send(&mut stream, &mut mqtt, connect).await?;
        let name: DeviceName = self.name.parse().expect("a name of the link");
        let topic = Up::Event.topic(&name);
        let mut open = false;
        let mut next = self.acknowledged.load(Ordering::SeqCst) + 1;
        let mut under_way = HashMap::new();
        loop {
            while open && under_way.len() < usize::from(limits::IN_FLIGHT) {
                let again = next <= self.sent.load(Ordering::SeqCst);
                if stop.is_asked() && !again {
                    break;
                }
                self.sent.fetch_max(next, Ordering::SeqCst);
                let id = mqtt.acquire_packet_id().expect("fewer than there are");
                under_way.insert(id, next);
                let publish = v5_0::Publish::builder()
                    .topic_name(topic.as_str())
                    .expect("a topic");
                let publish = publish
                    .qos(Qos::AtLeastOnce)
                    .packet_id(id)
                    .payload(event(next));
                send(&mut stream, &mut mqtt, publish.build().expect("a PUBLISH")).await?;
                next += 1;
            }
            if stop.is_asked() && self.is_home() {
                return Ok(());
            }
            let mut octets = [0; 4096];
            let read = stream.read(&mut octets).await?;
            if read == 0 {
                return Ok(());
            }
            for packet in received(&mut mqtt, &octets[..read]) {
                match packet {
                    Packet::V5_0Connack(connack) => {
                        open = connack.reason_code() == ConnectReasonCode::Success;
                        if !open {
                            return Ok(());
                        }
                    }
                    Packet::V5_0Puback(puback) => {
                        let refused = puback.reason_code().is_some_and(|code| code.is_failure());
                        assert!(!refused, "{}: {puback}", self.name);
                        // The core answers in the order it was asked.
                        let seq = under_way.remove(&puback.packet_id()).expect("it was sent");
                        let before = self.acknowledged.fetch_max(seq, Ordering::SeqCst);
                        assert!(seq == before + 1, "{}: {seq} after {before}", self.name);
                    }
                    other => panic!("{}: {other}", self.name),
                }
            }
        }
    }
}

pub(crate) fn received(mqtt: &mut Connection<role::Client>, octets: &[u8]) -> Vec<Packet> {
    let mut cursor = Cursor::new(octets);
    let mut packets = Vec::new();
    while cursor.position() < octets.len() as u64 {
        for event in mqtt.recv(&mut cursor) {
            if let Event::NotifyPacketReceived(packet) = event {
                packets.push(packet);
            }
        }
    }
    packets
}

pub(crate) async fn send(
    stream: &mut TcpStream,
    mqtt: &mut Connection<role::Client>,
    packet: impl Into<Packet>,
) -> std::io::Result<()> {
    for event in mqtt.send(packet.into()) {
        if let Event::RequestSendPacket { packet, .. } = event {
            stream.write_all(&packet.to_continuous_buffer()).await?;
        }
    }
    Ok(())
}

fn event(seq: i64) -> String {
    format!(
        r#"{{"seq":{seq},"boot":1,"ts":1,"type":"call.ended","id":"01JZ5W3N8Q4V7X2K9M6T1R0PAC","data":{{"seconds":31}}}}"#
    )
}
