//! A device that does what it is told, and goes to another node when its own is gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contract::topic::{self, Down, Up};
use contract::{DeviceName, down};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::connection::{Connection, role};
use mqtt_protocol_core::mqtt::packet::{
    Packet, Property, Qos, SessionExpiryInterval, SubEntry, SubOpts, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::ConnectReasonCode;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::device::{received, send};

/// What a device has seen of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// So often it came.
    pub(crate) came: u32,
    /// So often it was carried out.
    pub(crate) done: u32,
}

pub(crate) struct Obedient {
    pub(crate) name: String,
    /// Of the nodes, the nearest first.
    ports: [u16; 2],
    /// Of the node that has let it in; 0 while there is none.
    at: AtomicU16,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    seen: BTreeMap<String, Seen>,
    /// Ids of commands whose results are not acknowledged.
    results: VecDeque<String>,
}

impl Obedient {
    pub(crate) fn new(number: usize, ports: [u16; 2]) -> Self {
        Self {
            name: format!("de-{number:026}"),
            ports,
            at: AtomicU16::new(0),
            memory: Mutex::default(),
        }
    }

    pub(crate) fn at(&self) -> u16 {
        self.at.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> BTreeMap<String, Seen> {
        self.memory.lock().expect("no panic").seen.clone()
    }

    /// Until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        for port in self.ports.into_iter().cycle() {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
                // However it ends, the next connection goes on.
                let _ = self.talk(stream, port).await;
                self.at.store(0, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn talk(&self, mut stream: TcpStream, port: u16) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut mqtt = Connection::<role::Client>::new(Version::V5_0);
        let hour = Property::from(SessionExpiryInterval::new(3600).expect("an hour"));
        let connect = v5_0::Connect::builder()
            .client_id(self.name.as_str())
            .expect("a name");
        let connect = connect
            .clean_start(false)
            .keep_alive(30)
            .props(vec![hour])
            .build();
        send(&mut stream, &mut mqtt, connect.expect("a CONNECT")).await?;
        let name: DeviceName = self.name.parse().expect("a name of the link");
        let mut under_way = BTreeMap::new();
        loop {
            let mut octets = [0; 4096];
            let read = stream.read(&mut octets).await?;
            if read == 0 {
                return Ok(());
            }
            for packet in received(&mut mqtt, &octets[..read]) {
                match packet {
                    Packet::V5_0Connack(connack) => {
                        if connack.reason_code() != ConnectReasonCode::Success {
                            return Ok(());
                        }
                        let id = mqtt.acquire_packet_id().expect("the first");
                        let options = SubOpts::new().set_qos(Qos::AtLeastOnce);
                        let entry = SubEntry::new(topic::all_down(&name), options);
                        let subscribe = v5_0::Subscribe::builder()
                            .packet_id(id)
                            .entries(vec![entry.expect("a filter")]);
                        let subscribe = subscribe.build().expect("a SUBSCRIBE");
                        send(&mut stream, &mut mqtt, subscribe).await?;
                    }
                    Packet::V5_0Suback(_) => self.at.store(port, Ordering::SeqCst),
                    Packet::V5_0Publish(publish) => {
                        assert_eq!(publish.topic_name(), Down::Command.topic(&name));
                        self.obey(publish.payload().as_slice());
                        let id = publish.packet_id().expect("of QoS 1");
                        let puback = v5_0::Puback::builder().packet_id(id).build();
                        send(&mut stream, &mut mqtt, puback.expect("a PUBACK")).await?;
                    }
                    Packet::V5_0Puback(puback) => {
                        let told: String =
                            under_way.remove(&puback.packet_id()).expect("it was sent");
                        let mut memory = self.memory.lock().expect("no panic");
                        memory.results.retain(|waiting| *waiting != told);
                    }
                    Packet::V5_0Disconnect(_) => return Ok(()),
                    other => panic!("{}: {other}", self.name),
                }
            }
            while let Some(command) = self.untold(&under_way) {
                let id = mqtt.acquire_packet_id().expect("fewer than there are");
                let publish = v5_0::Publish::builder()
                    .topic_name(Up::Result.topic(&name))
                    .expect("a topic");
                let publish = publish
                    .qos(Qos::AtLeastOnce)
                    .packet_id(id)
                    .payload(format!(r#"{{"cmd":"{command}","state":"done"}}"#));
                under_way.insert(id, command);
                send(&mut stream, &mut mqtt, publish.build().expect("a PUBLISH")).await?;
            }
        }
    }

    /// A command of that id is carried out once, and answered each time (rule 5 of the link).
    fn obey(&self, document: &[u8]) {
        let command: down::Command = contract::document::read(document).expect("a command");
        let id = command.cmd.as_str().to_owned();
        let mut memory = self.memory.lock().expect("no panic");
        let seen = memory.seen.entry(id.clone()).or_default();
        seen.came += 1;
        seen.done = 1;
        if !memory.results.contains(&id) {
            memory.results.push_back(id);
        }
    }

    /// The next result that is not under way; none while as many are as may be.
    fn untold(&self, under_way: &BTreeMap<u16, String>) -> Option<String> {
        if under_way.len() >= usize::from(contract::limits::IN_FLIGHT) {
            return None;
        }
        let memory = self.memory.lock().expect("no panic");
        let mut waiting = memory.results.iter();
        waiting
            .find(|id| !under_way.values().any(|told| told == *id))
            .cloned()
    }
}
