//! The test vectors of the profile (section 8), and what holds for all frames.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::message::{Ends, Hello, Meaning, MessageFault, Pulse, Times, express, understand};
use super::*;
use crate::command::{Command, RequestRef};
use crate::event::{CallRequest, Event};
use crate::number::{Node, Number, Party};
use crate::priority::{Priority, Scale};
use crate::text::Text;

const SABME: &str = "7E 7F 08 7B 7E";
const UA: &str = "7E 73 64 B1 7E";
const RR: &str = "7E 01 02 8D 35 7E";
const HELLO: &str = "7E 00 00 01 00 0F 01 00 01 00 00 00 01 00 14 01 02 01 00 02 08 62 72 69 64 \
                     67 65 2D 31 03 04 00 00 00 3F C4 4C 7E";
const CALLREQ_NEW: &str = "7E 02 02 01 00 0F 20 00 02 00 01 01 02 00 16 10 02 21 01 11 02 20 01 12 \
                           01 1E 13 09 47 61 74 65 20 45 61 73 74 A2 40 7E";
const DOOR_OPEN: &str = "7E 04 04 01 01 0F 53 00 01 00 02 01 03 00 15 10 02 21 01 20 01 01 21 02 \
                         0B B8 7D 5E 08 7A 7B 7C 7D 5D 7D 5E 7F 80 81 9F 92 7E";
const ALL: [&str; 6] = [SABME, UA, RR, HELLO, CALLREQ_NEW, DOOR_OPEN];

fn octets(hex: &str) -> Vec<u8> {
    let pairs = hex.split_whitespace();
    pairs.map(|p| u8::from_str_radix(p, 16).unwrap()).collect()
}

fn deframe(stream: &[u8]) -> Vec<Result<Vec<u8>, FrameFault>> {
    let mut deframer = Deframer::default();
    stream.iter().filter_map(|o| deframer.push(*o)).collect()
}

/// The message in an information frame.
fn pdu(vector: &str) -> Pdu {
    let frame = deframe(&octets(vector)).remove(0).unwrap();
    Pdu::decode(&frame[2..]).unwrap()
}

#[derive(Debug)]
struct NoTimes(Instant);

impl Times for NoTimes {
    fn ours(&self, at: Instant) -> u64 {
        at.duration_since(self.0).as_millis() as u64
    }

    fn theirs(&self, milliseconds: u64) -> Instant {
        self.0 + Duration::from_millis(milliseconds)
    }
}

fn ends(times: &NoTimes) -> Ends<'_> {
    Ends {
        own: Node(2),
        other: Node(1),
        times,
    }
}

#[test]
fn each_vector_is_read_and_written_octet_for_octet() {
    for vector in ALL {
        let line = octets(vector);
        let frames = deframe(&line);
        assert_eq!(frames.len(), 1, "{vector}");
        assert_eq!(frame(frames[0].as_ref().unwrap()), line, "{vector}");
    }
    for vector in [HELLO, CALLREQ_NEW, DOOR_OPEN] {
        let frames = deframe(&octets(vector));
        let payload = &frames[0].as_ref().unwrap()[2..];
        assert_eq!(Pdu::decode(payload).unwrap().encode(), payload);
    }
}

#[test]
fn the_printed_form_of_the_door_vector() {
    let frame = deframe(&octets(DOOR_OPEN)).remove(0).unwrap();
    assert_eq!(
        printable(&frame[2..]),
        "01010F5300010002010300151002210120010121020BB87E087A7B7C7D7E7F8081*56EA"
    );
}

#[test]
fn the_vectors_mean_what_they_say() {
    let times = NoTimes(Instant::now());
    let hello = Hello {
        version: 0x0100,
        name: Text::clip("bridge-1"),
        capabilities: 0x3F,
        pulse: Pulse::default(),
    };
    assert_eq!(
        understand(&pdu(HELLO), ends(&times)),
        Ok(Meaning::Hello(hello))
    );
    let party = |node, number| Party {
        node: Node(node),
        number: Number::new(number).unwrap(),
    };
    // The vector has no id of the request: it shows frames, not a request that could be claimed.
    assert_eq!(
        understand(&pdu(CALLREQ_NEW), ends(&times)),
        Err(MessageFault::Field(0x17))
    );
    let mut with_id = pdu(CALLREQ_NEW);
    with_id.fields.put_u64(0x17, 9);
    let request = CallRequest {
        request: RequestRef(9),
        from: party(2, "2101"),
        to: Some(party(1, "2001")),
        priority: Priority::new(30, Scale::OneIsHighest).unwrap(),
        text: Some(Text::clip("Gate East")),
    };
    assert_eq!(
        understand(&with_id, ends(&times)),
        Ok(Meaning::Event(Event::RequestNew(request)))
    );
    // Nor has the door command an id, a validity and an authority: it drives nothing.
    assert_eq!(
        understand(&pdu(DOOR_OPEN), ends(&times)),
        Err(MessageFault::Field(0x25))
    );
}

#[test]
fn every_single_bit_flip_is_detected() {
    for vector in ALL {
        let line = octets(vector);
        let good = deframe(&line).remove(0).unwrap();
        for bit in 0..line.len() * 8 {
            let mut flipped = line.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A flag lost in noise ends with the next frame's.
            flipped.push(0x7E);
            for taken in deframe(&flipped).into_iter().flatten() {
                assert_eq!(taken, good, "bit {bit} of {vector}");
            }
        }
    }
}

#[test]
fn an_unknown_field_is_skipped_unless_it_has_to_be_understood() {
    let times = NoTimes(Instant::now());
    let mut newer = pdu(HELLO);
    newer.fields.put_u8(0x6F, 1);
    assert!(understand(&newer, ends(&times)).is_ok());
    newer.fields.put_u8(0x90, 1);
    assert_eq!(
        understand(&newer, ends(&times)),
        Err(MessageFault::Mandatory(0x90))
    );
    let mut unknown = pdu(HELLO);
    unknown.kind = 0x4F;
    assert_eq!(
        understand(&unknown, ends(&times)),
        Err(MessageFault::Unknown(0x4F))
    );
}

#[test]
fn a_malformed_message_is_refused_with_its_reason() {
    let good = pdu(HELLO).encode();
    let mut version = good.clone();
    version[0] = 2;
    assert_eq!(Pdu::decode(&version), Err(PduFault::Version(2)));
    let mut length = good.clone();
    length.push(0);
    assert_eq!(Pdu::decode(&length), Err(PduFault::Length));
    let mut twice = pdu(HELLO);
    twice.fields.put_u8(0x01, 1);
    assert_eq!(Pdu::decode(&twice.encode()), Err(PduFault::Twice(1)));
    for end in 0..12 {
        assert_eq!(Pdu::decode(&good[..end]), Err(PduFault::Short));
    }
}

#[test]
fn long_and_given_up_frames_are_counted_as_what_they_are() {
    let mut stream = vec![0x55, 0x7E];
    stream.extend(vec![0x11; 5000]);
    stream.extend([0x7E, 0x01, 0x7E, 0x01, 0x02, 0x7D, 0x7E, 0x7E]);
    assert_eq!(
        deframe(&stream),
        [
            Err(FrameFault::TooLong),
            Err(FrameFault::TooShort),
            Err(FrameFault::Aborted)
        ]
    );
}

proptest! {
    #[test]
    fn any_octets_survive_their_frame(
        octets in proptest::collection::vec(any::<u8>(), 1..LONGEST_PAYLOAD)
    ) {
        prop_assert_eq!(deframe(&frame(&octets)), [Ok(octets)]);
    }

    #[test]
    fn any_stream_and_any_message_are_survived(
        stream in proptest::collection::vec(any::<u8>(), 0..3000)
    ) {
        for frame in deframe(&stream).into_iter().flatten() {
            prop_assert!(frame.len() <= LONGEST_PAYLOAD + 2);
        }
        survive(&stream);
    }

    #[test]
    fn any_fields_are_survived(
        kind in any::<u8>(),
        flags in any::<u8>(),
        fields in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..9)), 0..12)
    ) {
        let mut message = pdu(HELLO);
        (message.kind, message.flags) = (kind, Flags(flags));
        for (kind, value) in fields {
            message.fields.put(kind & 0x7F, &value);
        }
        survive(&message.encode());
    }
}

/// What is understood is written so that it is understood the same way.
fn survive(payload: &[u8]) {
    let Ok(pdu) = Pdu::decode(payload) else {
        return;
    };
    assert_eq!(pdu.encode(), payload);
    let times = NoTimes(Instant::now());
    let Ok(meaning) = understand(&pdu, ends(&times)) else {
        return;
    };
    // A moment of link time beyond all clocks cannot be written again.
    if let Meaning::Command(Command::DoorOpen(_) | Command::OutputSet(_)) = meaning {
        return;
    }
    let mut again = express(&meaning, ends(&times)).unwrap();
    again.flags = pdu.flags;
    assert_eq!(understand(&again, ends(&times)), Ok(meaning));
}
