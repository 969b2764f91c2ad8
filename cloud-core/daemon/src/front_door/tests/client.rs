//! A device on the listener for tests that does what it is told, also what no device should.

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Connection, Event, role};
use mqtt_protocol_core::mqtt::packet::{
    GenericPacketTrait as _, Packet, Property, Qos, SessionExpiryInterval, SubEntry, SubOpts, v5_0,
};
use mqtt_protocol_core::mqtt::{Version, result_code::ConnectReasonCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

pub(super) struct Client {
    stream: TcpStream,
    mqtt: Connection<role::Client>,
    got: std::collections::VecDeque<Packet>,
    pub(super) session_present: bool,
}

impl Client {
    /// Connects; keeps its session for an hour.
    pub(super) async fn connect(door: &FrontDoor, device: &Known, clean: bool) -> Self {
        let stream = TcpStream::connect(door.plain_address().unwrap())
            .await
            .unwrap();
        let mqtt = Connection::new(Version::V5_0);
        let got = std::collections::VecDeque::new();
        let mut client = Self {
            stream,
            mqtt,
            got,
            session_present: false,
        };
        let expiry = Property::from(SessionExpiryInterval::new(3600).unwrap());
        let connect = v5_0::Connect::builder()
            .client_id(device.id.to_string())
            .unwrap()
            .clean_start(clean)
            .keep_alive(30)
            .props(vec![expiry])
            .build()
            .unwrap();
        client.send(connect).await;
        let Some(Packet::V5_0Connack(connack)) = client.next().await else {
            panic!("no CONNACK")
        };
        assert_eq!(connack.reason_code(), ConnectReasonCode::Success);
        client.session_present = connack.session_present();
        client
    }

    pub(super) async fn send(&mut self, packet: impl Into<Packet>) {
        for event in self.mqtt.send(packet.into()) {
            if let Event::RequestSendPacket { packet, .. } = event {
                self.stream
                    .write_all(&packet.to_continuous_buffer())
                    .await
                    .unwrap();
            }
        }
    }

    /// What comes next; `None` when the other end has closed.
    pub(super) async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.got.pop_front() {
                return Some(packet);
            }
            let mut octets = [0; 4096];
            let read = timeout(Duration::from_secs(20), self.stream.read(&mut octets)).await;
            let read = read.expect("something comes").unwrap_or(0);
            if read == 0 {
                return None;
            }
            let mut cursor = Cursor::new(&octets[..read]);
            while cursor.position() < read as u64 {
                for event in self.mqtt.recv(&mut cursor) {
                    if let Event::NotifyPacketReceived(packet) = event {
                        self.got.push_back(packet);
                    }
                }
            }
        }
    }

    pub(super) async fn subscribe(&mut self, device: &Known) {
        let id = self.mqtt.acquire_packet_id().unwrap();
        let options = SubOpts::new().set_qos(Qos::AtLeastOnce);
        let filter = contract::topic::all_down(&device.name());
        let entries = vec![SubEntry::new(filter, options).unwrap()];
        let subscribe = v5_0::Subscribe::builder().packet_id(id).entries(entries);
        self.send(subscribe.build().unwrap()).await;
        assert!(matches!(self.next().await, Some(Packet::V5_0Suback(_))));
    }

    pub(super) async fn publish(&mut self, topic: &str, payload: &str) {
        let id = self.mqtt.acquire_packet_id().unwrap();
        let publish = v5_0::Publish::builder()
            .topic_name(topic)
            .unwrap()
            .qos(Qos::AtLeastOnce);
        let publish = publish
            .packet_id(id)
            .payload(payload.to_owned())
            .build()
            .unwrap();
        self.send(publish).await;
    }

    /// The next message to the device: topic's last part, packet, document.
    pub(super) async fn message(&mut self) -> (String, Option<u16>, serde_json::Value) {
        loop {
            match self.next().await.expect("the connection is up") {
                Packet::V5_0Publish(publish) => {
                    let channel = publish.topic_name().rsplit('/').next().unwrap().to_owned();
                    let document = serde_json::from_slice(publish.payload().as_slice()).unwrap();
                    return (channel, publish.packet_id(), document);
                }
                Packet::V5_0Puback(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) async fn acknowledge(&mut self, packet: Option<u16>) {
        let puback = v5_0::Puback::builder()
            .packet_id(packet.unwrap())
            .build()
            .unwrap();
        self.send(puback).await;
    }

    /// Until the other end closes: what it said last.
    pub(super) async fn end(&mut self) -> Option<Packet> {
        let mut last = None;
        while let Some(packet) = self.next().await {
            last = Some(packet);
        }
        last
    }
}
