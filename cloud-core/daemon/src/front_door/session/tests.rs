use mqtt_protocol_core::mqtt::packet::{
    Property, SubEntry, SubOpts, WillDelayInterval, v3_1_1, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, DisconnectReasonCode, PubackReasonCode, SubackReasonCode,
};

use super::*;

const NAME: &str = "de-01JZ5W3N8Q4V7X2K9M6T1R0PAB";

fn name() -> DeviceName {
    NAME.parse().unwrap()
}

fn topic(channel: Up) -> String {
    channel.topic(&name())
}

/// The device's end, as a client of the library sees it.
struct Device {
    mqtt: Connection<role::Client>,
    session: Session,
    /// What the session handed out.
    seen: Vec<Output>,
    /// What the device got.
    got: Vec<Packet>,
}

impl Device {
    fn new(version: Version) -> Self {
        Self {
            mqtt: Connection::new(version),
            session: Session::new(Some(name())),
            seen: Vec::new(),
            got: Vec::new(),
        }
    }

    fn send(&mut self, packet: impl Into<Packet>) {
        for event in self.mqtt.send(packet.into()) {
            if let Event::RequestSendPacket { packet, .. } = event {
                self.octets(&packet.to_continuous_buffer());
            }
        }
    }

    fn octets(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let taken = self.session.received(octets);
            octets = &octets[taken..];
            self.drain();
            if taken == 0 {
                break;
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            if let Output::Transmit(octets) = &output {
                let mut cursor = Cursor::new(&octets[..]);
                for event in self.mqtt.recv(&mut cursor) {
                    if let Event::NotifyPacketReceived(packet) = event {
                        self.got.push(packet);
                    }
                }
            } else {
                self.seen.push(output);
            }
        }
    }

    fn let_in(&mut self) {
        assert!(
            matches!(self.seen.as_slice(), [Output::Asked(_)]),
            "{:?}",
            self.seen
        );
        self.session.accept(None);
        self.drain();
        self.seen.clear();
        self.got.clear();
    }

    fn connected_v5() -> Self {
        let mut device = Self::new(Version::V5_0);
        device.send(connect_v5(NAME, None));
        device.let_in();
        device
    }

    fn publish_v5(&mut self, to: &str, payload: &str) {
        let id = self.mqtt.acquire_packet_id().unwrap();
        let publish = v5_0::Publish::builder()
            .topic_name(to)
            .unwrap()
            .qos(Qos::AtLeastOnce);
        self.send(publish.packet_id(id).payload(payload).build().unwrap());
    }

    fn publish_v3(&mut self, to: &str, payload: &str) {
        let id = self.mqtt.acquire_packet_id().unwrap();
        let publish = v3_1_1::Publish::builder()
            .topic_name(to)
            .unwrap()
            .qos(Qos::AtLeastOnce);
        self.send(publish.packet_id(id).payload(payload).build().unwrap());
    }

    fn subscribe_v5(&mut self, filters: &[String]) -> Vec<SubackReasonCode> {
        let id = self.mqtt.acquire_packet_id().unwrap();
        let options = SubOpts::new().set_qos(Qos::AtLeastOnce);
        let entries = filters
            .iter()
            .map(|f| SubEntry::new(f.as_str(), options).unwrap());
        let subscribe = v5_0::Subscribe::builder()
            .packet_id(id)
            .entries(entries.collect::<Vec<_>>());
        self.send(subscribe.build().unwrap());
        match self.got.pop() {
            Some(Packet::V5_0Suback(suback)) => suback.reason_codes(),
            other => panic!("no SUBACK: {other:?}"),
        }
    }
}

/// With a will of 30 s, if there is one: its topic and what it says.
fn connect_v5(client: &str, will: Option<(&str, &str)>) -> v5_0::Connect {
    let connect = v5_0::Connect::builder()
        .client_id(client)
        .unwrap()
        .keep_alive(30);
    match will {
        None => connect.build(),
        Some((to, payload)) => {
            let delay = Property::from(WillDelayInterval::new(30).unwrap());
            let payload = payload.as_bytes().to_vec();
            let connect = connect.will_message(to.to_owned(), payload, Qos::AtLeastOnce, false);
            connect.unwrap().will_props(vec![delay]).build()
        }
    }
    .unwrap()
}

fn connack_v5(device: &Device) -> ConnectReasonCode {
    match device.got.as_slice() {
        [Packet::V5_0Connack(connack)] => connack.reason_code(),
        other => panic!("no CONNACK: {other:?}"),
    }
}

const WILL: &str = r#"{"boot":17,"conn":88}"#;
const EVENT: &str =
    r#"{"seq":1,"boot":1,"ts":1,"type":"call.ended","id":"01JZ5W3N8Q4V7X2K9M6T1R0PAC","data":{}}"#;

#[test]
fn a_device_is_let_in_when_the_core_says_so() {
    let mut device = Device::new(Version::V5_0);
    device.send(connect_v5(NAME, Some((&topic(Up::Will), WILL))));
    let [Output::Asked(asked)] = device.seen.as_slice() else {
        panic!("{:?}", device.seen)
    };
    let will = asked.will.expect("a will");
    assert_eq!(will.delay, Duration::from_secs(30));
    assert_eq!(will.document.conn.get(), 88);
    assert!(device.got.is_empty());
    assert!(!device.session.listens());
    device.session.accept(None);
    device.drain();
    assert_eq!(connack_v5(&device), ConnectReasonCode::Success);
    assert_eq!(device.session.silence(), Some(Duration::from_secs(45)));
}

#[test]
fn a_device_cannot_take_another_name_or_leave_a_foreign_will() {
    let foreign = "d/de-01JZ5W3N8Q4V7X2K9M6T1R0PAC/1/up/lwt";
    let not_allowed = ConnectReasonCode::NotAuthorized;
    for (connect, code) in [
        (
            connect_v5("de-01JZ5W3N8Q4V7X2K9M6T1R0PAC", None),
            ConnectReasonCode::ClientIdentifierNotValid,
        ),
        (connect_v5(NAME, Some((foreign, WILL))), not_allowed),
        (
            connect_v5(NAME, Some((&topic(Up::Event), WILL))),
            not_allowed,
        ),
        (
            connect_v5(NAME, Some((&topic(Up::Will), "gone"))),
            not_allowed,
        ),
    ] {
        let mut device = Device::new(Version::V5_0);
        device.send(connect);
        assert_eq!(connack_v5(&device), code);
        assert_eq!(device.seen, [Output::Close(Why::NotAllowed)]);
    }
}

#[test]
fn a_message_is_acknowledged_when_it_is_stored_and_not_before() {
    let mut device = Device::connected_v5();
    device.publish_v5(&topic(Up::Event), EVENT);
    let [
        Output::Message {
            packet,
            message: Message::Event(event),
        },
    ] = device.seen.as_slice()
    else {
        panic!("{:?}", device.seen)
    };
    assert_eq!(event.seq.get(), 1);
    assert!(device.got.is_empty());
    let packet = *packet;
    device.session.stored(packet);
    device.drain();
    assert!(matches!(device.got.as_slice(), [Packet::V5_0Puback(_)]));
}

#[test]
fn foreign_topics_and_filters_are_not_authorized_and_do_not_end_the_session() {
    let mut device = Device::connected_v5();
    let other = "d/de-01JZ5W3N8Q4V7X2K9M6T1R0PAC";
    device.publish_v5(&format!("{other}/1/up/event"), EVENT);
    let [Packet::V5_0Puback(puback)] = device.got.as_slice() else {
        panic!("{:?}", device.got)
    };
    assert_eq!(puback.reason_code(), Some(PubackReasonCode::NotAuthorized));
    device.got.clear();
    let filters = [
        "#".to_owned(),
        format!("{other}/1/down/#"),
        topic::all_down(&name()),
        "$SYS/#".to_owned(),
    ];
    let refused = SubackReasonCode::NotAuthorized;
    let expected = [refused, refused, SubackReasonCode::GrantedQos1, refused];
    assert_eq!(device.subscribe_v5(&filters), expected);
    assert!(device.session.subscribed().to(topic::Down::Command));
    assert!(matches!(device.seen.as_slice(), [Output::Subscribed(_)]));
}

#[test]
fn a_document_that_is_none_is_answered_and_gone() {
    let mut device = Device::connected_v5();
    device.publish_v5(&topic(Up::Event), "{}");
    let [Packet::V5_0Puback(puback)] = device.got.as_slice() else {
        panic!("{:?}", device.got)
    };
    assert_eq!(
        puback.reason_code(),
        Some(PubackReasonCode::PayloadFormatInvalid)
    );
    assert_eq!(device.session.take_refused(), 1);
    assert!(device.seen.is_empty());
}

#[test]
fn retained_messages_and_qos_2_end_the_session() {
    for (qos, retain, code) in [
        (
            Qos::AtLeastOnce,
            true,
            DisconnectReasonCode::RetainNotSupported,
        ),
        (
            Qos::ExactlyOnce,
            false,
            DisconnectReasonCode::QosNotSupported,
        ),
    ] {
        let mut device = Device::connected_v5();
        let publish = v5_0::Publish::builder()
            .topic_name(topic(Up::Event))
            .unwrap();
        let publish = publish.qos(qos).retain(retain).packet_id(1).payload(EVENT);
        device.octets(&publish.build().unwrap().to_continuous_buffer());
        let [Packet::V5_0Disconnect(disconnect)] = device.got.as_slice() else {
            panic!("{:?}", device.got)
        };
        assert_eq!(disconnect.reason_code(), Some(code));
        assert_eq!(device.seen, [Output::Close(Why::Protocol)]);
    }
}

#[test]
fn a_device_is_told_no_more_than_it_can_take() {
    let mut device = Device::connected_v5();
    let poke = Saying::Poke(Poke {
        what: contract::down::Errand::Update,
    });
    assert_eq!(
        device.session.say(&poke, None),
        Err(SayError::NotSubscribed)
    );
    device.subscribe_v5(&[topic::all_down(&name())]);
    device.seen.clear();
    let room = device.session.room();
    assert_eq!(room, usize::from(contract::limits::IN_FLIGHT));
    for token in 0..room {
        device
            .session
            .say(&poke, Some(Token::Desired(i64::try_from(token).unwrap())))
            .unwrap();
    }
    assert_eq!(
        device.session.say(&poke, Some(Token::Desired(99))),
        Err(SayError::Full)
    );
    device.drain();
    let Packet::V5_0Publish(first) = device.got[0].clone() else {
        panic!("{:?}", device.got)
    };
    let puback = v5_0::Puback::builder().packet_id(first.packet_id().unwrap());
    device.send(puback.build().unwrap());
    assert_eq!(
        device.seen,
        [Output::Delivered {
            token: Token::Desired(0)
        }]
    );
    assert_eq!(device.session.room(), 1);
}

#[test]
fn version_3_lives_by_the_same_rules() {
    let mut device = Device::new(Version::V3_1_1);
    let connect = v3_1_1::Connect::builder().client_id(NAME).unwrap();
    device.send(connect.clean_session(false).keep_alive(0).build().unwrap());
    let [Output::Asked(asked)] = device.seen.as_slice() else {
        panic!("{:?}", device.seen)
    };
    assert_eq!((asked.version, asked.clean), (3, false));
    assert_eq!(asked.keep_alive, contract::limits::KEEP_ALIVE_LONGEST);
    device.let_in();
    device.publish_v3(&topic(Up::Event), EVENT);
    assert!(matches!(
        device.seen.as_slice(),
        [Output::Message {
            packet: Some(1),
            ..
        }]
    ));
    device.session.stored(Some(1));
    device.drain();
    assert!(matches!(device.got.as_slice(), [Packet::V3_1_1Puback(_)]));
    device.seen.clear();
    // It has no word for "not authorized": the connection ends.
    device.publish_v3("d/de-01JZ5W3N8Q4V7X2K9M6T1R0PAC/1/up/event", EVENT);
    assert_eq!(device.seen, [Output::Close(Why::NotAllowed)]);
}

#[test]
fn a_device_whose_messages_wait_for_their_commit_is_not_read_further() {
    let mut device = Device::connected_v5();
    // Version 5 is held by the receive maximum before that.
    for _ in 0..contract::limits::IN_FLIGHT {
        device.publish_v5(&topic(Up::Event), EVENT);
    }
    assert_eq!(device.seen.len(), usize::from(contract::limits::IN_FLIGHT));
    let publish = v5_0::Publish::builder()
        .topic_name(topic(Up::Event))
        .unwrap();
    let publish = publish
        .qos(Qos::AtLeastOnce)
        .packet_id(999)
        .payload(EVENT)
        .build()
        .unwrap();
    device.octets(&publish.to_continuous_buffer());
    assert!(device.seen.contains(&Output::Close(Why::Protocol)));
}

#[test]
fn what_is_no_connect_is_not_even_parsed() {
    for octets in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x10, 0xff, 0xff, 0xff, 0x7f],
        &[0xc0, 0],
    ] {
        let mut device = Device::new(Version::V5_0);
        device.octets(octets);
        assert_eq!(device.seen, [Output::Close(Why::Protocol)]);
        assert!(device.got.is_empty());
        assert_eq!(device.session.received(b"more"), 0);
    }
}

#[test]
fn the_end_is_said_where_there_is_a_word_for_it() {
    let mut device = Device::connected_v5();
    device.session.end(Why::TakenOver);
    device.drain();
    let [Packet::V5_0Disconnect(disconnect)] = device.got.as_slice() else {
        panic!("{:?}", device.got)
    };
    assert_eq!(
        disconnect.reason_code(),
        Some(DisconnectReasonCode::SessionTakenOver)
    );
    assert_eq!(device.seen, [Output::Close(Why::TakenOver)]);
    device.session.end(Why::Silence);
    device.session.stored(Some(1));
    assert_eq!(device.session.poll_output(), None);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes after a CONNECT, in whatever pieces: no panic, bounded output.
        #[test]
        fn no_octets_bring_a_session_down(
            octets in prop::collection::vec(any::<u8>(), 0..400),
            connected: bool,
            piece in 1..50_usize,
        ) {
            let mut device = if connected {
                Device::connected_v5()
            } else {
                Device::new(Version::V5_0)
            };
            for piece in octets.chunks(piece) {
                device.octets(piece);
            }
            prop_assert!(device.seen.len() <= octets.len() + 1);
        }
    }
}
